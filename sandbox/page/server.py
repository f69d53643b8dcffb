"""Serve the page and its live socket, on the loopback and only to this page."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from sandbox.aisix.serving import LOOPBACK, Server
from sandbox.page.acts import ACTS
from sandbox.page.screen import ROLES, news
from sandbox.page.workshop import Workshop

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC = Path(__file__).parent / "static"
PACE = 0.1
"""Seconds between two updates of the browser."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def application(workshop: Workshop | None = None) -> web.Application:
    """Build the page; without a *workshop*, it only draws what it is given."""
    app = web.Application(middlewares=[own_only, with_headers])
    app.router.add_get("/draw", _file("draw.html"))
    app.router.add_static("/static", STATIC)
    if workshop is not None:
        app.router.add_get("/", _file("index.html"))
        app.router.add_get("/live", _live(workshop))
    return app


def _live(workshop: Workshop) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        return await live(request, workshop)

    return serve


def _file(name: str) -> Handler:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / name)

    return serve


@web.middleware
async def own_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that another site sends through the visitor's browser."""
    own = (LOOPBACK, "localhost")
    asked = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin", f"http://{request.host}")
    if asked not in own or urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="Only this machine's own page may ask.")
    return await handler(request)


@web.middleware
async def with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add headers that forbid loading from other sites and inline scripts."""
    response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


async def live(request: web.Request, workshop: Workshop) -> web.StreamResponse:
    """Send changes to one browser, and do what it asks for."""
    person = request.query.get("as", "")
    if person not in ROLES:
        raise web.HTTPNotFound(text="There is no such person.")
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    telling = asyncio.create_task(_send_changes(socket, workshop, person))
    try:
        async with asyncio.TaskGroup() as under_way:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    under_way.create_task(_do(socket, workshop, person, json.loads(frame.data)))
    finally:
        telling.cancel()
    return socket


async def _send_changes(socket: web.WebSocketResponse, workshop: Workshop, person: str) -> None:
    """Send what has changed, at a pace that an eye can follow."""
    seen: dict[str, Any] = {}
    with workshop.woken() as woken:
        while not socket.closed:
            now = json.loads(json.dumps(workshop.items(person)))
            if any((told := news(seen, now)).values()):
                await socket.send_json(told)
            seen = now
            await asyncio.sleep(PACE)
            await woken.wait()
            woken.clear()


async def _do(socket: web.WebSocketResponse, workshop: Workshop, person: str, asked: Json) -> None:
    answer = {"re": asked.get("id"), **await _done(workshop, person, asked)}
    workshop.wake()
    with suppress(ConnectionError):
        await socket.send_json(answer)


async def _done(workshop: Workshop, person: str, asked: Json) -> Json:
    """Do one act; return a sentence if it is refused."""
    act = ACTS.get(asked.get("act", ""))
    if act is None:
        return {"refused": "There is nothing of that name to do."}
    try:
        return {"result": await act(workshop.desk(person), asked)}
    except (LookupError, ValueError) as refusal:
        return {"refused": str(refusal.args[0])}


class Page:
    """The page on a loopback port; `async with` returns its address."""

    def __init__(self, workshop: Workshop | None = None, port: int = 0) -> None:
        self.server, self._workshop = Server(port), workshop

    async def __aenter__(self) -> str:
        await self.server.start(application(self._workshop))
        return f"{self.server.url}/"

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()
