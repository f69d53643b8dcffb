"""The direct messages: while the card cannot be shown in its channel, while callers fail, and to approvers."""

import hashlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from bot.rotation.attention import gist, occasion
from bot.rotation.flags import SEPARATOR
from bot.rotation.nudges import Kind, harmful, is_silent, leaking, matters, nudge_of
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from handlers.views.around import AGAIN, Around
from handlers.views.blocks import TEXT_MOST, Block, context, cut, message
from handlers.views.buttons import SEEN
from handlers.views.card import card
from handlers.views.links import NOWHERE, Places
from handlers.views.pushes import became


class Shut(StrEnum):
    """Why the card cannot be shown in its channel."""

    ARCHIVED = "archived"
    RESTRICTED = "restricted"
    LEFT = "left"
    """Also for a private channel without the bot: Slack says that it does not exist."""

    REFUSED = "refused"
    """The channel is open, and Slack refuses the card."""


REASON: Mapping[Shut, tuple[str, str]] = {
    Shut.ARCHIVED: ("Keyturn can't post in {}: it is archived.", "Unarchive it, and"),
    Shut.RESTRICTED: ("Keyturn can't post in {}: its settings don't allow it.", "Allow it there, and"),
    Shut.LEFT: ("Keyturn can't post in {}: it is no longer in that channel.", "`/invite @keyturn` there, and"),
    Shut.REFUSED: ("Slack refuses the card in {}: Keyturn's log says why.", "Once it's fixed,"),
}
"""What is wrong with a channel, and what opens it again."""


class Ask(NamedTuple):
    """What to ask of people directly now, and what is left of a message that asks for nothing any more."""

    about: str
    """The occasion, and how often people are called to it; empty if nobody is asked."""

    edition: str
    """A text without spaces that changes when the messages have to."""

    content: Mapping[str, Any]
    after: Callable[[str], Mapping[str, Any]]
    """Takes the edition that the message shows."""

    requester: bool = True
    approvers: bool = False
    escalates: bool = False
    is_kept: bool = False
    """Whether a message that asks for nothing any more goes on showing the rotation."""


def direct(rotation: Rotation, shut: Shut, places: Places = NOWHERE) -> dict[str, Any]:
    """Return the card with its buttons, and why it comes directly: a click is judged as one on the card."""
    why, remedy = REASON[shut]
    where = f"<#{rotation.channel}>"
    note = f"{why.format(where)} So this comes to you directly. {remedy} the card there catches up within the hour."
    return _with_card(rotation, note, places)


def _with_card(rotation: Rotation, note: str, places: Places) -> dict[str, Any]:
    shown = card(rotation, Around(places=places)).content
    return _noted(str(shown["text"]), list(_blocks(shown)), note)


def while_shut(rotation: Rotation, shut: Shut, places: Places) -> Ask:
    """Return what to ask of people while the card can't be shown in its channel."""
    content = direct(rotation, shut, places)
    edition = f"{shut}/{moment(rotation)}"
    approvers = concerns_approvers(rotation)
    return Ask(_called(rotation), edition, content, lambda _: content, approvers=approvers, is_kept=True)


def beside_card(rotation: Rotation, link: str, places: Places, *, approver_dm: bool) -> Ask:
    """Return what to ask of people besides the card: to take care of callers that fail, or, if wanted, to approve."""
    edition = f"{BESIDE}{moment(rotation)}"
    if harmful(rotation):
        content = _with_card(rotation, PAGE.format(f"<#{rotation.channel}>", link), places)
        after = partial(_after, rotation, link)
        called = _called(rotation)
        return Ask(called, edition, content, after, approvers=True, escalates=AGAIN in called)
    if leak := leaking(rotation):
        content, nudge = (
            _with_card(rotation, LEAK.format(f"<#{rotation.channel}>", link), places),
            nudge_of(rotation, leak),
        )
        called = f"{leak.about}{AGAIN}{nudge.number}" if nudge else leak.about
        after = partial(_after, rotation, link)
        return Ask(called, edition, content, after, requester=False, approvers=True, escalates=nudge is not None)
    wanted = approver_dm and any(matter.kind in (Kind.APPROVAL, Kind.START) for matter in matters(rotation))
    wanted = wanted and not is_silent(rotation)
    about = occasion(rotation) if wanted else ""
    content = _with_card(rotation, WANTED.format(f"<#{rotation.channel}>", link), places) if wanted else {}
    return Ask(about, edition, content, partial(_after, rotation, link), requester=False, approvers=True)


BESIDE = "beside/"
"""The beginning of the edition of a message that stands beside a card that is shown."""

PAGE = (
    "This comes to you directly as well because callers fail. Press *I'm on it*, and nobody is paged about it again. "
    "The card is in {}: <{}|open it>."
)
LEAK = (
    "This comes to you directly as well because the old key is exposed. Press *I'm on it*, and nobody is paged about "
    "it again. The card is in {}: <{}|open it>."
)
WANTED = "An approval is wanted from you or another approver. The card is in {}: <{}|open it>."


def _after(rotation: Rotation, link: str, edition: str) -> dict[str, Any]:
    where = f"<#{rotation.channel}>"
    if not edition.startswith(BESIDE):
        return settled(rotation, f"The card in {where} is up to date again: <{link}|open it>.")
    return settled(rotation, f"{became(rotation)} The card is in {where}: <{link}|open it>.")


def _called(rotation: Rotation) -> str:
    """Name what people are called to, and how often they have been since the first time; empty while it waits."""
    if is_silent(rotation) and not (harmful(rotation) or leaking(rotation)):
        return ""
    numbers = [nudge.number for matter in matters(rotation) if (nudge := nudge_of(rotation, matter))]
    return f"{occasion(rotation)}{AGAIN}{max(numbers)}" if numbers and occasion(rotation) else occasion(rotation)


def settled(rotation: Rotation, note: str) -> dict[str, Any]:
    """Return what is left of a direct message that asks for nothing any more: no button, and where to look."""
    shown = card(rotation).content
    return _noted("", _blocks(shown)[:1], note)


def _blocks(content: Mapping[str, Any]) -> list[Block]:
    return list(content["blocks"])


def _noted(text: str, blocks: list[Block], note: str) -> dict[str, Any]:
    """Put the note below the buttons: what happened and what to press come first."""
    said = f"{cut(text, TEXT_MOST - len(note) - 1)} {note}".strip()
    above = next((place for place, block in enumerate(blocks, start=1) if block["type"] == "actions"), 1)
    return message(said, [*blocks[:above], context(note), *blocks[above:]])


APPROVERS_ACT = ("start", "approval", "stopped", "trouble", "harm")
"""The occasions on which an approver can help; the others are the requester's alone."""


def concerns_approvers(rotation: Rotation) -> bool:
    """Tell whether approvers have something to do, too."""
    return occasion(rotation).partition(":")[0] in APPROVERS_ACT


def moment(rotation: Rotation) -> str:
    """Return a text that changes when a direct message has to: with the state, a button or what a click vouches for."""
    mark = SEEN.get(rotation.state)
    seen = mark(rotation).partition(SEPARATOR)[0] if mark else ""
    said = f"{gist(rotation)}/{seen}/{offered(rotation)}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
