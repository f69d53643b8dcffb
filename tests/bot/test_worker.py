"""The sweep, over a real Valkey and a real queue: it finds everything that is due, and reads nothing else."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue
from structlog.testing import capture_logs

from bot.engine import Engine
from bot.rotation.parts import OnIt, Trouble
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.settings import StoreSettings
from bot.steps.world import World
from bot.storage.connection import connected, queue_at
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from bot.storage.trial import Trial
from bot.worker import ALL_DUE_EVERY, Outage, QuietWorker, Work
from tests.bot.values import EVENT, NAMESPACE, NOW, approval, later, limits, plan_of, rotation, running
from tests.support.refusing import REFUSES
from tests.support.valkey import Valkey, valkey_in

A_REMINDER, AN_EXPIRY = 14_400, 86_400


class Desk:
    """A worker's work, at a time that the test sets."""

    def __init__(self, redis: Redis, queue: RedisQueue) -> None:
        self.redis, self.queue, self.time = redis, queue, NOW
        self.store = Store(redis, NAMESPACE)
        self.work = self.another()

    def another(self, **settings: int) -> Work:
        world = World(control_plane=None, gateways=None, status=None, limits=limits(**settings), now=lambda: self.time)
        jobs = Jobs(self.queue)
        return Work(self.store, jobs, Engine(self.store, jobs, world, lease=timedelta(seconds=5)), None, world)

    async def put(self, record: Rotation) -> Rotation:
        saved = await self.store.save(record, EVENT, at=NOW)
        await self.store.was_shown(saved)
        return saved

    async def swept(self, seconds: float = 0, work: Work | None = None) -> set[str]:
        """Sweep at that time, and return the rotations that were hinted at."""
        self.time = later(seconds)
        await self.queue.redis.delete(*[name async for name in self.queue.redis.scan_iter("saq:*")] or ["none"])
        await (work or self.work).sweep()
        names = [name.decode() async for name in self.queue.redis.scan_iter("saq:job:*")]
        return {name.split("advance:")[1].split(":")[0] for name in names}


@pytest.fixture
def desk(redis: Redis, queue: RedisQueue) -> Desk:
    return Desk(redis, queue)


def waiting(number: int = 0, **fields) -> Rotation:
    """A rotation that waits for its approval since NOW, of a key of its own."""
    fields = {"id": f"r{number}", "plan": plan_of(f"pk_{number}")} | fields
    return running(**fields).but(state=State.AWAITING_APPROVAL, asked_at=NOW)


def parked(number: int) -> Rotation:
    return waiting(number, parked_at=NOW)


async def test_a_sweep_with_nothing_due_reads_no_record(desk):
    for number in range(50):
        await desk.put(waiting(number))
    await desk.swept()
    await desk.redis.config_resetstat()
    desk.time = later(10)
    await desk.work.sweep()

    sent = await desk.redis.info("commandstats")
    assert {name: sent[name]["calls"] for name in sent if "config" not in name} == {"cmdstat_zrange": 2}


async def test_a_rotation_is_found_when_its_time_has_come_and_not_before(desk):
    await desk.put(waiting(1))
    await desk.put(running(id="r2", plan=waiting(2).plan))
    await desk.put(running(id="r3", plan=waiting(3).plan, retry_at=later(60)))

    assert await desk.swept() == {"r2"}
    assert await desk.swept(60) == {"r2", "r3"}
    assert await desk.swept(A_REMINDER - 1) == {"r2", "r3"}
    assert await desk.swept(A_REMINDER) == {"r1", "r2", "r3"}
    assert await desk.swept(A_REMINDER + 6) == {"r1", "r2", "r3"}, "nobody has moved it yet"


async def test_a_leased_rotation_is_left_alone_and_found_once_its_worker_is_gone(desk):
    await desk.put(running(id="r1"))
    async with desk.store.leased("r1", 30):
        assert await desk.swept() == set()

    assert await desk.swept(1) == {"r1"}


@pytest.mark.parametrize("record", [parked(1), rotation(State.CANCELLED, id="r1")])
async def test_what_only_a_person_can_move_is_looked_at_once_and_no_more(desk, record):
    await desk.put(record)

    assert await desk.swept() == set()
    assert await desk.redis.zrange(NAMESPACE.key("due"), 0, -1) == []
    assert await desk.swept(10 * AN_EXPIRY) == set()


async def test_a_rotation_that_is_over_is_found_as_long_as_people_have_to_be_paged_about_it_and_no_longer(desk):
    wrong = Trouble(at=NOW, about="chat", sentence="chat does not answer")
    record = await desk.put(rotation(State.COMPLETED, id="r1", deleted_at=NOW, troubles=(wrong,)))

    assert await desk.swept() == set()
    assert await desk.swept(300) == {"r1"}
    assert await desk.redis.smembers(NAMESPACE.key("open")) == set()
    assert await desk.redis.hgetall(NAMESPACE.key("states")) == {}
    await desk.put(record.but(on_it=OnIt(by="U_APPROVER", at=later(301))))
    assert await desk.swept(360) == set()
    assert await desk.redis.zrange(NAMESPACE.key("due"), 0, -1) == []


async def test_a_change_by_a_person_during_a_sweep_is_not_lost(desk):
    await desk.swept()
    seen = await desk.put(waiting(1))
    await desk.put(seen.to(State.RUNNING).but(approvals=(approval(),)))
    await desk.store.set_due(seen, later(A_REMINDER))

    assert await desk.swept() == {"r1"}


async def test_a_record_that_an_older_version_writes_is_found_at_the_start_and_then_after_a_while(desk):
    await desk.put(running(id="r1"))
    await desk.redis.delete(NAMESPACE.key("due"))
    assert await desk.swept() == {"r1"}
    await desk.redis.delete(NAMESPACE.key("due"))

    assert await desk.swept(ALL_DUE_EVERY.total_seconds() - 1) == set()
    assert await desk.swept(ALL_DUE_EVERY.total_seconds()) == {"r1"}


async def test_a_worker_follows_the_shorter_waits_of_its_own_settings(desk):
    await desk.put(waiting(1))
    await desk.swept()

    assert await desk.swept(700, desk.another(approval_reminder=600)) == {"r1"}


async def test_a_time_that_is_long_over_is_found_by_a_clock_that_is_behind(desk):
    await desk.put(waiting(1))
    await desk.swept(3600)

    assert await desk.swept(-3600) == set()
    assert await desk.swept(A_REMINDER) == {"r1"}


class Sweeps(Work):
    """Counts them; a job goes on once Redis has gone."""

    count = 0
    gone: asyncio.Event

    async def sweep(self) -> None:
        self.count += 1
        await super().sweep()

    async def advance(self, _: object, *, rotation_id: str) -> None:
        await self.gone.wait()
        await self._store.was_shown(await self._store.load(rotation_id))

    async def announce(self, _: object, *, rotation_id: str) -> None:
        """Show nothing."""


@asynccontextmanager
async def dead(server: Valkey, _: Redis) -> AsyncIterator[None]:
    server.kill()
    await server.gone()
    yield
    await server.start()


@pytest.mark.once
@pytest.mark.parametrize("how", ["", "READONLY", "OOM"])
async def test_an_outage_of_redis_logs_one_line_at_its_start_and_one_at_its_end(tmp_path, caplog, how):
    gc.collect()  # what other tests left says so when it goes
    caplog.clear()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(valkey_in(tmp_path))
        redis = await stack.enter_async_context(connected(SecretStr(server.url), 1))
        desk = Desk(redis, await queue_at(SecretStr(server.url), NAMESPACE, StoreSettings(), stack))
        desk.work.__class__, Sweeps.gone = Sweeps, asyncio.Event()
        outage = Outage(Trial(redis, NAMESPACE))
        worker = QuietWorker(desk.queue, desk.work, outage, concurrency=2, sweep_every=0)
        with capture_logs() as logged:
            task = asyncio.create_task(worker.start())
            await desk.put(running(id="r1"))
            await until(lambda: worker.job_task_contexts)
            async with REFUSES[how].during(redis) if how else dead(server, redis):
                await until(lambda: said(logged))
                desk.work.gone.set()
                before = desk.work.count
                await until(lambda: desk.work.count > before + 50 and not worker.job_task_contexts)
            await until(lambda: len(said(logged)) > 1)
            worker.stop_quietly()
            await task
        gc.collect()

    assert said(logged) == ["redis_away", "redis_back"]
    assert next(each["why"] for each in logged if "why" in each).startswith("REDIS_URL does not ")
    assert caplog.records == []


def said(logged: list[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in logged if each["log_level"] != "debug"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
