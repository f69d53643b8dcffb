"""How a replica turns a request for a model into requests to providers."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from sandbox.aisix import bridge, errors
from sandbox.aisix.errors import GatewayError
from sandbox.aisix.rows import Fields
from sandbox.aisix.snapshot import Snapshot
from sandbox.aisix.switches import Switches
from sandbox.aisix.telemetry import Cooldowns, Metrics
from sandbox.aisix.upstream import Garbage, Refused, Upstream, UpstreamCall

TOKEN_LIFE = 59 * 60.0
FALLS_BACK_FROM = frozenset({500, 502, 503, 504})
"""Statuses after which routing tries the next target by itself. A refused credential is not among them."""


@dataclass(frozen=True)
class Request:
    """What a caller asked, with the configuration that was in force when it did."""

    snapshot: Snapshot
    endpoint: str
    alias: str
    body: Mapping[str, Any]
    is_fallback: bool = False

    @property
    def prompt(self) -> str:
        return str(self.body.get("messages") or self.body.get("input") or self.body.get("query") or "")


@dataclass
class Served:
    """An answer, and the headers that tell where it came from."""

    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    key_id: str | None = None


class Dispatcher:
    """One replica's way from aliases to providers: direct models, routing, semantic routing, ensembles."""

    def __init__(self, upstream: Upstream, switches: Switches) -> None:
        self.upstream, self.switches = upstream, switches
        self.metrics, self.cooldowns = Metrics(), Cooldowns()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._turns = count()

    async def serve(self, request: Request, model_id: str) -> Served:
        model = request.snapshot.tables["models"].get(model_id)
        if model is None:
            raise errors.unknown_model(model_id)
        match model["kind"]:
            case "routing":
                return await self._routing(request, model)
            case "semantic":
                return await self._semantic(request, model)
            case "ensemble":
                return await self._ensemble(request, model)
            case _:
                return await self._direct(request, model_id, model)

    async def _direct(self, request: Request, model_id: str, model: Fields) -> Served:
        key_id = model.get("provider_key_id", "")
        key = request.snapshot.tables["provider_keys"].get(key_id)
        labels = _labels(request, model_id, model, key)
        try:
            if key is None:
                raise errors.unknown_key(model["display_name"], key_id)
            body = await self._ask(request, model_id, model, key)
        except GatewayError as error:
            self._note(labels, error.status, reached=error.reached)
            raise
        self._note(labels, 200, reached=True)
        return Served(body, key_id=key_id)

    def _note(self, labels: dict[str, str], status: int, *, reached: bool) -> None:
        outcome = "success" if status < 400 else "failure"  # noqa: PLR2004 - where failures begin
        labels = labels | {"status": str(status), "outcome": outcome}
        self.metrics.count_request(labels)
        if reached:
            cooled = self.cooldowns.note(labels["model_id"], status, self.switches.cooldown)
            self.metrics.count_deployment(labels, cooled=cooled)

    async def _ask(self, request: Request, model_id: str, model: Fields, key: Fields) -> dict[str, Any]:
        adapter = bridge.adapter_of(key)
        bridge.check_offers(adapter, request.endpoint)
        secret = self._credential(model_id, adapter, key["api_key"])
        call = UpstreamCall(secret, _upstream_model(request, model), request.endpoint, key)
        limit = min(model.get("timeout") or self.switches.upstream_timeout, self.switches.upstream_timeout)
        try:
            async with asyncio.timeout(limit):
                return await self.upstream.answer(call)
        except Refused as refused:
            raise errors.from_upstream(refused, adapter) from refused
        except TimeoutError:
            raise GatewayError(504, "timeout", "the upstream did not answer in time", reached=True) from None
        except Garbage:
            raise GatewayError(502, "upstream_decode_error", "the answer cannot be read", reached=True) from None
        except ConnectionError:
            raise GatewayError(502, "transport_error", "the upstream cannot be reached", reached=True) from None

    def _credential(self, model_id: str, adapter: str, secret: str) -> str:
        """The secret whose token goes upstream: with the token cache bug, maybe an earlier one."""
        minted, until = self._tokens.get(model_id, ("", 0.0))
        if self.switches.token_cache_bug and minted and time.monotonic() < until:
            return minted
        if bridge.needs_exchange(adapter, secret):
            if not self.upstream.accepts(secret):
                raise errors.exchange_refused()
            self._tokens[model_id] = (secret, time.monotonic() + TOKEN_LIFE)
        return secret

    async def _routing(self, request: Request, model: Fields) -> Served:
        routing = model["routing"]
        targets = self._ordered(routing)
        ready = [target for target in targets if not self.cooldowns.remaining(target)]
        if not ready and routing.get("when_all_unavailable", "fail") == "fail":
            raise errors.no_candidates(max(map(self.cooldowns.remaining, targets), default=0))
        limit = 1 + routing.get("max_fallbacks", len(targets))
        return await self._first_good(request, (ready or targets)[:limit], routing)

    def _ordered(self, routing: Fields) -> list[str]:
        targets = [str(target["model"]) for target in routing["targets"]]
        start = 0 if routing.get("strategy") == "failover" else next(self._turns) % max(1, len(targets))
        return targets[start:] + targets[:start]

    async def _first_good(self, request: Request, targets: list[str], routing: Fields) -> Served:
        for number, target in enumerate(targets):
            attempt = replace(request, is_fallback=request.is_fallback or number > 0)
            try:
                served = await self.serve(attempt, target)
            except GatewayError as error:
                goes_on = error.hides or error.status in _retryable(routing)
                if number + 1 == len(targets) or not goes_on:
                    raise
            else:
                served.headers["x-aisix-served-by"] = _alias(request, target)
                return served
        raise errors.no_candidates(1)

    async def _semantic(self, request: Request, model: Fields) -> Served:
        semantic = model["semantic"]
        try:
            embedding = replace(request, endpoint="embeddings", body={"input": request.prompt})
            await self.serve(embedding, semantic["embedding_model"])
        except GatewayError:
            return await self._without_embedding(request, semantic)
        route = next((route for route in semantic["routes"] if _matches(route, request.prompt)), None)
        if route is None:
            return await self.serve(request, semantic["default"])
        served = await self.serve(request, route["target"])
        served.headers["x-aisix-route"] = route["name"]
        return served

    async def _without_embedding(self, request: Request, semantic: Fields) -> Served:
        """The default policy hides that routing is dead: the default route answers."""
        policy = semantic.get("on_embedding_failure", "default")
        if policy == "fail":
            raise GatewayError(502, "upstream_error", "the embedding model failed")
        target = policy["target"] if isinstance(policy, dict) else semantic["default"]
        return await self.serve(request, target)

    async def _ensemble(self, request: Request, model: Fields) -> Served:
        if request.endpoint != "chat":
            raise GatewayError(501, "not_implemented", "an ensemble answers chat completions only")
        ensemble = model["ensemble"]
        panel = [str(member["model"]) for member in ensemble["panel"]]
        answers = await asyncio.gather(*(self.serve(request, member) for member in panel), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(answers) - len(failures) < ensemble.get("min_responses", min(2, len(panel))):
            raise failures[0]
        return await self.serve(request, ensemble["judge"]["model"])


def _retryable(routing: Fields) -> set[int]:
    extra = {429} if routing.get("retry_on_429") else set()
    return set(FALLS_BACK_FROM) | extra | set(routing.get("fallback_on_statuses", []))


def _matches(route: Fields, prompt: str) -> bool:
    """Stands for nearness in meaning: the route's name or one of its examples is in the prompt."""
    return any(word.lower() in prompt.lower() for word in (route["name"], *route.get("examples", [])))


def _alias(request: Request, model_id: str) -> str:
    return str(request.snapshot.tables["models"][model_id]["display_name"])


def _upstream_model(request: Request, model: Fields) -> str:
    """A wildcard alias passes on what the caller's name has in place of the star."""
    pattern = str(model["display_name"])
    if "*" not in pattern:
        return str(model["model_name"])
    before, _, after = pattern.partition("*")
    matched = request.alias[len(before) : len(request.alias) - len(after)]
    return str(model.get("model_name", "*")).replace("*", matched)


def _labels(request: Request, model_id: str, model: Fields, key: Fields | None) -> dict[str, str]:
    """An unknown key has no labels: there is no row to take them from."""
    return {
        "model": str(model["display_name"]),
        "model_id": model_id,
        "requested_model": request.alias,
        "provider": str(model.get("provider", "")),
        "provider_key_id": str(model["provider_key_id"]) if key else "",
        "provider_key_name": str(key["display_name"]) if key else "",
        "endpoint": request.endpoint,
        "is_fallback": str(request.is_fallback).lower(),
    }
