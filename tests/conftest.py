"""Servers that every test may need: one Valkey a test process, emptied before each test that asks for it."""

import asyncio
import gc
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.storage.embedded import embedded_server
from tests.support.stage import Stage, stage_of

for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
    os.environ.pop(name, None)  # every server of a test is on loopback, and slack_sdk reads these


gc.disable()  # until all is collected: what is imported stays, and would be looked through again and again


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files again")
    parser.addoption("--seed", action="append", type=int, help="run this seed's schedule, and no other")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal what waits long to the shares of all processes, at the beginning of one and in the middle of the next.

    At the end, all would wait for it alone; all at once, the processors would have nothing to do.
    """
    waiting = [item for item in items if item.get_closest_marker("waits")]
    ordered = [item for item in items if item not in waiting]
    for number, item in enumerate(waiting):
        ordered.insert((2 * number + (number + 1) % 2) * len(items) // (2 * len(waiting)), item)
    items[:] = ordered


Tried = Callable[..., None]


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Tried:
    """Count what was tried under a name: the numbers stand at the end of the run."""

    def count(what: str, **numbers: int) -> None:
        record_property(TRIED, {"what": what, **numbers})

    return count


TRIED = "tried"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Add up what was tried in every process, and say it."""
    totals: dict[str, Counter[str]] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        for name, value in getattr(report, "user_properties", ()):
            if name == TRIED and report.when == "call":
                numbers = {key: number for key, number in value.items() if key != "what"}
                totals.setdefault(value["what"], Counter()).update(numbers)
    for what, numbers in sorted(totals.items()):
        said = ", ".join(f"{number:,} {name}" for name, number in numbers.items())
        terminalreporter.write_line(f"tried: {what}: {said}")


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
    with Redis.from_url(url[0]) as client:
        client.config_set("appendfsync", "everysec")  # no test pulls the plug of this one
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
