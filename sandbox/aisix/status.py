"""A replica's status port: unauthenticated, for operators. The pages have the shapes of the gateway's own source."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiohttp import web

from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.rows import Fields
from sandbox.aisix.serving import drop
from sandbox.aisix.snapshot import Projection
from sandbox.aisix.store import Change, Environment
from sandbox.aisix.telemetry import Family, gauge, page

VIRTUAL = ("routing", "semantic", "ensemble")
UNREACHABLE = {"last_error_kind": "fetch", "last_error": "configuration source unreachable"}
NULLABLE = ("last_failure",)
"""What stands on `/status/config` as null; anything else without a value is left out."""


class Shown(Protocol):
    """What the pages need to know of a replica."""

    environment: Environment
    projection: Projection
    metrics_available: bool
    partially_compatible: list[dict[str, Any]]
    status_available: bool

    @property
    def down(self) -> bool: ...

    @property
    def cut_off(self) -> bool: ...


class Status:
    """The pages of one replica."""

    def __init__(self, replica: Shown, dispatcher: Dispatcher) -> None:
        self._replica, self._dispatcher = replica, dispatcher

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page, if this gateway has it."""
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
        projection = self._replica.projection
        snapshot, connected = projection.snapshot, not self._replica.cut_off
        applied = {
            "applied_revision": snapshot.revision,
            "config_hash": snapshot.config_hash,
            "apply_seq": snapshot.apply_seq,
            "applied_at": snapshot.applied_at,
            "resource_counts": snapshot.counts,
        }
        body = {
            "state": self._state(),
            "source": {"type": "etcd", "connected": connected, "observed_revision": snapshot.revision},
            "applied": applied if snapshot.apply_seq else None,
            "last_reload": {"at": snapshot.applied_at, "successful": connected},
            "last_failure": None if connected else UNREACHABLE,
            "rejected": [self._rejection(change) for change in projection.rejected.values()],
            "partially_compatible": self._replica.partially_compatible,
        }
        return web.json_response({name: value for name, value in body.items() if value is not None or name in NULLABLE})

    def _state(self) -> str:
        """One that lags or is cut off calls itself synced: it is, with the last that it has heard of."""
        projection = self._replica.projection
        if not projection.snapshot.apply_seq:
            return "never_loaded"
        loaded = any(projection.snapshot.counts.values())
        if projection.rejected:
            return "degraded" if loaded else "out_of_sync"
        return "synced" if loaded else "empty"

    def _rejection(self, change: Change) -> dict[str, Any]:
        """The row that serves instead, if there is one, shows in its age only."""
        age = time.monotonic() - change.at
        seen = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
        stale = {"serving_stale_since": seen, "serving_stale_age_seconds": int(age)}
        return {
            **self._name(change),
            "last_error_kind": "schema_failed",
            "last_error": "does not match the schema of this gateway",
            "first_seen_at": seen,
            "last_seen_at": seen,
            **(stale if self._replica.projection.holds(change) else {}),
        }

    def _name(self, change: Change) -> dict[str, str]:
        if self._dispatcher.switches.rejected_rows == "ids":
            return {"resource_kind": change.table, "resource_id": change.id}
        return {"key": f"/aisix/{self._replica.environment.id}/{change.table}/{change.id}"}

    def _models(self) -> web.Response:
        models = self._replica.projection.snapshot.tables["models"]
        return web.json_response([self._model(row, model) for row, model in models.items()])

    def _model(self, model_id: str, model: Fields) -> dict[str, Any]:
        left = self._dispatcher.cooldowns.remaining(model_id)
        until = (datetime.now(UTC) + timedelta(seconds=left)).isoformat() if left else None
        status = "not_applicable" if model["kind"] in VIRTUAL else "cooldown" if left else "healthy"
        return {
            "id": model_id,
            "display_name": model["display_name"],
            "kind": model["kind"] if model["kind"] in VIRTUAL else "direct",
            "status": status,
            "cooldown_until": until,
            "last_checked_at": None,
            "last_check_status": None,
            "status_reason": "recent failures" if left else None,
        }

    def _ready(self) -> web.Response:
        ready = bool(self._replica.projection.snapshot.apply_seq)
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    def _metrics(self) -> web.Response:
        text = page([*self._dispatcher.metrics.families(), *self._config_families()])
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _config_families(self) -> Iterator[Family]:
        """Yield what the page shows from the start on: it is never empty."""
        projection = self._replica.projection
        rejected = Counter[tuple[str, ...]]((change.table,) for change in projection.rejected.values())
        yield Family("aisix_config_reloads_total", "counter", (), {(): 1})
        yield gauge("aisix_config_source_connected", not self._replica.cut_off)
        yield Family("aisix_config_hash_info", "gauge", ("hash",), {(projection.snapshot.config_hash,): 1})
        yield gauge("aisix_config_observed_revision", projection.snapshot.revision)
        yield gauge("aisix_config_last_reload_successful", not rejected and not self._replica.cut_off)
        yield gauge("aisix_config_applied_revision", projection.snapshot.revision)
        if rejected:
            yield Family("aisix_config_rejected_resources", "gauge", ("kind",), rejected)
