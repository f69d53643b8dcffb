"""The rehearsal: throw-away models on the replacement are asked live before any model that callers use is moved.

A wrong secret, or one of another account, is found here, and costs no caller a request. Every throw-away model has a
name that was never used before: an answer under it can only come from the replacement.
"""

from collections.abc import Iterator
from datetime import timedelta

from bot.errors import ApiError, Blocked, StopKind, Uncertain
from bot.evidence import Verdict
from bot.plan import AffectedModel, Inventory, Model
from bot.rotation import Finding, Rotation, Throwaway
from bot.steps.common import POLL, Done, Outcome, Wait, World, askable, counted, each, listing, waited

MOST = 10
"""Throw-away models in one rehearsal; an upstream model beyond that is met by the verification."""


async def rehearse(rotation: Rotation, world: World) -> Outcome:
    """Ask the replacement through throw-away models; leave none of them behind, whatever it says."""
    if rotation.rehearsal is not None:
        return await _end(rotation, world)
    if not rotation.throwaways:
        return _planned(rotation, world)
    inventory = await world.control_plane.inventory()
    try:
        await _create_missing(rotation, inventory, world)
    except Uncertain:
        raise
    except ApiError as refusal:
        return _without(rotation, f"not possible here: {refusal}")
    return await _ask(rotation, world)


def _planned(rotation: Rotation, world: World) -> Outcome:
    """Choose what stands for what, and record the names before any of them is used."""
    planned = tuple(_throwaways(rotation, world))
    if not planned:
        return _without(rotation, "nothing to rehearse")
    return Wait(rotation.but(throwaways=planned, throwaways_used=rotation.throwaways_used + len(planned)), "rehearsing")


def _throwaways(rotation: Rotation, world: World) -> Iterator[Throwaway]:
    """Yield one for each environment, endpoint and upstream model: what one of them can serve, its like can."""
    seen: set[tuple[str, str, str]] = set()
    for model in _samples(rotation, world):
        likeness = (model.environment, world.gateways.endpoint(model), model.upstream)
        if likeness not in seen and len(seen) < MOST:
            number = rotation.throwaways_used + len(seen)
            seen.add(likeness)
            yield Throwaway(name=f"keyturn-{rotation.id}-{number}", environment=model.environment, sample=model.id)


def _samples(rotation: Rotation, world: World) -> Iterator[AffectedModel]:
    """Yield the models that a throw-away can stand for: asked by a name of their own, and well before we began."""
    for model in askable(rotation, world):
        before = rotation.finding(model).baseline
        failing = before is not None and before.of_upstream and not before.blames_credential
        if "*" not in model.alias and world.gateways.endpoint(model) and not failing:
            yield model


async def _create_missing(rotation: Rotation, inventory: Inventory, world: World) -> None:
    there = {model.alias for model in inventory.models}
    models = {model.id: model for model in inventory.models}
    for throwaway in rotation.throwaways:
        sample = models.get(throwaway.sample)
        if throwaway.name not in there and sample is not None:
            await world.control_plane.create_model(sample, throwaway.name, str(rotation.replacement_id))


async def _ask(rotation: Rotation, world: World) -> Outcome:
    """Ask each throw-away model once more; decide when all have answered, or one was refused."""
    samples = {model.id: model for model in rotation.plan.models}
    open_ones = [t for t in rotation.throwaways if not _is_settled(t, world)]
    answers: dict[str, Finding] = {}

    async def ask(model: AffectedModel) -> None:
        for throwaway in (t for t in open_ones if t.sample == model.id):
            evidence = await world.gateways.probe(model, rotation.id, under=throwaway.name)
            answers[throwaway.name] = counted(throwaway.finding, evidence, world.now())

    await each([samples[t.sample] for t in open_ones], ask, width=world.limits.concurrency)
    throwaways = tuple(t.but(finding=answers.get(t.name, t.finding)) for t in rotation.throwaways)
    return _decide(rotation.but(throwaways=throwaways), world)


def _is_settled(throwaway: Throwaway, world: World) -> bool:
    return throwaway.finding.passes >= world.limits.probes or _is_refused(throwaway)


def _is_refused(throwaway: Throwaway) -> bool:
    latest = throwaway.finding.latest
    return latest is not None and latest.verdict is Verdict.REJECTED


def _decide(rotation: Rotation, world: World) -> Outcome:
    """Record the result before cleaning up, so that a crash in between forgets neither."""
    left = [t for t in rotation.throwaways if not _is_settled(t, world)]
    barred = next((t for t in left if t.finding.latest and t.finding.latest.signature.startswith(BARRED)), None)
    if barred:
        return _without(rotation, "not possible here: the probe's caller key may not use `keyturn-*`; allow it that")
    if not left or any(map(_is_refused, rotation.throwaways)):
        return Wait(rotation.but(rehearsal=_result(rotation)), "removing the throw-away models")
    if waited(rotation, world) > max(world.limits.projection, world.limits.verify):
        return Wait(rotation.but(rehearsal=FAILED), "removing the throw-away models")
    waiting = any(t.finding.failing_since for t in left)
    return Wait(rotation, "rehearsing", POLL / 4 if waiting else timedelta(0))


BARRED = "403 permission_denied"
FAILED = "failed"


def _result(rotation: Rotation) -> str:
    if any(map(_is_refused, rotation.throwaways)):
        return FAILED
    names = dict.fromkeys(rotation.plan.environments[t.environment] for t in rotation.throwaways)
    return f"the new secret works in {' and '.join(names)}; no caller used it yet"


def _without(rotation: Rotation, why: str) -> Outcome:
    return Wait(rotation.but(rehearsal=why), "removing the throw-away models")


async def _end(rotation: Rotation, world: World) -> Outcome:
    """Remove the throw-away models; then go on, or stop."""
    await remove_throwaways(rotation, await world.control_plane.inventory(), world)
    if rotation.rehearsal == FAILED:
        raise _stop(rotation)
    return Done(rotation)


def _stop(rotation: Rotation) -> Blocked:
    """Say what the rehearsal found; trying again uses names that were never used."""
    bad = [t for t in rotation.throwaways if _is_refused(t)] or [t for t in rotation.throwaways if not _passed(t)]
    latest = bad[0].finding.latest
    where = listing(dict.fromkeys(rotation.plan.environments[t.environment] for t in bad))
    kind, headline, more = _reading(latest.verdict if latest else None)
    sentence = f"In the rehearsal in {where}: {latest.reason if latest else 'no answer'}.{more}"
    return Blocked(kind, headline, sentence, resume="rehearse", after=rotation.but(throwaways=(), rehearsal=None))


def _reading(verdict: Verdict | None) -> tuple[StopKind, str, str]:
    """Return the kind of stop, its headline, and what else to say."""
    match verdict:
        case Verdict.REJECTED:
            return StopKind.REJECTED, "the new secret was refused", ""
        case Verdict.PROJECTION:
            return StopKind.PROJECTION, "the gateway has not taken the change", ELSEWHERE
        case _:
            return StopKind.UNVERIFIED, "the rehearsal came to no result", ""


ELSEWHERE = " This says nothing against the new secret: look at Resource Projection in AISIX first."


def _passed(throwaway: Throwaway) -> bool:
    latest = throwaway.finding.latest
    return latest is not None and latest.passed


async def remove_throwaways(rotation: Rotation, inventory: Inventory, world: World) -> Inventory:
    """Delete every throw-away model that this rotation made, also those of a crash; return what is left."""
    mine = [model for model in inventory.models if is_throwaway(model, rotation)]
    for model in mine:
        await world.control_plane.delete_model(model.id, model.environment)
    gone = {model.id for model in mine}
    return inventory.but(models=tuple(model for model in inventory.models if model.id not in gone))


def is_throwaway(model: Model, rotation: Rotation) -> bool:
    """Tell by its name whether *rotation* made this model."""
    return model.alias.startswith(f"keyturn-{rotation.id}-")
