"""What an environment holds that can refer to a provider key, from the rows of its lists. Pure."""

from typing import NamedTuple, TypeVar

from bot.aisix import reading
from bot.aisix.reading import Json
from bot.rotation.inventory import POLICIES, ROUTES, Model, PassthroughRoute, Unlisted


class Held(NamedTuple):
    """The rows of one environment's lists; None for one that the tenant does not have."""

    models: list[Json]
    policies: list[Json] | None
    routes: list[Json] | None


class Part(NamedTuple):
    """What one environment holds, and what could not be listed of it."""

    models: list[Model]
    routes: list[PassthroughRoute]
    unlisted: list[Unlisted]


def listed(held: Held | BaseException) -> Held:
    """Return what an environment holds, or raise why it could not be listed."""
    if isinstance(held, BaseException):
        raise held
    return held


def part_of(env: str, held: Held, names: reading.KeyNames) -> Part:
    """Read what the environment *env* holds."""
    read = [_referring(reading.model(row, env), row, names) for row in held.models]
    read += [_referring(reading.cache_policy(row, env), row, names) for row in held.policies or ()]
    return Part(
        read,
        [_referring(reading.passthrough_route(row, env), row, names) for row in held.routes or ()],
        [*missing(ROUTES, held.routes, env), *missing(POLICIES, held.policies, env)],
    )


def missing(kind: str, found: list[Json] | None, environment: str = "") -> list[Unlisted]:
    """Say that a list cannot be read, where it was not *found*."""
    return [Unlisted(kind=kind, environment=environment)] if found is None else []


Thing = TypeVar("Thing", Model, PassthroughRoute)


def _referring(thing: Thing, row: Json, names: reading.KeyNames) -> Thing:
    """Return what was read of *row* with every provider key that it refers to."""
    return thing.but(provider_key=names.resolved(thing.provider_key), mentions=names.mentioned(row))
