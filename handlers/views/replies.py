"""Build the replies of a thread; split long ones into several messages."""

from collections.abc import Iterator
from typing import NamedTuple

from handlers.views.blocks import MESSAGE_MOST, Block, code, message, section, weight


class Reply(NamedTuple):
    """A message of the thread, posted once per key, and edited when its *edition* changes."""

    key: str
    content: dict[str, object]
    edition: str = ""


def reply(key: str, text: str) -> Reply:
    """Build a reply of one paragraph."""
    return Reply(key, message(text, [section(text)]))


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


def parted(key: str, text: str, lines: list[str], edition: str = "") -> Iterator[Reply]:
    """Pack *lines* into paragraphs, and these into as few messages as possible."""
    for number, blocks in enumerate(_messages(_paragraphs(lines)), start=1):
        first = number == 1
        said = text if first else f"The {key} goes on."
        yield Reply(key if first else f"{key}:{number}", message(said, blocks), edition)


def _paragraphs(lines: list[str], most: int = 2800) -> list[str]:
    paragraphs: list[str] = []
    for line in lines:
        if paragraphs and len(paragraphs[-1]) + len(line) + 1 <= most:
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
