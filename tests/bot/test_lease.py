"""Leases in a real Valkey: who has one, who has lost one, and what is asked before a delete."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from bot.rotation.errors import LeaseLost, Unanswerable
from bot.rotation.ports import UNHELD
from bot.rotation.record import Rotation
from bot.storage import lease as leases
from bot.storage.lease import Lease, Moment
from bot.storage.records import Store
from tests.bot.values import EVENT, NAMESPACE, NOW, rotation

NAME, LONG = NAMESPACE.key("lease", "rabc123"), 30.0


@pytest.fixture
async def record(store: Store) -> Rotation:
    return await store.save(rotation(), EVENT, at=NOW)


@pytest.fixture
async def mine(store: Store, record: Rotation) -> AsyncIterator[Lease]:
    async with store.leased(record.id, LONG) as lease:
        assert lease
        yield lease


async def test_a_lease_that_is_held_is_verified_and_lasts_on_and_redis_tells_the_time_of_it(redis, mine, record):
    await redis.pexpire(NAME, 5000)
    before = await redis.time()
    found = await mine.verified(record.version)
    after = await redis.time()

    assert await redis.pttl(NAME) > 25_000
    assert 25 < found.left <= LONG
    assert before[0] + before[1] / 1_000_000 <= found.there <= after[0] + after[1] / 1_000_000


async def test_a_lease_that_has_run_out_is_lost_and_is_not_taken_again(redis, mine, record):
    await redis.delete(NAME)
    for version in (None, record.version):
        with pytest.raises(LeaseLost):
            await mine.verified(version)

    assert not await redis.exists(NAME)


async def test_a_lease_that_another_has_is_lost_and_left_alone(redis, store, mine, record):
    await redis.delete(NAME)
    async with store.leased(record.id, LONG) as other:
        left = await redis.pttl(NAME)
        with pytest.raises(LeaseLost):
            await mine.verified()
        assert await redis.pttl(NAME) <= left
        await other.verified(record.version)


async def test_a_lease_on_an_outdated_version_of_a_record_is_lost(redis, store, mine, record):
    """A Redis that failed over can have lost the lease of one, and what another has written."""
    moved = await store.save(record.but(note="n"), EVENT, at=NOW)
    with pytest.raises(LeaseLost):
        await mine.verified(record.version)

    assert (await mine.verified(moved.version)).left > 0
    await redis.delete(NAMESPACE.key("rotation", record.id))
    with pytest.raises(LeaseLost):
        await mine.verified(moved.version)


async def test_no_lease_is_verified_without_redis_or_without_a_lease():
    with pytest.raises(LeaseLost):
        await UNHELD.verified(1)
    async with Redis.from_url("redis://127.0.0.1:9", decode_responses=True, retry=None) as nobody:
        with pytest.raises(Unanswerable):
            await Lease(nobody, "lease", "record", LONG).verified()


@pytest.mark.parametrize(
    ("here", "there", "age"), [(12, 1, 12), (0, 12, 12), (3, -60, 3)],
    ids=["paused", "a clock that stood still", "failed over"],
)  # fmt: skip
def test_the_age_of_a_moment_is_the_longer_of_two_clocks(monkeypatch, here, there, age):
    monkeypatch.setattr(leases, "running_clock", lambda: 100.0 + here)

    assert Moment(100, 1000, LONG).until(Moment(100 + here, 1000 + there, LONG)) == age
    assert Moment(100, 1000, LONG).left == LONG - here


async def test_a_lease_counts_from_before_the_question(monkeypatch):
    seconds = [100.0]

    async def slowly(**_: object) -> list[int]:
        seconds[0] += 12
        return [1000, 0]

    monkeypatch.setattr(leases, "running_clock", lambda: seconds[0])
    found = await Lease(SimpleNamespace(register_script=lambda _: slowly), "lease", "record", LONG).verified()

    assert found.left == LONG - 12


def test_the_clock_of_a_lease_runs_on_while_the_machine_is_suspended(monkeypatch):
    monkeypatch.setattr(leases, "time", SimpleNamespace(CLOCK_BOOTTIME=7, clock_gettime={7: 12.5}.get))

    assert leases.running_clock() == 12.5


@pytest.mark.parametrize("taken", [True, False], ids=["another has it", "it has run out"])
async def test_a_lease_that_is_lost_ends_what_its_holder_does(redis, store, taken):
    began, name = asyncio.Event(), NAMESPACE.key("lease", "r1")

    async def hold() -> None:
        async with store.leased("r1", 0.3):
            began.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await began.wait()
    await (redis.set(name, "another") if taken else redis.delete(name))
    await asyncio.wait([holder], timeout=10)

    assert holder.cancelled()
    assert await redis.get(name) == ("another" if taken else None)


async def test_a_lease_is_kept_for_as_long_as_its_holder_lives_and_a_redis_that_is_away_for_a_moment_ends_nothing(
    store, redis, monkeypatch
):
    tries = 0
    verified = Lease.verified

    async def away(lease: Lease, version: int | None = None) -> Moment:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unanswerable("away")
        return await verified(lease, version)

    monkeypatch.setattr(Lease, "verified", away)
    async with asyncio.timeout(120), store.leased("r1", 0.6):
        for more in (2, 4):
            await redis.pexpire(NAMESPACE.key("lease", "r1"), 500)
            while tries < more or await redis.pttl(NAMESPACE.key("lease", "r1")) <= 500:  # noqa: ASYNC110 - the keeper
                await asyncio.sleep(0.01)


async def test_a_waiting_worker_gets_the_lease_when_it_is_given_back(store):
    async def waited() -> bool:
        async with store.leased("r1", LONG) as lease:
            return lease is not None

    async with asyncio.timeout(120):
        async with store.leased("r1", LONG):
            waiting = asyncio.create_task(waited())
            await asyncio.sleep(0)
        assert await waiting
