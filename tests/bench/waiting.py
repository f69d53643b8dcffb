"""What it costs that 1,000 rotations wait for their approval: memory, and what happens while nothing happens."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.engine import Engine
from bot.limits import limits_of
from bot.rotation.record import Rotation
from bot.settings import read_settings
from bot.steps.world import World
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from bot.worker import Work
from tests.bench.ground import bot_on, cpu_seconds, furnish, ground, memory
from tests.bench.table import megabytes, milliseconds, table
from tests.support.stage import Environment, Stage

ROTATIONS, MODELS = 1000, 12
QUIET = 30.0
EVENT = {"by": "keyturn", "what": "step", "why": "verify"}


async def measured() -> str:
    """Bring one rotation to its approval, multiply it, and watch a bot that has nothing to do."""
    async with ground() as stage, Redis.from_url(stage.redis_url, decode_responses=True) as redis:
        furnish(stage, MODELS, "production", "staging")
        store, rows = Store(redis, stage.namespace), []
        async with bot_on(stage) as bot:
            rows += [("memory of the bot, nothing there", megabytes(memory(bot.pid)))]
            card = await stage.ask()
            await stage.give(card)
            await stage.says(card, "waiting for an approver", timeout=60)
            while await redis.zcard(stage.namespace.key("unshown")):  # noqa: ASYNC110 - Redis has no event for it
                await asyncio.sleep(0.1)
        before = await told(redis, "used_memory")
        await multiply((await store.recent(1))[0], store)
        each = (await told(redis, "used_memory") - before) / ROTATIONS
        rows.insert(0, ("memory in Redis, each", f"{each / 1000:.1f} kB"))
        async with bot_on(stage) as bot:
            async with asyncio.timeout(120):  # it looks at everything at its start
                while await redis.zcount(stage.namespace.key("due"), "-inf", time.time()):  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.2)
            rows += await nothing_happens(stage, redis, bot.pid)
        rows += await sweeps(stage, store)
    title = f"{ROTATIONS:,} rotations of {MODELS} models that wait for their approval"
    return table(title, ("what", "figure"), rows)


async def told(redis: Redis, what: str) -> int:
    return int((await redis.info())[what])


async def multiply(one: Rotation, store: Store) -> None:
    """Record the same rotation under other names, of other keys, and as shown."""
    shown = await store.messages(one.id)
    for number in range(ROTATIONS - 1):
        key = one.plan.old_key.but(id=f"{one.plan.old_key.id}-{number}")
        name = f"r{number:06}"
        another = one.but(id=name, version=0, plan=one.plan.but(old_key=key), asked_at=datetime.now(UTC))
        saved = await store.save(another, EVENT, at=datetime.now(UTC))
        await store.remember_message(name, shown | {"version": "1"})
        await store.was_shown(saved)


async def nothing_happens(stage: Stage, redis: Redis, pid: int) -> list[tuple[str, str]]:
    def sent() -> int:
        return len(stage.slack.calls) + len(stage.aisix.calls) + len(stage.aisix.gateway_calls)

    before, cpu, commands = sent(), cpu_seconds(pid), await told(redis, "total_commands_processed")
    await asyncio.sleep(QUIET)
    a_second = (await told(redis, "total_commands_processed") - commands) / QUIET
    return [
        ("memory of the bot", megabytes(memory(pid))),
        (f"CPU while nothing happens, of {QUIET:.0f} s", milliseconds(cpu_seconds(pid) - cpu)),
        ("requests to Slack, the control plane and the gateways meanwhile", str(sent() - before)),
        ("commands to Redis a second meanwhile", f"{a_second:.0f}"),
    ]


async def sweeps(stage: Stage, store: Store) -> list[tuple[str, str]]:
    """Time a sweep that finds nothing due, and beside it one that looks at everything, as the first one does."""
    with Environment({"APPROVERS": "S_APPROVERS", **stage.slack.settings(), **stage.aisix.settings()}):
        limits = limits_of(read_settings(None))
    nothing: Any = None  # it can look, and has nobody to show or ask anything
    world = World(nothing, nothing, nothing, limits, lambda: datetime.now(UTC))
    async with Redis.from_url(stage.redis_url) as plain:
        jobs = Jobs(RedisQueue(plain, name=stage.namespace.queue))
        work = Work(store, jobs, Engine(store, jobs, world, lease=timedelta(seconds=15)), nothing, world)
        await work.sweep()
        idle = await timed(work.sweep, 20)
        everything = await timed(store.under_way, 3)
    return [
        ("a sweep with nothing due", milliseconds(idle)),
        ("reading every record, as each sweep would without the list", milliseconds(everything)),
        ("ratio", f"{everything / idle:.0f}"),
    ]


async def timed(what: Callable[[], Awaitable[object]], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        await what()
    return (time.perf_counter() - began) / times
