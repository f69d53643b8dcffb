"""The facts of a card in a line or two, above the buttons."""

from collections.abc import Callable, Iterator, Mapping

from bot.rotation.attention import is_watched
from bot.rotation.labels import Label, label_of
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from handlers.views import approving, asks, callers, evidence, watch, words
from handlers.views.blocks import duration
from handlers.views.models import has_status


def lines(rotation: Rotation) -> list[str]:
    """Return the summary, one fact group a line."""
    if is_watched(rotation):
        return list(_ended(rotation))
    return [line for line in SUMMARY[rotation.state](rotation) if line]


def _asked_for(rotation: Rotation) -> Iterator[str]:
    yield words.impact(rotation)
    yield asks.asked(rotation)


def _running(rotation: Rotation) -> Iterator[str]:
    if rotation.track is Track.FORWARD and rotation.plan.models and not words.waits_for_window(rotation):
        yield callers.whereabouts(rotation)


def _evidence(rotation: Rotation) -> Iterator[str]:
    """Count verdicts, callers and uses of the old key."""
    if has_status(rotation):
        facts = " · ".join(filter(None, [tally(rotation), _callers(rotation), evidence.old_key(rotation)]))
        yield facts[:1].upper() + facts[1:]
    elif rotation.track is Track.FORWARD and rotation.plan.models and not rotation.plan.old_key_gone:
        yield words.impact(rotation)


def tally(rotation: Rotation) -> str:
    """Count the models by what is known of them on the new key; empty if the alarm counts them."""
    models = plural(len(rotation.plan.models), "model")
    labels = {label_of(rotation.finding(model)) for model in rotation.plan.models}
    if labels and labels <= {Label.MOVED, Label.NOT_MOVED}:  # the alarm counts them
        return ""
    if labels == {Label.PROVED}:
        return f"{len(rotation.plan.models):,} of {models} proved on the new key"
    return f"{models}: {evidence.tally(rotation)}" if rotation.plan.models else evidence.tally(rotation)


def _callers(rotation: Rotation) -> str:
    met = rotation.tally
    if met is None:
        return ""
    failed = f"*{met.failed:,} failed*" if met.failed else "0 failed"
    limited = f", {met.limited:,} turned away by rate limits" if met.limited else ""
    return f"callers {met.answered:,} ok, {failed}{limited}"


def _ended(rotation: Rotation) -> Iterator[str]:
    """Sum up a rotation whose old key is deleted."""
    took = rotation.deleted_at - rotation.started_at if rotation.deleted_at and rotation.started_at else None
    facts = [
        tally(rotation),
        _callers(rotation),
        f"took {duration(took)}" if took else "",
        f"asked <@{rotation.requested_by}>",
        f"approved {approving.approvers(rotation)}" if rotation.approvals else "",
    ]
    yield " · ".join(filter(None, facts))
    yield watch.summary(rotation)


SUMMARY: Mapping[State, Callable[[Rotation], Iterator[str]]] = {
    State.AWAITING_SECRET: _asked_for,
    State.RUNNING: _running,
    State.AWAITING_START: _asked_for,
    State.BLOCKED: _evidence,
    State.AWAITING_APPROVAL: _evidence,
    State.ROLLING_BACK: lambda _: iter(()),
    State.COMPLETED: _ended,
    State.ROLLED_BACK: lambda _: iter(()),
    State.CANCELLED: lambda _: iter(()),
}
"""The summary by state; a test checks that none is missing."""
