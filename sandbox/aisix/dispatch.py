"""Turn a request for an alias into requests for direct models."""

import asyncio
from dataclasses import replace
from itertools import count

from sandbox.aisix import errors
from sandbox.aisix.admission import Limits
from sandbox.aisix.direct import Direct, Request, Served, Trail, labels_of
from sandbox.aisix.errors import GatewayError
from sandbox.aisix.rows import Fields
from sandbox.aisix.switches import Switches
from sandbox.aisix.telemetry import Cooldowns, Metrics
from sandbox.aisix.upstream import Upstream

FALLS_BACK_FROM = frozenset({500, 502, 503, 504})
"""Statuses after which routing tries the next target by default; a refused credential is not one."""

ENSEMBLE = {"provider": "ensemble", "upstream_model": "", "provider_key_id": ""}
"""The counters' labels for a request to an ensemble; they do not show its targets."""


class Dispatcher:
    """Resolves aliases for one replica: direct models, routing, semantic routing, ensembles."""

    def __init__(self, upstream: Upstream, switches: Switches) -> None:
        self.switches, self._upstream = switches, upstream
        self.direct = Direct(upstream, switches)
        self.limits = Limits()
        self._turns = count()

    def forget(self) -> None:
        """Drop everything in memory: counters, cooldowns, minted tokens, callers' limits."""
        self.direct = Direct(self._upstream, self.switches)
        self.limits = Limits()

    @property
    def metrics(self) -> Metrics:
        return self.direct.metrics

    @property
    def cooldowns(self) -> Cooldowns:
        return self.direct.cooldowns

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
                return await self.direct.serve(request, model_id, model)

    async def _routing(self, request: Request, model: Fields) -> Served:
        routing = model["routing"]
        targets = self._ordered(routing)
        ready = [target for target in targets if not self.cooldowns.remaining(target)]
        limit = 1 + routing.get("max_fallbacks", len(targets))
        return await self._first_good(request, (ready or targets)[:limit], routing)

    def _ordered(self, routing: Fields) -> list[str]:
        targets = [str(target["model"]) for target in routing["targets"]]
        start = 0 if routing.get("strategy") == "failover" else next(self._turns) % max(1, len(targets))
        return targets[start:] + targets[:start]

    async def _first_good(self, request: Request, targets: list[str], routing: Fields) -> Served:
        tried = request.is_fallback
        for number, target in enumerate(targets):
            attempt = replace(request, is_fallback=tried, may_retry=number + 1 == len(targets))
            try:
                return await self._served_by(attempt, target)
            except GatewayError as error:
                goes_on = error.hides or error.status in _retryable(routing)
                if number + 1 == len(targets) or not goes_on:
                    raise
                tried = tried or not error.hides
        raise errors.no_candidates(1)

    async def _semantic(self, request: Request, model: Fields) -> Served:
        semantic = model["semantic"]
        try:
            embedding = embedding_of(request)
            await self.serve(embedding, semantic["embedding_model"])
        except GatewayError:
            return await self._without_embedding(request, semantic)
        route = next((route for route in semantic["routes"] if _matches(route, request.prompt)), None)
        if route is None:
            return await self._served_by(request, semantic["default"])
        served = await self._served_by(request, route["target"])
        served.headers["x-aisix-route"] = route["name"]
        return served

    async def _served_by(self, request: Request, target: str) -> Served:
        served = await self.serve(request, target)
        served.headers["x-aisix-served-by"] = _alias(request, target)
        return served

    async def _without_embedding(self, request: Request, semantic: Fields) -> Served:
        """Apply the policy for a failed embedding; the default policy hides it, because the default route answers."""
        policy = semantic.get("on_embedding_failure", "default")
        if policy == "fail":
            raise GatewayError(502, "upstream_error", "the embedding model failed")
        target = policy["target"] if isinstance(policy, dict) else semantic["default"]
        return await self._served_by(request, target)

    async def _ensemble(self, request: Request, model: Fields) -> Served:
        if request.endpoint != "chat":
            what = "is an ensemble model; only /v1/chat/completions is supported"
            raise errors.invalid(f"model `{request.requested}` {what}")
        ensemble = model["ensemble"]
        request.trail.labels = {**labels_of(request, None), **ENSEMBLE, "model": request.requested}
        request = replace(request, trail=Trail(part_of="panel"))
        panel = [str(member["model"]) for member in ensemble["panel"]]
        answers = await asyncio.gather(*(self.serve(request, member) for member in panel), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(answers) - len(failures) < ensemble.get("min_responses", min(2, len(panel))):
            raise failures[0] if failures else errors.no_candidates(1)
        return await self.serve(request, ensemble["judge"]["model"])


def embedding_of(request: Request) -> Request:
    """Return the gateway's own request that embeds a caller's prompt; no page shows it."""
    body = {"input": request.prompt}
    return replace(request, endpoint="embeddings", body=body, trail=Trail(part_of="embedding"))


def _retryable(routing: Fields) -> set[int]:
    extra = {429} if routing.get("retry_on_429") else set()
    return set(FALLS_BACK_FROM) | extra | set(routing.get("fallback_on_statuses", []))


def _matches(route: Fields, prompt: str) -> bool:
    """Simulate semantic similarity: the prompt contains the route's name or one of its examples."""
    return any(word.lower() in prompt.lower() for word in (route["name"], *route.get("examples", [])))


def _alias(request: Request, model_id: str) -> str:
    return str(request.snapshot.tables["models"][model_id]["display_name"])
