"""Keyturn's own pages: liveness, readiness and metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import structlog
from aiohttp import web
from prometheus_client import Metric, generate_latest

from bot.settings import WrongSettings
from bot.telemetry.metrics import REGISTRY

log = structlog.get_logger("keyturn")

HEAD_WITHIN = 75.0
"""Seconds for a connection to send a complete request head; aiohttp would wait for an hour."""

LINGER = 2.0
"""Seconds to keep reading the rest of an answered request, so that the client gets the answer."""


Ready = Callable[[], Awaitable[str | None]]
"""Returns why this process can't work now, or None."""


class Gauges(Protocol):
    """What is read at each scrape."""

    async def read(self) -> list[Metric]:
        """Return the gauges, soon and whatever is away."""


class Page(NamedTuple):
    """All that one scrape shows: the counters of this process, and the gauges just read."""

    gauges: list[Metric]

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from REGISTRY.collect()
        yield from self.gauges


def make_site(ready: Ready, gauges: Gauges, body_limit: int) -> web.Application:
    """Return the site."""
    site = web.Application(client_max_size=body_limit)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = await ready()
        return web.Response(text=f"{missing}\n", status=503) if missing else web.Response(text="ready\n")

    async def metrics(_: web.Request) -> web.Response:
        page = generate_latest(Page(await gauges.read()))
        return web.Response(body=page, headers={"Content-Type": "text/plain; version=0.0.4"})

    site.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return site


@asynccontextmanager
async def served(site: web.Application, setting: str, port: int) -> AsyncIterator[None]:
    """Serve *site* at *port*; *setting* names it in errors."""
    runner = web.AppRunner(
        site,
        access_log=None,
        shutdown_timeout=1,
        keepalive_timeout=HEAD_WITHIN,
        lingering_time=LINGER,
    )
    await runner.setup()
    try:
        await _listen(runner, setting, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, setting: str, port: int) -> None:
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        sentence = f"{setting} cannot be listened on ({error.strerror}): it should be one that is free."
        raise WrongSettings(sentence) from None
    log.info("serving", port=runner.addresses[0][1])
