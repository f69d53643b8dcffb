"""Traces: follow one rotation through processes and services.

Nothing happens unless `bot/telemetry/otel.py` is in use. That needs the extra `otel`, and an address to send traces to.
"""

import importlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, Protocol

import structlog

log = structlog.get_logger("keyturn")

ADDRESSES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The environment variables of OpenTelemetry that say where traces go."""

End = Callable[[str], object]
"""Notes how a step or a call ended."""


class Tracer(Protocol):
    """What notes spans."""

    def within(self, rotation: str) -> AbstractContextManager[None]:
        """Let what is done in the block belong to the trace of a rotation."""

    def step(self, rotation: str, name: str) -> AbstractContextManager[End]:
        """Note one turn of a step."""

    def call(self, method: str, url: str) -> AbstractContextManager[End]:
        """Note a request over HTTP, if it belongs to a rotation."""

    def ended(self, rotation: str, state: str, began: datetime, at: datetime) -> None:
        """Note a whole rotation."""


class Nothing:
    """Notes nothing."""

    @contextmanager
    def within(self, _: str) -> Iterator[None]:
        """Do nothing."""
        yield

    @contextmanager
    def step(self, _: str, __: str) -> Iterator[End]:
        """Do nothing."""
        yield str

    call = step

    def ended(self, *_: Any) -> None:
        """Do nothing."""


class _Using:
    """The tracer of this process."""

    tracer: Tracer = Nothing()


def tracer() -> Tracer:
    """Return the tracer of this process."""
    return _Using.tracer


@contextmanager
def using(one: Tracer) -> Iterator[None]:
    """Note spans with *one*."""
    _Using.tracer = one
    try:
        yield
    finally:
        _Using.tracer = Nothing()


@asynccontextmanager
async def sent() -> AsyncIterator[None]:
    """Send traces if there is an address for them and the extra is installed."""
    if not any(map(os.environ.get, ADDRESSES)):
        yield
        return
    try:
        otel = importlib.import_module("bot.telemetry.otel")
    except ImportError as error:
        log.warning("traces_not_sent", why=f"{error.name} is not installed: install keyturn[otel]")
        yield
        return
    async with otel.sending() as one:
        with using(one):
            yield
