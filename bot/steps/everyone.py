"""Sends enough test requests at the last look to reach a replica that the settings do not list.

Only the counters reveal such a replica: it answered us, and no listed replica counted that answer. So an answer helps
only if counters would show it; a lost answer may appear in the counters and hide a missing one.
"""

import asyncio
import math

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import ADRIFT, Finding
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.counters import MISSED, turns
from bot.steps.probing import askable, noted
from bot.steps.world import World

ROUNDS = 3
"""How often the look replaces lost or limited requests before it gives up."""

MOST_HIDDEN = 10
"""How many requests may be lost or limited before it gives up at once: more would take hundreds in their place."""


def enough(replicas: int, probes: int, lost: int) -> int:
    """Return how many requests reach any given one of the replicas more than *lost* times.

    If requests are spread by chance, the chance of reaching it less often is at most `MISSED`, over all rounds.
    """
    count, share = turns(replicas, probes), MISSED / (ROUNDS + 1) if lost else MISSED
    while _at_most(lost, count, 1 / replicas) > share:
        count += 1
    return count


def _at_most(times: int, of: int, share: float) -> float:
    return sum(math.comb(of, met) * share**met * (1 - share) ** (of - met) for met in range(times + 1))


NotReached = dict[str, str]
"""By model, why the look may have missed an extra replica."""


async def probed_every_replica(rotation: Rotation, world: World) -> tuple[Rotation, NotReached]:
    """Probe often enough to reach one replica more than the settings list; return also where that failed."""
    missed: NotReached = {}
    for environment in rotation.plan.environments:
        listed = len(world.status.addresses(environment))
        here = [model for model in askable(rotation, world) if model.environment == environment]
        tells = bool(listed and rotation.callers.get(environment))
        models = _telling(here, rotation, world, tells=tells)
        if models:
            rotation, why = await _probed_until_reached(rotation, models, listed + 1, world)
            missed |= {model.id: why for model in models if why}
    return rotation, missed


def _telling(models: list[AffectedModel], rotation: Rotation, world: World, *, tells: bool) -> list[AffectedModel]:
    """Return the models to probe: the proved ones; without any, the likely ones, if the counters tell our requests."""
    proved = [model for model in models if rotation.finding(model).is_proved]
    if proved or not tells:
        return proved
    fine = [model for model in models if (known := rotation.finding(model).verdict) and known.passed]
    return [model for model in fine if world.gateways.endpoint(model)]


async def _probed_until_reached(
    rotation: Rotation, models: list[AffectedModel], replicas: int, world: World
) -> tuple[Rotation, str]:
    """Probe *models*, and again for each answer that counters don't show; say why, if that does not succeed."""
    before, rounds = rotation, 0
    while True:
        shown, hidden = _shown(before, rotation, models, world)
        wanted = enough(replicas, world.limits.probes, min(hidden, MOST_HIDDEN))
        if shown >= wanted and hidden <= MOST_HIDDEN:
            return rotation, ""
        if rounds == ROUNDS or hidden > MOST_HIDDEN:
            return rotation, _too_much_hidden(shown, hidden, rotation, models, world)
        rotation = await _asked(rotation, models, wanted - shown, world)
        rounds += 1


def _too_much_hidden(shown: int, hidden: int, rotation: Rotation, models: list[AffectedModel], world: World) -> str:
    """Say why the look could not tell; if earlier requests are part of it, until when they are."""
    why = f"counters can show {shown:,} test requests of the last look, and {hidden:,} more may or may not be counted"
    adrift = [known for model in models if (known := rotation.finding(model)).adrift_still(world.now())]
    until = max((known.adrift_at + ADRIFT for known in adrift if known.adrift_at), default=None)
    return f"{why} (some from an outage before, until {until:%H:%M} UTC)" if until else why


def _shown(before: Rotation, now: Rotation, models: list[AffectedModel], world: World) -> tuple[int, int]:
    """Return how many requests of this look the counters have, and how many may hide those of an unlisted replica.

    The look sent each model's first request, and those since *before*. A lost answer may hide one for as long as the
    counters count; an answer that no counter shows may be the unlisted replica's own.
    """
    shown = hidden = 0
    for early, late in ((before.finding(model), now.finding(model)) for model in models):
        shown += bool(early.latest and early.latest.is_shown) + late.reached - early.reached
        hidden += late.unclear + late.lost + late.adrift_still(world.now())
    return shown, hidden


async def _asked(rotation: Rotation, models: list[AffectedModel], many: int, world: World) -> Rotation:
    """Probe *models* in turn, *many* times in all."""
    dealt = [models[number % len(models)] for number in range(many)]
    answers = await asyncio.gather(*(world.gateways.probe(model, rotation.id) for model in dealt))
    for model, evidence in zip(dealt, answers, strict=True):
        rotation = _noted_more(rotation, model, evidence, world)
    return rotation


def _noted_more(rotation: Rotation, model: AffectedModel, evidence: Evidence, world: World) -> Rotation:
    """Record one more answer of a model; an unclear answer, and any answer after a refusal, changes only the counts."""
    before = rotation.finding(model)
    rotation = noted(rotation, {model.id: evidence}, world.now())
    if evidence.verdict is not Verdict.INCONCLUSIVE and not _is_against(before):
        return rotation
    said = {"latest": before.latest, "passes": before.passes, "failing_since": before.failing_since}
    return rotation.learn({model.id: rotation.finding(model).but(**said)})


def _is_against(finding: Finding) -> bool:
    latest = finding.latest
    return latest is not None and not latest.passed and latest.verdict is not Verdict.INCONCLUSIVE
