"""The HTTP clients with which the bot calls AISIX: what all of them need is made once for the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx

ANSWER_MOST = 50_000_000
"""Bytes of one answer that are read, unless the settings say otherwise."""

PARTS = 2
"""How often as long as a part of it (to connect, to send, the next bytes) a whole exchange may take."""

OF_THE_WAY = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that say how a body came, and no more what it is once it has been read."""


class TooLong(httpx.HTTPError):
    """An answer has more bytes than are read."""


def http_client(**options: Any) -> httpx.AsyncClient:
    """Return a client that verifies who answers it."""
    return httpx.AsyncClient(verify=trusted(), **options)


class Turns:
    """At most *count* exchanges at a time, each with a client and a connection of its own.

    A pool of connections looks at every one of them for each request (httpcore): with sixteen that cost more
    than all the rest of a call.
    """

    def __init__(self, count: int, *, keep: bool, **options: Any) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=int(keep))
        self._clients = [http_client(limits=limits, **options) for _ in range(count)]
        self._free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for client in self._clients:
            self._free.put_nowait(client)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend a client when it is one's turn; of those that are free the one that was used last."""
        client = await self._free.get()
        try:
            yield client
        finally:
            self._free.put_nowait(client)

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.aclose()


@cache
def trusted() -> SSLContext:
    """Read whom to trust; it takes 30 ms, so the clients share it."""
    return httpx.create_ssl_context()


async def read(client: httpx.AsyncClient, method: str, url: str, most: int, **options: Any) -> httpx.Response:
    """Return an answer, read to its end; raise `TooLong`, or `ReadTimeout` where it drips and the end is not in sight.

    What comes is unpacked as it comes, so that a small answer cannot fill the memory either.
    """
    within = PARTS * client.timeout.read if client.timeout.read else None
    try:
        async with asyncio.timeout(within), client.stream(method, url, **options) as streamed:
            body = await _body(streamed, most)
    except TimeoutError:
        raise httpx.ReadTimeout("the answer does not end") from None
    headers = [(name, value) for name, value in streamed.headers.multi_items() if name not in OF_THE_WAY]
    return httpx.Response(streamed.status_code, headers=headers, content=body, request=streamed.request)


async def _body(streamed: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in streamed.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise TooLong("an answer is too long")
    return bytes(body)
