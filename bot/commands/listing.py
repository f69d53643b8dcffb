"""A page of rotations for the terminal: as lines, and as values for JSON. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from bot.commands import shown
from bot.rotation.record import Rotation
from bot.storage.lists import Page

SIZE = 20
"""How many rotations a page has."""


def lines(page: Page, command: str) -> Iterator[str]:
    """Yield a line for each rotation, and what the page leaves out; *command* prints another page."""
    yield from map(shown.line, page.rotations)
    if page.unreadable:
        yield f"{page.unreadable} of them can't be read by this version of Keyturn."
    if page.total > SIZE:
        more = f" The next: {command} --page {page.end // SIZE + 1}" if page.end < page.total else ""
        yield f"These are {page.begin + 1:,} to {page.end:,} of {page.total:,}.{more}"


def as_json(name: str, page: Page, summary: Callable[[Rotation], dict[str, Any]]) -> dict[str, Any]:
    """Return the page of the namespace called *name*, each rotation as *summary* has it."""
    return {
        "namespace": name,
        "total": page.total,
        "first": page.begin + 1 if page.total else 0,
        "last": page.end,
        "unreadable": page.unreadable,
        "rotations": list(map(summary, page.rotations)),
    }
