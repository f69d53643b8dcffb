"""Step: check everything once more, just before the delete."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from bot.rotation.drift import listed_since
from bot.rotation.inventory import Inventory
from bot.rotation.phrases import said
from bot.rotation.plan import Dependent, dependents
from bot.rotation.proof import is_accepted, unproved
from bot.rotation.record import Rotation
from bot.steps.approvals import asked_at, decided, minding_holds, minding_windows, other_than_shown, review, voided
from bot.steps.counters import old_key_uses
from bot.steps.inventory import is_deleted, refuse_reference, whole_inventory
from bot.steps.looks import look_again
from bot.steps.outcomes import Done, Outcome, Unapproved, Wait, leaving
from bot.steps.pacing import move_mark
from bot.steps.refusals import reason, refuse_probed_elsewhere, refuse_rejected, refuse_unverifiable
from bot.steps.throwaways import without_throwaways
from bot.steps.unseen import refuse_uncovered
from bot.steps.verdicts import doubtful
from bot.steps.world import World

PROVED_BEFORE = "It was verified by a version of Keyturn that looked at less."
"""The reason if the rotation began under a version that did not record the tenant's environments."""


class Ready(NamedTuple):
    """The rotation whose models can be looked at, and what AISIX lists."""

    rotation: Rotation
    inventory: Inventory


async def recheck(rotation: Rotation, world: World) -> Outcome:
    """Check everything once more before the delete: every environment, every model, every replica.

    An approval covers only what the approver saw. If anything differs now, Keyturn deletes nothing: it verifies again
    and asks for approval again.
    """
    refuse_unverifiable(rotation, world)
    rotation = _without_broken_look(rotation, world)
    with leaving(_going_on(rotation, world)):
        ready = await _ready(rotation, world)
    if not isinstance(ready, Ready):
        return ready
    rotation, left = await look_again(ready.rotation, world, last=True)
    if left:
        return Wait(_going_on(rotation, world), f"{left} to go")
    refuse_rejected(rotation, doubtful(rotation, world))
    now = rotation.but(plan=rotation.plan.but(dependents=_dependents(rotation, ready.inventory)))
    changes = _changes(rotation, now, world)
    if changes:
        return voided(now, changes, world)
    refuse_uncovered(now, world)
    return Done(now.but(last_look_at=world.now()))


async def _ready(rotation: Rotation, world: World) -> Outcome | Ready:
    """Read the lists, and return what the look at the models begins with; otherwise what comes first."""
    inventory = await whole_inventory(rotation, world)
    if rotation.delete_asked_at and is_deleted(rotation, inventory):
        return Done(rotation)  # the delete happened, and its answer was lost
    refuse_reference(rotation, inventory, world)
    refuse_probed_elsewhere(rotation, inventory.models, world)
    if not rotation.look:  # ask Slack once a look, not once a slice of it
        rotation = await minding_holds(decided(await review(rotation, world)), world)
        rotation = minding_windows(rotation, world)
        if rotation.lacks_approval:
            return Unapproved(rotation)
    is_of_before = bool(inventory.environments) and not rotation.plan.tenant
    aged = [PROVED_BEFORE] if is_of_before else list(_aged(rotation, world))
    rotation = rotation.but(plan=listed_since(rotation.plan, inventory))
    if aged:
        return voided(rotation, aged, world)
    return Ready(*await without_throwaways(rotation, inventory, world))  # one may have appeared late


def _going_on(rotation: Rotation, world: World) -> Rotation:
    """Let the next move go on with the look: all its test requests are recorded."""
    return rotation.but(look_try=move_mark(rotation.version + 1, world))


def _without_broken_look(rotation: Rotation, world: World) -> Rotation:
    """Restart the look if a worker may have died in it: its last test requests are not recorded."""
    return rotation if rotation.look_try == move_mark(rotation.version, world) else rotation.but(look="")


def _approved_at(rotation: Rotation) -> datetime:
    return max(approval.at for approval in rotation.approvals)


def _aged(rotation: Rotation, world: World) -> Iterator[str]:
    """Yield a sentence if the evidence was too old when an approver clicked."""
    oldest = min(asked_at(rotation), default=rotation.asked_at)
    if oldest and _approved_at(rotation) - oldest > world.limits.evidence_max_age:
        yield f"The evidence was older than {said(world.limits.evidence_max_age)}."


def _dependents(rotation: Rotation, inventory: Inventory) -> tuple[Dependent, ...]:
    planned = {model.id for model in rotation.plan.models}
    return dependents(inventory, [model for model in inventory.models if model.id in planned])


def _changes(seen: Rotation, now: Rotation, world: World) -> list[str]:
    """Return a sentence for each difference from what the approver saw; what follows from another, only by itself."""
    found = [*_counters_lost(now), *_differences(seen, now, world)]
    return found or list(_consequences(now))


def _differences(seen: Rotation, now: Rotation, world: World) -> Iterator[str]:
    for model in doubtful(now, world):
        recovered = now.finding(model).verdict is None
        yield (
            f"{model.label} answers now, as it did not before."
            if recovered
            else f"{model.label}: {reason(now, model)}."
        )
    yield from (f"{sentence}." for sentence in old_key_uses(now))
    yield from _reached_otherwise(seen.plan.dependents, now.plan.dependents)


def _consequences(now: Rotation) -> Iterator[str]:
    if (why := unproved(now)) and not is_accepted(now):
        yield why
    yield from other_than_shown(now)


def _counters_lost(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each replica whose counters are no longer visible."""
    for silence in rotation.silences:
        if silence.look != rotation.look:
            yield f"`{silence.name}` does not show its counters any more."


def _reached_otherwise(before: tuple[Dependent, ...], now: tuple[Dependent, ...]) -> Iterator[str]:
    for dependent in now:
        if dependent not in before:
            yield f"`{dependent.alias}` in {dependent.environment_name} now depends on these models ({dependent.role})."
    for dependent in before:
        if dependent not in now:
            yield f"`{dependent.alias}` in {dependent.environment_name} no longer depends on these models."
