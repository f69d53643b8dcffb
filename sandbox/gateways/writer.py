"""Write an environment's changes to etcd in order, as a control plane does."""

import asyncio
from bisect import bisect_right

from sandbox.aisix.store import CallerKey, Change, Environment
from sandbox.gateways.etcd import Etcd
from sandbox.gateways.rows import Rows, caller_row


class Writer:
    """Follows one environment's log, and remembers the etcd revision of each change."""

    def __init__(self, environment: Environment, etcd: Etcd, rows: Rows) -> None:
        self.prefix = f"/aisix/{environment.id}"
        self._environment, self._etcd, self._rows = environment, etcd, rows
        self._revisions: list[int] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Write the caller keys, which are not in the log, and then every change."""
        for caller in self._environment.callers.values():
            await self.admit(caller)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def admit(self, caller: CallerKey) -> None:
        """Write a caller key for the gateways."""
        await self._etcd.put(f"{self.prefix}/api_keys/{caller.id}", caller_row(caller))

    def wake(self) -> None:
        """Signal that there may be changes to write."""
        self._wake.set()

    def position(self, revision: int) -> int:
        """Return how many changes a gateway has that has applied *revision*."""
        return bisect_right(self._revisions, revision)

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            for change in self._environment.log[len(self._revisions) :]:
                self._revisions.append(await self._write(change))
            await self._wake.wait()

    async def _write(self, change: Change) -> int:
        key, row = f"{self.prefix}/{change.table}/{change.id}", self._rows.row(change)
        return await (self._etcd.delete(key) if row is None else self._etcd.put(key, row))
