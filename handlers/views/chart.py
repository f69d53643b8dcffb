"""The chart of a card: requests on the old key, on the new key, and failed, with the same in words.

Slack shows a chart in no reader's own time, so its axis counts back from the last look: a card has one clock.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from bot.rotation.attention import fails_callers, is_watched
from bot.rotation.phrases import listing
from bot.rotation.plan import plural
from bot.rotation.progress import next_step
from bot.rotation.record import Rotation
from bot.rotation.series import Interval
from bot.rotation.states import State, StepName, Track
from handlers.views.blocks import Block, code, context, when

CHART_MOST = 2_300
"""Characters of the largest chart with its words. Their room does not depend on the numbers: else the table would."""

FEWEST = 2
"""Fewer intervals show no course."""

LINES = {"old key": attrgetter("old"), "new key": attrgetter("new"), "failed": attrgetter("failed")}
"""The lines of the chart, and the requests that each counts."""


class Chart(NamedTuple):
    """The chart and its words as blocks, and the words for the text of the message; empty where it helps nobody."""

    blocks: list[Block]
    words: str = ""


def chart(rotation: Rotation) -> Chart:
    """Draw the requests a minute, if there is a course of them and someone decides or watches."""
    intervals = rotation.series.intervals
    is_used = any(count(interval) for count in LINES.values() for interval in intervals)
    if len(intervals) < FEWEST or not is_used or not _helps(rotation):
        return Chart([])
    words = " ".join(_words(rotation))
    return Chart([_drawn(rotation), context(words)], words)


def _helps(rotation: Rotation) -> bool:
    """Return whether someone decides about the delete, or watches callers."""
    if rotation.track is not Track.FORWARD:
        return False
    match rotation.state:
        case State.AWAITING_APPROVAL:
            return True
        case State.BLOCKED:
            return fails_callers(rotation)
        case State.RUNNING:
            step = next_step(rotation)
            return is_watched(rotation) or (step is not None and step.name == StepName.SOAK)
        case _:
            return False


def _drawn(rotation: Rotation) -> Block:
    intervals = rotation.series.intervals
    labels = _labels(intervals)
    series = [
        {
            "name": name,
            "data": [
                {"label": label, "value": a_minute(count(interval), interval)}
                for label, interval in zip(labels, intervals, strict=True)
            ],
        }
        for name, count in LINES.items()
    ]
    axes = {"categories": labels, "x_label": "time before the last look, h:mm:ss", "y_label": "requests a minute"}
    return {
        "type": "data_visualization",
        "title": f"Requests on both keys, {_coverage(rotation)}",
        "chart": {"type": "line", "axis_config": axes, "series": series},
    }


def _labels(intervals: tuple[Interval, ...]) -> list[str]:
    """Name the intervals by how long before the last one they end, all different."""
    ends = [int(interval.end.timestamp()) for interval in intervals]
    return [_before(ends[-1] - end) for end in ends]


def _before(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{'-' if seconds else ''}{minutes // 60}:{minutes % 60:02}:{rest:02}"


WHOLE = 10
"""From this rate on, a rate has no decimals."""

LEAST = 0.01


def a_minute(count: int, interval: Interval) -> float:
    """Return how many requests a minute that was; a few are never rounded to none."""
    rate = count * 60 / interval.length.total_seconds()
    if rate >= WHOLE:
        return round(rate)
    return max(round(rate, 2), LEAST) if count else 0


def _coverage(rotation: Rotation) -> str:
    """Say how much of the gateways is in the chart."""
    read, planned = rotation.series.read, rotation.plan.environments
    if _missing(rotation):
        return f"{len(planned.keys() & read.keys()):,} of {plural(len(planned), 'environment')}"
    return plural(sum(map(len, read.values())), "replica")


def _missing(rotation: Rotation) -> list[str]:
    return [name for id_, name in rotation.plan.environments.items() if id_ not in rotation.series.read]


def _words(rotation: Rotation) -> Iterator[str]:
    """Say what the chart shows, and what it does not."""
    series = rotation.series
    first, last = series.intervals[0], series.intervals[-1]
    counted = " · ".join(_total(name, sum(map(count, series.intervals))) for name, count in LINES.items())
    ends = [f"{a_minute(count(last), last):,}" for count in LINES.values()]
    yield f"Requests from {when(first.begin)} to {when(last.end)}, {_coverage(rotation)}: {counted}."
    yield f"A minute at the end: {ends[0]}, {ends[1]} and {ends[2]}."
    if any(interval.has_tests for interval in series.intervals):
        yield "Keyturn's own test requests are among them."
    yield from _left_out(rotation)


def _total(name: str, total: int) -> str:
    return f"*{name} {total:,}*" if name == "failed" and total else f"{name} {total:,}"


def _left_out(rotation: Rotation) -> Iterator[str]:
    """Say what no number tells of."""
    series, missing = rotation.series, _missing(rotation)
    gaps = [f"{when(begin)} to {when(end)}" for begin, end in series.gaps]
    if gaps:
        yield f"Left out, as a gateway restarted, came or went: {listing(gaps)}."
    if series.unread_at:
        yield f"Not in it: requests since {when(series.intervals[-1].end)}, as a gateway can't be read."
    if missing:
        yield f"Not in it: {listing(map(code, missing))}, whose counters can't be read."
