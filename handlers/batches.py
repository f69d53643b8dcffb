"""Batches: the form that asks which keys, the message that shows how they stand, and its buttons."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.batch import Batch, ready
from bot.rotation.errors import CannotPost, Unanswerable, WrongState
from bot.rotation.policy import Pressed
from bot.service import RotationService
from bot.service.batching import Wanted
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker
from handlers.errors import answered
from handlers.home import links_of
from handlers.payload import chosen, conversation, has, person_of, said, team_of, text, typed
from handlers.ports import ShownStore
from handlers.sending import Sender
from handlers.slack import Later, MessageLost
from handlers.views.batch import KEYS, OLDER, PROVIDER, approved, digest
from handlers.views.modal import CHANNEL, VALUE

log = structlog.get_logger("keyturn.batches")

LEASE = 30.0
"""Seconds for which one process moves a batch on."""

Json = dict[str, Any]


class BatchDesk:
    """Moves the open batches on, whichever process is first, and keeps their messages up to date."""

    def __init__(
        self,
        sender: Sender,
        store: ShownStore,
        rotations: RotationService,
        announcer: SlackAnnouncer,
        now: Callable[[], datetime],
    ) -> None:
        self._sender = sender
        self._store = store
        self._rotations = rotations
        self._announcer = announcer
        self._now = now
        self._later: dict[str, datetime] = {}
        self._unsaved: dict[str, dict[str, str]] = {}
        """By batch: what was posted but could not be stored, so that it is not posted twice."""

    async def refresh(self) -> None:
        """Move each open batch on by a step at most; called all the time."""
        for batch_id in await self._rotations.open_batches():
            later = self._later.get(batch_id)
            if later is None or self._now() >= later:
                async with self._store.leased(f"batch:{batch_id}", LEASE) as mine:
                    await (self._moved(batch_id) if mine else _nothing())

    async def _moved(self, batch_id: str) -> None:
        try:
            if not (await self._shown(batch_id)).get("ts"):  # no rotation begins before people can see the batch
                await self.show(await self._rotations.batch(batch_id))
            else:
                await self.show(await self._rotations.advance_batch(batch_id, self._announcer.first))
        except (WrongState, Unanswerable):
            return  # somebody changed it meanwhile, or the next look may find it
        except Later as later:
            self._later[batch_id] = self._now() + timedelta(seconds=later.seconds)
        except (CannotPost, MessageLost) as shut:
            self._later[batch_id] = self._now() + timedelta(minutes=1)
            log.warning("batch_not_shown", batch=batch_id, why=str(shut))

    async def _shown(self, batch_id: str) -> dict[str, str]:
        return await self._store.messages(f"batch:{batch_id}") | self._unsaved.get(batch_id, {})

    async def show(self, batch: Batch) -> None:
        """Post the batch's message, or edit it if it shows something else; leave it to the process that does so."""
        async with self._store.leased(f"show:batch:{batch.id}", LEASE) as mine:
            await (self._show(batch) if mine else _nothing())

    async def _show(self, batch: Batch) -> None:
        found = await self._rotations.rotations_of(batch)
        links = await links_of(found.values(), self._announcer)
        covers = ready(batch, found.values()) if self._rotations.approves_batches else {}
        content = digest(batch, found, links, covers)
        mark = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
        name = f"batch:{batch.id}"
        shown = await self._shown(batch.id)
        if shown.get("mark") == mark:
            return
        if shown.get("ts"):
            try:
                await self._sender.edit(content, channel=shown["channel"], ts=shown["ts"])
            except MessageLost:  # somebody deleted it: the next look posts another
                await self._store.remember_message(name, {"mark": "", "ts": ""})
                raise
            fields = {"mark": mark}
        else:
            answer = await self._sender.post(content, channel=batch.channel)
            fields = {"mark": mark, "ts": str(answer["ts"]), "channel": str(answer["channel"])}
            fields["keys"] = str(len(batch.entries))
        self._unsaved[batch.id] = fields
        await self._store.remember_message(name, fields)
        del self._unsaved[batch.id]


async def _nothing() -> None:
    """Leave it to the process that has it."""


def wanted_of(view: Json) -> Wanted:
    """Return what a sent form asks for."""
    days = typed(view, OLDER, VALUE)
    older = timedelta(days=int(days)) if days.isdecimal() and len(days) < len("10000") else None
    return Wanted(frozenset(chosen(view, KEYS, VALUE)), typed(view, PROVIDER, VALUE).strip(), older)


def channel_in(view: Json) -> str:
    """Return the channel of a sent form: the one that the person chose, or the one that it was opened in."""
    return conversation(view, CHANNEL, VALUE) if has(view, CHANNEL) else said(view.get("private_metadata"))


async def begin_batch(view: Json, body: Json, rotations: RotationService, batch_desk: BatchDesk) -> None:
    """Begin the batch that a form asks for, and show it at once; without a message there is none."""
    channel, by = channel_in(view), person_of(body)
    batch = await rotations.begin_batch(
        channel, wanted_of(view), by=by, team=team_of(body), request=f"form/{text(view, 'id')}"
    )
    try:
        await batch_desk.show(batch)
    except (CannotPost, MessageLost, Later):
        await rotations.end_batch(batch.id, by=by)
        raise CannotPost("The batch's message could not be posted, so no rotation has begun.") from None


@answered
async def go_on(
    ack: AsyncAck, action: Json, body: Json, rotations: RotationService, batch_desk: BatchDesk, answers: Answers
) -> None:
    await ack()
    batch_id, _, after = text(action, "value").partition(" ")
    await batch_desk.show(await rotations.go_on(batch_id, after, by=person_of(body)))


@answered
async def end_batch(
    ack: AsyncAck, action: Json, body: Json, rotations: RotationService, batch_desk: BatchDesk, answers: Answers
) -> None:
    await ack()
    await batch_desk.show(await rotations.end_batch(text(action, "value"), by=person_of(body)))


@answered
async def approve_ready(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    batch_desk: BatchDesk,
    answers: Answers,
    pressed: Pressed,
) -> None:
    """Approve what the message showed as ready; say what was left out, as it has changed since."""
    await ack()
    batch_id, *marks = text(action, "value").split(" ")
    shown = dict(mark.partition(":")[::2] for mark in marks)
    click = f"{text(body, 'trigger_id')}/{text(action, 'action_ts')}"
    result = await rotations.approve_ready(batch_id, shown, by=person_of(body), pressed=pressed, click=click)
    await answers.tell(Asker.of(body), approved(result.names, result.left))
