"""How many rotations of 20 models get from the new secret to their approval in a minute, with 1, 2 and 4 workers."""

import asyncio
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from redis.asyncio import Redis

from bot.rotation.states import State
from bot.storage.embedded import embedded_server
from sandbox.slack import Slack
from tests.bench.running import begun
from tests.bench.table import table
from tests.bench.tenant import tenant
from tests.support.process import bot_process
from tests.support.stage import namespace_of

ROTATIONS, MODELS, WORKERS = 200, 20, (1, 2, 4)
AT_A_TIME = 1
"""Rotations that one worker moves at a time, beside one whose turn it is: with more, none would be there in time."""

WINDOW = 40.0
"""Seconds from the start of the last worker in which they are counted."""

ARRIVED = f'"state":"{State.AWAITING_APPROVAL}"'


async def measured() -> str:
    rates = [(workers, await rate(workers)) for workers in WORKERS]
    rows = [(str(workers), f"{found:.0f}", f"{found / (rates[0][1] or 1):.2f}") for workers, found in rates]
    title = f"{ROTATIONS} rotations of {MODELS} models, on {os.cpu_count()} cores that the control plane works on too"
    return table(title, ("workers", "rotations a minute", "÷ one worker"), rows)


async def rate(workers: int) -> float:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = await stack.enter_async_context(tenant(ROTATIONS, MODELS))
        slack = await stack.enter_async_context(Slack())
        redis_url = await stack.enter_async_context(embedded_server(folder))
        environ = {"REDIS_URL": redis_url, "APPROVERS": "S_APPROVERS", "SLACK_EDITS_PER_MINUTE": "100000"}
        environ["WORKER_CONCURRENCY"] = str(AT_A_TIME)
        environ |= slack.settings() | there["settings"]
        redis = await stack.enter_async_context(Redis.from_url(redis_url, decode_responses=True))
        ids = [namespace_of(environ).key("rotation", name) for name in await begun(there["pairs"], environ, redis)]
        for _ in range(workers):
            await stack.enter_async_context(bot_process(environ, folder, "worker", command_line=True))
        return await counted(redis, ids)


async def counted(redis: Redis, ids: list[str]) -> float:
    began, found = time.monotonic(), 0
    while found < len(ids) and time.monotonic() < began + WINDOW:
        await asyncio.sleep(0.25)
        found = sum(ARRIVED in record for record in await redis.mget(ids))
    return found / (time.monotonic() - began) * 60
