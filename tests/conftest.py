"""Servers that every test may need: one Valkey a test process, emptied before each test that asks for it.

Each test belongs to one tier. Fast ones open no socket and start no process: `make test-fast` skips what tries. `make
test` adds those that do, with one case of each story. The rest is the other cases, what tests the stand-ins and what is
shown with them, and what takes minutes: `make test-rest`.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis

from bot.storage.embedded import embedded_server
from tests.support.stage import Stage, stage_of

for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
    os.environ.pop(name, None)  # every server of a test is on loopback, and slack_sdk reads these

signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it, and so would its bots

PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(
    processors=[*structlog.get_config()["processors"][:-1], PLAIN]
)  # rich draws every local: for minutes

gc.disable()  # until all is collected: what is imported stays, and would be looked through again and again


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a command that ran in this process has set up for its own log."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let memory be collected from now on; hold `--fast` to its word."""
    gc.freeze()
    gc.enable()
    if session.config.getoption("--fast"):
        sys.addaudithook(_refuse)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files again")
    parser.addoption("--seed", action="append", type=int, help="run this seed's schedule, and no other")
    parser.addoption("--fast", action="store_true", help="leave out what opens a socket or starts a process")


SERVED = {"valkey", "tenant", "slack", "bare_stage", "stage"}
"""Fixtures that serve something on a socket."""

TOLD = pytest.StashKey[set[str]]()
"""The stories and kinds of cases that have one in `make test` already."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no story told."""
    config.stash[TOLD] = set()


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.posix_spawn", "os.fork"):
        pytest.skip(f"{event}: `make test` runs it")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test the mark that follows from where it is."""
    if item.nodeid.startswith("tests/sandbox/") or _is_told(item):
        item.add_marker("rest")


def _is_told(item: pytest.Item) -> bool:
    """Tell whether another case of the same kind came first; one that is asked for by name comes first."""
    told, once, given = item.config.stash[TOLD], item.get_closest_marker("once"), getattr(item, "callspec", None)
    if given is None or not (once or item.nodeid.startswith("tests/stories/")) or item.get_closest_marker("every_case"):
        return False
    apart = sorted(given.params.keys() - once.args) if once and once.args else []
    kind = f"{item.nodeid.partition('[')[0]} {[given.params[name] for name in apart]}"
    is_told = kind in told
    told.add(kind)
    return is_told


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal what waits long to the shares of all processes, at the beginning of one and in the middle of the next.

    At the end, all would wait for it alone; all at once, the processors would have nothing to do.
    """
    if config.getoption("--fast"):
        served = {item for item in items if SERVED & set(getattr(item, "fixturenames", ()))}
        config.hook.pytest_deselected(items=list(served))
        items[:] = [item for item in items if item not in served]
    waiting = [item for item in items if item.get_closest_marker("waits")]
    ordered = [item for item in items if item not in set(waiting)]
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
