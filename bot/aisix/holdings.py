"""Read what an environment holds that can refer to a provider key, from the rows of its lists. Pure."""

from typing import NamedTuple, TypeVar

from bot.aisix import reading
from bot.aisix.reading import Json
from bot.rotation.inventory import POLICIES, ROUTES, Model, PassthroughRoute, Unlisted


class Held(NamedTuple):
    """The rows of one environment's lists; None for a list that the tenant does not have."""

    models: list[Json]
    policies: list[Json] | None
    routes: list[Json] | None


class Part(NamedTuple):
    """What one environment holds, and which of its lists could not be read."""

    models: list[Model]
    routes: list[PassthroughRoute]
    unlisted: list[Unlisted]


def listed(held: Held | BaseException) -> Held:
    """Return what an environment holds, or raise the error that kept it from being listed."""
    if isinstance(held, BaseException):
        raise held
    return held


def part_of(env: str, held: Held, names: reading.KeyNames) -> Part:
    """Parse what the environment *env* holds."""
    read = [_referring(reading.model(row, env), row, names) for row in held.models]
    read += [_referring(reading.cache_policy(row, env), row, names) for row in held.policies or ()]
    return Part(
        read,
        [_referring(reading.passthrough_route(row, env), row, names) for row in held.routes or ()],
        [*missing(ROUTES, held.routes, env), *missing(POLICIES, held.policies, env)],
    )


def missing(kind: str, found: list[Json] | None, environment: str = "") -> list[Unlisted]:
    """Return the entry for a list that could not be read; nothing if it was *found*."""
    return [Unlisted(kind=kind, environment=environment)] if found is None else []


Thing = TypeVar("Thing", Model, PassthroughRoute)


def _referring(thing: Thing, row: Json, names: reading.KeyNames) -> Thing:
    """Return *thing*, read from *row*, with every provider key that the row refers to."""
    return thing.but(provider_key=names.resolved(thing.provider_key), mentions=names.mentioned(row))
