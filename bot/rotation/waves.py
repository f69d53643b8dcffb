"""The order in which models move. Pure: makes waves from a plan and the known traffic."""

from collections.abc import Iterable, Iterator, Sequence

from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation

Wave = tuple[AffectedModel, ...]


def waves(rotation: Rotation, order: Sequence[str], sizes: Sequence[int]) -> tuple[Wave, ...]:
    """Return the affected models in the waves of their cut-over: by environment, the least used first.

    *order* names environments (or their ids) that come first. *sizes* are those of each environment's first waves; the
    rest is the last wave. Without a rehearsal, the first wave is a single model, in place of one. A leak that was
    reported in time moves each environment in one wave.
    """
    sizes = () if rotation.exposed and rotation.exposed.at_once else sizes
    sizes = sizes or ((1,) if rotation.unrehearsed else ())
    environments = sorted(rotation.plan.environments, key=lambda id_: _place(rotation, id_, order))
    return tuple(wave for id_ in environments for wave in _cut(_by_traffic(rotation, id_), sizes))


def in_play(rotation: Rotation, order: Sequence[str], sizes: Sequence[int]) -> Wave:
    """Return the models of the current wave and of all earlier ones, in the plan's order."""
    now = {model.id for wave in waves(rotation, order, sizes)[: rotation.wave + 1] for model in wave}
    return tuple(model for model in rotation.plan.models if model.id in now)


def _place(rotation: Rotation, environment: str, order: Sequence[str]) -> tuple[int, str]:
    """Return the place of an environment: first by the settings, then by name."""
    name = rotation.plan.environments[environment]
    places = [place for place, wanted in enumerate(order) if wanted in (environment, name)]
    return (places[0] if places else len(order), name)


def _by_traffic(rotation: Rotation, environment: str) -> list[AffectedModel]:
    """Return the models of an environment, those with the least traffic first."""
    models = [model for model in rotation.plan.models if model.environment == environment]
    return sorted(models, key=lambda m: (_traffic(rotation, m), m.alias, m.id))


def _traffic(rotation: Rotation, model: AffectedModel) -> float:
    """Return the requests counted for a model; a model without counts comes last."""
    known = rotation.finding(model).traffic
    return float("inf") if known is None else known


def _cut(models: list[AffectedModel], sizes: Iterable[int]) -> Iterator[Wave]:
    left = models
    for size in sizes:
        if len(left) > size:
            yield tuple(left[:size])
            left = left[size:]
    if left:
        yield tuple(left)
