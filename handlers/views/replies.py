"""Build the replies of a thread; split long ones into several messages."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from handlers.views.blocks import MESSAGE_MOST, Block, code, message, section, weight


class Reply(NamedTuple):
    """A message of the thread, posted once per key, and edited when its *edition* changes."""

    key: str
    content: dict[str, Any]
    edition: str = ""
    replaces: bool = False
    """Whether a new edition is a new message, and the one before it goes: an edit pings nobody."""

    asks: frozenset[str] | None = None
    """The people who have something to do now; None if everybody who is named has."""


def reply(key: str, text: str, asks: frozenset[str] | None = None) -> Reply:
    """Build a reply of one paragraph."""
    return Reply(key, message(text, [section(text)]), asks=asks)


PERSON = re.compile(r"<@(\w+)>")


def calling(reply: Reply, requester: str, team_url: str) -> Reply:
    """Return *reply* with a mention of those alone whom it asks for something: a mention in a new message pings.

    The others are named by their part, with a link to their profile.
    """

    def named_by_part(found: re.Match[str]) -> str:
        who = found[1]
        part = "the requester" if who == requester else "an approver"
        if who in (reply.asks or ()):
            return found[0]
        return f"<{team_url.rstrip('/')}/team/{who}|{part}>" if team_url else part

    return reply if reply.asks is None else reply._replace(content=_each_text(reply.content, named_by_part))


def _each_text(part: Any, change: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(part, dict):
        return {name: _each_text(value, change) for name, value in part.items()}
    if isinstance(part, list):
        return [_each_text(each, change) for each in part]
    return PERSON.sub(change, part) if isinstance(part, str) else part


def named(said: str, names: list[str], most: int = 2500) -> Iterator[str]:
    """Yield lines of up to *most* characters that say *said* about all *names*."""
    line = said
    for name in map(code, names):
        if len(line) + len(name) > most:
            yield line.removesuffix(", ")
            line = said
        line += f"{name}, "
    yield line.removesuffix(", ")


def few(names: list[str], most: int = 5) -> str:
    """Name the first *most*, and count the others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def parted(
    key: str, text: str, lines: list[str], edition: str = "", asks: frozenset[str] | None = None
) -> Iterator[Reply]:
    """Pack *lines* into paragraphs, and these into as few messages as possible."""
    for number, blocks in enumerate(_messages(_paragraphs(lines)), start=1):
        first = number == 1
        said = text if first else f"The {key} goes on."
        yield Reply(key if first else f"{key}:{number}", message(said, blocks), edition, asks=asks)


PROFILE_MOST = 70
"""Characters by which the link to a profile may be longer than a mention."""


def _size(text: str) -> int:
    return len(text) + PROFILE_MOST * text.count("<@")


def _paragraphs(lines: list[str], most: int = 2800) -> list[str]:
    paragraphs: list[str] = []
    for line in lines:
        if paragraphs and _size(paragraphs[-1]) + _size(line) + 1 <= most:
            paragraphs[-1] += f"\n{line}"
        else:
            paragraphs.append(line)
    return paragraphs


def _messages(paragraphs: list[str]) -> list[list[Block]]:
    parts: list[list[Block]] = [[]]
    for block in map(section, paragraphs):
        if parts[-1] and weight([*parts[-1], block]) > MESSAGE_MOST:
            parts.append([])
        parts[-1].append(block)
    return parts
