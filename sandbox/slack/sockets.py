"""Socket Mode: send each envelope to exactly one of the open sockets, in turn."""

import asyncio
import json
import uuid
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.slack.delivery import Ack
from sandbox.slack.site import Site
from sandbox.slack.tickets import Spent
from sandbox.slack.world import APP_ID

Json = dict[str, Any]

MOST_SOCKETS = 10
CLOSE_SECONDS = 0.5
"""Seconds for an app to close its socket after Slack asks for it."""


class Sockets:
    """The sockets of connected apps."""

    def __init__(self, site: Site) -> None:
        self.open: list[web.WebSocketResponse] = []
        self._site = site
        self._turn = 0
        self._unanswered: dict[str, asyncio.Future[Any]] = {}

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Let an app connect with a one-time ticket, and listen until it disconnects."""
        try:
            self._site.links.take(request.query.get("ticket", ""))
        except Spent as spent:
            return web.Response(status=401, text=spent.error)
        socket = web.WebSocketResponse(heartbeat=20, timeout=CLOSE_SECONDS)
        await socket.prepare(request)
        if len(self.open) >= MOST_SOCKETS:
            await _dismiss(socket, "too_many_websockets")
        else:
            await self._serve(socket)
        return socket

    async def carry(self, kind: str, payload: Json) -> Ack:
        """Send one envelope and wait for its acknowledgement."""
        socket = self._next()
        if socket is None:
            return Ack(error="dispatch_failed")
        envelope_id = str(uuid.uuid4())
        takes_payload = kind != "events_api"
        envelope = {
            "type": kind,
            "envelope_id": envelope_id,
            "payload": payload,
            "accepts_response_payload": takes_payload,
        } | ({} if takes_payload else {"retry_attempt": 0, "retry_reason": ""})
        answered = self._unanswered[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_json(envelope)
            return Ack(await asyncio.wait_for(answered, self._site.switches.ack_within))
        except ConnectionError:
            return Ack(error="dispatch_failed")
        except TimeoutError:
            return Ack(error="operation_timeout")
        finally:
            del self._unanswered[envelope_id]

    async def disconnect(self, reason: str) -> None:
        """Ask every app to reconnect, and close its socket."""
        await asyncio.gather(*(_dismiss(socket, reason) for socket in self.open))

    async def hang_up(self, _app: web.Application) -> None:
        """Close every socket without a message, as a server does when it shuts down."""
        await asyncio.gather(*(socket.close() for socket in self.open))

    def _next(self) -> web.WebSocketResponse | None:
        usable = [socket for socket in self.open if not socket.closed]
        self._turn += 1
        return usable[self._turn % len(usable)] if usable else None

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        self.open.append(socket)
        await socket.send_json(_hello(len(self.open)))
        self._site.changes.announce("socket", len(self.open))
        try:
            async for frame in socket:
                self._receive(frame)
        finally:
            self.open.remove(socket)
            self._site.changes.announce("socket", len(self.open))

    def _receive(self, frame: aiohttp.WSMessage) -> None:
        """Match an acknowledgement to its envelope; ignore a late one, as Slack does."""
        try:
            answer = json.loads(frame.data)
            waiting = self._unanswered.get(answer["envelope_id"])
        except (ValueError, LookupError, TypeError):
            self._site.complain("A frame that is no acknowledgement.")
            return
        if waiting and not waiting.done():
            waiting.set_result(answer.get("payload"))


def _hello(connections: int) -> Json:
    return {
        "type": "hello",
        "num_connections": connections,
        "connection_info": {"app_id": APP_ID},
        "debug_info": {"host": "sandbox", "approximate_connection_time": 3600},
    }


async def _dismiss(socket: web.WebSocketResponse, reason: str) -> None:
    with suppress(ConnectionError):
        await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})
    await socket.close()
