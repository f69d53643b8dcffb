"""What it costs that 1,000 rotations wait for their approval: memory, and what happens while nothing happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.app import limits_of
from bot.engine import Engine
from bot.rotation.record import Rotation
from bot.settings import read_settings
from bot.steps.world import World
from bot.storage.jobs import Jobs
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.worker import Work
from tests.bench.ground import bot_on, cpu_seconds, furnish, ground, memory
from tests.bench.table import megabytes, milliseconds, table
from tests.support.stage import Environment, Stage

ROTATIONS, MODELS = 1000, 12
QUIET = 30.0
EVENT = {"by": "keyturn", "what": "step", "why": "verify"}


async def measured() -> str:
    async with ground() as stage, Redis.from_url(stage.redis_url, decode_responses=True) as redis:
        furnish(stage, MODELS, "production", "staging")
        one, empty = await first(stage, redis)
        before = await used(redis)
        await multiplied(one, redis, stage.namespace)
        each = (await used(redis) - before) / ROTATIONS
        rows = [
            ("memory in Redis, each", f"{each / 1000:.1f} kB"),
            ("memory of the bot, nothing there", megabytes(empty)),
        ]
        async with bot_on(stage) as bot:
            await all_reckoned(redis, stage.namespace)
            rows += await nothing_happens(stage, redis, bot.pid)
        rows += await sweeps(stage, redis)
    title = f"{ROTATIONS:,} rotations of {MODELS} models that wait for their approval"
    return table(title, ("what", "figure"), rows)


async def first(stage: Stage, redis: Redis) -> tuple[Rotation, int]:
    """Bring a rotation to its approval; return it, and the memory of the bot before it began."""
    async with bot_on(stage) as bot:
        empty = memory(bot.pid)
        card = await stage.ask()
        await stage.give(card)
        await stage.says(card, "waiting for an approver", timeout=60)
        while await redis.zcard(stage.namespace.key("unshown")):  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.1)
        return (await Store(redis, stage.namespace).recent(1))[0], empty


async def multiplied(one: Rotation, redis: Redis, namespace: Namespace) -> None:
    """Record the same rotation under other names, of other keys, and as shown."""
    store = Store(redis, namespace)
    shown = await store.messages(one.id)
    for number in range(ROTATIONS - 1):
        key = one.plan.old_key.but(id=f"{one.plan.old_key.id}-{number}")
        name = f"r{number:06}"
        another = one.but(id=name, version=0, plan=one.plan.but(old_key=key), asked_at=datetime.now(UTC))
        saved = await store.save(another, EVENT, at=datetime.now(UTC))
        await store.remember_message(name, shown | {"version": "1"})
        await store.was_shown(saved)


async def used(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def all_reckoned(redis: Redis, namespace: Namespace) -> None:
    async with asyncio.timeout(60):
        while await redis.zcount(namespace.key("due"), "-inf", time.time()):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.2)


async def nothing_happens(stage: Stage, redis: Redis, pid: int) -> list[tuple[str, str]]:
    before, cpu, commands = requests(stage), cpu_seconds(pid), await processed(redis)
    await asyncio.sleep(QUIET)
    sent = requests(stage) - before
    return [
        ("memory of the bot", megabytes(memory(pid))),
        (f"CPU while nothing happens, of {QUIET:.0f} s", milliseconds(cpu_seconds(pid) - cpu)),
        ("requests to Slack, the control plane and the gateways meanwhile", str(sent)),
        ("commands to Redis a second meanwhile", f"{(await processed(redis) - commands) / QUIET:.0f}"),
    ]


def requests(stage: Stage) -> int:
    return len(stage.slack.calls) + len(stage.aisix.calls) + len(stage.aisix.gateway_calls)


async def processed(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_commands_processed"])


async def sweeps(stage: Stage, redis: Redis) -> list[tuple[str, str]]:
    async with work_on(stage, redis) as (work, store):
        await work.sweep()
        idle = await timed(work.sweep, 20)
        everything = await timed(store.under_way, 3)
    return [
        ("a sweep with nothing due", milliseconds(idle)),
        ("reading every record, as each sweep would without the list", milliseconds(everything)),
        ("ratio", f"{everything / idle:.0f}"),
    ]


@asynccontextmanager
async def work_on(stage: Stage, redis: Redis) -> AsyncIterator[tuple[Work, Store]]:
    """Yield a worker's work over this Redis; it can look, and has nobody to show or ask anything."""
    with Environment({"APPROVERS": "S_APPROVERS", **stage.slack.settings(), **stage.aisix.settings()}):
        limits = limits_of(read_settings(None))
    nothing: Any = None
    world = World(nothing, nothing, nothing, limits, lambda: datetime.now(UTC))
    async with Redis.from_url(stage.redis_url) as plain:
        store, jobs = Store(redis, stage.namespace), Jobs(RedisQueue(plain, name=stage.namespace.queue))
        engine = Engine(store, jobs, world, lease=timedelta(seconds=15))
        yield Work(store, jobs, engine, nothing, world), store


async def timed(what: Callable[[], Awaitable[object]], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        await what()
    return (time.perf_counter() - began) / times
