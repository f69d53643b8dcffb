"""What carries httpx's requests: aiohttp's connections, at a third of the CPU of httpx's own.

Whether a request can have arrived decides whether a creation may be sent again, so every way to fail is told
apart here, and nothing is sent a second time unasked.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import aiohttp
import httpx
from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

KEPT_FOR = 5.0
"""Seconds in which a connection is used again: less than servers keep one, or a request meets it as they close it."""

LONGEST_HEADER = 65_536
"""Bytes of one header of an answer; more is no HTTP that anybody means."""


class Connections(httpx.AsyncBaseTransport):
    """Connections to servers that *trusted* vouches for: at most *kept*, used again, or a fresh one for each request.

    The methods raise httpx's errors: `ConnectError` and `ConnectTimeout` only where nothing can have been sent.
    """

    def __init__(self, trusted: SSLContext, *, kept: int) -> None:
        self._trusted = trusted
        self._kept = kept
        self._session: ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* once and return the head of the answer; its body is yet to be read."""
        waits = request.extensions["timeout"]
        with _told_by_httpx():
            answer = await self._open().request(
                request.method,
                URL(str(request.url), encoded=True).with_user(None),  # httpx has made a header of it
                headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
                data=await request.aread() or None,
                timeout=ClientTimeout(connect=waits["connect"], sock_read=waits["read"]),
                allow_redirects=False,
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session:
            await self._session.close()

    def _open(self) -> ClientSession:
        """Return the session, made where it is first used: it belongs to an event loop."""
        if self._session is None:
            use: dict[str, Any] = {"keepalive_timeout": KEPT_FOR} if self._kept else {"force_close": True}
            self._session = ClientSession(
                connector=TCPConnector(ssl=self._trusted, limit=self._kept, use_dns_cache=False, **use),
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                middlewares=(_once,),
                max_field_size=LONGEST_HEADER,
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, answer: ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told_by_httpx():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._answer.close()


async def _once(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """Send *request*; aiohttp itself would send most requests again where a kept connection broke."""
    with _told_by_httpx():
        return await send(request)


@contextmanager
def _told_by_httpx() -> Iterator[None]:
    """Say in httpx's errors what happened; an answer that is no HTTP is not handed on, for aiohttp quotes it."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError("no connection") from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("no answer in time") from error
    except (aiohttp.ClientError, OSError, ValueError):
        raise httpx.ReadError("the connection broke") from None
