"""The control plane's rows, and the log that gateways follow."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.aisix.pulse import Pulse
from sandbox.aisix.rows import (
    Budget,
    CachePolicy,
    Fields,
    Model,
    PassthroughRoute,
    ProviderKey,
    Row,
    new_id,
    stamp,
)


def clock(seconds: float | None = None) -> str:
    """Format a moment (by default now) as the status pages do: to the second."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Change:
    """One row from *revision* on; `fields` is None if it was deleted or hidden from the environment."""

    revision: int
    table: str
    id: str
    fields: Fields | None
    at: float = field(default_factory=time.monotonic)
    seen_at: float = field(default_factory=time.time)


@dataclass(eq=False)
class CallerKey:
    """A caller's token for a gateway, and the aliases that it may use."""

    token: str
    name: str
    allowed: list[str]
    denied: list[str] = field(default_factory=list)
    state: str = "active"
    """`active`, `expired` or `disabled`."""

    limit: int | None = None
    """How many requests per window it may send to each replica."""

    id: str = field(default_factory=new_id)
    """Its `api_key_id` in the counters."""


@dataclass(eq=False)
class Environment:
    """An environment, its change log, and settings that its gateways share."""

    name: str
    id: str = field(default_factory=new_id)
    log: list[Change] = field(default_factory=list)
    callers: dict[str, CallerKey] = field(default_factory=dict)
    probes: dict[str, str] = field(default_factory=dict)
    """Copied into `AISIX_GATEWAYS`."""

    is_visible: bool = True
    """Whether the control plane shows it; its gateways run in any case."""

    cache: bool | str = False
    """`True`: the cache answers exact matches; `"semantic"`: similar prompts too."""

    answers: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    """Alias (or `*`) to a refusal in `errors.REFUSALS`."""


class Store:
    """Keeps every row and appends every write to the log of each environment that may see it."""

    def __init__(self, environments: Iterable[Environment], pulse: Pulse) -> None:
        self.environments = {environment.id: environment for environment in environments}
        self.provider_keys: dict[str, ProviderKey] = {}
        self.models: dict[str, Model] = {}
        self.passthrough_routes: dict[str, PassthroughRoute] = {}
        self.cache_policies: dict[str, CachePolicy] = {}
        self.budgets: dict[str, Budget] = {}
        self.revision = 0
        self.pulse = pulse

    def table(self, name: str) -> dict[str, Any]:
        rows: dict[str, Any] = getattr(self, name)
        return rows

    def add(self, row: Row) -> None:
        self.table(row.table)[row.id] = row
        self._log(row, hidden=set())

    def edit(self, row: Row, changes: Fields) -> None:
        """Write *changes* over the row's fields."""
        before = self._seen_in(row)
        row.fields = row.fields | changes
        row.updated_at = stamp()
        self._log(row, hidden=before - self._seen_in(row))

    def remove(self, row: Row) -> None:
        del self.table(row.table)[row.id]
        self._append(row, hidden=self._seen_in(row), seen=set())

    def add_foreign(self, kind: str, row_id: str, environment_id: str) -> None:
        """Write a row of a kind that the gateways do not know."""
        self.revision += 1
        self.environments[environment_id].log.append(Change(self.revision, kind, row_id, {}))
        self.pulse.beat("row", None)

    def references(self, key: ProviderKey) -> list[Row]:
        """Return the rows that refer to *key*."""
        holders: list[Row] = [*self.models.values(), *self.passthrough_routes.values()]
        return [row for row in holders if row.provider_key_id == key.id]

    def models_of(self, environment_id: str) -> list[Model]:
        return [model for model in self.models.values() if model.environment_id == environment_id]

    def _seen_in(self, row: Row) -> set[str]:
        seen = row.allowed_environments if isinstance(row, ProviderKey) else [row.environment_id]
        return set(seen) & self.environments.keys()

    def _log(self, row: Row, hidden: set[str]) -> None:
        self._append(row, hidden, self._seen_in(row))

    def _append(self, row: Row, hidden: set[str], seen: set[str]) -> None:
        self.revision += 1
        for environment_id in hidden | seen:
            fields = row.fields if environment_id in seen else None
            change = Change(self.revision, row.table, row.id, fields)
            self.environments[environment_id].log.append(change)
        self.pulse.beat("row", row)
