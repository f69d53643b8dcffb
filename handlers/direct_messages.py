"""Reach people directly, while a card cannot be shown or must be seen at once: one message a person and occasion."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple, Self

import structlog

from bot.rotation.errors import CannotPost, Unanswerable
from bot.rotation.people import People
from bot.rotation.record import Rotation
from handlers.ports import ShownStore
from handlers.sending import Sender
from handlers.slack import MessageLost, Refused
from handlers.views.around import AGAIN as OFTEN
from handlers.views.around import DIRECTLY
from handlers.views.direct import Ask, Shut, beside_card, settled, while_shut
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


class Pushes(NamedTuple):
    """The settings on whom Keyturn pushes besides the requester and the approvers, and where."""

    escalation: frozenset[str] = frozenset()
    approver_dm: bool = False


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
        pushes: Pushes,
    ) -> None:
        self._sender = sender
        self._store = store
        self._people = people
        self._now = now
        self._places = places
        self._pushes = pushes

    async def tell(self, rotation: Rotation, shut: Shut) -> bool:
        """While the card can't be shown, show *rotation* to the people who must act; tell whether all are known."""
        return await self._ask(rotation, while_shut(rotation, shut, self._places))

    async def push(self, rotation: Rotation, shown: Mapping[str, str], link: str) -> bool:
        """Call people to a card that is shown, and settle what asks them for nothing; tell whether all are known."""
        ask = beside_card(rotation, link, self._places, approver_dm=self._pushes.approver_dm)
        return not (ask.about or _sent(shown)) or await self._ask(rotation, ask)

    async def _ask(self, rotation: Rotation, ask: Ask) -> bool:
        shown = await self._store.messages(rotation.id)
        now = self._now().timestamp()
        told, _, until = shown.get(DONE, "").partition(" ")
        if told == ask.edition and float(until) > now:
            return True
        sent = _sent(shown)
        wanted, known = await self._wanted(rotation, ask)
        reached = {
            person: await self._told(person, rotation, ask, sent.get(person), asked=person in wanted)
            for person in dict.fromkeys([*wanted, *sent])
        }
        if wanted and not any(reached[person] for person in wanted):
            log.error("nobody_reached", rotation=rotation.id, requester=rotation.requested_by)
        again = float("inf") if known and all(reached.values()) else now + AGAIN
        await self._store.remember_message(rotation.id, {DONE: f"{ask.edition} {again}"})
        return known

    async def _wanted(self, rotation: Rotation, ask: Ask) -> tuple[tuple[str, ...], bool]:
        """Return who has to act now, and whether Slack told all of them; those who have approved have acted."""
        if not ask.about:
            return (), True
        done = {approval.by for approval in rotation.approvals}
        asked = [rotation.requested_by] if ask.requester else []
        known = True
        for people in (self._approvers if ask.approvers else None, self._escalated if ask.escalates else None):
            try:
                asked += await people(rotation) if people else ()
            except Unanswerable:
                log.warning("approvers_unknown", rotation=rotation.id)
                known = False
        return tuple(person for person in dict.fromkeys(asked) if person not in done or ask.requester), known

    async def _approvers(self, rotation: Rotation) -> tuple[str, ...]:
        without = "" if rotation.self_approval else rotation.requested_by
        policy = self._people.governed(rotation).policy
        able = await self._people.able(MOST + 1, policy, without=without)
        if len(able) > MOST:
            log.warning("approvers_untold", rotation=rotation.id, told=MOST)
        return able[:MOST]

    async def _escalated(self, _: Rotation) -> tuple[str, ...]:
        return tuple(sorted(await self._people.escalated()))[:MOST]

    async def _told(self, person: str, rotation: Rotation, ask: Ask, sent: Sent | None, *, asked: bool) -> bool:
        """Bring one person up to date; tell whether that reached them."""
        if asked and (sent is None or sent.about != ask.about):
            posted = await self._posted(person, rotation, ask.content, f"{ask.about} {ask.edition}")
            if posted and sent:
                await self._replaced(sent, rotation, ask)
            return posted
        if sent is None or sent.edition == ask.edition:
            return True
        content = ask.content if asked else ask.after(sent.edition)
        if not await _accepted(partial(self._edit, sent, content)):
            return False
        await self._keep(rotation, person, sent._replace(edition=ask.edition) if asked or ask.is_kept else None)
        return True

    async def _replaced(self, sent: Sent, rotation: Rotation, ask: Ask) -> None:
        """Take away what a newer message about the same replaces; what was about something else stays, as a note."""
        is_same = sent.about.partition(OFTEN)[0] == ask.about.partition(OFTEN)[0]
        if is_same and await _accepted(partial(self._sender.delete, channel=sent.channel, ts=sent.ts)):
            return
        note = "A newer message here says how it stands now."
        await _accepted(partial(self._edit, sent, settled(rotation, note)))

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


def _sent(shown: Mapping[str, str]) -> dict[str, Sent]:
    people: Iterable[str] = (name for name, value in shown.items() if name.startswith(DIRECTLY) and value)
    return {name.removeprefix(DIRECTLY): Sent.of(shown[name]) for name in people}


async def _accepted(task: Callable[[], Awaitable[None]]) -> bool:
    try:
        await task()
    except (CannotPost, MessageLost, Refused):
        return False
    return True
