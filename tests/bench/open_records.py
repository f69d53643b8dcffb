"""How long the loop is held while 2,500 open records of 12 models are read: meanwhile nobody is acknowledged."""

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from redis.asyncio import Redis

from bot.start import spare_loaded_objects
from bot.storage.embedded import embedded_server
from bot.storage.records import Store
from handlers.commands import PAGE
from tests.bench.table import milliseconds, table
from tests.bot.values import NAMESPACE
from tests.handlers import records

RECORDS, MODELS = 2500, 12
EVENT = {"by": "keyturn", "what": "step", "why": "verify"}


async def measured() -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            embedded_server(Path(folder)) as url,
            Redis.from_url(url, decode_responses=True) as redis,
        ):
            store = Store(redis, NAMESPACE)
            await filled(store)
            spare_loaded_objects()
            rows = [(name, *map(milliseconds, await held(read))) for name, read in readers(store).items()]
            gc.unfreeze()
    title = f"{RECORDS:,} open records of {MODELS} models in one process"
    return table(title, ("what reads them", "CPU", "the longest turn of the loop"), rows)


def readers(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    """What reads many records."""
    return {
        "`/rotate-key status`, a page of it": lambda: store.page_under_way(1, PAGE),
        "a name that AISIX does not have, and `keyturn doctor`": store.under_way,
        "a worker's look at what is due": lambda: all_due(store),
    }


async def filled(store: Store) -> None:
    one = records.seeing(records.running("verify", records.plan(records.many(MODELS))), records.REFUSED_401)
    for number in range(RECORDS):
        plan = one.plan.but(old_key=one.plan.old_key.but(id=f"pk{number}"))
        record = one.but(id=f"r{number:06}", version=0, namespace=NAMESPACE.name, plan=plan)
        await store.save(record, EVENT, at=datetime.now(UTC))


async def all_due(store: Store) -> None:
    count = 0  # a list of them would be freed at once, which is a turn of its own
    async for _ in store.due(datetime.now(UTC)):
        count += 1
    assert count == RECORDS


async def held(read: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Read, and return how long that took and the longest turn of the loop, in time on the CPU: others use it too."""
    reading, longest, began = asyncio.ensure_future(read()), 0.0, time.thread_time()
    while not reading.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
    await reading
    return time.thread_time() - began, longest
