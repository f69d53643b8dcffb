"""A gateway replica's configuration, and how it takes changes."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Protocol

from sandbox.aisix.rows import Fields
from sandbox.aisix.store import Change, clock

TABLES = ("provider_keys", "models", "passthrough_routes", "cache_policies")


def _empty() -> Mapping[str, Mapping[str, Fields]]:
    return {table: {} for table in TABLES}


@dataclass(frozen=True)
class Snapshot:
    """An immutable state of the configuration; a request uses the same one until its end."""

    tables: Mapping[str, Mapping[str, Fields]] = field(default_factory=_empty)
    revision: int = 0
    apply_seq: int = 0
    applied_at: str | None = None

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return {model["display_name"]: row for row, model in self.tables["models"].items()}

    @cached_property
    def _wildcards(self) -> list[str]:
        return [name for name in self._aliases if "*" in name]

    def find(self, alias: str) -> str | None:
        """Return the id of the model for *alias*: by exact name, else by a wildcard."""
        exact = self._aliases.get(alias)
        if exact is not None:
            return exact
        return next((self._aliases[name] for name in self._wildcards if fnmatchcase(alias, name)), None)

    def route(self, path: str) -> Fields | None:
        """Return the passthrough route for *path*."""
        routes = self.tables["passthrough_routes"].values()
        return next((route for route in routes if path.startswith(route["path"])), None)

    @property
    def counts(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in self.tables.items() if rows}

    @cached_property
    def config_hash(self) -> str:
        """A hash that is equal on replicas with the same documents."""
        return hashlib.sha256(json.dumps(self.tables, sort_keys=True).encode()).hexdigest()

    def pointing(self, keys: Mapping[str, str]) -> "Snapshot":
        """Return a copy with some models on other keys."""
        models = self.tables["models"]
        moved = {row: models[row] | {"provider_key_id": key} for row, key in keys.items() if row in models}
        return replace(self, tables={**self.tables, "models": {**models, **moved}}) if moved else self

    def taking(self, changes: Iterable[Change], revision: int) -> "Snapshot":
        """Return a copy with *changes*; its sequence grows only if a document changed."""
        tables = {table: dict(rows) for table, rows in self.tables.items()}
        moved = [_put(tables[change.table], change) for change in changes if change.table in tables]
        if not any(moved):
            return replace(self, revision=revision)
        return Snapshot(tables, revision, self.apply_seq + 1, clock())


def _put(rows: dict[str, Fields], change: Change) -> bool:
    before = rows.get(change.id)
    if change.fields is None:
        rows.pop(change.id, None)
    else:
        rows[change.id] = change.fields
    return before != change.fields


class Rejects(Protocol):
    """Tells whether a change is refused; `new` means that the row was not here before."""

    def __call__(self, change: Change, *, new: bool) -> bool: ...


@dataclass
class Projection:
    """Takes changes in revision order; after a rejected row, the last good one silently stays active."""

    rejects: Rejects

    snapshot: Snapshot = field(default_factory=Snapshot)
    rejected: dict[str, Change] = field(default_factory=dict)
    position: int = 0
    observed_at: float = field(default_factory=time.time)
    """When the last change arrived."""

    def apply(self, changes: list[Change]) -> None:
        if not changes:
            return
        self.position += len(changes)
        self.observed_at = time.time()
        taken = [change for change in changes if self._takes(change)]
        self.snapshot = self.snapshot.taking(taken, max(changes[-1].revision, self.snapshot.revision))

    def reload(self) -> None:
        """Restart with the current configuration."""
        self.snapshot = replace(self.snapshot, apply_seq=1)

    def retry(self) -> None:
        """Retry the rejected rows, as a full reload does."""
        waiting = list(self.rejected.values())
        taken = [change for change in waiting if self._takes(change)]
        if taken:
            self.snapshot = self.snapshot.taking(taken, self.snapshot.revision)

    def _takes(self, change: Change) -> bool:
        self.rejected.pop(change.id, None)
        if change.fields is None or (change.table in TABLES and not self.rejects(change, new=not self.holds(change))):
            return True
        self.rejected[change.id] = change
        return False

    def holds(self, change: Change) -> bool:
        """Tell whether an earlier state of the row is active."""
        return change.id in self.snapshot.tables.get(change.table, {})

    @property
    def source_hash(self) -> str:
        """The hash of the source's content, both taken and rejected."""
        refused = sorted(self.rejected)
        whole = f"{self.snapshot.config_hash} {refused}" if refused else None
        return hashlib.sha256(whole.encode()).hexdigest() if whole else self.snapshot.config_hash
