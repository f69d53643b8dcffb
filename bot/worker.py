"""The worker: SAQ runs the hints, and a sweep finds what was forgotten."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from saq import Queue, Worker

from bot.engine import Engine, due_at
from bot.rotation.errors import NotOurRecord, Unanswerable
from bot.rotation.record import Rotation
from bot.steps.world import World
from bot.storage.jobs import ADVANCE, ANNOUNCE, Jobs
from bot.storage.records import Store

log = structlog.get_logger("keyturn.worker")


TICK = 5
"""Seconds in which a sweep's hint at one rotation is given once."""

RECKON_EVERY = timedelta(minutes=10)
"""Between looks at everything, the first at the start: a process of an older version notes no time when it records."""


class Announcer(Protocol):
    """Shows people what is recorded. A message is a projection of the record; nothing is read back out of it."""

    async def show(self, rotation: Rotation) -> timedelta | None:
        """Bring what people see up to *rotation*; return how long to wait if not all of it could be shown yet."""


class Work:
    """What jobs do."""

    def __init__(self, store: Store, jobs: Jobs, engine: Engine, announcer: Announcer, world: World) -> None:
        self._store = store
        self._jobs = jobs
        self._engine = engine
        self._announcer = announcer
        self._world = world
        self._reckon_at = datetime.min.replace(tzinfo=UTC)

    async def advance(self, _: Mapping[str, Any], *, rotation_id: str) -> None:
        """Move a rotation on."""
        with suppress(NotOurRecord):  # the store has logged it; a version that can read it gets the hint too
            await self._engine.advance(rotation_id)

    async def announce(self, _: Mapping[str, Any], *, rotation_id: str) -> None:
        """Show a rotation as it is now; what has to wait is a job for later."""
        rotation = await self._readable(rotation_id)
        if rotation is None:
            return
        wait = await self._announcer.show(rotation)
        if wait is None:
            await self._store.was_shown(rotation)
        else:
            await self._jobs.announce(rotation, at=self._world.now() + wait)

    async def sweep(self) -> None:
        """Hint again at everything whose time has come and that nobody may be looking at; reads nothing else."""
        now = self._world.now()
        tick = f"~{int(now.timestamp() // TICK)}"
        if now >= self._reckon_at:
            await self._store.reckon_anew()
            self._reckon_at = now + RECKON_EVERY
        async for rotation in self._store.due(now):
            due = due_at(rotation, self._world.limits, now)
            if due is not None and due <= now:
                await self._jobs.advance(rotation, again=tick)
            else:
                await self._store.set_due(rotation, due)
        await self._announce_forgotten(now, tick)

    async def _announce_forgotten(self, now: datetime, tick: str) -> None:
        for rotation_id in await self._store.unshown():
            rotation = await self._readable(rotation_id)
            if rotation is not None and not await self._store.is_leased("show:" + rotation_id):
                await self._jobs.announce(rotation, again=tick)
        log.debug("swept", at=now.isoformat())

    async def _readable(self, rotation_id: str) -> Rotation | None:
        """Load a rotation; one that another version has written is that version's to show."""
        with suppress(NotOurRecord):
            return await self._store.load(rotation_id)
        return None


class QuietWorker(Worker[Any]):
    """SAQ's worker without its signal handlers (the process has its own), and with our sweep beside SAQ's."""

    SIGNALS: list[Any] = []

    def __init__(self, queue: Queue, work: Work, *, concurrency: int, sweep_every: int) -> None:
        super().__init__(
            queue,
            functions=[(ADVANCE, work.advance), (ANNOUNCE, work.announce)],
            concurrency=concurrency,
            timers={"sweep": 20, "schedule": 1, "worker_info": 10, "abort": 5},
            shutdown_grace_period_s=0,  # a step that is cut off is safe to run again
        )
        self._work = work
        self._sweep_every = sweep_every

    async def upkeep(self) -> Any:
        """Add the sweep to SAQ's own upkeep."""
        tasks = await super().upkeep()
        return [*tasks, asyncio.create_task(self._keep_sweeping())]

    async def _keep_sweeping(self) -> None:
        while not self.event.is_set():
            try:
                await self._work.sweep()
            except Unanswerable as away:
                log.warning("sweep_failed", why=str(away))
            except Exception:  # a sweep that died would forget every rotation
                log.exception("sweep_failed")
            await asyncio.sleep(self._sweep_every)
