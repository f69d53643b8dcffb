"""The worker: SAQ runs the jobs, and a sweep finds forgotten work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import structlog
from redis.exceptions import RedisError
from saq import Queue, Worker

from bot.engine import Engine, due_at
from bot.rotation.errors import NotOurRecord, Unanswerable
from bot.rotation.record import Rotation
from bot.settings import WrongSettings
from bot.steps.world import World
from bot.storage.jobs import ADVANCE, ANNOUNCE, Jobs
from bot.storage.outage import wrong_with
from bot.storage.records import Store
from bot.storage.trial import Trial
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


class Homes(Protocol):
    """The pages that people have open beside the cards."""

    def changed(self, rotation: Rotation) -> None:
        """Note that a rotation has been shown."""

    async def refresh(self) -> None:
        """Update the pages if something has changed; called all the time."""


class Besides(Protocol):
    """What is done now and then beside rotations."""

    async def refresh(self) -> None:
        """Do what is due; called all the time."""


class Work:
    """The functions that jobs call."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        engine: Engine,
        announcer: Announcer,
        world: World,
        *,
        homes: Homes | None = None,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._engine = engine
        self._announcer = announcer
        self._world = world
        self._homes = homes
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
        if self._homes:
            self._homes.changed(rotation)
        if wait is None:
            await self._store.was_shown(rotation)
        else:
            await self._jobs.announce(rotation, at=self._world.now() + wait)

    async def refresh(self) -> None:
        """Update the pages that people have open, if something has changed."""
        if self._homes:
            await self._homes.refresh()

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


class Outage(logging.Filter):
    """Logs once that Redis does not serve the worker, and once that it does again; SAQ would log each try."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._trial, self._is_away = trial, False

    def began(self, error: Exception) -> None:
        """Note that Redis did not serve."""
        if not self._is_away:
            log.warning("redis_away", why=wrong_with(error.__cause__ if isinstance(error, Unanswerable) else error))
        self._is_away = True

    async def look(self) -> None:
        """See whether it is over: whatever the bot does has to work."""
        if self._is_away:
            with suppress(WrongSettings):
                await self._trial.insist()
                self._is_away = False
                log.info("redis_back")

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop what SAQ logs of it; the sweep finds what a job had in hand."""
        error = record.exc_info[1] if record.exc_info else None
        of_redis = error.__cause__ if isinstance(error, Unanswerable) else error
        if isinstance(of_redis, RedisError):
            self.began(of_redis)
        return not isinstance(of_redis, RedisError)


class QuietWorker(Worker[Any]):
    """SAQ's worker without its signal handlers (the process has its own), and with our sweep and our log."""

    SIGNALS: list[Any] = []

    def __init__(
        self,
        queue: Queue,
        work: Work,
        outage: Outage,
        *,
        concurrency: int,
        sweep_every: int,
        besides: Iterable[Besides] = (),
    ) -> None:
        super().__init__(
            queue,
            functions=[(ADVANCE, work.advance), (ANNOUNCE, work.announce)],
            concurrency=concurrency,
            shutdown_grace_period_s=0,  # an interrupted step is safe to run again
        )
        self._outage = outage
        self._upkeep: tuple[tuple[Callable[[], Awaitable[object]], int], ...] = (
            (partial(self.abort, 5), 5),
            (partial(self.schedule, 1), 1),
            (partial(queue.sweep, 20), 20),
            (partial(self.worker_info, 11), 10),
            (outage.look, 1),
            (work.sweep, sweep_every),
            (work.refresh, 1),
            *((each.refresh, 2) for each in besides),
        )

    async def start(self) -> None:
        """Work until it is stopped."""
        logger = logging.getLogger("saq")
        logger.addFilter(self._outage)
        try:
            await super().start()
        finally:
            logger.removeFilter(self._outage)

    def stop_quietly(self) -> None:
        """Stop; SAQ would warn of each step that it interrupts, which is safe to run again."""
        logging.getLogger("saq").setLevel(logging.ERROR)
        self.event.set()

    async def process(self) -> bool:
        """Run one job; what it had in hand when Redis went away is found by the sweep."""
        try:
            return await super().process()
        except RedisError as error:
            self._outage.began(error)
            return True

    async def upkeep(self) -> Any:
        """Run SAQ's own upkeep, and with it the sweep."""
        return [asyncio.create_task(self._keep(task, every)) for task, every in self._upkeep]

    async def _keep(self, task: Callable[[], Awaitable[object]], every: int) -> None:
        while not self.event.is_set():
            try:
                await task()
            except (RedisError, OSError, Unanswerable) as error:
                self._outage.began(error)
            except Exception:  # without sweeps, rotations would be forgotten
                log.exception("sweep_failed")
            await asyncio.sleep(every)
