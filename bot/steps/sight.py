"""What the steps make of answers and looks: verdicts, what callers met, and the silence of the old key."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bot.evidence import Evidence, Observation, Sight, Verdict, doubt, weigh
from bot.plan import AffectedModel
from bot.replica import Keys, Replica, Served, rise
from bot.rotation import Finding, Ledger, Rotation, Silence, Tally
from bot.secret import AZURE, VERTEX, family
from bot.status import Asked
from bot.steps.common import World, askable, noted, probe_each
from bot.steps.throwaways import prefix

Looks = Mapping[str, tuple[Replica, ...]]
"""By environment, one look at each of its status addresses."""


async def look(rotation: Rotation, environments: Iterable[str], world: World) -> Looks:
    """Look once at every replica of *environments*."""
    wanted = [environment for environment in environments if world.status.addresses(environment)]
    asked = _asked(rotation)
    seen = await asyncio.gather(*(world.status.look([environment], asked) for environment in wanted))
    return dict(zip(wanted, seen, strict=True))


def _asked(rotation: Rotation) -> Asked:
    old, new = rotation.plan.old_key, rotation.replacement
    named = {new.key_id, new.name} if new else set()
    return Asked(
        keys=Keys(frozenset({old.id, old.display_name}), frozenset(filter(None, named))),
        models=rotation.plan.models,
        ids=(*filter(None, [rotation.replacement_id]), *(model.id for model in rotation.plan.models)),
        throwaways=prefix(rotation),
    )


# --- counters ---


def rebased(rotation: Rotation, seen: Looks) -> Rotation:
    """Let the counters of the environments in *seen* count from these looks on."""
    counted = noticed(rotation, seen)
    looks = {environment: {replica.url: replica for replica in replicas} for environment, replicas in seen.items()}
    ledgers = {e: Ledger(then=ledger.now, now=ledger.now) for e, ledger in counted.ledgers.items() if e in seen}
    fresh = tuple(s.but(count=0) if s.environment in seen else s for s in counted.silences)
    return counted.but(looks={**counted.looks, **looks}, ledgers={**counted.ledgers, **ledgers}, silences=fresh)


def noticed(rotation: Rotation, seen: Looks) -> Rotation:
    """Note what callers have met since the looks that count, and what was heard of the old key."""
    since = rises(rotation, seen)
    return _silences(_tallied(rotation, since), since)


def rises(rotation: Rotation, seen: Looks) -> Looks:
    """Return what every replica has counted since the looks that count."""
    return {
        environment: tuple(rise(rotation.looks.get(environment, {}).get(r.url), r) for r in replicas)
        for environment, replicas in seen.items()
    }


def _tallied(rotation: Rotation, since: Looks) -> Rotation:
    """Add up the requests of callers; the bot's own are told apart by their number only."""
    began = min((moment for f in rotation.findings.values() if (moment := f.moved_at)), default=None)
    fresh = {environment: _ledger(rotation, environment, replicas) for environment, replicas in since.items()}
    ledgers = {**rotation.ledgers, **{environment: ledger for environment, ledger in fresh.items() if ledger}}
    if began is None or not any(fresh.values()):
        return rotation
    answered, failed = sum(one.now.new for one in ledgers.values()), sum(one.now.failed for one in ledgers.values())
    return rotation.but(ledgers=ledgers, tally=Tally(since=began, answered=answered, failed=failed))


def _ledger(rotation: Rotation, environment: str, replicas: tuple[Replica, ...]) -> Ledger | None:
    """Return what callers met in an environment; None where no counters tell."""
    counted = [replica for replica in replicas if replica.counts is not None]
    if not counted:
        return None
    ledger = rotation.ledgers.get(environment, Ledger())
    served = [replica.served(model.id) for replica in counted for model in rotation.plan.models]
    answered = ledger.then.new + max(0, sum(s.new for s in served) - ledger.probed.new)
    failed = ledger.then.failed + max(0, sum(s.failed for s in served) - ledger.probed.failed)
    return ledger.but(now=Served(new=answered, failed=failed))


def _silences(rotation: Rotation, since: Looks) -> Rotation:
    """Listen to the old key, once nothing is meant to use it any more."""
    if len(rotation.moved) < len(rotation.plan.models):
        return rotation.but(silences=())
    known = {(silence.environment, silence.url): silence for silence in rotation.silences}
    for environment, replicas in since.items():
        for replica in replicas:
            if replica.counts is not None:
                before = known.get((environment, replica.url))
                known[environment, replica.url] = _heard(before, environment, replica)
    return rotation.but(silences=tuple(known.values()))


def _heard(before: Silence | None, environment: str, replica: Replica) -> Silence:
    more = replica.old > (before.count if before else 0)
    heard_at = replica.at if more else before.heard_at if before else None
    return Silence(url=replica.url, environment=environment, looked_at=replica.at, heard_at=heard_at, count=replica.old)


def turns(replicas: int, probes: int) -> int:
    """Return how many requests reach every one of so many replicas in 99 of 100 cases, dealt at random."""
    if replicas == 1:
        return probes
    return max(probes, math.ceil(math.log(0.01) / math.log(1 - 1 / replicas)))


# --- verdicts ---


async def weighed(rotation: Rotation, models: Iterable[AffectedModel], world: World) -> Rotation:
    """Reach a verdict on each of *models* that has answered; where a replica lags, its proof begins anew."""
    answered = [model for model in models if rotation.finding(model).latest]
    seen = await look(rotation, {model.environment for model in answered}, world)
    rotation = noticed(rotation, seen)
    judged = {m.id: _judged(rotation, m, seen.get(m.environment, ()), world) for m in answered}
    rotation = rotation.learn(judged)
    anew = {m.environment for m in answered if is_contradicted(judged[m.id])}
    anew |= {
        environment for environment, replicas in seen.items() if _lacks_a_beginning(rotation, environment, replicas)
    }
    return rebased(rotation, {environment: seen[environment] for environment in anew & seen.keys()})


def _lacks_a_beginning(rotation: Rotation, environment: str, replicas: Iterable[Replica]) -> bool:
    """Tell whether a replica shows counters now that it did not show when the proof began."""
    before = rotation.looks.get(environment, {})
    return any(
        replica.counts is not None and (replica.url not in before or before[replica.url].counts is None)
        for replica in replicas
    )


def _judged(rotation: Rotation, model: AffectedModel, replicas: tuple[Replica, ...], world: World) -> Finding:
    finding = rotation.finding(model)
    assert finding.latest is not None
    if finding.latest.skipped:
        return finding.but(verdict=finding.latest)
    seen = observed(rotation, model, replicas, world)
    verdict = _evidence(finding.latest, weigh(seen))
    if _is_too_early(finding, verdict, seen, world):
        return finding.but(verdict=None)
    judged = finding.but(verdict=verdict)
    return judged if verdict.passed else judged.but(failing_since=finding.failing_since or world.now())


def _evidence(answer: Evidence, judgement: tuple[Verdict, str]) -> Evidence:
    verdict, reason = judgement
    return answer.but(verdict=verdict, reason=reason)


def _is_too_early(finding: Finding, verdict: Evidence, seen: Observation, world: World) -> bool:
    """Tell whether more probes may still make a better verdict."""
    if finding.passes == 0 or verdict.verdict not in (Verdict.LIKELY, Verdict.INCONCLUSIVE):
        return False
    if finding.passes < world.limits.probes:
        return True
    counted = [sight for sight in seen.sights if sight.now.counts is not None]
    unreached = any(not sight.since.served(seen.model_id).new for sight in counted)
    return unreached and finding.asked < turns(len(seen.sights), world.limits.probes)


def is_contradicted(finding: Finding) -> bool:
    """Tell whether a model answers well, and a replica shows that this proves nothing."""
    verdict, latest = finding.verdict, finding.latest
    return bool(verdict and latest and latest.passed and verdict.verdict in (Verdict.INVALID, Verdict.PROJECTION))


def observed(rotation: Rotation, model: AffectedModel, replicas: tuple[Replica, ...], world: World) -> Observation:
    """Put together all that was seen of a model."""
    finding, environment = rotation.finding(model), model.environment
    assert finding.latest is not None
    barrier, before = rotation.barrier(environment), rotation.looks.get(environment, {})
    everywhere = barrier is not None and barrier.everywhere
    return Observation(
        model_id=model.id,
        replacement_id=str(rotation.replacement_id),
        answer=finding.latest,
        passes=finding.passes,
        wanted=world.limits.probes,
        sights=tuple(Sight(before=before.get(replica.url), now=replica) for replica in replicas),
        barrier=barrier.name if barrier else "",
        projected=PROJECTED if everywhere else "",
        unlisted=_has_unlisted(rotation, environment, replicas, world),
        old_token_until=_old_token_until(rotation, finding, world),
    )


PROJECTED = "a model made after the change answered on every replica asked"


def _has_unlisted(rotation: Rotation, environment: str, replicas: tuple[Replica, ...], world: World) -> bool:
    """Tell whether some replica has no status address: the barrier has no callers, so every answer is counted."""
    if world.status.replicas(environment) > len(replicas):
        return True
    barrier = rotation.barrier(environment)
    if barrier is None or any(replica.counts is None for replica in replicas):
        return False
    return sum(replica.served(barrier.name).new for replica in replicas) < barrier.answered


TOKEN_LIFE = timedelta(minutes=60)
"""How long a token for the old secret can be used on, by gateways before `TOKENS_FOLLOW` (facts/aisix.md, G6)."""

TOKENS_FOLLOW = (0, 5, 0)


def _old_token_until(rotation: Rotation, finding: Finding, world: World) -> datetime | None:
    """Say until when an old gateway may go on with a token of the old secret, where tokens are what it sends."""
    if family(rotation.plan.old_key) not in (VERTEX, AZURE) or not finding.moved_at or not finding.latest:
        return None
    version = tuple(int(part) for part in finding.latest.gateway.removeprefix("AISIX/").split(".") if part)
    until = finding.moved_at + TOKEN_LIFE
    return until if version and version < TOKENS_FOLLOW and world.now() < until else None


# --- looking again ---


async def listening_anew(rotation: Rotation, world: World) -> Rotation:
    """Let every counter count from now on: a request under way at the change is counted when it ends."""
    return rebased(rotation, await look(rotation, rotation.plan.environments, world))


async def look_again(rotation: Rotation, since: datetime, world: World) -> tuple[Rotation, int]:
    """Ask every model that was not asked after *since* once more; return how many are left for the next time.

    When all have been asked, every verdict is held against what the replicas show now. It can only get worse.
    """
    todo = [m for m in askable(rotation, world) if not _asked_after(rotation.finding(m), since)]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    left = sum(not _asked_after(rotation.finding(model), since) for model in todo)
    if left:
        return rotation, left
    seen = await look(rotation, rotation.plan.environments, world)
    rotation = noticed(rotation, seen)
    doubted = {
        m.id: _doubted(rotation, m, seen.get(m.environment, ()), world)
        for m in askable(rotation, world)
        if rotation.finding(m).latest
    }
    return rotation.learn(doubted), 0


def _asked_after(finding: Finding, moment: datetime) -> bool:
    return finding.latest is not None and finding.latest.at > moment


def _doubted(rotation: Rotation, model: AffectedModel, replicas: tuple[Replica, ...], world: World) -> Finding:
    """Keep a verdict that nothing speaks against; it is as old as the newest answer."""
    finding = rotation.finding(model)
    assert finding.latest is not None
    if finding.latest.skipped:
        return finding
    against = doubt(observed(rotation, model, replicas, world))
    if against:
        return finding.but(verdict=_evidence(finding.latest, against))
    return finding.but(verdict=finding.verdict.but(at=finding.latest.at)) if finding.verdict else finding
