"""The way from the bot's clients to the sandbox's AISIX, without sockets: httpx on one side, aiohttp on the other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import httpx
from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bot.rotation.naming import tag_of
from sandbox.aisix import Aisix
from sandbox.aisix.faults import GARBAGE
from sandbox.aisix.replica import Replica
from sandbox.aisix.store import CallerKey
from tests.simulation.clockwork import ACTOR, Actor, Fate, Switchboard
from tests.simulation.laws import Laws

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
LATE = 8
"""How much more often lists lack something once all has been looked at for the last time."""

CONTROL_PLANE = "http://control-plane/api"


class Line:
    """A connection, as far as a handler looks at it."""

    ssl_context = peername = sockname = None

    def __init__(self) -> None:
        self.transport, self.closed = self, False

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _: str) -> None:
        return None


class Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def at_eof(self) -> bool:
        return not self._content

    def set_read_chunk_size(self, _: int) -> None:
        """It is in one piece."""

    async def readany(self) -> bytes:
        content, self._content = self._content, b""
        return content


class Refusal(Exception):
    """Carries an answer that is sent instead of the real one."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response


class Wire:
    """Carries requests to the control plane, the gateways and the replicas' status pages, a turn each."""

    def __init__(self, switchboard: Switchboard, aisix: Aisix) -> None:
        self._switchboard, self.random, self._aisix = switchboard, switchboard.random, aisix
        self._control_plane = aisix.control_plane.app()
        self._control_plane.freeze()
        self.laws = Laws(aisix, switchboard)
        self.at_work = False
        """Whether applications ask models between any two calls of the bot, by a caller key that is not its own."""

        self.short = 0.0
        self.behind: set[Any] = set()
        """Replicas that have not taken the last changes yet."""

    def settings(self) -> dict[str, Any]:
        """What points a bot here."""
        return {
            environment.id: {
                "url": f"http://{environment.name}",
                "caller_key": self._aisix.caller_key(environment.name),
                "status_urls": self._status_urls(environment.name) if self._aisix.switches.status_urls else [],
                "replicas": len(self._status_urls(environment.name)),
            }
            for environment in self._aisix.store.environments.values()
        }

    def _status_urls(self, environment: str) -> list[str]:
        listed = [replica for replica in self._aisix.replicas(environment) if replica.is_listed]
        return [f"http://{environment}.{number}" for number, _ in enumerate(listed)]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.host}{request.url.path.removeprefix('/api')}"
        body = await request.aread()

        def fail(fate: Fate) -> Exception:
            return self._failure(fate, request, body)

        try:
            return await self._switchboard.call(what, lambda: self._carry(request, body), fail)
        except Refusal as refusal:
            return refusal.response

    def _failure(self, fate: Fate, request: httpx.Request, body: bytes) -> Exception:
        match fate:
            case Fate.LOST:
                return httpx.ConnectError("lost", request=request)
            case Fate.LATE:
                asyncio.get_running_loop().call_later(3, self._take_effect_late, request, body)
                return httpx.ReadTimeout("given up", request=request)
            case Fate.UNHEARD:
                return httpx.ReadError("unheard", request=request)
            case Fate.LIMITED:
                return Refusal(httpx.Response(429, headers={"Retry-After": "2"}, json={}))
            case Fate.GARBAGE:
                return Refusal(httpx.Response(200, text=GARBAGE))
            case _:
                return Refusal(httpx.Response(500, json={}))

    def _take_effect_late(self, request: httpx.Request, body: bytes) -> None:
        self._late = asyncio.get_running_loop().create_task(self._carry(request, body))

    async def _carry(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if self.at_work:
            await self._callers_ask()
        actor, path = ACTOR.get(), request.url.path.removeprefix("/api")
        serve, replica = self._place(request.url)
        if replica is None:
            self.laws.asked(actor, request.method, path, body)
        line = Line()
        response = await _answer(serve, _as_seen_there(request, body, line))
        if line.closed:
            raise httpx.ReadError("dropped", request=request)
        content = response.body or b""
        if replica is not None:
            self.laws.asked_gateway(actor, replica, path, body)
            request.extensions["answered_by"] = replica
        elif request.method != "GET":
            self.project()
            self.laws.done(actor, request.method, path, response.status)
        elif actor and actor.is_worker:
            content = self._shortened(actor, path, content)
        return httpx.Response(response.status, headers=list(response.headers.items()), content=content)

    def _shortened(self, actor: Actor, path: str, content: bytes) -> bytes:
        """Leave out rows, as a copy of the database that lags or a page that is cut short does.

        Rows that Keyturn made are left in: that it cleans up behind itself is promised for lists that are true.
        """
        actor.lacked[path] = frozenset()
        answer = json.loads(content or b"null")
        rows = answer.get("data") if isinstance(answer, dict) else None
        short = self.short * (LATE if self.laws.is_ending(actor.rotation) else 1)
        if not isinstance(rows, list) or not rows or self.random.random() >= short:
            return content
        lost = self.random.sample(rows, self.random.randint(1, len(rows)))
        kept = [row for row in rows if row not in lost or _is_ours(row)]
        told = len(kept) if self.random.random() < 0.8 else len(rows)
        actor.lacked[path] = frozenset(row["id"] for row in rows if row not in kept)
        self._switchboard.note(f"    {path} lacks {len(rows) - len(kept)} of {len(rows)} rows, and tells {told}")
        return json.dumps({**answer, "data": kept, "total": told}).encode()

    def project(self) -> None:
        """Have the replicas that keep up take every change."""
        for replica in self._aisix.all_replicas():
            if replica not in self.behind:
                replica.catch_up()

    def _place(self, url: httpx.URL) -> tuple[Serve, Replica | None]:
        if url.host == "control-plane":
            return self._control_plane._handle, None  # noqa: SLF001 - what a server calls
        environment, _, number = url.host.partition(".")
        replicas = self._aisix.replicas(environment)
        if number:
            return replicas[int(number)].status.handle, replicas[int(number)]
        up = [replica for replica in replicas if not replica.down]
        chosen = self.random.choice(up or replicas)
        return chosen.handle, chosen

    # --- applications ---

    def begin_callers(self) -> None:
        """Have them go to work: some are limited, and in some environments the same question comes from a cache."""
        self.at_work = True
        for environment in self._aisix.store.environments.values():
            environment.callers["ck-limited"] = CallerKey("ck-limited", "limited", ["*"], ["keyturn-*"], limit=0)
            environment.cache = self.random.random() < 0.5

    async def _callers_ask(self) -> None:
        store, chance = self._aisix.store, self.random
        for environment in chance.choices(list(store.environments.values()), k=chance.choice((0, 0, 1, 2))):
            routes = [r.fields["path"] for r in store.passthrough_routes.values() if r.environment_id == environment.id]
            route = chance.choice(routes) if routes and chance.random() < 0.3 else ""
            aliases = {model.display_name for model in store.models_of(environment.id)}
            alias = chance.choice(sorted(a for a in aliases if not a.startswith("keyturn-")) or ["nothing"])
            token = "ck-limited" if chance.random() < 0.2 else self._aisix.app_caller_key(environment.id)
            asked = {"model": alias, "messages": [{"role": "user", "content": "the same as always"}]}
            url, headers = f"http://{environment.name}{route}/v1/chat/completions", {"Authorization": f"Bearer {token}"}
            request = httpx.Request("POST", url, headers=headers, json=asked)
            await _answer(self._place(request.url)[0], _as_seen_there(request, request.content, Line()))


def _is_ours(row: dict[str, Any]) -> bool:
    name = str(row.get("display_name", row.get("name", "")))
    return name.startswith("keyturn-") or tag_of(name) is not None


async def _answer(serve: Serve, request: web.Request) -> Any:
    try:
        return await serve(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=HTTPStatus(error.status).phrase)


def _as_seen_there(request: httpx.Request, body: bytes, line: Line) -> web.Request:
    path = request.url.raw_path.decode()
    headers = CIMultiDictProxy(CIMultiDict(request.headers.items()))
    message = RawRequestMessage(
        request.method, path, HttpVersion11, headers, tuple(request.headers.raw), False, None, False, False, URL(path)
    )
    parts: Any = (message, Body(body), line, None, None, asyncio.get_running_loop())
    return web.Request(*parts)
