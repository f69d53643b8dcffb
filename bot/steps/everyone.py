"""Asking often enough, at the last look, to meet a replica that the settings do not name.

Only the counters show that such a replica answered: an answer of ours that no listed replica has counted. So an answer
helps only if they would show it, and an answer that was lost may be one that they show in its place.
"""

import asyncio
import math
from collections.abc import Iterable

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.counters import MISSED, turns
from bot.steps.probing import askable, noted
from bot.steps.world import World

ROUNDS = 3
"""How often more requests are sent for those that were lost or turned away, before the look gives up."""


def enough(replicas: int, probes: int, lost: int) -> int:
    """Return how many requests meet a certain one of so many replicas more often than *lost* times.

    Dealt by chance, it is met too seldom with a chance of `MISSED` at most.
    """
    count = turns(replicas, probes)
    while _at_most(lost, count, 1 / replicas) > MISSED:
        count += 1
    return count


def _at_most(times: int, of: int, share: float) -> float:
    return sum(math.comb(of, met) * share**met * (1 - share) ** (of - met) for met in range(times + 1))


Unmet = dict[str, str]
"""Why a replica more may not have been met, by the model that was proved."""


async def met_everyone(rotation: Rotation, world: World) -> tuple[Rotation, Unmet]:
    """Ask as often as meets a replica more than the settings list; return also what failed to."""
    unmet: Unmet = {}
    for environment in rotation.plan.environments:
        listed = len(world.status.addresses(environment))
        if not listed or not rotation.callers.get(environment):
            continue
        here = [model for model in askable(rotation, world) if model.environment == environment]
        proved = [model for model in here if rotation.finding(model).is_proved]
        if proved:
            rotation, why = await _asked_until_met(rotation, proved, listed + 1, world)
            unmet |= {model.id: why for model in proved if why}
        else:
            rotation = await _asked_once(rotation, here, listed + 1, world)
    return rotation, unmet


async def _asked_once(rotation: Rotation, models: list[AffectedModel], replicas: int, world: World) -> Rotation:
    """Ask *models* that were not proved: whatever speaks against them has to come up, as far as it can be seen."""
    named = [model for model in models if world.gateways.endpoint(model)]
    missing = turns(replicas, world.limits.probes) - len(named)
    return await _asked(rotation, named, missing, world) if named else rotation


async def _asked_until_met(
    rotation: Rotation, models: list[AffectedModel], replicas: int, world: World
) -> tuple[Rotation, str]:
    """Ask *models*, and again for every answer that shows nothing; say why, where that does not end."""
    before, rounds = rotation, 0
    while (shown := _shown(before, rotation, models)) < (wanted := _wanted(rotation, models, replicas, world)):
        if rounds == ROUNDS:
            return rotation, f"of {wanted:,} test requests that the last look takes, the counters can show {shown:,}"
        rotation = await _asked(rotation, models, wanted - shown, world)
        rounds += 1
    return rotation, ""


def _wanted(rotation: Rotation, models: Iterable[AffectedModel], replicas: int, world: World) -> int:
    lost = sum(rotation.finding(model).lost for model in models)
    return enough(replicas, world.limits.probes, lost)


def _shown(before: Rotation, now: Rotation, models: list[AffectedModel]) -> int:
    """Return how many requests of this look the counters have: each model's first, and those sent since *before*."""
    first = (before.finding(model).latest for model in models)
    more = (now.finding(model).reached - before.finding(model).reached for model in models)
    return sum(answer.is_shown for answer in first if answer) + sum(more)


async def _asked(rotation: Rotation, models: list[AffectedModel], many: int, world: World) -> Rotation:
    """Ask *models* in turn, *many* times in all."""
    dealt = [models[number % len(models)] for number in range(many)]
    answers = await asyncio.gather(*(world.gateways.probe(model, rotation.id) for model in dealt))
    for model, evidence in zip(dealt, answers, strict=True):
        rotation = _noted_more(rotation, model, evidence, world)
    return rotation


def _noted_more(rotation: Rotation, model: AffectedModel, evidence: Evidence, world: World) -> Rotation:
    """Note one more answer of a model: one that says nothing, and any after a refusal, only counts."""
    before = rotation.finding(model)
    rotation = noted(rotation, {model.id: evidence}, world.now())
    if evidence.verdict is not Verdict.INCONCLUSIVE and not _is_against(before):
        return rotation
    said = {"latest": before.latest, "passes": before.passes, "failing_since": before.failing_since}
    return rotation.learn({model.id: rotation.finding(model).but(**said)})


def _is_against(finding: Finding) -> bool:
    latest = finding.latest
    return latest is not None and not latest.passed and latest.verdict is not Verdict.INCONCLUSIVE
