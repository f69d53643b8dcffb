"""Forward requests to a real gateway."""

import aiohttp
from aiohttp import web
from yarl import URL

from sandbox.aisix.serving import drop

OF_THE_CONNECTION = frozenset(
    {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}
)
"""Headers that belong to one connection, and must not be forwarded."""

PATIENCE = 60.0


class Forward:
    """Forwards requests to *url* unchanged."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE), connector=aiohttp.TCPConnector(limit=0)
        )

    async def stop(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as the gateway does; drop the connection if it does not answer."""
        assert self._http is not None
        where = URL(self.url + request.raw_path, encoded=True)
        body, headers = await request.read(), _of_the_message(request.headers)
        try:
            async with self._http.request(request.method, where, data=body or None, headers=headers) as answer:
                told = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return drop(request)
        return web.Response(body=told, status=answer.status, headers=_of_the_message(answer.headers))

    async def page(self, path: str) -> bytes:
        """Return a page of the gateway; raise OSError if it does not answer."""
        assert self._http is not None
        try:
            async with self._http.get(self.url + path, raise_for_status=True) as answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(str(error)) from error


def _of_the_message(headers: "aiohttp.typedefs.LooseHeaders") -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION]  # type: ignore[union-attr]
