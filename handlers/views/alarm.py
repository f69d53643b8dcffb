"""What speaks against going on: what went wrong, what it means for callers, what an approver must weigh."""

import re
from collections.abc import Callable, Iterator, Mapping

from bot.rotation.attention import fails_callers, has_failed_callers, is_watched, open_void
from bot.rotation.nudges import is_taken
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import evidence, exposure, holding, watch, words
from handlers.views.around import NOTHING, Around
from handlers.views.blocks import sentence, when
from handlers.views.callers import consequence

FIRST_MOST = 300
"""Characters of the first sentence; if it is longer, the whole one stands below the buttons too."""

END = re.compile(r"(?<=[.:]) (?=[A-Z])")


def lines(rotation: Rotation, around: Around = NOTHING) -> list[str]:
    """Return what is wrong, the most important first."""
    under_way = [f"▲ Another rotation of this key is under way: {link}. Only one can go on." for link in around.others]
    said, leak = [*LINES.get(rotation.state, _nothing)(rotation)], exposure.lines(rotation)
    who = rotation.on_it if is_taken(rotation) else None
    taken = [f"<@{who.by}> is on it, {when(who.at)}."] if who else []
    held = [holding.line(around.hold)] if around.hold else []
    is_first = rotation.state is not State.BLOCKED and not fails_callers(rotation)
    said = [*leak, *taken, *said] if is_first else [*said[:1], *taken, *said[1:], *leak]
    return [*under_way, *held, *said]


def next_move(rotation: Rotation) -> str:
    """Say what is wrong, what happens next and who must act, for a message without a card."""
    return "\n".join(filter(None, [*lines(rotation), words.then(rotation)]))


def _nothing(_: Rotation) -> Iterator[str]:
    return iter(())


def _stopped(rotation: Rotation) -> Iterator[str]:
    """Say what happened, what it means for callers, and then the rest of what happened."""
    assert rotation.stop is not None
    first, *rest = _sentences(rotation.stop.sentence)
    short = sentence(first, FIRST_MOST)
    yield short
    yield consequence(rotation)
    yield from _failed(rotation)
    yield from watch.wrong_now(rotation)
    whole = sentence(first)
    said = " ".join([*([whole] if whole != short else []), *map(sentence, rest)])
    if said:
        yield said


def _sentences(text: str) -> list[str]:
    """Split *text* after each sentence, but never within a name in code style."""
    parts = [""]
    for part in END.split(text):
        if parts[-1].count("`") % 2:
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts[1:] or [text]


def _failed(rotation: Rotation) -> list[str]:
    return [f"▲ {evidence.failed(rotation)}"] if has_failed_callers(rotation) else []


def _weighed(rotation: Rotation) -> Iterator[str]:
    yield from (f"▲ {said}" for said in evidence.against(rotation))
    if void := open_void(rotation):
        yield f"▲ Asked again because: {words.changed(void)}"


def _asked_for(rotation: Rotation) -> Iterator[str]:
    yield from words.left_alone(rotation)
    yield from (f"▲ {sentence(warning, 600)}" for warning in rotation.plan.warnings)


def _to_start(rotation: Rotation) -> Iterator[str]:
    yield from _failed(rotation)
    yield from (f"▲ {said}" for said in evidence.objected(rotation))
    yield from _asked_for(rotation)


def _under_way(rotation: Rotation) -> Iterator[str]:
    if trouble := words.trouble(rotation):
        yield f"▲ {trouble}"
    yield from _failed(rotation)
    if is_watched(rotation):
        yield from watch.wrong_now(rotation)
    elif said := words.void(rotation):
        yield f"▲ {said}"


def _ended(rotation: Rotation) -> Iterator[str]:
    yield from words.left_alone(rotation)
    if rotation.state is State.COMPLETED:
        yield from watch.wrong_now(rotation)


LINES: Mapping[State, Callable[[Rotation], Iterator[str]]] = {
    State.AWAITING_SECRET: _asked_for,
    State.RUNNING: _under_way,
    State.AWAITING_START: _to_start,
    State.BLOCKED: _stopped,
    State.AWAITING_APPROVAL: _weighed,
    State.COMPLETED: _ended,
    State.ROLLED_BACK: _ended,
    State.CANCELLED: _ended,
}
"""What is wrong, by state; during a roll back there is nothing to weigh."""
