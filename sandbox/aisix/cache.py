"""The gateways' response cache; an answer from it proves nothing about a key."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.aisix.direct import Request, Served
from sandbox.aisix.store import Environment

EXACT = {"x-aisix-cache": "hit", "x-aisix-cache-layer": "exact"}
SEMANTIC = {"x-aisix-cache": "hit", "x-aisix-cache-layer": "semantic", "x-aisix-cache-similarity": "0.98"}

POLICY = "responses"
"""The policy label of the cache counters."""


async def through_cache(
    environment: Environment, request: Request, scope: str, control: str, ask: Callable[[], Awaitable[Served]]
) -> Served:
    """Answer from the cache, or ask; *scope* is the caller, as callers do not share answers."""
    if not environment.cache or request.endpoint != "chat" or request.body.get("stream"):
        return await ask()
    key = (scope, request.alias, _prompt_key(environment, request))
    if "no-cache" not in control and key in environment.answers:
        return _hit(environment, environment.answers[key])
    served = await ask()
    if "no-store" not in control:
        environment.answers[key] = served.body
    served.headers["x-aisix-cache"] = "bypass" if "no-cache" in control else "miss"
    return served


def _hit(environment: Environment, body: dict[str, Any]) -> Served:
    return Served(dict(body), dict(SEMANTIC if environment.cache == "semantic" else EXACT))


def _prompt_key(environment: Environment, request: Request) -> str:
    """Return the cache key of a prompt; a semantic cache ignores a nonce."""
    if environment.cache != "semantic":
        return json.dumps(request.body, sort_keys=True)
    return " ".join(word for word in request.prompt.split() if word.isalpha())
