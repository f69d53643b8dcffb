"""The middlewares of the control plane: recording, faults, tokens."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from sandbox.aisix import envelopes
from sandbox.aisix.faults import Faults
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.resources import Conflict, Forbidden, NotThere
from sandbox.aisix.schema import Invalid
from sandbox.aisix.switches import Switches

Scope = Literal["read", "write"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STATUS = {NotThere: 404, Conflict: 409, Forbidden: 403}


@dataclass(frozen=True)
class Call:
    """One call to the control plane; `status` is None if the caller got no answer."""

    method: str
    path: str
    body: Any
    status: int | None
    at: float
    took: float


class Gate:
    """Records, breaks and authorizes every call before its route."""

    def __init__(self, switches: Switches, pulse: Pulse) -> None:
        self._switches, self._pulse = switches, pulse
        self.faults = Faults()
        self.tokens: dict[str, set[Scope]] = {}
        self.calls: list[Call] = []
        self.under_way = 0
        self.most_under_way = 0

    def middlewares(self) -> list[Any]:
        """Return the middlewares, outermost first."""
        return [self._recorded, self._as_planned, self._answered, self._authorized]

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began, body = time.time(), await _body_or_text(request)
        self._enter()
        response: web.StreamResponse | None = None
        try:
            response = await handler(request)
        finally:
            self.under_way -= 1
            gone = request.transport is None or request.transport.is_closing()
            status = None if response is None or gone else response.status
            self._record(request, body, status, began)
        return response

    def _enter(self) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

    def _record(self, request: web.Request, body: Any, status: int | None, began: float) -> None:
        shown = body if self._switches.raw_bodies else _redacted(body)
        call = Call(request.method, request.path, shown, status, began, time.time() - began)
        self.calls.append(call)
        self._pulse.beat("call", call)

    @web.middleware
    async def _as_planned(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._switches.latency:
            await asyncio.sleep(self._switches.latency)
        return await self.faults.serve(request, lambda: handler(request))

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Invalid as invalid:
            return envelopes.error(self._switches.validation_status, str(invalid), self._switches)
        except (NotThere, Conflict, Forbidden) as refused:
            return envelopes.error(STATUS[type(refused)], str(refused), self._switches)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as missing:
            return envelopes.error(missing.status, missing.reason, self._switches)

    @web.middleware
    async def _authorized(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        scopes = self.tokens.get(token.strip())
        if scheme != "Bearer" or scopes is None:
            return envelopes.error(401, "invalid or revoked token", self._switches)
        needed: Scope = "read" if request.method == "GET" else "write"
        if needed not in scopes:
            return envelopes.error(403, f"the token lacks the scope '{needed}'", self._switches)
        return await handler(request)


async def _body_or_text(request: web.Request) -> Any:
    if not request.can_read_body:
        return None
    try:
        return await request.json()
    except ValueError:
        return await request.text()


def _redacted(body: Any) -> Any:
    return body | {"api_key": "***"} if isinstance(body, dict) and "api_key" in body else body
