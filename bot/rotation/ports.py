"""What a gateway product offers and what else the steps get: Protocols, and the types of their questions. Pure.

Calls raise the errors of `bot.rotation.errors`; a control plane without a usable answer raises `Uncertain`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from pydantic import SecretStr

from bot.rotation.errors import LeaseLost, Unanswerable
from bot.rotation.evidence import Evidence
from bot.rotation.holds import KeyHold
from bot.rotation.inventory import Inventory, Model, ProviderKey
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica

Clock = Callable[[], datetime]


class ControlPlane(Protocol):
    """Where provider keys and models are configured."""

    async def inventory(self) -> Inventory:
        """Read everything that can refer to a provider key; the result names the lists that could not be read."""

    async def keys(self) -> tuple[ProviderKey, ...]:
        """List the provider keys."""

    async def key_dates(self) -> Mapping[str, datetime | None]:
        """Return when each provider key was created, by id; None where that is not known."""

    async def models(self, environments: Iterable[str]) -> tuple[Model, ...]:
        """List the models of some environments."""

    async def is_gone(self, key_id: str, beside: str | None) -> bool:
        """Return whether a provider key missing from one list is gone, by more evidence than that list."""

    async def create_key(
        self, old: ProviderKey, name: str, environments: Iterable[str], secret: SecretStr
    ) -> str | None:
        """Create the replacement of *old*, sent once; return its id, or None if the answer lacks it."""

    async def allow_key(self, key: ProviderKey, environments: Iterable[str]) -> None:
        """Allow *key* in *environments* as well."""

    async def point(self, model: str, environment: str, key_id: str) -> None:
        """Point a model at a provider key; repeating it does no harm."""

    async def create_model(self, like: Model, name: str, key_id: str, upstream: str) -> bool:
        """Create a model called *name*, like another but for its key; return False if one of that name exists."""

    async def delete_model(self, model: str, environment: str) -> None:
        """Delete a model; if it is gone already, that is no error."""

    async def delete_key(self, key_id: str, within: float | None = None) -> bool:
        """Delete a provider key with one request, given up after *within* seconds; return whether the key existed."""


class Gateways(Protocol):
    """The gateways, which answer callers and our test requests."""

    @property
    def environments(self) -> frozenset[str]:
        """Return the ids of the environments that have a gateway in the settings."""

    def lacks_a_name(self, model: AffectedModel) -> bool:
        """Return whether a model's wildcard needs a concrete name in the settings before it can be probed."""

    def name(self, model: AffectedModel) -> str:
        """Return the name under which a model is probed; empty if it is not probed or has none."""

    def endpoint(self, model: AffectedModel) -> str:
        """Return the endpoint that a model is probed at; empty if the model is not probed."""

    def upstream(self, model: AffectedModel) -> str:
        """Return the upstream model that a test request for a model reaches."""

    async def probe(self, model: AffectedModel, tag: str, *, under: str = "") -> Evidence:
        """Send one test request for a model, or *under* another name; return what it proves. Never raises."""

    def is_always_counted(self, model: AffectedModel) -> bool:
        """Return whether every gateway version counts test requests for a model."""

    def bars_throwaways(self, answer: Evidence) -> bool:
        """Return whether an answer says that the caller key may not use throw-away models."""

    def may_keep_tokens(self, answer: Evidence) -> bool:
        """Return whether the gateway that answered may still use a token for the previous secret."""


class Keys(NamedTuple):
    """The names of a rotation's two keys in the counters' labels: ids or display names."""

    old: frozenset[str]
    new: frozenset[str]


class Asked(NamedTuple):
    """What one rotation asks of a replica."""

    keys: Keys
    models: tuple[AffectedModel, ...]
    ids: tuple[str, ...]
    """Ids of rows that must not be among the rejected ones."""

    throwaways: str
    """The prefix of the names of this rotation's throw-away models."""

    callers: tuple[str, ...] = ()
    """The ids of our caller key that an environment's counters have shown so far."""

    aliases: tuple[str, ...] = ()
    """Aliases of routers that the result may name."""


class StatusPages(Protocol):
    """Each replica's own page with its configuration and counters. A product may offer none: no addresses."""

    def addresses(self, environment: str) -> tuple[str, ...]:
        """Return the status addresses of an environment."""

    def replicas(self, environment: str) -> int:
        """Return the number of replicas of an environment, as far as the settings give it."""

    def says_how_many(self, environment: str) -> bool:
        """Return whether the settings give the number of replicas of an environment."""

    async def watch(self, environments: Iterable[str]) -> None:
        """Check early whether each status address shows one replica, so that the next look need not wait for it."""

    async def look(self, environment: str, asked: Asked) -> tuple[Replica, ...]:
        """Read every replica of an environment once. Never raises: the result also has replicas that failed."""


class Moment(Protocol):
    """A moment at which this process certainly held the lease."""

    def until(self, later: Self) -> float:
        """Return the seconds from this moment until a *later* one."""

    @property
    def left(self) -> float:
        """Return the seconds for which the lease is still certain."""


class Hold(Protocol):
    """The lease; a step verifies it before an action that can't be undone."""

    @property
    def mark(self) -> str:
        """Return the name of this acquisition of the lease; each has its own."""

    async def verified(self, version: int | None = None) -> Moment:
        """Return a moment at which nobody else held the rotation; raise `LeaseLost` if somebody does."""


class KeyHolds(Protocol):
    """Tells which keys people keep from being deleted. Raises `Unanswerable` if that is unknown."""

    async def hold_on(self, key_id: str, now: datetime) -> KeyHold | None:
        """Return the hold that counts for a key *now*, if there is one."""


NO_STORE = "This process has no store."


class NoHolds:
    """The holds of a process that has no store: it can't tell, so it deletes no old key."""

    async def hold_on(self, _: str, __: datetime) -> KeyHold | None:
        """Refuse."""
        raise Unanswerable(NO_STORE)


NO_HOLDS = NoHolds()


class RowOwners(Protocol):
    """Tells which keys have a credential. Raises `Unanswerable` if that is unknown."""

    async def is_shared(self, rotation: Rotation, row_id: str) -> bool:
        """Return whether a key other than that of *rotation*'s task may be in use with the credential *row_id*."""


class NoOwners:
    """The owners in a process that has no store: it can't tell, so it revokes nothing."""

    async def is_shared(self, _: Rotation, __: str) -> bool:
        """Refuse."""
        raise Unanswerable(NO_STORE)


NO_OWNERS = NoOwners()


class Unheld:
    """No lease at all: actions that need one are refused."""

    mark = ""

    async def verified(self, version: int | None = None) -> Moment:
        """Refuse."""
        raise LeaseLost(f"Nobody has this rotation in hand (version {version}).")


UNHELD = Unheld()


class Reviewer(Protocol):
    """Says whether people may still do what they did. Raises `Unanswerable` if that is unknown."""

    async def reviewed(self, rotation: Rotation, now: datetime) -> Rotation:
        """Return *rotation* under today's rules, without the approvals that those people could no longer give."""

    async def started(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under today's rules, without the starts that those people could no longer give."""

    def governed(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under the stricter of its policy and today's for its plan; its approvals stay."""
