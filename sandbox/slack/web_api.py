"""Serve the Web API: check tokens and scopes, apply faults, run the method."""

import asyncio
import json
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

from sandbox.slack.faults import Fault, Faults
from sandbox.slack.methods import METHODS, Args
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.tickets import Spent

Json = dict[str, Any]


@dataclass
class Call:
    """One received call; `status` is 0 as long as it has no answer."""

    method: str
    args: Json
    at: float
    status: int = 0
    error: str | None = None


@dataclass
class WebApi:
    """Answers `/api/<method>` and the response_urls."""

    site: Site
    bot_token: str
    app_token: str
    faults: Faults = field(default_factory=Faults)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._released = asyncio.Event()

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer one call of a method."""
        method, given = request.match_info["method"], await _read(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or given.pop("token", "")
        given.pop("token", None)
        call = self._recorded(method, given)
        fault = self.faults.take(method)
        if fault and not fault.after_effect:
            return await self._misbehave(fault, call, request)
        answer = self._answer(method, token, Args(given))
        if fault:
            return await self._misbehave(fault, call, request)
        scopes = {"X-OAuth-Scopes": ",".join(sorted(self._granted))}
        return self._sent(call, web.json_response(answer, headers=scopes), answer.get("error"))

    @property
    def _granted(self) -> frozenset[str]:
        """The scopes of the bot token."""
        every = frozenset(scope for method in METHODS.values() for scope in method.scopes) | {"users:read.email"}
        return every if self.site.switches.scopes is None else self.site.switches.scopes

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a post to a response_url."""
        given = await _read(request)
        call = self._recorded("response_url", given)
        if fault := self.faults.take("response_url"):
            return await self._misbehave(fault, call, request)
        try:
            self.site.respond(request.match_info["ticket"], given)
        except Spent as spent:
            refused = web.json_response({"ok": False, "error": spent.error}, status=404)
            return self._sent(call, refused, spent.error)
        except Refusal as refusal:
            return self._sent(call, web.json_response(refusal.answer(), status=400), refusal.error)
        return self._sent(call, web.Response(text="ok"))

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Take the bytes of a file; its content is not kept in the call."""
        content = await request.read()
        call = self._recorded("upload", {"length": len(content)})
        if fault := self.faults.take("upload"):
            return await self._misbehave(fault, call, request)
        try:
            self.site.upload(request.match_info["ticket"], content)
        except (Spent, Refusal) as refusal:
            return self._sent(call, web.Response(status=400, text=refusal.error), refusal.error)
        return self._sent(call, web.Response(text=f"OK - {len(content)}"))

    def release(self) -> None:
        """End the hanging calls."""
        self._released.set()
        self._released = asyncio.Event()

    def _recorded(self, method: str, given: Json) -> Call:
        call = Call(method, given, self.site.world.now())
        self.calls.append(call)
        return call

    def _sent(self, call: Call, answer: web.Response, error: str | None = None) -> web.Response:
        answer.headers["Date"] = formatdate(self.site.world.now(), usegmt=True)
        call.status, call.error = answer.status, error
        self.site.changes.wake()
        return answer

    def _answer(self, method: str, token: str, args: Args) -> Json:
        try:
            return {"ok": True, **self._run(method, token, args)}
        except Refusal as refusal:
            return refusal.answer()

    def _run(self, name: str, token: str, args: Args) -> Json:
        method = METHODS.get(name)
        if method is None:
            raise Refusal("unknown_method", req_method=name)
        self._check_token(token, method.token)
        self._check_scope(method.scopes)
        return method.run(self.site, args)

    def _check_token(self, token: str, wanted: str) -> None:
        if wanted == "any":
            return
        if not token:
            raise Refusal("not_authed")
        kinds = {self.bot_token: "bot", self.app_token: "app"}
        if token not in kinds:
            raise Refusal("invalid_auth")
        if kinds[token] != wanted:
            raise Refusal("not_allowed_token_type")

    def _check_scope(self, enough: tuple[str, ...]) -> None:
        granted = self.site.switches.scopes
        if enough and granted is not None and granted.isdisjoint(enough):
            raise Refusal("missing_scope", needed=",".join(enough), provided=",".join(sorted(granted)))

    async def _misbehave(self, fault: Fault, call: Call, request: web.Request) -> web.StreamResponse:
        match fault.kind:
            case "hang":
                self.site.changes.wake()
                await self._released.wait()
                return web.Response(status=503)
            case "drop":
                self.site.changes.wake()
                if request.transport:
                    request.transport.abort()
                return web.Response()
            case "rate_limit":
                late = {"Retry-After": str(fault.retry_after)}
                answer = web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=late)
                return self._sent(call, answer, "ratelimited")
            case _:
                return self._sent(call, _failure(fault), fault.error)


def _failure(fault: Fault) -> web.Response:
    if fault.error:
        return web.json_response({"ok": False, "error": fault.error})
    return web.Response(status=fault.status, text=fault.text, content_type=fault.content_type)


async def _read(request: web.Request) -> Json:
    """Return the arguments, from the query and a JSON or form body."""
    given: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            body = {}
        return given | (body if isinstance(body, dict) else {})
    return given | dict(await request.post())
