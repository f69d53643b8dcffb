"""A connection that is alive but serves no more is dropped, and its like with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis.exceptions import TimeoutError as Late

from bot.settings import WrongSettings
from bot.storage.connection import connected
from bot.storage.records import Store
from tests.bot.values import NAMESPACE


class Place:
    """Where a name leads; connections from before it moved get the old server's answer, or none."""

    def __init__(self) -> None:
        self.moved_at = self.connections = self.asked_there = 0
        self.old_answer = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        while (await reader.read(1000)).startswith(b"*"):
            there = number <= self.moved_at
            self.asked_there += there
            writer.write(self.old_answer if there else b"+PONG\r\n")
            await asyncio.sleep(0.01)  # so that several callers need several connections
        writer.close()


@asynccontextmanager
async def place_with_idle_connections(timeout: float = 30) -> AsyncIterator[tuple[Place, object]]:
    place = Place()
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connected(SecretStr(url), timeout) as redis:
        await asyncio.gather(*(redis.ping() for _ in range(5)))
        place.moved_at = place.connections
        assert place.moved_at == 5
        yield place, redis


async def test_a_silent_connection_times_out_without_a_retry_and_all_others_reconnect():
    async with place_with_idle_connections(timeout=1) as (place, redis):
        with pytest.raises(Late):
            await redis.ping()
        assert await asyncio.gather(*(redis.ping() for _ in range(5))) == [True] * 5
        assert place.asked_there == 1


@pytest.mark.parametrize("answer", ["READONLY You can't write", "MASTERDOWN Link is down", "LOADING the dataset"])
async def test_a_call_that_a_demoted_primary_refuses_reconnects_silently(answer):
    async with place_with_idle_connections() as (place, redis):
        place.old_answer = f"-{answer}\r\n".encode()
        assert await redis.ping()
        assert (place.asked_there, place.connections) == (1, 6)


@pytest.mark.parametrize("url", ["host:1", "redis+sentinel://:CANARY@host"])
async def test_a_wrong_address_of_redis_is_named_without_its_password(url):
    with pytest.raises(WrongSettings, match="REDIS_URL is wrong: it should be redis") as wrong:
        async with connected(SecretStr(url), 1):
            raise AssertionError
    assert "CANARY" not in str(wrong.value)


async def test_a_click_counts_if_redis_got_it_and_its_answer_was_lost_and_counts_once(redis_url):
    """The client asks again, and Redis already has this very click."""
    lost: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(urlsplit(redis_url).path)
        while sent := await reader.read(1000):
            ours.write(sent)
            answer = await theirs.read(1000)
            if b"once:" in sent and not lost:
                lost.append(answer)
                break
            writer.write(answer)
        writer.close()
        ours.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connected(SecretStr(url), 2) as redis:
        store = Store(redis, NAMESPACE)
        assert [await store.is_first("click", 30) for _ in range(2)] == [True, False]
        assert lost
