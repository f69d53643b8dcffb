"""What the steps make of answers and looks: verdicts, what callers met, and the silence of the old key."""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from bot.evidence import Evidence, Observation, Sight, Verdict, doubt, weigh
from bot.plan import AffectedModel
from bot.replica import THROWAWAY, Keys, Replica, Served
from bot.rotation import Finding, Ledger, Rotation, Silence, Tally, Throwaway
from bot.secret import AZURE, VERTEX, family
from bot.status import Asked
from bot.steps.common import World, askable, noted, probe_each
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


# --- counters ---


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


# --- verdicts ---


async def weighed(rotation: Rotation, models: Iterable[AffectedModel], world: World) -> Rotation:
    """Reach a verdict on each of *models* that has answered; where a replica lags, its proof begins anew."""
    answered = [model for model in models if rotation.finding(model).latest]
    seen = await look(rotation, {model.environment for model in answered}, world)
    rotation = noticed(rotation, seen)
    judged = {m.id: _judged(rotation, m, seen.get(m.environment, ()), world) for m in answered}
    rotation = rotation.learn(judged)
    contradicted = {m.environment for m in answered if is_contradicted(judged[m.id])}
    lacking = {m.environment for m in answered if _deserves_another_beginning(judged[m.id], m, seen, world)}
    rotation = _begun_anew(rotation, {e: seen[e] for e in contradicted & seen.keys()}, asked=0)
    return _begun_anew(rotation, {e: seen[e] for e in lacking - contradicted}, asked=None)


def _begun_anew(rotation: Rotation, seen: Sights, *, asked: int | None) -> Rotation:
    """Let the proofs of the environments in *seen* begin anew: only answers after these looks are in the counters."""
    here = {m.id: rotation.finding(m) for m in rotation.plan.models if m.environment in seen}
    fresh = {
        id_: finding.but(passes=0, asked=finding.asked if asked is None else asked)
        for id_, finding in here.items()
        if id_ in rotation.findings and not (finding.verdict and finding.verdict.passed)
    }
    return rebased(rotation.learn(fresh), seen)


def _deserves_another_beginning(finding: Finding, model: AffectedModel, seen: Sights, world: World) -> bool:
    """Tell whether a proof is to begin anew because of its counters; an address that never keeps still ends that."""
    sights = seen.get(model.environment, ())
    early = finding.asked < turns(max(1, len(sights)), world.limits.probes)
    return early and any(map(_lacks_a_beginning, sights))


def _lacks_a_beginning(sight: Sight) -> bool:
    """Tell whether a replica shows counters that it did not show when the proof began, or that began anew since."""
    return sight.now.counts is not None and (sight.since.counts is None or sight.began_anew)


def _judged(rotation: Rotation, model: AffectedModel, sights: tuple[Sight, ...], world: World) -> Finding:
    finding = rotation.finding(model)
    assert finding.latest is not None
    if 0 < finding.passes < world.limits.probes:
        return finding.but(verdict=None)
    seen = observed(rotation, model, sights, world)
    judged = finding.but(verdict=_evidence(finding.latest, weigh(seen)))
    if _is_too_early(judged, seen, world):
        return finding.but(verdict=None)
    assert judged.verdict is not None
    content = judged.verdict.passed or judged.verdict.skipped
    return judged if content else judged.but(failing_since=finding.failing_since or world.now())


def _evidence(answer: Evidence, judgement: tuple[Verdict, str]) -> Evidence:
    verdict, reason = judgement
    return answer.but(verdict=verdict, reason=reason)


def _is_too_early(finding: Finding, seen: Observation, world: World) -> bool:
    """Tell whether more probes may still reach a replica that counts, and has not been reached."""
    if finding.passes == 0 or not finding.verdict or finding.verdict.verdict not in UNDECIDED:
        return False
    counted = [sight for sight in seen.sights if sight.now.counts is not None]
    unreached = any(not sight.since.served(seen.model_id).new for sight in counted)
    return unreached and finding.asked < turns(len(seen.sights), world.limits.probes)


UNDECIDED = frozenset({Verdict.LIKELY, Verdict.INCONCLUSIVE})


def is_contradicted(finding: Finding) -> bool:
    """Tell whether a model answers well, or is not asked, and a replica shows that this proves nothing."""
    verdict, latest = finding.verdict, finding.latest
    fine = latest is not None and (latest.passed or latest.skipped)
    return bool(fine and verdict and verdict.verdict in (Verdict.INVALID, Verdict.PROJECTION))


def observed(rotation: Rotation, model: AffectedModel, sights: tuple[Sight, ...], world: World) -> Observation:
    """Put together all that was seen of a model."""
    finding, environment = rotation.finding(model), model.environment
    assert finding.latest is not None
    barrier = rotation.barrier(environment)
    everywhere = barrier is not None and barrier.everywhere
    return Observation(
        model_id=model.id,
        replacement_id=str(rotation.replacement_id),
        answer=finding.latest,
        passes=finding.passes,
        wanted=world.limits.probes,
        sights=sights,
        barrier=barrier.name if barrier else "",
        projected=PROJECTED if everywhere else "",
        unlisted=_has_unlisted(barrier, sights, world.status.replicas(environment)),
        old_token_until=_old_token_until(rotation, finding, world),
        others_remain=any(not rotation.finding(m).moved_at for m in _neighbours(rotation, environment)),
        hides_tokens=_exchanges(rotation) and not finding.latest.gateway,
    )


def _neighbours(rotation: Rotation, environment: str) -> Iterator[AffectedModel]:
    return (model for model in rotation.plan.models if model.environment == environment)


PROJECTED = "a model made after the change answered on every replica asked"


def _has_unlisted(barrier: Throwaway | None, sights: tuple[Sight, ...], replicas: int) -> bool:
    """Tell whether some replica has no status address: the barrier has no callers, so every answer is counted."""
    if replicas > len(sights):
        return True
    if barrier is None or any(sight.now.counts is None for sight in sights):
        return False
    return sum(sight.now.served(barrier.name).new for sight in sights) < barrier.answered


TOKEN_LIFE = timedelta(minutes=60)
"""How long a token for the old secret can be used on, by gateways before `TOKENS_FOLLOW` (facts/aisix.md, G6)."""

TOKENS_FOLLOW = (0, 5, 0)


def _exchanges(rotation: Rotation) -> bool:
    """Tell whether the secrets of this key may be exchanged for tokens."""
    return family(rotation.plan.old_key) in (VERTEX, AZURE)


def _old_token_until(rotation: Rotation, finding: Finding, world: World) -> datetime | None:
    """Say until when an old gateway may go on with a token of the old secret, where tokens are what it sends."""
    if not _exchanges(rotation) or not finding.moved_at or not finding.latest:
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


def _doubted(rotation: Rotation, model: AffectedModel, sights: tuple[Sight, ...], world: World) -> Finding:
    """Keep a verdict that nothing speaks against; it is as old as the newest answer."""
    finding = rotation.finding(model)
    assert finding.latest is not None
    against = doubt(observed(rotation, model, sights, world))
    if against:
        return finding.but(verdict=_evidence(finding.latest, against))
    return finding.but(verdict=finding.verdict.but(at=finding.latest.at)) if finding.verdict else finding
