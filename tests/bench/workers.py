"""How many rotations of 20 models get from the new secret to their approval in a minute, with 1, 2 and 4 workers."""

import asyncio
import os
import time
from contextlib import AsyncExitStack

from redis.asyncio import Redis

from bot.rotation.states import State
from tests.bench.table import table
from tests.bench.tenant import begun, tenant
from tests.support.process import bot_process

ROTATIONS, MODELS, WORKERS = 200, 20, (1, 2, 4)
AT_A_TIME = 1
"""Rotations that one worker moves at a time, beside one whose turn it is: with more, none would be there in time."""

WINDOW = 40.0
ARRIVED = f'"state":"{State.AWAITING_APPROVAL}"'


async def measured() -> str:
    rates = [(workers, await rate(workers)) for workers in WORKERS]
    rows = [(str(workers), f"{found:.0f}", f"{found / (rates[0][1] or 1):.2f}") for workers, found in rates]
    title = f"{ROTATIONS} rotations of {MODELS} models, on {os.cpu_count()} cores that the control plane works on too"
    return table(title, ("workers", "rotations a minute", "÷ one worker"), rows)


async def rate(workers: int) -> float:
    """Return how many rotations a minute so many workers bring to their approval."""
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(tenant(ROTATIONS, MODELS))
        there.environ["WORKER_CONCURRENCY"] = str(AT_A_TIME)
        ids = await begun(there)
        for _ in range(workers):
            bot = bot_process(there.environ, there.folder, "worker", command_line=True)
            await stack.enter_async_context(bot)
        return await counted(there.redis, ids)


async def counted(redis: Redis, ids: list[str]) -> float:
    began, found = time.monotonic(), 0
    while found < len(ids) and time.monotonic() < began + WINDOW:
        await asyncio.sleep(0.25)
        found = sum(ARRIVED in record for record in await redis.mget(ids))
    return found / (time.monotonic() - began) * 60
