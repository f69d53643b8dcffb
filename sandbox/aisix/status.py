"""A replica's status port: unauthenticated, for operators."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aiohttp import web

from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.rows import Fields
from sandbox.aisix.serving import drop
from sandbox.aisix.snapshot import Projection

VIRTUAL = ("routing", "semantic", "ensemble")


class Shown(Protocol):
    """What the pages need to know of a replica."""

    projection: Projection
    metrics_available: bool
    partially_compatible: list[dict[str, str]]
    status_available: bool

    @property
    def down(self) -> bool: ...

    @property
    def cut_off(self) -> bool: ...


class Status:
    """The pages of one replica."""

    def __init__(self, replica: Shown, dispatcher: Dispatcher) -> None:
        self._replica, self._dispatcher = replica, dispatcher

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._up])
        app.router.add_get("/status/config", self.config)
        app.router.add_get("/status/models", self.models)
        app.router.add_get("/status/ready", self.ready)
        app.router.add_get("/metrics", self.metrics)
        return app

    @web.middleware
    async def _up(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self._replica.down:
            return drop(request)
        if not self._replica.status_available and request.path != "/metrics":
            raise web.HTTPNotFound
        response: web.StreamResponse = await handler(request)
        return response

    async def config(self, _: web.Request) -> web.Response:
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
            "last_reload": {"at": snapshot.applied_at, "result": "success"} if snapshot.apply_seq else None,
            "last_failure": None if connected else {"reason": "no connection to the control plane"},
            "rejected": projection.rejections(),
            "partially_compatible": self._replica.partially_compatible,
        }
        return web.json_response(body)

    def _state(self) -> str:
        """A replica that lags does not know it, so it calls itself synced."""
        projection = self._replica.projection
        if self._replica.cut_off:
            return "out_of_sync"
        if projection.rejected:
            return "degraded"
        if not projection.snapshot.apply_seq:
            return "never_loaded"
        return "synced" if any(projection.snapshot.counts.values()) else "empty"

    async def models(self, _: web.Request) -> web.Response:
        models = self._replica.projection.snapshot.tables["models"]
        return web.json_response([self._model(row, model) for row, model in models.items()])

    def _model(self, model_id: str, model: Fields) -> dict[str, Any]:
        left = self._dispatcher.cooldowns.remaining(model_id)
        until = (datetime.now(UTC) + timedelta(seconds=left)).isoformat() if left else None
        status = "not_applicable" if model["kind"] in VIRTUAL else "cooldown" if left else "healthy"
        return {
            "id": model_id,
            "display_name": model["display_name"],
            "kind": model["kind"],
            "status": status,
            "cooldown_until": until,
            "last_checked_at": None,
            "last_check_status": None,
            "status_reason": "recent failures" if left else None,
        }

    async def ready(self, _: web.Request) -> web.Response:
        ready = bool(self._replica.projection.snapshot.apply_seq)
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        if not self._replica.metrics_available:
            raise web.HTTPNotFound
        text = self._dispatcher.metrics.text()
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
