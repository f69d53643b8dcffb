"""What happened in a week: every record, every message and whom it pings, and every act of a person."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from bot.rotation.attention import occasion, pages
from bot.rotation.exposure import newest
from bot.rotation.record import Rotation
from sandbox.slack import Message

BEGIN = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
"""A Friday: a night and a weekend come soon."""

MENTION = re.compile(r"<@(\w+)>|<!subteam\^(\w+)(?:\|[^>]*)?>")
DIRECT = "D_"


class Said(NamedTuple):
    """One message, as it was posted, edited, deleted or shown to one person."""

    at: datetime
    kind: str
    rotation: str = ""
    matter: str = ""
    """What the record had for people to act on or to know."""

    is_harm: bool = False
    """Whether callers failed then, or a leak was new."""

    mentioned: frozenset[str] = frozenset()
    """Whom a new message in the channel mentions: an edit pings nobody."""

    directly: str = ""
    """The person in whose direct messages it is new."""

    text: str = ""

    @property
    def pinged(self) -> frozenset[str]:
        return self.mentioned | ({self.directly} if self.directly else frozenset())


class Saved(NamedTuple):
    """One version of a record."""

    at: datetime
    record: Rotation


class Act(NamedTuple):
    """What one person did about one rotation."""

    at: datetime
    who: str
    rotation: str
    what: str


@dataclass
class Log:
    """Everything that the laws judge."""

    zone: tzinfo = UTC
    """The channel's, by which nights and days off go."""

    asks_directly: bool = False
    """Whether approvers get a direct message beside the mention."""

    said: list[Said] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    began: datetime = BEGIN
    ended: datetime = BEGIN

    def pings(self) -> Iterator[tuple[str, Said]]:
        """Yield each push with the person who gets it."""
        for said in self.said:
            for person in sorted(said.pinged):
                yield person, said

    def records(self) -> dict[str, list[Saved]]:
        """Return the versions of each rotation."""
        found: dict[str, list[Saved]] = {}
        for saved in self.saved:
            found.setdefault(saved.record.id, []).append(saved)
        return found


def is_urgent(record: Rotation) -> bool:
    """Tell whether callers fail, or something about a leak is new."""
    return pages(record) or newest(record) is not None


def matter_of(record: Rotation) -> str:
    """Name what *record* has for people now: what to act on, or how it ended."""
    ended = f"ended {record.state}" if record.is_over else "parked" if record.parked_at else ""
    return " ".join(filter(None, (occasion(record), ended))) or f"{record.state}"


def heard(
    kind: str, what: Any, at: datetime, record: Rotation | None, groups: Callable[[], Mapping[str, frozenset[str]]]
) -> Said | None:
    """Return what Slack announced as an entry, or None if it is no message."""
    about = (record.id, _matter(record, what), is_urgent(record)) if record else ("", "", False)
    match kind, what:
        case "message", Message() if what.channel.startswith(DIRECT):
            return Said(at, kind, *about, directly=what.channel.removeprefix(DIRECT), text=what.plain)
        case "message", Message():
            return Said(at, kind, *about, mentioned=mentioned_in(what, groups()), text=what.plain)
        case (("edit" | "delete"), Message()):
            return Said(at, kind, *about, text=what.plain)
        case "ephemeral", _:
            return Said(at, kind, *about, text=what["text"])
        case "home", _:
            return Said(at, kind, *about)
        case _:
            return None


def _matter(record: Rotation, what: Any) -> str:
    """Name what a message is about: a leak and what else waits are two matters of one record."""
    text = what.plain if record.exposed and isinstance(what, Message) else ""
    is_leak = "exposed" in text.split("\n")[0] and WANTED not in text
    return f"leak {newest(record)}" if is_leak else matter_of(record)


WANTED = "An approval is wanted from you"
"""Says in a direct message, which has the headline of the card, that it is about an approval."""


def mentioned_in(message: Message, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return everyone whom a new message mentions; of one with blocks, those count."""
    parts = list(_texts(message.blocks)) if message.blocks else [message.text]
    found: set[str] = set()
    for person, group in (found for part in parts for found in MENTION.findall(part)):
        found |= {person} if person else groups.get(group, frozenset())
    return frozenset(found)


def _texts(part: Any) -> Iterator[str]:
    """Yield the text in which Slack looks for mentions; those of rich text as they would be written."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for value in part:
            yield from _texts(value)
    elif isinstance(part, dict) and part.get("type") != "plain_text":
        yield f"<@{part.get('user_id', '-')}> <!subteam^{part.get('usergroup_id', '-')}>"
        yield from _texts(list(part.values()))
