"""Authenticate a gateway's callers, and check what they may use."""

import math
import re
import secrets
import time
from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from sandbox.aisix.errors import GatewayError, invalid, too_many
from sandbox.aisix.snapshot import Snapshot
from sandbox.aisix.store import CallerKey, Environment

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,256}")
KEY_STATES = {
    "expired": ("API key has expired", "api_key_expired"),
    "disabled": ("API key has been disabled", "api_key_disabled"),
}


def token_of(request: web.Request) -> str:
    return request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


def authenticate(environment: Environment, token: str) -> CallerKey:
    caller = environment.callers.get(token)
    if caller is None:
        message = "invalid API key" if token else "missing or malformed Authorization header"
        raise GatewayError(401, "invalid_api_key", message)
    if caller.state != "active":
        raise GatewayError(401, "invalid_api_key", *KEY_STATES[caller.state])
    return caller


def may_use(caller: CallerKey, alias: str) -> bool:
    """Tell whether *caller* may use *alias*: an empty list allows nothing, globs work, and a denial wins."""
    denied = any(fnmatchcase(alias, pattern) for pattern in caller.denied)
    return not denied and any(fnmatchcase(alias, pattern) for pattern in caller.allowed)


def check_may_use(caller: CallerKey, alias: str) -> None:
    if not may_use(caller, alias):
        raise GatewayError(403, "permission_denied", f'API key is not allowed to use model "{alias}"')


def request_id_of(request: web.Request) -> str:
    """Return the caller's own request id if it is valid, else a new one."""
    own = request.headers.get("x-aisix-request-id", "")
    return own if REQUEST_ID.fullmatch(own) else secrets.token_hex(16)


class Limits:
    """Counts each caller's requests to one replica in the current window."""

    def __init__(self) -> None:
        self._sent: Counter[tuple[str, int]] = Counter()

    def take(self, caller: CallerKey, window: float) -> dict[str, str]:
        """Count a request and return the headers about the limit; refuse it if there were too many."""
        if caller.limit is None:
            return {}
        number, into = divmod(time.monotonic(), window)
        reset = max(1, math.ceil(window - into))
        if self._sent[caller.id, int(number)] >= caller.limit:
            raise too_many(reset)
        self._sent[caller.id, int(number)] += 1
        return {
            "x-ratelimit-limit-requests": str(caller.limit),
            "x-ratelimit-remaining-requests": str(caller.limit - self._sent[caller.id, int(number)]),
            "x-ratelimit-reset-requests": f"{reset}s",
        }


async def body_of(request: web.Request) -> dict[str, Any]:
    body = await _json_of(request)
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise invalid("invalid JSON request body")
    return body


async def model_of(request: web.Request) -> str:
    """Return the model that a body names, or nothing: a passthrough request need not name one."""
    body = await _json_of(request)
    return str(body.get("model", "")) if isinstance(body, dict) else ""


async def _json_of(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def visible_models(snapshot: Snapshot, caller: CallerKey) -> list[dict[str, Any]]:
    """Return what `GET /v1/models` lists: no wildcard aliases; models without a provider are owned by `aisix`."""
    named = {str(model["display_name"]): model for model in snapshot.tables["models"].values()}
    seen = (alias for alias in named if "*" not in alias and may_use(caller, alias))
    made = {"object": "model", "created": int(time.time())}
    return [{"id": alias, **made, "owned_by": named[alias].get("provider", "aisix")} for alias in seen]
