"""What is said after the delete: how long the watch goes on, what has gone wrong, and what still helps."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from bot.rotation.attention import is_watched, open_troubles
from bot.rotation.plan import plural
from bot.rotation.record import Rotation, Trouble
from handlers.views.blocks import code, duration, sentence, when

WATCHING = "old key deleted, watching"
MOST = 3
"""Troubles that are named on a card; the rest is counted."""


def headline(rotation: Rotation) -> str:
    """Say in a few words how it goes."""
    return f"{WATCHING}: something is wrong" if open_troubles(rotation) else WATCHING


def until(rotation: Rotation) -> str:
    """Say how long it goes on: "until 15:07"."""
    return f"until {when(rotation.watch_until)}" if rotation.watch_until else "for a while"


def wrong_now(rotation: Rotation) -> str:
    """Say what is wrong at present, and what helps; nothing when all is well."""
    troubles = open_troubles(rotation)
    return "\n".join([*listed(troubles), what_helps(rotation)]) if troubles else ""


def listed(troubles: Sequence[Trouble], most: int = MOST) -> list[str]:
    """Say what went wrong or well again, a line each."""
    more = len(troubles) - most
    return [*map(_said, troubles[:most]), *([f"and {more:,} more"] if more > 0 else [])]


def _said(trouble: Trouble, at: str = "") -> str:
    return f"{'✔' if trouble.over else '▲'} {at}{sentence(trouble.sentence.rstrip('.'), 250)}."


def what_helps(rotation: Rotation) -> str:
    """Say what can still be done once the old key is gone."""
    name = rotation.replacement.name if rotation.replacement else ""
    command = code(f"/rotate-key {name}", 250)
    return (
        f"There is no way back to the old key. What helps: another secret with {command}, "
        "or pointing the model at another key in AISIX."
    )


def result(rotation: Rotation, most: int = 20) -> Iterator[str]:
    """Yield for the receipt what the watch came to, or has come to so far; nothing where there is none."""
    found = rotation.troubles
    yield from filter(None, [summary(rotation)])
    yield from (_said(trouble, f"{when(trouble.at)}: ") for trouble in found[:most])
    if len(found) > most:
        yield f"and {len(found) - most:,} more, in the thread"


def summary(rotation: Rotation) -> str:
    """Say how long the watch is, and what it came to; nothing where there is none."""
    if is_watched(rotation):
        return f"Watching {until(rotation)}: {_found(rotation, ' so far')}."
    if not rotation.is_over:
        return f"The watch has stopped: {_found(rotation, ' so far')}."
    return f"Watched for {duration(_length(rotation))}: {_found(rotation)}." if rotation.watched else ""


def _found(rotation: Rotation, so_far: str = "") -> str:
    wrong, left = sum(not trouble.over for trouble in rotation.troubles), len(open_troubles(rotation))
    if not wrong:
        return f"no problems{so_far}"
    state = f"{left:,} still open" if left else "all fixed"
    return f"{plural(wrong, 'problem')}{so_far}, {state}"


def _length(rotation: Rotation) -> timedelta:
    end, begin = rotation.watch_until or rotation.ended_at, rotation.deleted_at
    return end - begin if end and begin else timedelta()
