"""A listening socket on the loopback."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = "127.0.0.1"
PATIENCE = 0.2
"""Seconds that a stop waits for open requests; some of them hang on purpose."""


class Server:
    """Serves one application on one port, which stays the same across restarts."""

    def __init__(self, port: int = 0) -> None:
        self.doors: list[Any] = []
        """aiohttp middlewares that see every request first, outermost first. Add them before the start."""

        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def addresses(self) -> list[str]:
        """The addresses on which it listens."""
        return [address[0] for address in self._runner.addresses] if self._runner else []

    async def start(self, app: web.Application) -> None:
        app.middlewares[:0] = self.doors
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=PATIENCE)
        await self._runner.setup()
        listener = socket.create_server((LOOPBACK, self._port), backlog=1024)
        self._port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


async def stop_all(*servers: Server) -> None:
    await asyncio.gather(*(server.stop() for server in servers))


def application(handle: Handle) -> web.Application:
    """Return an application in which *handle* answers every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response; like a gateway's, its content type has no charset."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, headers=headers, content_type="application/json")


def drop(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
