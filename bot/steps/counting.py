"""Looks at the replicas, and what is made of their counters: what callers met, and the silence of the old key."""

import asyncio
import math
from collections.abc import Iterable, Mapping

from bot.evidence import Sight
from bot.replica import THROWAWAY, Keys, Replica, Served
from bot.rotation import Ledger, Rotation, Silence, Tally
from bot.status import Asked
from bot.steps.common import World
from bot.steps.throwaways import prefix

Sights = Mapping[str, tuple[Sight, ...]]
"""By environment, one look at each of its status addresses, beside the look from which its counters count."""


async def look(rotation: Rotation, environments: Iterable[str], world: World) -> Sights:
    """Look once at every replica of *environments*."""
    wanted = [environment for environment in environments if world.status.addresses(environment)]
    asked = _asked(rotation)
    seen = await asyncio.gather(*(world.status.look([environment], asked) for environment in wanted))
    return {environment: _beside(rotation, environment, now) for environment, now in zip(wanted, seen, strict=True)}


def _beside(rotation: Rotation, environment: str, seen: Iterable[Replica]) -> tuple[Sight, ...]:
    before = rotation.looks.get(environment, {})
    return tuple(Sight(before=before.get(replica.url), now=replica) for replica in seen)


def _asked(rotation: Rotation) -> Asked:
    old, new = rotation.plan.old_key, rotation.replacement
    named = {new.key_id, new.name} if new else set()
    return Asked(
        keys=Keys(frozenset({old.id, old.display_name}), frozenset(filter(None, named))),
        models=rotation.plan.models,
        ids=(*filter(None, [rotation.replacement_id]), *(model.id for model in rotation.plan.models)),
        throwaways=prefix(rotation),
    )


def rebased(rotation: Rotation, seen: Sights) -> Rotation:
    """Let the counters of the environments in *seen* count from these looks on."""
    counted = noticed(rotation, seen)
    looks = {environment: {sight.now.url: sight.now for sight in sights} for environment, sights in seen.items()}
    ledgers = {e: Ledger(then=ledger.now, now=ledger.now) for e, ledger in counted.ledgers.items() if e in seen}
    fresh = tuple(s.but(count=0) if s.environment in seen else s for s in counted.silences)
    return counted.but(looks={**counted.looks, **looks}, ledgers={**counted.ledgers, **ledgers}, silences=fresh)


def noticed(rotation: Rotation, seen: Sights) -> Rotation:
    """Note what callers have met since the looks that count, and what was heard of the old key."""
    since = {e: [s.since for s in sights if s.since.counts is not None] for e, sights in seen.items()}
    return _silences(_tallied(rotation, since), since)


Rises = Mapping[str, list[Replica]]
"""By environment, what each replica that shows counters has counted."""


def _tallied(rotation: Rotation, since: Rises) -> Rotation:
    """Add up the requests of callers; the bot's own are told apart by their number only."""
    began = min((moment for f in rotation.findings.values() if (moment := f.moved_at)), default=None)
    fresh = {e: _ledger(rotation.ledgers.get(e, Ledger()), replicas) for e, replicas in since.items() if replicas}
    if began is None or not fresh:
        return rotation
    ledgers = {**rotation.ledgers, **fresh}
    answered, failed = (sum(getattr(one.now, what) for one in ledgers.values()) for what in ("new", "failed"))
    return rotation.but(ledgers=ledgers, tally=Tally(since=began, answered=answered, failed=failed))


def _ledger(ledger: Ledger, replicas: list[Replica]) -> Ledger:
    """Add what callers met in an environment; throw-away models have none."""
    served = [
        served
        for replica in replicas
        for name, served in (replica.counts or {}).items()
        if not name.startswith(THROWAWAY)
    ]
    answered = ledger.then.new + max(0, sum(s.new for s in served) - ledger.probed.new)
    failed = ledger.then.failed + max(0, sum(s.failed for s in served) - ledger.probed.failed)
    return ledger.but(now=Served(new=answered, failed=failed))


def _silences(rotation: Rotation, since: Rises) -> Rotation:
    """Listen to the old key, once nothing is meant to use it any more."""
    if len(rotation.moved) < len(rotation.plan.models):
        return rotation.but(silences=())
    known = {(silence.environment, silence.url): silence for silence in rotation.silences}
    for environment, replicas in since.items():
        for replica in replicas:
            place = (environment, replica.url)
            known[place] = _heard(known.get(place), environment, replica)
    return rotation.but(silences=tuple(known.values()))


def _heard(before: Silence | None, environment: str, replica: Replica) -> Silence:
    more = replica.old > (before.count if before else 0)
    heard_at = replica.at if more else before.heard_at if before else None
    return Silence(url=replica.url, environment=environment, looked_at=replica.at, heard_at=heard_at, count=replica.old)


def turns(replicas: int, probes: int) -> int:
    """Return how many requests reach a certain one of so many replicas in 999 of 1,000 cases, dealt at random."""
    if replicas == 1:
        return probes
    return max(probes, math.ceil(math.log(0.001) / math.log(1 - 1 / replicas)))


async def listening_anew(rotation: Rotation, world: World) -> Rotation:
    """Let every counter count from now on: a request under way at the change is counted when it ends."""
    return rebased(rotation, await look(rotation, rotation.plan.environments, world))
