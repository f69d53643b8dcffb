"""A replica's status port: unauthenticated, for operators. Its pages have the shape of a real gateway's."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from aiohttp import web

from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.rows import Fields
from sandbox.aisix.serving import answer, drop
from sandbox.aisix.snapshot import TABLES, Projection
from sandbox.aisix.store import Change, Environment, clock
from sandbox.aisix.telemetry import Family, gauge, page

VIRTUAL = ("routing", "semantic", "ensemble")
DEGRADED_AFTER = 10.0
"""Seconds after which a gateway with a closed source says `degraded` instead of `synced`."""

UNREACHABLE = {"last_error_kind": "fetch", "last_error": "configuration source unreachable"}
TEXT = "text/plain; version=0.0.4"


class Shown(Protocol):
    """What the pages need to know about a replica."""

    environment: Environment
    projection: Projection
    metrics_available: bool
    unknown_fields: set[str]
    status_available: bool
    closed_at: float | None

    @property
    def down(self) -> bool: ...

    @property
    def cut_off(self) -> bool: ...


class Status:
    """The pages of one replica."""

    def __init__(self, replica: Shown, dispatcher: Dispatcher) -> None:
        self._replica, self._dispatcher = replica, dispatcher

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page, if this gateway version has it."""
        if self._replica.down:
            return drop(request)
        pages = self._pages()
        if request.path not in pages:
            raise web.HTTPNotFound
        return pages[request.path]()

    def _pages(self) -> dict[str, Callable[[], web.Response]]:
        metrics = {"/metrics": self._metrics} if self._replica.metrics_available else {}
        since = self._dispatcher.switches.since
        if not self._replica.status_available or not since(0, 4):
            return metrics
        models = {"/status/models": self._models} if since(0, 5) else {}
        return {"/status/config": self._config, "/status/ready": self._ready, **models, **metrics}

    def _config(self) -> web.Response:
        failure = self._failure()
        return answer(
            {
                "state": self._state(),
                "source": self._source(),
                "applied": self._applied(),
                "last_reload": {"successful": failure is None, "at": clock(self._replica.projection.observed_at)},
                "last_failure": failure,
                "rejected": [self._rejection(change) for change in self._rejected()],
                "partially_compatible": self._partially_compatible(),
            }
        )

    def _source(self) -> Fields:
        """Return what the page says about the source; it never shows a revision beyond the applied one."""
        projection = self._replica.projection
        return {
            "type": "etcd",
            "connected": not self._replica.cut_off,
            "observed_revision": projection.snapshot.revision,
            "source_hash": projection.source_hash,
            "observed_at": clock(projection.observed_at),
        }

    def _applied(self) -> Fields | None:
        snapshot = self._replica.projection.snapshot
        if not snapshot.apply_seq:
            return None
        callers = len(self._replica.environment.callers)
        return {
            "applied_revision": snapshot.revision,
            "config_hash": snapshot.config_hash,
            "apply_seq": snapshot.apply_seq,
            "applied_at": snapshot.applied_at,
            "resource_counts": ({"api_keys": callers} if callers else {}) | snapshot.counts,
        }

    def _state(self) -> str:
        """Return the state; a replica that lags or hears nothing says `synced`, as it has applied all it knows."""
        projection = self._replica.projection
        if not projection.snapshot.apply_seq:
            return "never_loaded"
        loaded = bool(projection.snapshot.counts)
        if projection.rejected:
            return "degraded" if loaded else "out_of_sync"
        closed = time.monotonic() - (self._replica.closed_at or time.monotonic())
        if closed > DEGRADED_AFTER:
            return "degraded"
        return "synced" if loaded else "empty"

    def _failure(self) -> Fields | None:
        if self._replica.cut_off:
            return {"at": clock(), **UNREACHABLE}
        first = next(iter(self._rejected()), None)
        return {"at": clock(first.seen_at), **_error(first)} if first else None

    def _rejected(self) -> list[Change]:
        return sorted(self._replica.projection.rejected.values(), key=lambda change: (change.table, change.id))

    def _rejection(self, change: Change) -> Fields:
        """Return one rejection; an older row that still serves shows only by its age."""
        seen = clock(change.seen_at)
        stale = {"serving_stale_since": seen, "serving_stale_age_seconds": int(time.time() - change.seen_at)}
        return {
            **self._name(change),
            **_error(change),
            "first_seen_at": seen,
            "last_seen_at": seen,
            **(stale if self._replica.projection.holds(change) else {}),
        }

    def _name(self, change: Change) -> dict[str, str]:
        if self._dispatcher.switches.rejected_rows == "ids":
            return {"resource_kind": change.table, "resource_id": change.id}
        return {"key": f"/aisix/{self._replica.environment.id}/{change.table}/{change.id}"}

    def _partially_compatible(self) -> list[Fields]:
        tables = self._replica.projection.snapshot.tables
        found = Counter(
            (table, name)
            for table, rows in tables.items()
            for row in rows.values()
            for name in sorted(self._replica.unknown_fields & row.keys())
        )
        return [{"resource_kind": kind, "field": name, "count": count} for (kind, name), count in found.items()]

    def _models(self) -> web.Response:
        models = self._replica.projection.snapshot.tables["models"]
        return answer([self._model(row, model) for row, model in models.items()])

    def _model(self, model_id: str, model: Fields) -> Fields:
        """Return one model, without empty values; an embedding model calls itself direct."""
        kind = model["kind"] if model["kind"] in VIRTUAL else "direct"
        return {"id": model_id, "display_name": model["display_name"], "kind": kind, **self._health(model_id, kind)}

    def _health(self, model_id: str, kind: str) -> Fields:
        cooldowns = self._dispatcher.cooldowns
        left = cooldowns.remaining(model_id)
        if kind in VIRTUAL:
            return {"status": "not_applicable"}
        if not left:
            return {"status": "healthy"}
        return {"status": "cooldown", "cooldown_until": _moment(left), "status_reason": cooldowns.reason(model_id)}

    def _ready(self) -> web.Response:
        ready = bool(self._replica.projection.snapshot.apply_seq)
        return answer({"ready": ready}, status=200 if ready else 503)

    def _metrics(self) -> web.Response:
        text = page([*self._dispatcher.metrics.families(), *self._config_families()])
        return web.Response(body=text, headers={"Content-Type": f"{TEXT}; charset=utf-8"})

    def _config_families(self) -> Iterator[Family]:
        """Yield the metrics that the page has from the start."""
        projection = self._replica.projection
        yield Family("aisix_config_reloads_total", "counter", (), {(): 1})
        yield gauge("aisix_config_source_connected", not self._replica.cut_off)
        yield Family("aisix_config_hash_info", "gauge", ("hash",), {(projection.snapshot.config_hash,): 1})
        yield gauge("aisix_config_observed_revision", projection.snapshot.revision)
        yield gauge("aisix_config_last_reload_successful", self._failure() is None)
        yield gauge("aisix_config_last_reload_success_timestamp_seconds", projection.observed_at)
        yield gauge("aisix_config_applied_revision", projection.snapshot.revision)
        for name, rows in self._by_kind().items():
            if rows:
                yield Family(f"aisix_config_{name}_resources", "gauge", ("kind",), rows)

    def _by_kind(self) -> Mapping[str, Counter[tuple[str, ...]]]:
        rejected = self._rejected()
        stale = [change for change in rejected if self._replica.projection.holds(change)]
        return {
            "rejected": Counter((change.table,) for change in rejected),
            "stale_served": Counter((change.table,) for change in stale),
            "partially_compatible": Counter((row["resource_kind"],) for row in self._partially_compatible()),
        }


def _error(change: Change) -> dict[str, Any]:
    if change.table not in TABLES:
        return {"last_error_kind": "unknown_kind", "last_error": f'unknown kind "{change.table}"'}
    message = 'schema validation failed at `/timeout`: value is not of type "integer"'
    return {"last_error_kind": "schema_failed", "last_error": message}


def _moment(left: float) -> dict[str, int]:
    """Return the moment in *left* seconds in the page's form."""
    seconds, rest = divmod(time.time() + left, 1)
    return {"secs_since_epoch": int(seconds), "nanos_since_epoch": int(rest * 1e9)}
