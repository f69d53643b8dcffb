"""Checks whether the approvals still count, and withdraws those that do not."""

from collections.abc import Iterator
from datetime import datetime

from bot.rotation.errors import Unanswerable, Uncertain
from bot.rotation.flags import not_weighed
from bot.rotation.holds import kept
from bot.rotation.phrases import MOST_NAMED
from bot.rotation.policy import closed_window
from bot.rotation.record import Rotation, Void
from bot.rotation.states import StepName
from bot.steps.outcomes import Again, Outcome
from bot.steps.world import World


async def review(rotation: Rotation, world: World) -> Rotation | None:
    """Return *rotation* with the approvals that count now; None if Slack can't tell."""
    try:
        return await world.people.reviewed(rotation, world.now())
    except Unanswerable:
        return None


def decided(reviewed: Rotation | None) -> Rotation:
    """Return the reviewed rotation; raise `Uncertain` if Slack could not tell."""
    if reviewed is None:
        raise Uncertain("Slack does not tell whether those who approved still may.")
    return reviewed


async def minding_holds(rotation: Rotation, world: World) -> Rotation:
    """Return *rotation*, without its approvals if its old key is on hold.

    It asks the store itself: a hold may have been set since the approval. If the store can't tell, it raises.
    """
    hold = await world.holds.hold_on(rotation.plan.old_key.id, world.now())
    return _lapsed(rotation, kept(hold), world) if hold else rotation


def minding_windows(rotation: Rotation, world: World) -> Rotation:
    """Return *rotation*, without its approvals if the old key may not be deleted now."""
    closed = closed_window(rotation, world.now())
    return _lapsed(rotation, closed, world) if closed else rotation


def _lapsed(rotation: Rotation, why: str, world: World) -> Rotation:
    """Return *rotation* without its approvals, which no longer count for one reason."""
    if not rotation.approvals:
        return rotation
    people = tuple(approval.by for approval in rotation.approvals)
    void = Void(by=people, at=world.now(), changes=(why,) * len(people), lapsed=True)
    return rotation.but(approvals=(), voids=(*rotation.voids, void))


def asked_at(rotation: Rotation) -> list[datetime]:
    """Return when each model was probed last."""
    seen = (rotation.finding(model).latest for model in rotation.plan.models)
    return [evidence.at for evidence in seen if evidence]


def other_than_shown(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each way in which an approval is of something else than what is known now."""
    if any(approval.digest != rotation.digest for approval in rotation.approvals):
        yield "What is known of the models is not what the card showed."
    yield from not_weighed(rotation)


def voided(rotation: Rotation, changes: list[str], world: World) -> Outcome:
    """Withdraw the approvals, and say what changed."""
    void = Void(by=tuple(a.by for a in rotation.approvals), at=world.now(), changes=tuple(changes[:MOST_NAMED]))
    return Again(rotation.unproved().but(voids=(*rotation.voids, void), silences=()), StepName.PROJECT, changes[0])
