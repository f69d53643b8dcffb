"""Lists that AISIX does not have, and the counters that have to stand in for them before the old key goes."""

from collections.abc import Mapping
from typing import NamedTuple

from bot.rotation.errors import Blocked
from bot.rotation.inventory import Unlisted
from bot.rotation.plan import named_lists
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.world import World


class Ears(NamedTuple):
    """Where the replicas of one environment can be heard: their status addresses, and how many replicas there are."""

    addresses: tuple[str, ...] = ()
    replicas: int = 1


def unheard(rotation: Rotation, ears: Mapping[str, Ears]) -> tuple[Unlisted, ...]:
    """Return the lists that cannot be read where not every replica is heard, and silent on the old key.

    An environment without a gateway in the settings cannot be heard; the old key matters there only if it is allowed.
    """
    silent = {(one.environment, one.url) for one in rotation.silences if not one.count and not one.is_deaf}
    deaf = [
        environment
        for environment in rotation.plan.tenant
        if (environment in ears or _is_allowed(rotation, environment))
        and not _is_heard(environment, ears.get(environment, Ears()), silent)
    ]
    return tuple(Unlisted(kind=kind, environment=e) for e in deaf for kind in rotation.plan.unlisted_in(e))


def _is_allowed(rotation: Rotation, environment: str) -> bool:
    allowed = rotation.plan.old_key.allowed_environments
    return not allowed or bool({environment, rotation.plan.environment_name(environment)} & {*allowed})


def _is_heard(environment: str, ears: Ears, silent: set[tuple[str, str]]) -> bool:
    every = {(environment, address) for address in ears.addresses}
    return len(every) >= ears.replicas and every <= silent


def ears_of(world: World) -> dict[str, Ears]:
    """Return where the settings say that replicas can be heard."""
    status = world.status
    return {id_: Ears(status.addresses(id_), status.replicas(id_)) for id_ in world.gateways.environments}


def refuse_unheard(rotation: Rotation, world: World) -> None:
    """Stop where something may use the old key unseen and unheard. Nobody can accept that: it is not known what."""
    missing = unheard(rotation, ears_of(world))
    if missing:
        places = ", ".join(dict.fromkeys(f"`{rotation.plan.environment_name(m.environment)}`" for m in missing))
        lists = named_lists(missing, rotation.plan)
        raise Blocked(Cause.UNHEARD, after=rotation, lists=lists, environments=places)
