"""Send a replica's requests to the provider behind a direct model."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.aisix import bridge, errors
from sandbox.aisix.errors import GatewayError
from sandbox.aisix.rows import Fields
from sandbox.aisix.snapshot import Snapshot
from sandbox.aisix.switches import Switches
from sandbox.aisix.telemetry import UNRESOLVED, Cooldowns, Metrics, outcome_of, told_by
from sandbox.aisix.upstream import Refused, Upstream, UpstreamCall

TOKEN_LIFE = 59 * 60.0
"""Seconds for which a minted token is valid."""

RETRIES = 2
"""The default number of retries for a direct model."""

DEPLOYED = frozenset({"chat", "responses", "messages"})
"""Endpoints whose attempts `aisix_deployment_*` counts: not embeddings and rerank."""


@dataclass
class Trail:
    """Where a request went; the request counters show only its last target."""

    labels: Mapping[str, str] = field(default_factory=lambda: UNRESOLVED)
    part_of: Literal["", "panel", "embedding"] = ""
    """Set for the gateway's own requests, which the callers' counters do not show."""


@dataclass(frozen=True)
class Request:
    """A caller's request, with the configuration at that moment."""

    snapshot: Snapshot
    endpoint: str
    alias: str
    body: Mapping[str, Any]
    path: str = ""
    is_fallback: bool = False
    may_retry: bool = True
    """Whether to retry a model that fails; routing retries only its last target."""

    trail: Trail = field(default_factory=Trail)

    @property
    def requested(self) -> str:
        """The name of the requested model; for a wildcard alias, its pattern."""
        model_id = self.snapshot.find(self.alias)
        return str(self.snapshot.tables["models"][model_id]["display_name"]) if model_id else self.alias

    @property
    def prompt(self) -> str:
        return str(self.body.get("messages") or self.body.get("input") or self.body.get("query") or "")


@dataclass
class Served:
    """An answer, and headers that say where it came from."""

    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    key_id: str | None = None


class Direct:
    """One replica's connection to the providers, with its counters and cooldowns."""

    def __init__(self, upstream: Upstream, switches: Switches) -> None:
        self.upstream, self._switches = upstream, switches
        self.metrics, self.cooldowns = Metrics(switches), Cooldowns()
        self._tokens: dict[str, tuple[str, float]] = {}

    async def serve(self, request: Request, model_id: str, model: Fields) -> Served:
        key_id = model.get("provider_key_id", "")
        key = request.snapshot.tables["provider_keys"].get(key_id)
        request.trail.labels = labels = labels_of(request, model_id)
        if key is None:
            raise errors.unknown_key(model["display_name"], key_id)
        left = model.get("retries", RETRIES) if request.may_retry else 0
        while True:
            try:
                body = await self._ask(request, model_id, model, key)
            except GatewayError as error:
                goes_on = left > 0 and error.passes
                self._note(request, labels, error, last=not goes_on)
                if not goes_on:
                    raise
                left -= 1
            else:
                self._note(request, labels)
                return Served(body, key_id=key_id)

    def _note(
        self, request: Request, labels: Mapping[str, str], error: GatewayError | None = None, *, last: bool = True
    ) -> None:
        """Count an attempt; start the cooldown of a model whose last try failed."""
        status = error.status if error else 200
        labels = {**labels, "status": str(status), "outcome": outcome_of(status)}
        self.metrics.note_sent(labels["provider_key_id"])
        if request.trail.part_of != "embedding":
            self.metrics.count_usage(labels, request.endpoint)
        if error and not error.reached:
            return
        seen, kind = (error.seen, error.kind) if error else (200, "")
        cooled = last and self.cooldowns.note(labels["model_id"], seen, kind, self._switches.cooldown)
        if request.endpoint in DEPLOYED and not request.trail.part_of:
            self.metrics.count_deployment(labels, cooled=cooled)

    async def _ask(self, request: Request, model_id: str, model: Fields, key: Fields) -> dict[str, Any]:
        adapter = bridge.adapter_of(key)
        bridge.check_offers(adapter, request.endpoint)
        name = _upstream_model(request, model)
        bridge.check_publisher(adapter, request.endpoint, name)
        secret = self._credential(model_id, adapter, key["api_key"])
        call = UpstreamCall(secret, name, request.endpoint, key)
        limit = min(model.get("timeout") or self._switches.upstream_timeout, self._switches.upstream_timeout)
        return await self._send(call, adapter, limit)

    async def _send(self, call: UpstreamCall, adapter: str, limit: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(limit):
                return await self.upstream.answer(call)
        except Refused as refused:
            raise errors.from_upstream(refused, adapter) from refused
        except tuple(errors.FAILURES) as failure:
            raise errors.from_failure(failure) from failure

    def _credential(self, model_id: str, adapter: str, secret: str) -> str:
        """Return the secret whose token is sent upstream; before v0.5.0 this may be the previous secret."""
        minted, until = self._tokens.get(model_id, ("", 0.0))
        if not self._switches.since(0, 5) and minted and time.monotonic() < until:
            return minted
        if bridge.needs_exchange(adapter, secret):
            if not self.upstream.accepts(secret):
                raise errors.exchange_refused()
            self._tokens[model_id] = (secret, time.monotonic() + TOKEN_LIFE)
        return secret

    async def pass_through(self, snapshot: Snapshot, route: Fields, endpoint: str, model: str) -> Served:
        """Forward a request with the route's key; no model's counter shows it."""
        key_id = route["provider_key_id"]
        key = snapshot.tables["provider_keys"].get(key_id)
        if key is None:
            raise errors.unknown_route_key(route["display_name"])
        self.metrics.note_sent(key_id)
        adapter = bridge.adapter_of(key)
        call = UpstreamCall(key["api_key"], model, endpoint, key)
        return Served(await self._send(call, adapter, self._switches.upstream_timeout), key_id=key_id)


def _upstream_model(request: Request, model: Fields) -> str:
    """Return the upstream model; a wildcard alias fills in what its `*` matches in the caller's name."""
    pattern = str(model["display_name"])
    if "*" not in pattern:
        return str(model["model_name"])
    before, _, after = pattern.partition("*")
    matched = request.alias[len(before) : len(request.alias) - len(after)]
    return str(model.get("model_name", "*")).replace("*", matched)


def labels_of(request: Request, model_id: str | None) -> dict[str, str]:
    """Return the counters' labels for a request; for a model without its own key, only its name."""
    model = request.snapshot.tables["models"].get(model_id or "", {})
    key_id = str(model.get("provider_key_id", ""))
    key = request.snapshot.tables["provider_keys"].get(key_id)
    told = {"is_fallback": str(request.is_fallback).lower(), "stream": str(bool(request.body.get("stream"))).lower()}
    if model:
        told |= {"model": request.requested, "requested_model": request.alias, "model_id": str(model_id)}
    if key:
        told |= {
            "target": str(model["display_name"]),
            "provider": str(model.get("provider", "")),
            "upstream_model": str(model.get("model_name", "")),
            "provider_key_id": key_id,
            "provider_key_name": str(key["display_name"]),
        }
    return {**UNRESOLVED, **told_by(request.path), **told}
