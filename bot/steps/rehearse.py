"""The rehearsal: Keyturn probes throw-away models on the replacement before it moves any model that callers use.

It finds a wrong secret, or one of another account, without failing a caller's request. Every throw-away model gets a
name that was never used before, so an answer under that name can only come from the replacement.
"""

from datetime import timedelta

from bot.rotation.blame import fails_alike, held_against, unrehearsed
from bot.rotation.errors import Blocked
from bot.rotation.evidence import Verdict
from bot.rotation.families import exchanges_tokens
from bot.rotation.finding import UNKNOWN, Throwaway
from bot.rotation.phrases import listing
from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.steps.inventory import refuse_drift, whole_inventory
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import POLL, each, waited
from bot.steps.probing import counted
from bot.steps.throwaways import (
    BARRED_SAID,
    create_missing,
    impossible,
    likenesses,
    planned,
    without_throwaways,
)
from bot.steps.world import World


async def rehearse(rotation: Rotation, world: World) -> Outcome:
    """Probe the replacement through throw-away models; remove all of them, whatever the result."""
    if rotation.rehearsal is not None:
        return await _end(rotation, world)
    rotation = rotation.but(unrehearsed="")
    if not rotation.throwaways:
        return _planned(rotation, world)
    if all(throwaway.created for throwaway in rotation.throwaways):
        return await _ask(rotation, world)
    return await _create(rotation, world)


async def _create(rotation: Rotation, world: World) -> Outcome:
    """Create the missing throw-away models; after a crash, one may exist that the record does not show."""
    inventory = await whole_inventory(rotation, world)
    rotation = refuse_drift(rotation, inventory, world)
    refused = await create_missing(rotation.throwaways, inventory.models, rotation, world)
    kept = tuple(t.but(created=True) for t in rotation.throwaways if t.name not in refused)
    if not kept:
        return _impossible(rotation, impossible(next(iter(refused.values()))))
    return await _ask(rotation.but(throwaways=kept), world)


def _planned(rotation: Rotation, world: World) -> Outcome:
    """Choose the models to copy, and record the names before any of them is used."""
    named, throwaways = planned(rotation, likenesses(rotation, world))
    if not throwaways:
        return _without(rotation, "nothing to rehearse")
    return Wait(named.but(throwaways=throwaways), "rehearsing")


async def _ask(rotation: Rotation, world: World) -> Outcome:
    """Probe each open throw-away model once more, and one that answers as often as needed; then decide."""
    models = {model.id: model for model in rotation.plan.models}
    open_ones = [t for t in rotation.throwaways if not _is_settled(rotation, t, world)]
    answers = {t.name: t.finding for t in rotation.throwaways}
    exchanges = exchanges_tokens(rotation.plan.old_key)

    async def ask(throwaway: Throwaway) -> None:
        model = models[throwaway.sample]
        evidence = await world.gateways.probe(model, rotation.id, under=throwaway.name)
        evidence = held_against(rotation.finding(model).baseline, evidence, exchanges=exchanges)
        answers[throwaway.name] = counted(answers[throwaway.name], evidence, world.now())

    await each(open_ones, ask, width=world.limits.concurrency)
    missing = {t.name: world.limits.probes - passes for t in open_ones if (passes := answers[t.name].passes)}
    on = [t for t in open_ones for _ in range(missing.get(t.name, 0))]
    await each(on, ask, width=world.limits.concurrency)
    throwaways = tuple(t.but(finding=answers[t.name]) for t in rotation.throwaways)
    return _decide(rotation.but(throwaways=throwaways), world)


def _is_settled(rotation: Rotation, throwaway: Throwaway, world: World) -> bool:
    enough = throwaway.finding.passes >= world.limits.probes
    return enough or _is_refused(rotation, throwaway) or _is_as_before(rotation, throwaway)


def _is_refused(rotation: Rotation, throwaway: Throwaway) -> bool:
    latest = throwaway.finding.latest
    return latest is not None and latest.verdict is Verdict.REJECTED and not _is_as_before(rotation, throwaway)


def _is_as_before(rotation: Rotation, throwaway: Throwaway) -> bool:
    """Return whether the sample fails on the new key as it did on the old one: that shows nothing about the secret."""
    return fails_alike(rotation.findings.get(throwaway.sample, UNKNOWN).baseline, throwaway.finding.latest)


def _decide(rotation: Rotation, world: World) -> Outcome:
    """Record the result before the cleanup, so that a crash in between loses neither."""
    barred = [t for t in rotation.throwaways if t.finding.latest and world.gateways.bars_throwaways(t.finding.latest)]
    if len(barred) == len(rotation.throwaways):
        return _impossible(rotation, BARRED_SAID)
    rotation = rotation.but(throwaways=tuple(t for t in rotation.throwaways if t not in barred))
    left = [t for t in rotation.throwaways if not _is_settled(rotation, t, world)]
    if not left or any(_is_refused(rotation, t) for t in rotation.throwaways):
        return Wait(rotation.but(rehearsal=_result(rotation)), "removing the throw-away models")
    failing = any(t.finding.failing_since for t in left)
    if failing and waited(rotation, world) > max(world.limits.projection, world.limits.verify):
        return Wait(rotation.but(rehearsal=FAILED), "removing the throw-away models")
    return Wait(rotation, "rehearsing", POLL / 4 if failing else timedelta(0))


FAILED = "failed"


def _result(rotation: Rotation) -> str:
    if any(_is_refused(rotation, t) for t in rotation.throwaways):
        return FAILED
    names = dict.fromkeys(rotation.plan.environments[t.environment] for t in rotation.throwaways if _passed(t))
    if not names and any(map(_blames_credential, rotation.throwaways)):
        return FAILED
    if not names:
        return "nothing answers, neither before nor now"
    missed = [name for name in rotation.plan.environments.values() if name not in names]
    where = f"; not rehearsed in {' and '.join(missed)}" if missed else ""
    return f"the new secret worked in {' and '.join(names)} before any caller used it{where}"


def _impossible(rotation: Rotation, why: str) -> Outcome:
    return _without(rotation.but(no_throwaways=why, unrehearsed=why), f"not possible here: {why}")


def _without(rotation: Rotation, why: str) -> Outcome:
    return Wait(rotation.but(rehearsal=why), "removing the throw-away models")


async def _end(rotation: Rotation, world: World) -> Outcome:
    """Remove the throw-away models; then finish, or stop."""
    rotation, _ = await without_throwaways(rotation, await whole_inventory(rotation, world), world)
    if rotation.rehearsal == FAILED:
        raise _stop(rotation)
    return Done(rotation.but(rehearsed_at=world.now()))


def _stop(rotation: Rotation) -> Blocked:
    """Return the stop for what the rehearsal found; a retry uses new names."""
    bad = _bad(rotation)
    latest = next(filter(_blames_credential, bad), bad[0]).finding.latest
    where = listing(dict.fromkeys(rotation.plan.environments[t.environment] for t in bad))
    why = latest.reason if latest else "no answer"
    if all(_is_as_before(rotation, throwaway) for throwaway in bad):  # on both keys: no refusal of the new one
        latest, why = None, f"already failing, the same on both keys: {why}"
    after = rotation.but(throwaways=(), rehearsal=None)
    why = f"In the rehearsal in {where}: {why}"
    return Blocked(unrehearsed(latest), resume=StepName.REHEARSE, after=after, why=why)


def _bad(rotation: Rotation) -> list[Throwaway]:
    """Return those that stop the rehearsal: the refused, else the unclear, else those that failed before."""
    refused = [t for t in rotation.throwaways if _is_refused(rotation, t)]
    unclear = [t for t in rotation.throwaways if not _passed(t) and not _is_as_before(rotation, t)]
    return refused or unclear or [t for t in rotation.throwaways if not _passed(t)]


def _blames_credential(throwaway: Throwaway) -> bool:
    latest = throwaway.finding.latest
    return latest is not None and latest.blames_credential


def _passed(throwaway: Throwaway) -> bool:
    latest = throwaway.finding.latest
    return latest is not None and latest.passed
