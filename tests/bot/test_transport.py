"""What becomes of a request: ours and httpx's own way to send it tell the same, and send it once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import socket
from traceback import format_exception
from typing import Any

import httpx
import pytest
from aiohttp import web

from bot.aisix.client import http_client, trusted
from bot.aisix.transport import Connections
from sandbox.aisix.serving import Server, application

Open = Callable[[int], httpx.AsyncBaseTransport]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
SAYS: dict[str, bytes | None] = {
    "answers": ANSWER,
    "answers and marks": ANSWER.replace(b"\r\n\r\n", b"\r\nSet-Cookie: route=1; Path=/\r\n\r\n"),
    "hangs up": b"",
    "answers half": ANSWER[:-2],
    "speaks no HTTP": b"220 smtp.example.com ESMTP\r\n\r\n",
    "says nothing": None,
}
"""What a server sends before it hangs up; None where it does neither."""


@dataclass
class Shop:
    """A server whose every customer is told the next thing that it has to say."""

    says: list[str]
    url: str = ""
    heard: list[bytes] = field(default_factory=list)
    customers: int = 0
    is_silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.customers += 1
        while head := await _head(reader):
            self.heard.append(head)
            said = SAYS[self.says.pop(0)]
            if said is None:
                self.is_silent.set()
                await reader.read()
                break
            writer.write(said)
            if said != ANSWER:
                break
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def shop(*says: str) -> AsyncIterator[Shop]:
    keeper = Shop(list(says))
    server = await asyncio.start_server(keeper.serve, "127.0.0.1", 0)
    keeper.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    yield keeper
    server.close()


def httpx_own(kept: int) -> httpx.AsyncBaseTransport:
    """Return what is used where the environment names a proxy."""
    limits = httpx.Limits(max_connections=kept or None, max_keepalive_connections=kept)
    return httpx.AsyncHTTPTransport(verify=trusted(), limits=limits)


def ours(kept: int) -> httpx.AsyncBaseTransport:
    return Connections(trusted(), kept=kept)


@pytest.fixture(params=[ours, httpx_own])
def transport(request: pytest.FixtureRequest) -> Open:
    chosen: Open = request.param
    return chosen


def client(opened: httpx.AsyncBaseTransport, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=opened, **{"timeout": 10} | options)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("then", "error"),
    [
        ("hangs up", (httpx.ReadError, httpx.RemoteProtocolError)),
        ("answers half", (httpx.ReadError, httpx.RemoteProtocolError)),
        ("speaks no HTTP", (httpx.ReadError, httpx.RemoteProtocolError)),
        ("says nothing", httpx.ReadTimeout),
    ],
)
async def test_what_breaks_on_a_kept_connection_may_have_arrived_and_is_not_sent_again(transport, method, then, error):
    async with shop("answers", then, "answers") as keeper, client(transport(1)) as http:
        await http.request(method, keeper.url)

        with pytest.raises(error):
            await http.request(method, keeper.url, timeout=0.3 if then == "says nothing" else 10)

    assert len(keeper.heard) == 2
    assert keeper.customers == 1


async def test_an_answer_that_is_no_http_is_in_no_traceback():
    async with shop("speaks no HTTP") as keeper, client(ours(1)) as http:
        with pytest.raises(httpx.ReadError) as broken:
            await http.post(keeper.url, json={})

    assert "smtp" not in "".join(format_exception(broken.value))


async def test_where_nobody_listens_nothing_was_sent(transport):
    with socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        async with client(transport(1)) as http:
            with pytest.raises(httpx.ConnectError):
                await http.post(url, json={})


async def test_where_nobody_is_known_by_that_name_nothing_was_sent(transport):
    async with client(transport(1)) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post("http://nobody.invalid/", json={})


async def test_a_request_that_finds_every_connection_busy_was_not_sent(transport):
    async with shop("says nothing") as keeper, client(transport(1)) as http:
        busy = asyncio.create_task(http.get(keeper.url))
        await keeper.is_silent.wait()

        with pytest.raises((httpx.ConnectTimeout, httpx.PoolTimeout)):
            await http.post(keeper.url, json={}, timeout=0.05)

        busy.cancel()
        assert len(keeper.heard) == 1


@pytest.mark.parametrize(("kept", "customers"), [(2, 1), (0, 3)])
async def test_connections_are_used_again_or_never(transport, kept, customers):
    async with shop(*["answers"] * 3) as keeper, client(transport(kept)) as http:
        for _ in range(3):
            assert (await http.get(keeper.url)).text == "done"

    assert keeper.customers == customers


async def test_a_request_arrives_as_it_was_meant(transport):
    arrived = []

    async def take(request: web.Request) -> web.Response:
        arrived.append((request.method, request.raw_path, request.headers, await request.text()))
        return web.Response(text="é", headers={"X-Twice": "1"}, status=207)

    server = Server()
    await server.start(application(take))
    async with client(transport(1)) as http:
        url = f"{server.url}/models/a%2Fb%20c"
        answer = await http.patch(url, params={"page": "2&"}, json={"id": "é"}, headers={"X-One": "1"})
        await http.get(server.url, headers={"Cookie": "none=of=ours"})
    await server.stop()

    (method, path, headers, body), (_, _, bare, nothing) = arrived
    assert (method, path, body) == ("PATCH", "/models/a%2Fb%20c?page=2%26", '{"id":"é"}')
    assert (headers["X-One"], headers["Content-Type"]) == ("1", "application/json")
    assert (bare["Cookie"], nothing) == ("none=of=ours", "")
    assert (answer.status_code, answer.text, answer.headers["X-Twice"]) == (207, "é", "1")


async def test_an_answer_that_leads_elsewhere_is_not_followed(transport):
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://nobody.invalid/"})

    server = Server()
    await server.start(application(elsewhere))
    async with client(transport(1)) as http:
        assert (await http.post(server.url)).status_code == httpx.codes.TEMPORARY_REDIRECT
    await server.stop()


async def test_a_proxy_of_the_environment_is_used(monkeypatch):
    async with shop("answers") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with http_client(timeout=10) as http:
            assert (await http.get("http://control-plane.example.com/api/models")).text == "done"

    assert proxy.heard[0].startswith(b"GET http://control-plane.example.com/api/models HTTP/1.1\r\n")


@pytest.mark.parametrize("is_proxied", [False, True], ids=["ours", "httpx's own"])
async def test_no_cookie_is_sent_back_so_that_no_balancer_knows_us_again(monkeypatch, is_proxied):
    async with shop("answers and marks", "answers") as keeper:
        if is_proxied:
            monkeypatch.setenv("http_proxy", keeper.url)
        async with http_client(timeout=10) as http:
            for _ in range(2):
                assert (await http.get(keeper.url)).text == "done"

    assert len(keeper.heard) == 2
    assert not [head for head in keeper.heard if b"cookie" in head.lower()]
