"""Waits until the gateways have the change, and checks it with a barrier: a throw-away model made after it.

A gateway applies changes in order (facts/aisix.md 5), so a replica that answers for the barrier has every earlier
change. If status addresses show every replica, each has to list the barrier first. Then Keyturn probes the barrier;
a replica that does not know it is one that the settings do not list.

If a replica can't be seen, Keyturn probes the barrier until enough good answers in a row must have reached it. Each
run is a test, and the next one is longer, because repeating a test until it succeeds proves nothing. Without a
barrier, Keyturn waits for each model, and then as long as the settings say.
"""

import asyncio
import secrets
import time
from collections.abc import Collection, Sequence
from datetime import timedelta

from bot.rotation.blame import fails_alike
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding, Throwaway, was_failing_before
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.record import Rotation
from bot.rotation.weighing import Window
from bot.steps.barriers import with_barriers
from bot.steps.counters import Windows, checking_addresses, look, rebased, turns
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import AT_ONCE, POLL, SLICE, waited
from bot.steps.probing import askable, counted, current_models, noted, probe_each
from bot.steps.refusals import reason, refuse_projection, refuse_rejected, refuse_unlisted_replica, refuse_unproved
from bot.steps.throwaways import BARRED_SAID, create_missing, impossible
from bot.steps.verdicts import is_bypassed, uncounted
from bot.steps.world import World


async def project(rotation: Rotation, world: World) -> Outcome:
    """Wait until every gateway of the current models has the change, then reset the counters."""
    environments = _unproved_environments(rotation, world)
    named = with_barriers(rotation, environments, world)
    if named != rotation:
        return Wait(named, "making sure that every gateway has the change")
    rotation = await _with_created(rotation, world)
    first = await look(rotation, environments, world)
    rotation = await checking_addresses(_ask_barriers(rotation, first, environments, world), environments, world)
    rotation, left = await _ask_models(rotation, world)
    seen = await look(rotation, environments, world)  # after all test requests: these counters include them
    refuse_uncounted(rotation, seen, world)
    looked = (_confirmed(b, seen, rotation, world) if b.environment in environments else b for b in rotation.barriers)
    rotation = rotation.but(barriers=tuple(looked))
    behind = [b for b in rotation.barriers if b.environment in environments and not b.everywhere]
    if not behind and not left:
        return _settled(rotation, seen, environments, world)
    getting_on = not left and not any(_is_stuck(barrier, seen) for barrier in behind)
    if not getting_on and waited(rotation, world) > world.limits.projection:
        _stop(rotation, behind, left, seen)
    return Wait(rotation, _progress(rotation, behind, left, seen), timedelta(0) if getting_on else POLL / 4)


def _unproved_environments(rotation: Rotation, world: World) -> list[str]:
    """Return the environments of current models that are not verified yet."""
    models = [m for m in current_models(rotation, world) if m.environment in world.gateways.environments]
    return list(dict.fromkeys(m.environment for m in models if rotation.finding(m).verdict is None))


# --- the barriers ---


async def _with_created(rotation: Rotation, world: World) -> Rotation:
    """Create the barriers that do not exist yet; after a crash, one may exist that the record does not show."""
    lacking = [barrier for barrier in rotation.barriers if not barrier.created]
    if not lacking:
        return rotation
    known = await world.control_plane.models(barrier.environment for barrier in lacking)
    refused = await create_missing(lacking, known, rotation, world)
    if refused:
        return rotation.but(barriers=(), no_throwaways=impossible(next(iter(refused.values()))))
    return rotation.but(barriers=tuple(barrier.but(created=True) for barrier in rotation.barriers))


async def _ask_barriers(rotation: Rotation, seen: Windows, environments: Collection[str], world: World) -> Rotation:
    """Probe each barrier of *environments* that is not confirmed yet, once every visible replica has it."""
    here = [barrier for barrier in rotation.barriers if barrier.environment in environments]
    behind = [barrier for barrier in here if not barrier.everywhere and not _lagging(barrier, seen)]
    tests = dict(rotation.tests)
    for barrier in behind:
        tests[barrier.environment] = tests.get(barrier.environment, 0) + (not barrier.finding.passes)
    rotation = rotation.but(tests=tests)
    tested = await asyncio.gather(*(_tested(barrier, rotation, world) for barrier in behind))
    if any(_is_barred(barrier, world) for barrier in tested):
        return rotation.but(barriers=(), no_throwaways=BARRED_SAID)
    fresh = {barrier.name: barrier for barrier in tested}
    rotation = rotation.but(barriers=tuple(fresh.get(b.name, b) for b in rotation.barriers))
    for barrier in tested:
        if _is_unknown_somewhere(barrier) and _all_have(rotation, barrier.environment, seen, world):
            where = rotation.plan.environments[barrier.environment]
            refuse_unlisted_replica(rotation, where, "it is not synced, and every listed replica is")
    return rotation


async def _tested(barrier: Throwaway, rotation: Rotation, world: World) -> Throwaway:
    """Probe a barrier until enough good answers came in a row, one shows a replica without it, or the slice is over.

    Test requests go out a few at a time, first a random number of them: in step with callers, round-robin balancing
    could send every one to the same replica.
    """
    model = next(model for model in rotation.plan.models if model.id == barrier.sample)
    end = time.monotonic() + SLICE
    while True:
        left = _enough(barrier, rotation, world) - barrier.finding.passes
        some = max(1, min(left, AT_ONCE))
        some = some if barrier.finding.passes else 1 + secrets.randbelow(some)
        probes = (world.gateways.probe(model, rotation.id, under=barrier.name) for _ in range(some))
        barrier = _asked(barrier, await asyncio.gather(*probes), world)
        if left <= some or not barrier.finding.passes or barrier.finding.failing_since or time.monotonic() > end:
            return barrier


def _enough(barrier: Throwaway, rotation: Rotation, world: World) -> int:
    """Return how many answers would reach one replica more than is known: the settings may not list all."""
    replicas = world.status.replicas(barrier.environment) + 1
    return turns(replicas, world.limits.probes, rotation.tests.get(barrier.environment, 1))


def _asked(barrier: Throwaway, answers: Sequence[Evidence], world: World) -> Throwaway:
    """Record a few answers; one that does not show that the gateway has the row ends the run.

    It need not lack it: but a replica that never gives a clear answer is not met by drawing until another gives one.
    """
    for evidence in sorted(answers, key=lambda answer: (not _has_row(answer), _lacks_row(answer))):
        passes = barrier.finding.passes + 1 if _has_row(evidence) else 0
        finding = counted(barrier.finding, evidence, world.now()).but(passes=passes)
        finding = finding.but(failing_since=None) if _has_row(evidence) else finding
        barrier = barrier.but(finding=finding, answered=barrier.answered + evidence.passed)
    return barrier


def _lacks_row(evidence: Evidence) -> bool:
    return evidence.verdict is Verdict.PROJECTION


def _is_unknown_somewhere(barrier: Throwaway) -> bool:
    """Return whether the last answer came from a replica without the change; it is recorded last of its group."""
    return barrier.finding.latest is not None and _lacks_row(barrier.finding.latest)


def _has_row(evidence: Evidence) -> bool:
    of_row = evidence.of_upstream or evidence.of_model or evidence.verdict is Verdict.REJECTED
    return evidence.passed or evidence.is_shown or of_row


def _is_counted(rotation: Rotation, barrier: Throwaway, windows: tuple[Window, ...], world: World) -> bool:
    """Return whether the gateways count test requests for a barrier; at some endpoints, one of them must show it."""
    model = next(model for model in rotation.plan.models if model.id == barrier.sample)
    return world.gateways.is_always_counted(model) or any(window.now.callers for window in windows)


def _is_barred(barrier: Throwaway, world: World) -> bool:
    latest = barrier.finding.latest
    return latest is not None and world.gateways.bars_throwaways(latest)


def _confirmed(barrier: Throwaway, seen: Windows, rotation: Rotation, world: World) -> Throwaway:
    """Mark a barrier as everywhere if every replica that lists its models has it, and enough answers came."""
    enough = barrier.finding.passes >= _enough(barrier, rotation, world)
    return barrier.but(everywhere=enough and not _lagging(barrier, seen))


def refuse_uncounted(rotation: Rotation, seen: Windows, world: World) -> None:
    """Stop if a barrier was answered, and no listed replica has counted it."""
    for barrier in rotation.barriers:
        windows = seen.get(barrier.environment, ())
        is_told = len(windows) >= world.status.replicas(barrier.environment) and _is_counted(
            rotation, barrier, windows, world
        )
        missing = uncounted(barrier, windows) if is_told else 0
        if missing:
            where = rotation.plan.environments[barrier.environment]
            refuse_unlisted_replica(rotation, where, f"it answered {plural(missing, 'test request')}")


# --- the models of environments that can have no barrier ---


async def _ask_models(rotation: Rotation, world: World) -> tuple[Rotation, list[AffectedModel]]:
    """Probe the current models without a barrier; return those that are not synced yet."""
    play = {model.id for model in current_models(rotation, world)}
    mine = [m for m in askable(rotation, world) if m.id in play and rotation.barrier(m.environment) is None]
    todo = [m for m in mine if rotation.finding(m).verdict is None and not _has_projected(rotation.finding(m))]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    late = waited(rotation, world) > world.limits.projection
    refuse_rejected(rotation, [m for m in todo if late or not _echoes_old_key(rotation.finding(m))])
    return rotation, [m for m in todo if not _has_projected(rotation.finding(m))]


def _has_projected(finding: Finding) -> bool:
    if finding.latest is None or _echoes_old_key(finding):
        return False
    return finding.latest.verdict is not Verdict.PROJECTION or was_failing_before(finding)


def _echoes_old_key(finding: Finding) -> bool:
    """Return whether a refusal may still come from the key before the move; it must not blame the new secret."""
    before, now = finding.baseline, finding.latest
    if now is None or not now.blames_credential or fails_alike(before, now):
        return False
    return before is None or before.signature == now.signature  # without a baseline, it was on a key of ours


# --- the end of the wait ---


def _settled(rotation: Rotation, seen: Windows, environments: list[str], world: World) -> Outcome:
    """Finish; if some replica could not be seen, first let slow ones catch up."""
    newest = max((f.moved_at for f in rotation.findings.values() if f.moved_at), default=world.now())
    left = newest + world.limits.settle - world.now()
    if left > timedelta(0) and not all(_all_have(rotation, environment, seen, world) for environment in environments):
        return Wait(rotation, "letting the change settle on every replica", min(left, POLL))
    fresh = {m.id: rotation.finding(m).but(passes=0, asked=0) for m in rotation.plan.models if _is_open(rotation, m)}
    return Done(rebased(rotation.learn(fresh), seen))


def _is_open(rotation: Rotation, model: AffectedModel) -> bool:
    return model.id in rotation.findings and rotation.finding(model).verdict is None


def _all_have(rotation: Rotation, environment: str, seen: Windows, world: World) -> bool:
    """Return whether every replica of an environment lists the barrier."""
    barrier, replicas = rotation.barrier(environment), [window.now for window in seen.get(environment, ())]
    if barrier is None or len(replicas) < world.status.replicas(environment):
        return False
    return all(barrier.name in (replica.throwaways or ()) for replica in replicas)


def _progress(rotation: Rotation, behind: list[Throwaway], left: list[AffectedModel], seen: Windows) -> str:
    """Name what is waited for: the models, or the environments with the replicas that certainly lack the change."""
    if left:
        return f"{plural(len(left), 'model')} not synced yet: {listing(m.label for m in left)}"
    names = listing(_place(rotation, barrier, seen) for barrier in behind)
    return f"{plural(len(behind), 'environment')} not synced yet: {names}"


def _place(rotation: Rotation, barrier: Throwaway, seen: Windows) -> str:
    environment = f"`{rotation.plan.environments[barrier.environment]}`"
    lagging = [f"`{name}`" for name in _lagging(barrier, seen)]
    return f"{listing(lagging)} in {environment}" if lagging else environment


def _is_stuck(barrier: Throwaway, seen: Windows) -> bool:
    """Return whether more answers alone can't confirm a barrier: it fails, or a replica lacks it."""
    finding = barrier.finding
    return not finding.passes or finding.failing_since is not None or bool(_lagging(barrier, seen))


def _lagging(barrier: Throwaway, seen: Windows) -> list[str]:
    """Return the replicas that list their models without this barrier."""
    replicas = [window.now for window in seen.get(barrier.environment, ())]
    return [r.name for r in replicas if r.throwaways is not None and barrier.name not in r.throwaways]


def _stop(rotation: Rotation, behind: list[Throwaway], left: list[AffectedModel], seen: Windows) -> None:
    why = [_why_behind(rotation, barrier, seen) for barrier in behind]
    why += [f"{listing(m.label for m in left)}: {reason(rotation, left[0])}"] if left else []
    sentence = listing(why, joint="; ")
    if not left and all(_says_nothing(b.finding) and not _lagging(b, seen) for b in behind):
        refuse_unproved(rotation.but(barriers=()), sentence)
    refuse_projection(rotation, sentence)


def _says_nothing(finding: Finding) -> bool:
    """Return whether the last answer shows nothing about the gateway: it bypassed the key, or is unclear."""
    unclear = finding.latest is not None and finding.latest.verdict is Verdict.INCONCLUSIVE
    return unclear or is_bypassed(finding)


def _why_behind(rotation: Rotation, barrier: Throwaway, seen: Windows) -> str:
    where = rotation.plan.environments[barrier.environment]
    lagging = _lagging(barrier, seen)
    if lagging:
        return f"in {where} {listing(f'`{name}`' for name in lagging)} does not have it"
    latest = barrier.finding.latest
    return f"in {where} a model made after the change: {latest.reason if latest else 'no answer yet'}"
