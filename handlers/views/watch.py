"""Sentences after the delete: how long the watch lasts, what went wrong, and what still helps."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby

from bot.rotation.actions import Action
from bot.rotation.attention import is_watched, open_troubles
from bot.rotation.parts import REFERS
from bot.rotation.phrases import listing
from bot.rotation.plan import plural
from bot.rotation.record import Rotation, Trouble
from bot.rotation.states import MEANING
from handlers.views.blocks import duration, sentence, when
from handlers.views.replies import few

WATCHING = "old key deleted, watching"
MOST = 3
"""The most troubles that a card names; the rest are counted."""


def headline(rotation: Rotation) -> str:
    """Say in a few words how the watch is going, or how it ended."""
    wrong = len(open_troubles(rotation))
    state = WATCHING if is_watched(rotation) else MEANING[rotation.state]
    return f"{state}: {plural(wrong, 'problem')}" if wrong else state


def until(rotation: Rotation) -> str:
    """Say how long the watch lasts: "until 15:07"."""
    return f"until {when(rotation.watch_until)}" if rotation.watch_until else "for a while"


def wrong_now(rotation: Rotation) -> list[str]:
    """Say what is wrong now, and what helps, one line each; nothing if all is well."""
    troubles = open_troubles(rotation)
    answer = "answers" if len(rotation.cached) == 1 else "answer"
    cached = f"▲ Can't tell whether {sentence(listing(rotation.cached))} {answer}: answered from a cache."
    return [
        *([*listed(troubles), WHAT_HELPS] if troubles else []),
        *([cached] if rotation.cached else []),
        *([UNSEEN] if saw_too_little(rotation) and not rotation.cached else []),
    ]


UNSEEN = "▲ Can't tell whether all is well: no look could see every list, counter and answer."


def saw_too_little(rotation: Rotation) -> bool:
    """Return whether no look of the watch could see everything."""
    return 0 < rotation.watched <= rotation.blind


def listed(troubles: Sequence[Trouble], most: int = MOST) -> list[str]:
    """Say what went wrong and what was fixed, one line each."""
    alike: dict[tuple[bool, str], list[Trouble]] = {}
    for trouble in troubles:
        alike.setdefault(_cause(trouble), []).append(trouble)
    lines = [_said(found) for found in alike.values()]
    more = len(lines) - most
    return [*lines[:most], *([f"and {more:,} more"] if more > 0 else [])]


SEVERAL: Mapping[str, str] = {
    " does not answer": " do not answer",
    REFERS: REFERS.replace("refers", "refer"),
    " is well again": " are well again",
}
"""What goes wrong with one model, and what is said of several with the same cause, in one line."""


def _cause(trouble: Trouble) -> tuple[bool, str]:
    """Return the sentence without what it is about if several can share it, else the whole sentence."""
    said = trouble.sentence.rstrip(".")
    cause = said.removeprefix(trouble.about)
    return trouble.over, cause if cause.startswith(tuple(SEVERAL)) else said


def _said(alike: Sequence[Trouble], at: str = "", names: int = MOST, most: int = 250) -> str:
    """Say in one line what happened to all that a cause is shared by."""
    over, cause = _cause(alike[0])
    about = list(dict.fromkeys(trouble.about for trouble in alike))
    if len(about) == 1 or not cause.startswith(tuple(SEVERAL)):
        said = alike[0].sentence.rstrip(".")
    else:
        one = next(words for words in SEVERAL if cause.startswith(words))
        said = f"{few(about, names)}{SEVERAL[one]}{cause.removeprefix(one)}"
    return f"{'✔' if over else '▲'} {at}{sentence(said, most)}."


WHAT_HELPS = (
    f"There is no way back to the old key. If the new key is the cause, *{Action.ANOTHER_SECRET.value}* on the card "
    "rotates it; else point the model at another key in AISIX."
)
"""What can still be done once the old key is gone."""


def result(rotation: Rotation, most: int = 20) -> Iterator[str]:
    """Yield the result of the watch so far, for the receipt; nothing if there was no watch."""
    found = [list(alike) for _, alike in groupby(rotation.troubles, key=_cause)]
    yield from filter(None, [summary(rotation)])
    yield from (_said(alike, f"{_time(alike)}: ", NAMED_MOST, 900) for alike in found[:most])
    if len(found) > most:
        yield f"and {len(found) - most:,} more lines, problems or fixes"


NAMED_MOST = 20
"""The most models that a line of the receipt names."""


def _time(alike: Sequence[Trouble]) -> str:
    """Say when the first and the last of them was found."""
    first, last = alike[0].at, alike[-1].at
    return when(first) if first == last else f"{when(first)} to {when(last)}"


def summary(rotation: Rotation) -> str:
    """Say how long the watch lasts and what it found; empty if there was no watch."""
    if is_watched(rotation):
        return f"Watching {until(rotation)}: {_found(rotation, ' so far')}."
    if not rotation.is_over:
        return f"The watch stopped early: {_found(rotation, ' so far')}. The card says why."
    return f"Watched for {duration(_length(rotation))}: {_found(rotation)}." if rotation.watched else ""


def _found(rotation: Rotation, so_far: str = "") -> str:
    wrong, left = sum(not trouble.over for trouble in rotation.troubles), len(open_troubles(rotation))
    if not wrong:
        return _nothing_found(rotation, so_far)
    state = f"{left:,} still open" if left else "all fixed"
    return f"{plural(wrong, 'problem')}{so_far}, {state}"


def _nothing_found(rotation: Rotation, so_far: str) -> str:
    """Say that there were no problems only as far as the looks could see."""
    blind, looks = rotation.blind, rotation.watched
    if not blind:
        return f"no problems{so_far}"
    if saw_too_little(rotation):
        return f"can't tell{so_far}: no look could see every list, counter and answer"
    return f"no problems seen{so_far}; {blind:,} of {looks:,} looks could not see every list, counter and answer"


def _length(rotation: Rotation) -> timedelta:
    end, begin = rotation.watch_until or rotation.ended_at, rotation.deleted_at
    return end - begin if end and begin else timedelta()
