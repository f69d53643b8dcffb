"""Looks at everything again after the proof: in the soak, and for the last time before the old key goes."""

import secrets

from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding, is_excused
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.weighing import Observation, doubt, untold
from bot.steps.counters import Windows, look, noticed, rebased, watched_environments
from bot.steps.everyone import NotReached, probed_every_replica
from bot.steps.probing import askable, noted, probe_each
from bot.steps.verdicts import View, as_verdict, observed
from bot.steps.world import World

TRIES = 3
"""How often a look repeats a request whose answer is unclear before it believes it."""


async def look_again(rotation: Rotation, world: World, *, last: bool = False) -> tuple[Rotation, int]:
    """Probe every model that the current look has not probed yet; return how many are left for the next run.

    Each answer gets the look's mark, because clocks of machines differ. After the last model, the verdicts are checked
    against the replicas. The *last* look sends enough test requests to reach a replica added since the proof.
    """
    rotation = rotation if rotation.look else await _begun(rotation, world, last=last)
    todo = [model for model in askable(rotation, world) if rotation.finding(model).look != rotation.look]
    rotation = rotation.learn({model.id: rotation.finding(model).but(unclear=0) for model in todo})
    seen = await probe_each(rotation, todo, world)
    rotation = noted(rotation, seen, world.now())
    rotation = rotation.learn({id_: rotation.findings[id_].but(look=rotation.look) for id_ in seen})
    left = len(todo) - len(seen)
    if left:
        return rotation, left
    rotation = await _cleared_up(rotation, world)
    rotation, unmet = await probed_every_replica(rotation, world) if last else (rotation, {})
    return _doubt_unreached(await checked_against_replicas(rotation, world, last=last), unmet), 0


async def _begun(rotation: Rotation, world: World, *, last: bool) -> Rotation:
    """Begin a look; the counters of the last one count from now on, so that no older request hides a missing answer."""
    rotation = rotation.but(look=secrets.token_hex(4))
    if not last:
        return rotation
    seen = await look(rotation, watched_environments(rotation), world)
    view = View(noticed(rotation, seen), seen, rotation.moving, world)
    fresh = {environment: windows for environment, windows in seen.items() if _is_to_reset(environment, view)}
    return rebased(rotation, fresh) if fresh else rotation


def _is_to_reset(environment: str, view: View) -> bool:
    """Return whether counters tell our requests from now on, and nothing so far speaks against a model."""
    here = [model for model in askable(view.rotation, view.world) if model.environment == environment]
    seen = [observed(model, view, again=True) for model in here if view.rotation.finding(model).latest]
    tells = all(window.now.own is not None for window in view.seen[environment])
    used = any(silence.count for silence in view.rotation.silences if silence.environment == environment)
    return tells and not used and not any(map(doubt, seen))


async def _cleared_up(rotation: Rotation, world: World) -> Rotation:
    """Repeat the requests whose answers are unclear: among hundreds of models there is always one."""
    for _ in range(TRIES):
        unclear = [model for model in askable(rotation, world) if _is_unclear(rotation.finding(model))]
        rotation = noted(rotation, await probe_each(rotation, unclear, world), world.now())
    return rotation


def _is_unclear(finding: Finding) -> bool:
    unclear = finding.latest is not None and finding.latest.verdict is Verdict.INCONCLUSIVE
    return unclear and not finding.is_accepted and not is_excused(finding)


def _doubt_unreached(rotation: Rotation, unmet: NotReached) -> Rotation:
    """Doubt each model that got too few test requests to reach a replica added since."""
    fine = {id_: finding for id_ in unmet if (finding := rotation.findings[id_]).verdict and finding.verdict.passed}
    return rotation.learn({id_: _doubted_for(finding, unmet[id_]) for id_, finding in fine.items()})


def _doubted_for(finding: Finding, why: str) -> Finding:
    assert finding.latest is not None
    return finding.but(verdict=as_verdict(finding.latest, (Verdict.INCONCLUSIVE, f"{why}, so it is verified again")))


async def checked_against_replicas(rotation: Rotation, world: World, *, last: bool = False) -> Rotation:
    """Check every verdict against what the replicas show now; a verdict can't improve this way."""
    seen = await look(rotation, watched_environments(rotation), world)
    rotation = _marked(noticed(rotation, seen), seen)
    view = View(rotation, seen, rotation.moving, world)
    asked = [model for model in askable(rotation, world) if rotation.finding(model).latest]
    return rotation.learn({model.id: _doubted(model, view, last=last) for model in asked})


def _lost_proof(seen: Observation, *, last: bool) -> str:
    """Say why the counters that proved a model can no longer reveal an unlisted replica.

    A page that can't be read for a moment matters at the *last* look alone.
    """
    if seen.has_surplus:  # a worker died: one of its requests may hide a missing answer
        return "the counters show test requests that nobody has noted"
    return seen.covered or untold(seen, dark=last) or seen.too_few


def _marked(rotation: Rotation, seen: Windows) -> Rotation:
    """Mark the replicas whose counters this look has read."""
    heard = {
        (e, window.now.url) for e, windows in seen.items() for window in windows if window.since.counts is not None
    }
    silences = (s.but(look=rotation.look) if (s.environment, s.url) in heard else s for s in rotation.silences)
    return rotation.but(silences=tuple(silences))


def _doubted(model: AffectedModel, view: View, *, last: bool) -> Finding:
    """Keep a verdict without new doubts, with the newest answer's time; reset a bad one that no longer holds."""
    finding = view.rotation.finding(model)
    assert finding.latest is not None
    seen = observed(model, view, again=True)
    if against := doubt(seen):
        return finding.but(verdict=as_verdict(finding.latest, against))
    passed = finding.verdict is not None and finding.verdict.passed
    if passed and (why := _lost_proof(seen, last=last) if finding.is_proved else seen.too_few):
        return _doubted_for(finding, why)
    if finding.verdict and not finding.verdict.passed and not finding.is_accepted:
        return finding.but(verdict=None)
    return finding.but(verdict=finding.verdict.but(at=finding.latest.at)) if finding.verdict else finding
