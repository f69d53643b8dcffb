"""What becomes of a request: it is sent once, and its failure says whether it can have arrived."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from traceback import format_exception

import httpx
import pytest
from pydantic import SecretStr

from bot.aisix.client import ClientPool, http_client
from bot.aisix.control_plane import ControlPlane
from bot.rotation.errors import Uncertain

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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.customers += 1
        while head := await _head(reader):
            self.heard.append(head)
            said = SAYS[self.says.pop(0)]
            if said is None:
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


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("then", ["hangs up", "answers half", "says nothing"])
async def test_what_breaks_on_a_kept_connection_may_have_arrived_and_is_not_sent_again(method, then):
    async with shop("answers", then, "answers") as keeper, http_client([], kept=1, timeout=10) as http:
        await http.request(method, keeper.url)

        with pytest.raises(httpx.ReadTimeout if then == "says nothing" else httpx.RemoteProtocolError):
            await http.request(method, keeper.url, timeout=1 if then == "says nothing" else 10)

    assert (len(keeper.heard), keeper.customers) == (2, 1)


async def test_an_answer_that_is_no_http_is_in_no_traceback():
    limits = {"timeout": 10, "concurrency": 1, "attempts": 1, "grace": 30}
    async with shop("speaks no HTTP") as keeper, ControlPlane(keeper.url, SecretStr("token"), **limits) as client:
        with pytest.raises(Uncertain) as broken:
            await client.inventory()

    assert broken.value.arrived
    assert "smtp" not in "".join(format_exception(broken.value))


async def test_a_call_that_is_given_up_gives_its_client_back():
    pool = ClientPool(1, "http://a", timeout=10)
    async with shop("says nothing", "answers") as keeper:
        for _ in range(2):
            with suppress(TimeoutError):
                async with pool.client() as http, asyncio.timeout(0.1):
                    assert (await http.get(keeper.url)).text == "done"
        await pool.aclose()

    assert keeper.customers == 2


@pytest.mark.parametrize("how", ["direct", "by a proxy", "past a proxy"])
async def test_no_cookie_is_sent_back_to_a_load_balancer(monkeypatch, how):
    async with shop("answers and marks", "answers") as keeper:
        if how != "direct":
            monkeypatch.setenv("http_proxy", keeper.url)
            monkeypatch.setenv("no_proxy", "127.0.0.0/8" if how == "past a proxy" else "[::1],fd00::/8")
        async with http_client([keeper.url], timeout=10) as http:
            for _ in range(2):
                assert (await http.get(keeper.url)).text == "done"

    asked = b"GET " + (keeper.url.encode() if how == "by a proxy" else b"/") + b" HTTP/1.1\r\n"
    assert [head.startswith(asked) for head in keeper.heard] == [True, True]
    assert not [head for head in keeper.heard if b"cookie" in head.lower()]
