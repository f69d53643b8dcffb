"""Lists that AISIX can't give, and the counters that have to replace them before the delete."""

from collections.abc import Mapping
from typing import NamedTuple

from bot.rotation.errors import Blocked
from bot.rotation.inventory import Unlisted
from bot.rotation.plan import named_lists
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.world import World


class Coverage(NamedTuple):
    """The status addresses of one environment, and the number of its replicas."""

    addresses: tuple[str, ...] = ()
    replicas: int = 1


def uncovered(rotation: Rotation, coverage: Mapping[str, Coverage]) -> tuple[Unlisted, ...]:
    """Return the unreadable lists of environments whose counters do not show, on every replica, an unused old key.

    An environment without a gateway in the settings has no counters; it matters only if the old key is allowed there.
    """
    silent = {(one.environment, one.url) for one in rotation.silences if not one.count and not one.is_deaf}
    deaf = [
        environment
        for environment in rotation.plan.tenant
        if (environment in coverage or _is_allowed(rotation, environment))
        and not _is_silent(environment, coverage.get(environment, Coverage()), silent)
    ]
    return tuple(Unlisted(kind=kind, environment=e) for e in deaf for kind in rotation.plan.unlisted_in(e))


def _is_allowed(rotation: Rotation, environment: str) -> bool:
    allowed = rotation.plan.old_key.allowed_environments
    return not allowed or bool({environment, rotation.plan.environment_name(environment)} & {*allowed})


def _is_silent(environment: str, coverage: Coverage, silent: set[tuple[str, str]]) -> bool:
    every = {(environment, address) for address in coverage.addresses}
    return len(every) >= coverage.replicas and every <= silent


def coverage_of(world: World) -> dict[str, Coverage]:
    """Return the status addresses and the numbers of replicas in the settings."""
    status = world.status
    return {id_: Coverage(status.addresses(id_), status.replicas(id_)) for id_ in world.gateways.environments}


def refuse_uncovered(rotation: Rotation, world: World) -> None:
    """Stop if something may use the old key unnoticed. Nobody can accept that, as nobody knows what it is."""
    missing = uncovered(rotation, coverage_of(world))
    if missing:
        places = ", ".join(dict.fromkeys(f"`{rotation.plan.environment_name(m.environment)}`" for m in missing))
        lists = named_lists(missing, rotation.plan)
        raise Blocked(Cause.UNHEARD, after=rotation, lists=lists, environments=places)
