"""2,500 cards are open, and the bot looks at each of them: people who type meanwhile are acknowledged at once."""

import asyncio
import gc
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.start import spare_loaded_objects
from bot.storage.records import Store
from tests.bench import open_records
from tests.bench.table import quantile
from tests.bot.values import NAMESPACE
from tests.handlers import records
from tests.support.process import bot_process
from tests.support.stage import Stage

OPEN, PEOPLE, ROUNDS = 2500, 20, 10
EVENT = {"by": "a test", "what": "recorded", "why": ""}


async def filled(store: Store) -> None:
    """Record cards that wait for their secret, as shown, each of another key and another person."""
    one = records.awaiting_secret(records.plan(records.many(12)), requested_at=datetime.now(UTC), version=0)
    for number in range(OPEN):
        plan = one.plan.but(old_key=one.plan.old_key.but(id=f"pk{number}"))
        card = one.but(id=f"r{number:06}", plan=plan, requested_by=f"U{number}", channel=f"C{number % 100}")
        saved = await store.save(card, EVENT, at=datetime.now(UTC))
        await store.remember_message(card.id, {"channel": card.channel, "ts": f"{number}.0", "version": "1"})
        await store.was_shown(saved)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_2500_open_records_hold_the_loop_for_100_ms_at_most(redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        store = Store(redis, NAMESPACE)
        await open_records.filled(store)
        before = gc.get_threshold()
        spare_loaded_objects()
        turns = {name: (await open_records.held(read))[1] for name, read in open_records.readers(store).items()}
        gc.unfreeze()
        gc.set_threshold(*before)

    assert {name: turn for name, turn in turns.items() if turn > 0.1} == {}


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_with_2500_open_cards_a_command_is_acknowledged_within_a_second(
    bare_stage: Stage, tmp_path: Path
) -> None:
    stage = bare_stage
    async with Redis.from_url(stage.redis_url, decode_responses=True) as redis:
        await filled(Store(redis, stage.namespace))
    crowd = [f"U_P{number}" for number in range(PEOPLE)]
    for person in crowd:
        stage.slack.add_user(person, person.lower())
    stage.slack.channels["C_OPS"].members.update(crowd)

    async def typed(who: str, text: str) -> float:
        began = time.perf_counter()
        answer = await stage.slack.person(who).command(text, channel="C_OPS")
        assert not answer.error
        return time.perf_counter() - began

    async with bot_process(stage.environ, tmp_path):
        waits = list[float]()
        for number in range(ROUNDS):
            waits += await asyncio.gather(*(typed(who, f"status {number + 1}") for who in crowd))
            waits += await asyncio.gather(*(typed(who, "a name that is not there") for who in crowd[:5]))

    assert quantile(waits, 0.99) < 1.0, f"p50 {quantile(waits, 0.5):.3f} s, p99 {quantile(waits, 0.99):.3f} s"
