"""Reach the people who must act while a card cannot be shown: one message a person and occasion, edited in place."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple, Self

import structlog

from bot.rotation.attention import occasion
from bot.rotation.errors import CannotPost, Unanswerable
from bot.rotation.people import People
from bot.rotation.record import Rotation
from handlers.ports import ShownStore
from handlers.sending import Sender
from handlers.slack import MessageLost, Refused
from handlers.views.around import DIRECTLY
from handlers.views.direct import Shut, concerns_approvers, direct, moment, settled
from handlers.views.links import Places

log = structlog.get_logger("keyturn.direct_messages")

MOST = 20
"""The most approvers to write to."""

AGAIN = 60.0
"""Seconds until somebody is written to again whom a message did not reach."""

DONE = "dm"
"""The field in the store that says what all have been told; the message to each person has one of its own."""


class Sent(NamedTuple):
    """A direct message, the occasion that it is about, and what it shows."""

    channel: str
    ts: str
    about: str
    edition: str

    @classmethod
    def of(cls, field: str) -> Self:
        """Read it from the store."""
        return cls(*field.split(" "))


class DirectMessages:
    """Stores who has which message, with the other fields about a rotation's messages."""

    def __init__(
        self,
        sender: Sender,
        store: ShownStore,
        people: People,
        now: Callable[[], datetime],
        *,
        places: Places,
    ) -> None:
        self._sender = sender
        self._store = store
        self._people = people
        self._now = now
        self._places = places

    async def tell(self, rotation: Rotation, shut: Shut) -> None:
        """Show *rotation* to the people who must act, and what became of it to those who were asked."""
        shown = await self._store.messages(rotation.id)
        edition, now = f"{shut}/{moment(rotation)}", self._now().timestamp()
        told, _, until = shown.get(DONE, "").partition(" ")
        if told == edition and float(until) > now:
            return
        sent = _sent(shown)
        wanted, known = await self._wanted(rotation)
        reached = {
            person: await self._told(person, rotation, shut, sent.get(person), asked=person in wanted)
            for person in dict.fromkeys([*wanted, *sent])
        }
        if wanted and not any(reached[person] for person in wanted):
            log.error("nobody_reached", rotation=rotation.id, requester=rotation.requested_by)
        again = float("inf") if known and all(reached.values()) else now + AGAIN
        await self._store.remember_message(rotation.id, {DONE: f"{edition} {again}"})

    async def _wanted(self, rotation: Rotation) -> tuple[tuple[str, ...], bool]:
        """Return who has to act now, and whether Slack told all of them: the requester, and approvers if they can."""
        if not occasion(rotation):
            return (), True
        if not concerns_approvers(rotation):
            return (rotation.requested_by,), True
        try:
            able = await self._people.able(MOST + 1, without=rotation.requested_by)
        except Unanswerable:
            log.warning("approvers_unknown", rotation=rotation.id)
            return (rotation.requested_by,), False
        if len(able) > MOST:
            log.warning("approvers_untold", rotation=rotation.id, told=MOST)
        return (rotation.requested_by, *able[:MOST]), True

    async def _told(self, person: str, rotation: Rotation, shut: Shut, sent: Sent | None, *, asked: bool) -> bool:
        """Bring one person up to date; tell whether that reached them."""
        about, edition = occasion(rotation), f"{shut}/{moment(rotation)}"
        if asked and (sent is None or sent.about != about):
            posted = await self._posted(person, rotation, direct(rotation, shut, self._places), f"{about} {edition}")
            if posted and sent:
                note = "A newer message here says how it stands now."
                await _accepted(partial(self._edit, sent, settled(rotation, note)))
            return posted
        if sent is None or sent.edition == edition:
            return True
        if not await _accepted(partial(self._edit, sent, direct(rotation, shut, self._places))):
            return False
        await self._keep(rotation, person, sent._replace(edition=edition))
        return True

    async def _posted(self, person: str, rotation: Rotation, content: Mapping[str, object], of: str) -> bool:
        try:
            answer = await self._sender.post(content, channel=person)
        except (CannotPost, MessageLost, Refused):
            return False
        await self._keep(rotation, person, Sent.of(f"{answer['channel']} {answer['ts']} {of}"))
        return True

    async def _edit(self, sent: Sent, content: Mapping[str, object]) -> None:
        await self._sender.edit(content, channel=sent.channel, ts=sent.ts)

    async def _keep(self, rotation: Rotation, person: str, sent: Sent | None) -> None:
        await self._store.remember_message(rotation.id, {DIRECTLY + person: " ".join(sent or ())})

    async def settle(self, rotation: Rotation, shown: Mapping[str, str], link: str) -> None:
        """Take the buttons off all direct messages, as the card in the channel is up to date again."""
        sent = _sent(shown)
        for person, message in sent.items():
            note = f"The card in <#{rotation.channel}> is up to date again: <{link}|open it>."
            await _accepted(partial(self._edit, message, settled(rotation, note)))
            await self._keep(rotation, person, None)
        if sent:
            await self._store.remember_message(rotation.id, {DONE: ""})


def _sent(shown: Mapping[str, str]) -> dict[str, Sent]:
    people: Iterable[str] = (name for name, value in shown.items() if name.startswith(DIRECTLY) and value)
    return {name.removeprefix(DIRECTLY): Sent.of(shown[name]) for name in people}


async def _accepted(task: Callable[[], Awaitable[None]]) -> bool:
    try:
        await task()
    except (CannotPost, MessageLost, Refused):
        return False
    return True
