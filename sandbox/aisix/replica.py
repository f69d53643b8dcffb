"""A gateway replica: it follows the control plane's log and serves two ports."""

import asyncio
import time
from collections.abc import Collection

from aiohttp import web

from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.proxy import Proxy
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.serving import Server, application, drop, stop_all
from sandbox.aisix.snapshot import Projection
from sandbox.aisix.status import Status
from sandbox.aisix.store import Change, Environment

DEFAULT_LAG = 0.02


class Replica:
    """A gateway process. Its faults can be set while it runs."""

    def __init__(self, number: int, environment: Environment, dispatcher: Dispatcher, pulse: Pulse) -> None:
        self.environment, self.dispatcher, self._pulse = environment, dispatcher, pulse
        self.projection = Projection(self._rejects)
        self.proxy = Proxy(number, environment, dispatcher, pulse)
        self.astray: dict[str, str] = {}
        """Model id to key id: models that this replica serves with a wrong key."""

        self.is_listed = True
        """Whether the settings list and count it."""

        self.metrics_available = True
        self.unknown_fields: set[str] = set()
        """Fields that this gateway ignores in rows; `/status/config` lists them."""

        self.status_available = True
        self.status = Status(self, dispatcher)
        self._down = False
        self._lag: float | None = DEFAULT_LAG
        self._silent = False
        self.closed_at: float | None = None
        """When its source was closed."""

        self._reject_rows: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._proxy_server = Server()
        self.status_server = Server()
        """The server of the status port."""

    @property
    def url(self) -> str:
        return self._proxy_server.url

    @property
    def status_url(self) -> str:
        return self.status_server.url

    @property
    def lag(self) -> float | None:
        """Seconds until a write takes effect here; None closes the source, which the replica notices."""
        return self._lag

    @lag.setter
    def lag(self, seconds: float | None) -> None:
        self._lag = seconds
        self.closed_at = time.monotonic() if seconds is None else None
        self._turned()

    @property
    def silent(self) -> bool:
        """Whether nothing arrives from the source any more, without the replica noticing."""
        return self._silent

    @silent.setter
    def silent(self, value: bool) -> None:
        self._silent = value
        self._turned()

    @property
    def down(self) -> bool:
        """Whether it drops every connection and takes no changes; the balancer skips it."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        self._turned()

    @property
    def reject_rows(self) -> set[str]:
        """Rows to reject: ids, `new keys`, or a table such as `models`. Setting this retries rejected rows."""
        return self._reject_rows

    @reject_rows.setter
    def reject_rows(self, rows: Collection[str]) -> None:
        self._reject_rows = set(rows)
        self.projection.retry()
        self._turned()

    @property
    def cut_off(self) -> bool:
        """Whether its source is closed."""
        return self._lag is None

    @property
    def follows(self) -> bool:
        """Whether changes arrive here."""
        return not self.cut_off and not self._silent and not self._down

    @property
    def up_to_date(self) -> bool:
        """Whether this replica has processed every change, by taking or rejecting it."""
        return self.projection.position == len(self.environment.log)

    def restart(self) -> None:
        """Restart from the snapshot on disk, with all counters at zero."""
        self.dispatcher.forget()
        self.projection.reload()
        self._turned()

    def served_with(self, key_id: str) -> int:
        """Return how many attempts this replica really made with the key, whatever its counters show."""
        return self.dispatcher.metrics.sent_with(key_id)

    async def start(self) -> None:
        await self._proxy_server.start(application(self.handle))
        await self.status_server.start(application(self.status.handle))
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await stop_all(self._proxy_server, self.status_server)

    def wake(self) -> None:
        """Signal that there may be changes."""
        self._wake.set()

    def catch_up(self) -> None:
        """Take all changes now, despite the lag; a cut-off replica stays behind."""
        if self.follows:
            self._take(self.environment.log[self.projection.position :])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a caller; the balancer calls this too."""
        if self._down:
            return drop(request)
        return await self.proxy.handle(request, self.projection.snapshot.pointing(self.astray))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page of the status port."""
        return await self.status.handle(request)

    def _turned(self) -> None:
        self._wake.set()
        self._pulse.beat("replica", self)

    def _rejects(self, change: Change, *, new: bool) -> bool:
        named = {change.id, change.table} & self._reject_rows
        return bool(named) or (new and change.table == "provider_keys" and "new keys" in self._reject_rows)

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            self._take(self._due())
            try:
                async with asyncio.timeout(self._next_in()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _due(self) -> list[Change]:
        if self._lag is None or not self.follows:
            return []
        limit = time.monotonic() - self._lag
        return [change for change in self.environment.log[self.projection.position :] if change.at <= limit]

    def _next_in(self) -> float | None:
        if self._lag is None or not self.follows or self.up_to_date:
            return None
        oldest = self.environment.log[self.projection.position]
        return max(0.001, oldest.at + self._lag - time.monotonic())

    def _take(self, changes: list[Change]) -> None:
        if changes:
            self.projection.apply(changes)
            self._pulse.beat("projected", self)
