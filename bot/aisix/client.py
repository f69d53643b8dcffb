"""The HTTP clients that call AISIX; they share what is expensive to build."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import httpx

from bot.proxies import proxy_for
from bot.telemetry.tracing import tracer

ANSWER_MOST = 50_000_000
"""The most bytes of one answer that a client reads, unless the settings say otherwise."""

PARTS = 2
"""A whole exchange may take this many times the time-out of one part (connect, send, next bytes)."""

TRANSFER_HEADERS = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""Headers about the transfer of a body; they are wrong once the body has been read and decoded."""


class TooLong(httpx.HTTPError):
    """An answer is longer than the limit."""


def http_client(addresses: Iterable[str], *, kept: int = 0, **options: Any) -> httpx.AsyncClient:
    """Return a client for some *addresses*; it keeps at most *kept* connections, or opens one per request.

    It verifies certificates, and uses the proxies of the environment.

    It sends no cookies: a balancer with sticky sessions would send all its requests to the same replica.
    """
    options["cookies"] = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    limits = httpx.Limits(max_connections=kept or None, max_keepalive_connections=kept)
    direct: dict[str, Any] = {"verify": trusted(), "limits": limits}
    proxies = {_origin(each): proxy for each in addresses if (proxy := proxy_for(each))}
    mounts = {there: httpx.AsyncHTTPTransport(proxy=proxy, **direct) for there, proxy in proxies.items()}
    return httpx.AsyncClient(mounts=mounts, trust_env=False, **direct, **options)


def _origin(address: str) -> str:
    url = httpx.URL(address)
    return f"{url.scheme}://{url.netloc.decode()}"


def can_be_asked(url: str) -> bool:
    """Tell whether a request can be sent to *url*."""
    with suppress(httpx.InvalidURL):
        return httpx.URL(url).host != "" and not any(map(str.isspace, url))
    return False


class ClientPool:
    """One client, with one connection, for each concurrent call.

    A single client scans all its connections twice per call: with 16 that costs more than the call.
    """

    def __init__(self, size: int, address: str, **options: Any) -> None:
        self._clients = [http_client([address], kept=1, **options) for _ in range(size)]
        self._free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for client in self._clients:
            self._free.put_nowait(client)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Wait for a free client and lend it; prefer the one used last, as its connection is likely still open."""
        client = await self._free.get()
        try:
            yield client
        finally:
            self._free.put_nowait(client)

    def send(self, **headers: str) -> None:
        """Send these headers from now on."""
        for client in self._clients:
            client.headers.update(headers)

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.aclose()


@cache
def trusted() -> SSLContext:
    """Load the trusted certificates; that takes 30 ms, so all clients share them."""
    return httpx.create_ssl_context()


async def read(client: httpx.AsyncClient, method: str, url: str, most: int, **options: Any) -> httpx.Response:
    """Return an answer, read to its end; raise `TooLong`, or `ReadTimeout` when it is sent too slowly.

    The limit counts decompressed bytes as they arrive, so a small compressed answer cannot fill the memory either.
    """
    within = PARTS * client.timeout.read if client.timeout.read else None
    try:
        with tracer().call(method, url) as ended:
            async with asyncio.timeout(within), client.stream(method, url, **options) as streamed:
                ended(str(streamed.status_code))
                body = await _body(streamed, most)
    except TimeoutError:
        raise httpx.ReadTimeout("the answer does not end") from None
    headers = [(name, value) for name, value in streamed.headers.raw if name.lower() not in TRANSFER_HEADERS]
    return httpx.Response(streamed.status_code, headers=headers, content=body, request=streamed.request)


async def _body(streamed: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in streamed.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise TooLong("an answer is too long")
    return bytes(body)
