"""History is found by key, person, environment and time, whatever the number of records."""

import asyncio
import time
from datetime import date, timedelta

import pytest

from bot.rotation.errors import BadInput
from bot.rotation.history import Outline, Wanted, read
from bot.rotation.states import State
from bot.storage.records import Store
from tests.bot.values import EVENT, NOW, affected, approval, plan_of, rotation
from tests.handlers import records as r


@pytest.mark.parametrize(
    ("typed", "filters", "page"),
    [
        ("", {}, 1),
        ("3", {}, 3),
        ("page:3", {}, 3),
        ("key:OpenAI production", {"key": "OpenAI production"}, 1),
        ("KEY:a by:<@U_REQUESTER|jo> page:2", {"key": "a", "person": "U_REQUESTER"}, 2),
        ("by:U_REQUESTER env:eu west", {"person": "U_REQUESTER", "environment": "eu west"}, 1),
        ("since:2026-11-01 until:2026-11-30", {"since": date(2026, 11, 1), "until": date(2026, 11, 30)}, 1),
    ],
)
def test_filters_are_read_in_any_order_and_a_value_may_have_blanks(typed: str, filters: object, page: int) -> None:
    assert read(typed) == (Wanted.model_validate(filters), page)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("sk-live-CANARY", "Keyturn can't read this"),
        ("key:", "Give each filter once"),
        ("key:sk-CANARY key:b", "Give each filter once"),
        ("by:@CANARY", "`by:` takes a person"),
        ("since:CANARY", "`since:` and `until:` take a day"),
        ("page:0", "`page:` takes a number"),
    ],
)
def test_what_cannot_be_read_is_told_without_repeating_it(typed: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as refusal:
        read(typed)

    assert "CANARY" not in str(refusal.value)


DONE = r.completed(made=("91bc44d2",), names=("OpenAI production (2026-11-23 r7k2abc)",), approvals=(r.approval(),))


@pytest.mark.parametrize(
    ("filters", "is_found"),
    [
        ({}, True),
        ({"key": "openai PROD"}, True),
        ({"key": "r7k2abc"}, True),
        ({"key": "91bc44d2"}, True),
        ({"key": "anthropic"}, False),
        ({"person": r.REQUESTER}, True),
        ({"person": r.APPROVER}, True),
        ({"person": "U_OTHER"}, False),
        ({"environment": "Production"}, True),
        ({"environment": "product"}, False),
        ({"key": "openai", "person": "U_OTHER"}, False),
    ],
)
def test_a_rotation_is_found_by_its_keys_its_people_and_its_environments(
    filters: dict[str, str], *, is_found: bool
) -> None:
    assert Outline.of(DONE).matches(Wanted.model_validate(filters)) is is_found


async def filled(store: Store, count: int) -> None:
    """Record rotations a day apart, every other one of a second key."""
    for number in range(count):
        key = f"pk_{number % 2}"
        plan = plan_of(key).but(old_key=plan_of(key).old_key.but(display_name=f"Key {key}"))
        record = rotation(
            State.CANCELLED, id=f"r2a{number:04}", plan=plan, requested_at=NOW + timedelta(days=number), ended_at=NOW
        )
        await store.save(record, EVENT, at=NOW)


async def test_pages_of_what_is_found_are_newest_first_and_the_days_count_whole(store: Store) -> None:
    await filled(store, 7)
    days = {"since": NOW.date() + timedelta(days=1), "until": NOW.date() + timedelta(days=5)}

    for _ in range(2):  # the second time from what was kept
        found = await store.search(Wanted(key="pk_1"), 1, 2)
        assert ([one.id for one in found.rotations], found.total) == (["r2a0005", "r2a0003"], 3)
        last = await store.search(Wanted(key="pk_1"), 9, 2)
        assert ([one.id for one in last.rotations], last.begin) == (["r2a0001"], 2)
        assert (await store.search(Wanted.model_validate(days), 1, 9)).total == 5
        assert (await store.search(Wanted(key="pk_9"), 1, 9)).total == 0


async def test_what_still_goes_on_is_read_again_each_time(store: Store) -> None:
    record = await store.save(rotation(plan=plan_of("pk_0")), EVENT, at=NOW)
    assert (await store.search(Wanted(person="U_OTHER"), 1, 9)).total == 0

    await store.save(record.but(approvals=(approval("U_OTHER"),)), EVENT, at=NOW)
    assert (await store.search(Wanted(person="U_OTHER"), 1, 9)).total == 1


@pytest.mark.whole
async def test_2500_records_hold_the_loop_for_less_than_100_ms(store: Store) -> None:
    models = tuple(affected(f"m{number}") for number in range(60))
    large = rotation(State.CANCELLED, plan=plan_of("pk_0").but(models=models), ended_at=NOW)
    pipeline = store._redis.pipeline()  # noqa: SLF001 - the trail of 2,500 saves is not what this is about
    for number in range(2500):
        record = large.but(id=f"r2a{number:04}", namespace=store.namespace.name)
        pipeline.set(store.key("rotation", record.id), record.model_dump_json())
        pipeline.zadd(store.key("all"), {record.id: number})
    await pipeline.execute()
    longest = 0.0

    async def ticking() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()  # the time of this thread alone: a busy machine is not the code's fault
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    ticks = asyncio.create_task(ticking())
    found = await store.search(Wanted(key="pk_0"), 1, 10)
    ticks.cancel()

    assert found.total == 2500
    assert longest < 0.1
