"""Servers that every test may need: one Valkey a test process, emptied before each test that asks for it."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.embedded import embedded_server
from tests.support.stage import Stage, stage_of

for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
    os.environ.pop(name, None)  # every server of a test is on loopback, and slack_sdk reads these


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files again")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey server in a loop of its own, for the whole test process."""
    url: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def serve(folder: Path) -> None:
        async with embedded_server(folder) as served:
            url.append(served)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve(tmp_path_factory.mktemp("valkey"))))
    thread.start()
    assert ready.wait(20)
    yield url[0]
    done.set()
    thread.join()


@pytest.fixture
def redis_url(valkey: str) -> str:
    """An empty store."""
    with Redis.from_url(valkey) as client:
        client.flushall()
    return valkey


@pytest.fixture
async def stage(redis_url: str) -> AsyncIterator[Stage]:
    """The stage with the bot on it, in Socket Mode."""
    async with stage_of(redis_url) as made, made.bot():
        yield made


@pytest.fixture
async def bare_stage(redis_url: str) -> AsyncIterator[Stage]:
    """The stage before the bot comes on."""
    async with stage_of(redis_url) as made:
        yield made
