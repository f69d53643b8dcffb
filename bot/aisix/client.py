"""The HTTP clients with which the bot calls AISIX: what all of them need is made once for the process."""

import asyncio
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies

import httpx

from bot.aisix.transport import Connections

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

    It sends no cookie back: a balancer that knew it again would send all its requests to the same replica. Where the
    environment names a proxy, httpx's own transport is used: it knows how to speak to each kind.
    """
    options["cookies"] = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    if getproxies():
        limits = httpx.Limits(max_connections=kept or None, max_keepalive_connections=kept)
        return httpx.AsyncClient(verify=trusted(), limits=limits, **options)
    return httpx.AsyncClient(transport=Connections(trusted(), kept=kept), **options)


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
    headers = [(name, value) for name, value in streamed.headers.raw if name.lower() not in OF_THE_WAY]
    return httpx.Response(streamed.status_code, headers=headers, content=body, request=streamed.request)


async def _body(streamed: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in streamed.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise TooLong("an answer is too long")
    return bytes(body)
