"""The worker: SAQ runs the jobs, and a sweep finds forgotten work."""

import asyncio
import logging
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
from bot.telemetry.tracing import tracer

log = structlog.get_logger("keyturn.worker")

TICK = 5
"""Seconds in which sweeps send at most one hint for a rotation."""

ALL_DUE_EVERY = timedelta(minutes=10)
"""How often all rotations become due, first at the start: an older version records no due time."""


class Announcer(Protocol):
    """Shows records to people. Messages are derived from the record, and never read back."""

    async def show(self, rotation: Rotation) -> timedelta | None:
        """Update the messages to show *rotation*; return how long to wait if that is not complete yet."""


class Work:
    """The functions that jobs call."""

    def __init__(self, store: Store, jobs: Jobs, engine: Engine, announcer: Announcer, world: World) -> None:
        self._store = store
        self._jobs = jobs
        self._engine = engine
        self._announcer = announcer
        self._world = world
        self._all_due_at = datetime.min.replace(tzinfo=UTC)

    async def advance(self, _: Mapping[str, Any], *, rotation_id: str) -> None:
        """Advance a rotation."""
        with suppress(NotOurRecord):  # the store logged it; a version that can read it gets a hint too
            await self._engine.advance(rotation_id)

    async def announce(self, _: Mapping[str, Any], *, rotation_id: str) -> None:
        """Show the current record of a rotation; schedule another job for what must wait."""
        rotation = await self._readable(rotation_id)
        if rotation is None:
            return
        with tracer().within(rotation.id):
            wait = await self._announcer.show(rotation)
        if wait is None:
            await self._store.was_shown(rotation)
        else:
            await self._jobs.announce(rotation, at=self._world.now() + wait)

    async def sweep(self) -> None:
        """Send hints for all due rotations that no process works on, and show stale messages again."""
        now = self._world.now()
        tick = f"~{int(now.timestamp() // TICK)}"
        if now >= self._all_due_at:
            await self._store.make_all_due()
            self._all_due_at = now + ALL_DUE_EVERY
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
        """Load a rotation; return None for one that another version wrote, as that version shows it."""
        with suppress(NotOurRecord):
            return await self._store.load(rotation_id)
        return None


class QuietWorker(Worker[Any]):
    """SAQ's worker without its signal handlers (the process has its own), and with our sweep."""

    SIGNALS: list[Any] = []

    def __init__(self, queue: Queue, work: Work, *, concurrency: int, sweep_every: int) -> None:
        super().__init__(
            queue,
            functions=[(ADVANCE, work.advance), (ANNOUNCE, work.announce)],
            concurrency=concurrency,
            timers={"sweep": 20, "schedule": 1, "worker_info": 10, "abort": 5},
            shutdown_grace_period_s=0,  # an interrupted step is safe to run again
        )
        self._work = work
        self._sweep_every = sweep_every

    def stop_quietly(self) -> None:
        """Stop; SAQ would warn of each step that it interrupts, which is safe to run again."""
        logging.getLogger("saq").setLevel(logging.ERROR)
        self.event.set()

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
            except Exception:  # without sweeps, rotations would be forgotten
                log.exception("sweep_failed")
            await asyncio.sleep(self._sweep_every)
