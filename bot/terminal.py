"""Print lines, or one object of JSON, for the person or the program at the terminal."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import click

INDENT = "       "
"""How a line begins that belongs to the one before; others have their level there."""

ABOUT = re.compile(r"(?:(?P<about>audit trail[^:]*|\S+): )?(?P<said>.*)", re.DOTALL)

_kept: ContextVar[list[str] | None] = ContextVar("kept", default=None)


def say(line: str) -> None:
    """Print a line that may hold names from outside, without control characters for the terminal.

    If nobody reads on, as with `keyturn check | head -1`, the work goes on and the rest is dropped.
    """
    if (kept := _kept.get()) is not None:
        kept.append(line)
        return
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


@contextmanager
def keeping() -> Iterator[list[str]]:
    """Keep what is said in the meantime, instead of printing it."""
    kept: list[str] = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


def findings(lines: list[str]) -> list[dict[str, Any]]:
    """Return lines such as "LEFT   …" as `--json` has them; an indented line goes with the one before."""
    found: list[dict[str, Any]] = []
    for line in lines:
        if line.startswith(INDENT) and found:
            found[-1].setdefault("more", []).append(line.strip())
        elif parts := ABOUT.fullmatch(line[len(INDENT) :]):
            level = line[: len(INDENT)].strip().lower()
            found.append({"level": level, "about": parts["about"] or "", "said": parts["said"]})
    return found
