"""The caller-facing side of a gateway replica."""

import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.aisix import admission
from sandbox.aisix.cache import POLICY, through_cache
from sandbox.aisix.direct import Request, Served, Trail, labels_of
from sandbox.aisix.dispatch import Dispatcher, embedding_of
from sandbox.aisix.errors import GatewayError, refusal, unknown_model
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.rows import Fields
from sandbox.aisix.serving import answer
from sandbox.aisix.snapshot import Snapshot
from sandbox.aisix.store import Environment
from sandbox.aisix.telemetry import UNRESOLVED, outcome_of, told_by

ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}


@dataclass
class GatewayCall:
    """One request that a gateway answered."""

    environment: str
    replica: int
    path: str
    request_id: str
    caller: str
    """`probe`, `app`, or an empty string for an unknown key."""

    alias: str = ""
    status: int = 200
    type: str | None = None
    key_id: str | None = None
    """The provider key that served; None for an error or a cached answer."""

    headers: dict[str, str] | None = None
    at: float = 0.0
    caller_id: str = ""
    trail: Trail = field(default_factory=Trail)


class Proxy:
    """Answers callers for one replica."""

    def __init__(self, number: int, environment: Environment, dispatcher: Dispatcher, pulse: Pulse) -> None:
        self.number, self.environment, self.dispatcher, self._pulse = number, environment, dispatcher, pulse
        self.calls: list[GatewayCall] = []

    async def handle(self, request: web.Request, snapshot: Snapshot) -> web.Response:
        """Answer from *snapshot*, the configuration when the request arrived."""
        call = self.call(request)
        response = await self._answer(request, snapshot, call)
        response.headers["x-aisix-request-id"] = call.request_id
        response.headers["Server"] = self.dispatcher.switches.server
        return response

    async def _answer(self, request: web.Request, snapshot: Snapshot, call: GatewayCall) -> web.Response:
        try:
            if (request.method, request.path) == ("GET", "/v1/models"):
                return self._models(request, snapshot)
            served = await self._complete(request, snapshot, call)
        except GatewayError as error:
            self.record(call, error.status, type=error.kind)
            return error.response(request.path)
        self.record(call, 200, key_id=served.key_id, headers=served.headers)
        return self._told(call, served)

    def _told(self, call: GatewayCall, served: Served) -> web.Response:
        """Build the response: a passthrough answer unchanged."""
        if call.trail.labels["inbound_protocol"] == "passthrough":
            return web.json_response(served.body)
        return answer(served.body, headers=served.headers)

    def _models(self, request: web.Request, snapshot: Snapshot) -> web.Response:
        caller = admission.authenticate(self.environment, admission.token_of(request))
        return answer({"object": "list", "data": admission.visible_models(snapshot, caller)})

    async def _complete(self, request: web.Request, snapshot: Snapshot, call: GatewayCall) -> Served:
        token = admission.token_of(request)
        caller = admission.authenticate(self.environment, token)
        call.caller_id = caller.id
        route = snapshot.route(request.path)
        if route is not None:
            return await self._pass_through(request, snapshot, route, call)
        if request.method != "POST" or request.path not in ENDPOINTS:
            raise GatewayError(404, "invalid_request_error", "no such endpoint")
        body = await admission.body_of(request)
        call.alias = body["model"]
        asked = Request(snapshot, ENDPOINTS[request.path], call.alias, body, request.path, trail=call.trail)
        model_id = snapshot.find(call.alias)
        call.trail.labels = labels_of(asked, model_id)
        if model_id is None:
            raise unknown_model(call.alias)
        admission.check_may_use(caller, call.alias)
        self._refuse(call.alias)
        told = self.dispatcher.limits.take(caller, self.dispatcher.switches.limit_window)
        served = await self._serve(asked, model_id, token, request.headers.get("Cache-Control", ""))
        served.headers |= told
        return _as_the_caller_knows_it(served, asked, call.request_id)

    async def _pass_through(self, request: web.Request, snapshot: Snapshot, route: Fields, call: GatewayCall) -> Served:
        call.trail.labels = _of_route(route, snapshot)
        endpoint = next((name for path, name in ENDPOINTS.items() if request.path.endswith(path[3:])), "chat")
        model = await admission.model_of(request)
        return await self.dispatcher.direct.pass_through(snapshot, route, endpoint, model)

    def _refuse(self, alias: str) -> None:
        word = self.environment.refusals.get(alias) or self.environment.refusals.get("*")
        if word:
            raise refusal(word)

    async def _serve(self, asked: Request, model_id: str, token: str, control: str) -> Served:
        if not await self._cache_works(asked):
            return await self.dispatcher.serve(asked, model_id)
        control = "" if self.dispatcher.switches.cache_ignores_no_cache else control
        served = await through_cache(
            self.environment, asked, token, control, lambda: self.dispatcher.serve(asked, model_id)
        )
        if outcome := served.headers.get("x-aisix-cache"):
            self.dispatcher.metrics.cache[POLICY, outcome] += 1
        return served

    async def _cache_works(self, asked: Request) -> bool:
        """Tell whether the cache can match: a semantic one cannot if its embedding model fails."""
        if self.environment.cache != "semantic" or asked.endpoint != "chat":
            return True
        policies = asked.snapshot.tables["cache_policies"].values()
        embedding = embedding_of(asked)
        try:
            for policy in policies:
                await self.dispatcher.serve(embedding, policy["semantic"]["embedding_model"])
        except GatewayError:
            return False
        return True

    def call(self, request: web.Request) -> GatewayCall:
        """Start the record of a request."""
        known = self.environment.callers.get(admission.token_of(request))
        request_id = admission.request_id_of(request)
        name = known.name if known else ""
        trail = Trail({**UNRESOLVED, **told_by(request.path)})
        return GatewayCall(self.environment.name, self.number, request.path, request_id, name, trail=trail)

    def record(self, call: GatewayCall, status: int, **found: Any) -> None:
        """Complete the record of a request, and announce it."""
        call.status, call.at = status, time.time()
        for name, value in found.items():
            setattr(call, name, value)
        self._count(call)
        self.calls.append(call)
        self._pulse.beat("request", call)

    def _count(self, call: GatewayCall) -> None:
        """Count the request for its caller; a request without a valid caller key is not counted."""
        if not call.caller_id:
            return
        labels = {
            **call.trail.labels,
            "api_key_id": call.caller_id,
            "status": str(call.status),
            "outcome": outcome_of(call.status),
        }
        self.dispatcher.metrics.count_request(labels, passthrough=labels["inbound_protocol"] == "passthrough")


def _of_route(route: Fields, snapshot: Snapshot) -> dict[str, str]:
    """Return the proxy counter's labels for a request through a passthrough route."""
    key = snapshot.tables["provider_keys"].get(route["provider_key_id"])
    of_key = (
        {
            "provider": str(key["provider"]),
            "provider_key_id": str(route["provider_key_id"]),
            "provider_key_name": str(key["display_name"]),
        }
        if key
        else {}
    )
    return {
        **UNRESOLVED,
        "endpoint": "/passthrough_route",
        "inbound_protocol": "passthrough",
        "model": "passthrough",
        **of_key,
    }


def _as_the_caller_knows_it(served: Served, asked: Request, request_id: str) -> Served:
    """Put the caller's alias into chat and messages answers: they do not show the target."""
    if asked.endpoint in ("chat", "messages"):
        served.body = {**served.body, "model": asked.alias}
    if asked.endpoint == "chat":
        served.headers["x-aisix-call-id"] = request_id
    return served
