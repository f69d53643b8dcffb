"""The HTTP clients with which the bot calls AISIX: what all of them need is made once for the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import httpx

ANSWER_MOST = 50_000_000
"""Bytes of one answer that are read, unless the settings say otherwise."""

PARTS = 2
"""How often as long as a part of it (to connect, to send, the next bytes) a whole exchange may take."""

OF_THE_WAY = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""Headers that say how a body came, and no more what it is once it has been read."""


class TooLong(httpx.HTTPError):
    """An answer has more bytes than are read."""


def http_client(*, kept: int = 0, **options: Any) -> httpx.AsyncClient:
    """Return a client that verifies who answers it; it holds *kept* connections at most, or a fresh one a request.

    It sends no cookie back: a balancer that knew it again would send all its requests to the same replica.
    """
    options["cookies"] = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    limits = httpx.Limits(max_connections=kept or None, max_keepalive_connections=kept)
    return httpx.AsyncClient(verify=trusted(), limits=limits, **options)


class ClientPool:
    """As many clients as there may be calls at a time, with a connection each.

    One client with as many connections would look at all of them twice a call: at 16 that costs more than the call.
    """

    def __init__(self, size: int, **options: Any) -> None:
        self._clients = [http_client(kept=1, **options) for _ in range(size)]
        self._free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for client in self._clients:
            self._free.put_nowait(client)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Wait for a free client and lend it; of several, the one used last: its connection is likely to be open."""
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
    """Return an answer, read to its end; raise `TooLong`, or `ReadTimeout` where it drips and the end is not in window.

    What comes is unpacked as it comes, so that a small answer cannot fill the memory either.
    """
    within = PARTS * client.timeout.read if client.timeout.read else None
    try:
        async with asyncio.timeout(within), client.stream(method, url, **options) as streamed:
            body = await _body(streamed, most)
    except TimeoutError:
        raise httpx.ReadTimeout("the answer does not end") from None
    headers = [(name, value) for name, value in streamed.headers.raw if name.lower() not in OF_THE_WAY]
    return httpx.Response(streamed.status_code, headers=headers, content=body, request=streamed.request)


async def _body(streamed: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in streamed.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise TooLong("an answer is too long")
    return bytes(body)
