"""What a gateway product has to offer, and what else the steps are given: Protocols, and the questions they take. Pure.

Calls raise the errors of `bot.rotation.errors`; a control plane that gives no usable answer raises `Uncertain`.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from pydantic import SecretStr

from bot.rotation.errors import LeaseLost
from bot.rotation.evidence import Evidence
from bot.rotation.inventory import Inventory, Model, ProviderKey
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica

Clock = Callable[[], datetime]


class ControlPlane(Protocol):
    """Where provider keys and models are set."""

    async def inventory(self) -> Inventory:
        """Read everything that can refer to a provider key, and say which lists could not be read."""

    async def keys(self) -> tuple[ProviderKey, ...]:
        """List the provider keys."""

    async def models(self, environments: Iterable[str]) -> tuple[Model, ...]:
        """List the models of some environments."""

    async def is_gone(self, key_id: str, beside: str | None) -> bool:
        """Tell whether a provider key that one list lacks is gone, by more than that list."""

    async def create_key(
        self, old: ProviderKey, name: str, environments: Iterable[str], secret: SecretStr
    ) -> str | None:
        """Create the replacement of *old*, sent once; return its id, or None when the answer does not hold it."""

    async def allow_key(self, key: ProviderKey, environments: Iterable[str]) -> None:
        """Allow *key* in *environments* as well."""

    async def point(self, model: str, environment: str, key_id: str) -> None:
        """Point a model at a provider key; pointing it there twice is harmless."""

    async def create_model(self, like: Model, name: str, key_id: str, upstream: str) -> bool:
        """Create a model called *name*, like another but for its key; return False where one of that name is there."""

    async def delete_model(self, model: str, environment: str) -> None:
        """Delete a model; one that is gone is no error."""

    async def delete_key(self, key_id: str, within: float | None = None) -> bool:
        """Delete a provider key, asked once and given up after *within* seconds; return whether it was there."""


class Gateways(Protocol):
    """Where callers, and our test requests, get their answers."""

    @property
    def environments(self) -> frozenset[str]:
        """Return the ids of the environments that have a gateway in the settings."""

    def lacks_a_name(self, model: AffectedModel) -> bool:
        """Tell whether a model cannot be asked before the settings name a concrete model for its wildcard."""

    def endpoint(self, model: AffectedModel) -> str:
        """Name the endpoint that a model is asked at; empty where it is not asked."""

    def upstream(self, model: AffectedModel) -> str:
        """Name the upstream model that a test request for a model reaches."""

    async def probe(self, model: AffectedModel, tag: str, *, under: str = "") -> Evidence:
        """Send one test request for a model, or *under* another name, and say what it proves. Never raises."""

    def is_always_counted(self, model: AffectedModel) -> bool:
        """Tell whether every gateway, of whatever version, counts what a model is asked."""

    def bars_throwaways(self, answer: Evidence) -> bool:
        """Tell whether an answer says that the caller key may not use throw-away models."""

    def may_keep_tokens(self, answer: Evidence) -> bool:
        """Tell whether the gateway that answered may go on with a token of the secret before."""

    async def caller_key_works(self, environment: str) -> int:
        """Ask a gateway for its models with the caller key; return the HTTP status."""


class Keys(NamedTuple):
    """What the two keys of a rotation are called in the counters' labels: by id, or by name."""

    old: frozenset[str]
    new: frozenset[str]


class Asked(NamedTuple):
    """What one rotation wants to know of a replica."""

    keys: Keys
    models: tuple[AffectedModel, ...]
    ids: tuple[str, ...]
    """Ids of rows that must not be among the rejected."""

    throwaways: str
    """What the names of this rotation's throw-away models begin with."""

    callers: tuple[str, ...] = ()
    """The ids of our caller key, as far as an environment's counters have shown them."""

    aliases: tuple[str, ...] = ()
    """Aliases of routers that may be named."""


class StatusPages(Protocol):
    """Where each replica of a gateway shows what it has and what it counted. A product may offer none: no addresses."""

    def addresses(self, environment: str) -> tuple[str, ...]:
        """Return the status addresses of an environment."""

    def replicas(self, environment: str) -> int:
        """Say how many replicas an environment has, as far as the settings tell."""

    def says_how_many(self, environment: str) -> bool:
        """Tell whether the settings say how many replicas an environment has."""

    async def watch(self, environments: Iterable[str]) -> None:
        """See whether each status address shows one replica, so that the look after it need not wait for that."""

    async def look(self, environment: str, asked: Asked) -> tuple[Replica, ...]:
        """Look once at every replica of an environment. Never raises: what cannot be seen is part of what was seen."""

    async def answers(self, url: str) -> tuple[int, int]:
        """Ask a status address; return the HTTP status of its configuration and its counters. Raises httpx's errors."""

    async def contradictions(self, environment: str) -> dict[str, str]:
        """Look many times at each status address; say what is wrong with those that are not well."""


class Moment(Protocol):
    """When it was certain that nobody else has the rotation in hand."""

    def until(self, later: Self) -> float:
        """Return the seconds from this moment until a *later* one."""

    @property
    def left(self) -> float:
        """Return the seconds in which it stays certain."""


class Hold(Protocol):
    """The lease: what a step asks before it does what cannot be taken back."""

    async def verified(self, version: int | None = None) -> Moment:
        """Return when it was certain that nobody else has the rotation in hand; raise `LeaseLost` if somebody has."""


class Unheld:
    """No hold at all: what needs one does not happen."""

    async def verified(self, version: int | None = None) -> Moment:
        """Refuse."""
        raise LeaseLost(f"Nobody has this rotation in hand (version {version}).")


UNHELD = Unheld()


class Reviewer(Protocol):
    """Who tells whether people may still do what they did. Raises `Unanswerable` where that cannot be told."""

    async def reviewed(self, rotation: Rotation, now: datetime) -> Rotation:
        """Return *rotation* under the rules of today, without the approvals that nobody could give any more."""
