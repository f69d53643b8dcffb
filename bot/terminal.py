"""Print lines, or one object of JSON, for the person or the program at the terminal."""

import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, NamedTuple

import click

INDENT = "       "
"""How a line begins that belongs to the one before; others have their level there."""


class Level(StrEnum):
    """How good it is, or what was done."""

    OK = "ok"
    WARN = "WARN"
    WRONG = "WRONG"
    HALF = "HALF"
    BUSY = "BUSY"
    LEFT = "LEFT"
    TRY = "try"
    DONE = "done"


class Finding(NamedTuple):
    """A sentence about something; *more* are further ones that belong to it."""

    level: Level
    about: str
    said: str
    more: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f"{self.level:<6} {self.about and f'{self.about}: '}{self.said}"

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` has it."""
        found = {"level": self.level.lower(), "about": self.about, "said": self.said}
        return {**found, "more": list(self.more)} if self.more else found


_kept: ContextVar[list[Finding] | None] = ContextVar("kept", default=None)


def tell(level: Level, said: str, about: str = "", more: Iterable[str] = ()) -> None:
    """Print what was found, or keep it for JSON."""
    show(Finding(level, about, said, tuple(more)))


def show(finding: Finding) -> None:
    """Print a finding, or keep it for JSON."""
    if (kept := _kept.get()) is not None:
        kept.append(finding)
        return
    for line in (str(finding), *(INDENT + each for each in finding.more)):
        say(line)


def say(line: str) -> None:
    """Print a line that may hold names from outside, without control characters for the terminal.

    If nobody reads on, as with `keyturn check | head -1`, the work goes on and the rest is dropped.
    """
    try:
        click.echo("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line))
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a file on a full disk would lack what was said
            sys.exit(f"The output can't be written ({error.strerror}).")


def say_json(whole: object) -> None:
    """Print one object of JSON."""
    for line in json.dumps(whole, indent=2).splitlines():
        say(line)


def say_findings(found: Iterable[Finding], *, well: bool) -> None:
    """Print findings as one object of JSON."""
    say_json({"ok": well, "findings": [each.as_json() for each in found]})


@contextmanager
def keeping() -> Iterator[list[Finding]]:
    """Keep what is told in the meantime, instead of printing it."""
    kept: list[Finding] = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


def user_name() -> str:
    """Return the name of the user that this process runs as."""
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return f"uid {os.getuid()}"
