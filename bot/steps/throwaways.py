"""Throw-away models on the replacement: closed to callers, named after their rotation, each name used once."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from bot.rotation.errors import ApiError, Uncertain
from bot.rotation.finding import Throwaway
from bot.rotation.inventory import Inventory, Model
from bot.rotation.naming import throwaway_prefix, throwaways_of
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.wildcards import matches
from bot.steps.pacing import together
from bot.steps.world import World

BARRED_SAID = "the probe's caller key may not use `keyturn-*`; allow it that"


def prefix(rotation: Rotation) -> str:
    """Return the prefix of the names of this rotation's throw-away models."""
    return throwaway_prefix(rotation.id)


def planned(rotation: Rotation, samples: Iterable[AffectedModel]) -> tuple[Rotation, tuple[Throwaway, ...]]:
    """Name a throw-away model for each of *samples*, and mark the names as used."""
    made = tuple(
        Throwaway(name=f"{prefix(rotation)}{number}", environment=sample.environment, sample=sample.id)
        for number, sample in enumerate(samples, start=rotation.throwaways_used)
    )
    return rotation.but(throwaways_used=rotation.throwaways_used + len(made)), made


async def create_missing(
    throwaways: Iterable[Throwaway],
    known: Iterable[Model],
    rotation: Rotation,
    world: World,
    *,
    only_new: bool = False,
) -> dict[str, ApiError]:
    """Create those of *throwaways* that are not among the *known* models of their environments.

    Returns by name why a model could not be created, or, with *only_new*, that it existed already; raises `Uncertain`.
    """
    models = {model.id: model for model in known}
    there = {model.alias for model in models.values()}
    lacking = [throwaway for throwaway in throwaways if throwaway.name not in there]
    results = await together(_created(throwaway, models, rotation, world) for throwaway in lacking)
    refused = {one.name: result for one, result in zip(lacking, results, strict=True) if isinstance(result, ApiError)}
    old = [one.name for one, is_new in zip(lacking, results, strict=True) if only_new and is_new is False]
    return refused | dict.fromkeys(old, ApiError("it was there before"))


async def _created(
    throwaway: Throwaway, known: Mapping[str, Model], rotation: Rotation, world: World
) -> bool | ApiError:
    """Create a throw-away model; return whether it is new, or why AISIX refused it."""
    like = known.get(throwaway.sample)
    sample = next((model for model in rotation.plan.models if model.id == throwaway.sample), None)
    if caught := _caught_by(throwaway, known.values()):
        return ApiError(f"`{caught}` answers for every name, so nothing shows who did")
    if like is None or sample is None:
        return True
    try:
        upstream = world.gateways.upstream(sample)
        return await world.control_plane.create_model(like, throwaway.name, str(rotation.replacement_id), upstream)
    except Uncertain:
        raise
    except ApiError as refusal:
        return refusal


def _caught_by(throwaway: Throwaway, known: Iterable[Model]) -> str | None:
    """Return the wildcard alias that would answer for a throw-away model that is not synced yet."""
    here = (model.alias for model in known if model.environment == throwaway.environment)
    return next((alias for alias in here if "*" in alias and matches(alias, throwaway.name)), None)


def impossible(refusal: ApiError) -> str:
    """Say why there can be no throw-away models."""
    return f"AISIX refuses to create models ({refusal.status})" if refusal.status else str(refusal)


async def without_throwaways(rotation: Rotation, inventory: Inventory, world: World) -> tuple[Rotation, Inventory]:
    """Delete every throw-away model of this rotation, including those left by a crash; return what remains of both."""
    mine = throwaways_of(rotation.id, rotation.own_keys(inventory.keys), inventory)
    await together(world.control_plane.delete_model(model.id, model.environment) for model in mine)
    gone = {model.id for model in mine}
    left = tuple(model for model in inventory.models if model.id not in gone)
    return rotation.but(barriers=()), inventory.but(models=left)


def samples(rotation: Rotation, world: World) -> Iterator[AffectedModel]:
    """Yield the models that a throw-away model can represent: probed, and not failing before the rotation."""
    for model in askable_by_name(rotation, world):
        before = rotation.finding(model).baseline
        if before is None or before.passed or not before.is_of_model:
            yield model


def askable_by_name(rotation: Rotation, world: World) -> Iterator[AffectedModel]:
    """Yield the models that can be probed."""
    for model in rotation.plan.models:
        if model.environment not in world.gateways.environments or world.gateways.lacks_a_name(model):
            continue
        if world.gateways.endpoint(model):
            yield model


MOST = 10
"""Throw-away models in one rehearsal; the verification covers any upstream model beyond that."""


def likenesses(rotation: Rotation, world: World) -> list[AffectedModel]:
    """Return one model for each environment, endpoint and upstream model: others like it behave the same.

    If there are too many, every environment gets a share.
    """
    found: dict[str, dict[tuple[str, str], AffectedModel]] = {}
    for model in (*samples(rotation, world), *askable_by_name(rotation, world)):
        likeness = (world.gateways.endpoint(model), world.gateways.upstream(model))
        found.setdefault(model.environment, {}).setdefault(likeness, model)
    rounds = zip_longest(*(some.values() for some in found.values()))
    return [model for some in rounds for model in some if model is not None][:MOST]
