"""Records in a real Valkey: the swap, the claim on a key, the log, and what has been shown."""

import asyncio
import json
from operator import methodcaller
from typing import Any
from unittest.mock import AsyncMock

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.rotation.audit import Kind
from bot.rotation.errors import NotOurRecord, Unanswerable, WrongState
from bot.rotation.record import SCHEMA, Replacement, Rotation
from bot.rotation.states import State, StepName
from bot.storage import lists
from bot.storage.jobs import PatientQueue
from bot.storage.namespace import REGISTER, Namespace
from bot.storage.reading import read, readable
from bot.storage.records import Conflict, Full, Store, Taken, within
from tests.bot.values import EVENT, NAMESPACE, NOW, later, plan_of, rotation, running, stopped


async def save(store: Store, record, event=EVENT, seconds: float = 0):
    return await store.save(record, event, at=later(seconds))


async def trail(store: Store) -> list[dict[str, Any]]:
    return [json.loads(line) async for line in store.trail()]


async def begun(store: Store, id_: str = "r1", **fields):
    """A rotation that has its key in hand."""
    first = await save(store, rotation(id=id_, **fields))
    return await save(store, first.to(State.RUNNING).but(attempt=1))


# --- compare and swap ---


async def test_a_conflicting_write_is_refused_and_changes_nothing(store):
    first = await save(store, rotation())
    winner = await save(store, first.to(State.CANCELLED))

    with pytest.raises(Conflict) as lost:
        await save(store, first.but(replacement=wanted(key_id="pk_new")))
    assert isinstance(lost.value, WrongState)
    assert await store.load("rabc123") == winner
    assert await store.fingerprints() == {}
    assert len(await trail(store)) == 2


async def test_a_new_rotation_does_not_overwrite_one_of_the_same_id_nor_is_one_that_is_gone_brought_back(store, redis):
    first = await save(store, rotation())

    with pytest.raises(Conflict):
        await save(store, rotation(channel="C_OTHER"))
    await redis.flushall()
    with pytest.raises(Conflict):
        await save(store, first.but(note="again"))


class Repeating(Redis):
    """A client that did not hear the answer, and sends every script once more."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        answer = await super().execute_command(*args, **options)
        return await super().execute_command(*args, **options) if args[0] == "EVALSHA" else answer


async def test_the_same_write_again_is_fine_and_is_logged_once(store, redis_url):
    """An answer that was lost makes the client write again; nothing has gone wrong then."""
    first = await save(store, rotation())
    async with asyncio.timeout(30), Repeating.from_url(redis_url, decode_responses=True) as client:
        once = await save(Store(client, NAMESPACE), first.but(note="n"))
        await Store(client, NAMESPACE).note(Kind.REFUSAL, EVENT, rotation=once, at=NOW)

    assert await store.load("rabc123") == once
    assert len(await trail(store)) == 3


async def test_one_of_two_equal_simultaneous_writes_wins(store):
    """Two forms with different secrets make the same record, and only one of them may create a key."""
    first = await save(store, rotation())
    outcomes = await asyncio.gather(*(save(store, first.but(note="n")) for _ in range(2)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [Conflict]
    assert len(await trail(store)) == 2


# --- claims on a key ---


async def test_a_key_is_claimed_with_the_request_and_of_two_at_once_one_gets_it(store):
    saving = [save(store, rotation(id=id_)) for id_ in ("r1", "r2", "r3")]
    outcomes = await asyncio.gather(*saving, return_exceptions=True)

    firsts = [outcome for outcome in outcomes if isinstance(outcome, Rotation)]
    assert len(firsts) == 1
    [first] = firsts
    assert [outcome.holder for outcome in outcomes if isinstance(outcome, Taken)] == [first.id] * 2
    assert await store.holder("pk_old") == first.id
    assert await store.under_way() == [first]


async def unclaimed(store, redis, id_: str, **fields: Any) -> Rotation:
    """Record a rotation as a version before did: it claims its key only with its first secret."""
    record = await save(store, rotation(id=id_, **fields))
    await redis.delete(NAMESPACE.key("active", "pk_old"))
    return record


async def test_of_two_rotations_of_a_version_before_the_first_that_gets_a_secret_goes_on(store, redis):
    first, second = await unclaimed(store, redis, "r1"), await unclaimed(store, redis, "r2")
    await save(store, first.to(State.RUNNING).but(attempt=1))

    with pytest.raises(Taken) as taken:
        await save(store, second.to(State.RUNNING).but(attempt=1))
    assert taken.value.holder == "r1"
    assert await store.holder("pk_old") == "r1"
    assert (await store.load("r2")) == second
    await save(store, second.to(State.CANCELLED))
    assert await store.holder("pk_old") == "r1"


@pytest.mark.parametrize("ends", [(State.ROLLING_BACK, State.ROLLED_BACK), (State.AWAITING_SECRET, State.CANCELLED)])
async def test_only_the_end_of_a_rotation_releases_its_key(store, ends):
    record = await save(store, rotation())
    for state in (State.RUNNING, *ends):
        assert await store.holder("pk_old") == record.id
        record = await save(store, record.to(state))
    second = await begun(store, "r2")

    assert await store.holder("pk_old") == second.id


async def test_a_deleted_key_stays_claimed_by_the_rotation_that_deleted_it(store):
    record = await begun(store, "r1")
    await save(store, record.to(State.COMPLETED))

    with pytest.raises(Taken):
        await begun(store, "r2")
    assert await store.holder("pk_old") == "r1"


async def test_reading_many_records_yields_after_each_one(store, monkeypatch):
    for number in range(5):
        await save(store, rotation(id=f"r{number}", plan=plan_of(f"pk_{number}")))
    order: list[str] = []
    monkeypatch.setattr(lists, "readable", lambda stored: order.append("read") or readable(stored))
    monkeypatch.setattr(lists.asyncio, "sleep", AsyncMock(side_effect=lambda _: order.append("turn")))

    assert len(await store.under_way()) == 5
    assert order == ["read", "turn"] * 5


async def test_what_is_under_way_is_listed_oldest_first_until_it_is_over_and_the_last_ones_newest_first(store):
    young = await save(store, rotation(id="young", requested_at=later(9), plan=plan_of("pk_other")))
    old = await save(store, rotation(id="old", requested_at=NOW))
    assert await store.under_way() == [old, young]

    await save(store, old.to(State.CANCELLED))
    assert await store.under_way() == [young]
    assert [record.id for record in await store.recent(2)] == ["young", "old"]
    assert [record.id for record in await store.recent(1)] == ["young"]


async def several(store, count: int) -> list[Rotation]:
    """Rotations that were asked for one after the other and wait for their secret."""
    return [
        await save(store, rotation(id=f"r{number}", requested_at=later(number), plan=plan_of(f"pk_{number}")))
        for number in range(count)
    ]


async def test_a_page_of_what_is_under_way_reads_no_record_of_another_page(store, redis, monkeypatch):
    over, *still = await several(store, 6)
    await save(store, over.to(State.CANCELLED))
    read_records = []
    monkeypatch.setattr(lists, "readable", lambda stored: read_records.append(stored) or readable(stored))

    assert [await store.page_under_way(number, 2) for number in (1, 2, 3, 4)] == [
        (still[0:2], 0, 2, 5), (still[2:4], 2, 4, 5), (still[4:], 4, 5, 5), (still[4:], 4, 5, 5)
    ]  # fmt: skip
    assert len(read_records) == 6
    await redis.set(store.key("rotation", still[0].id), "{}")
    page = await store.page_under_way(1, 2)
    assert (page.rotations, page.unreadable) == ([still[1]], 1)


async def test_an_empty_list_has_an_empty_first_page(store):
    assert await store.page_under_way(1, 2) == ([], 0, 0, 0)


async def test_no_rotation_is_recorded_beyond_the_limit_of_waiting_ones(store):
    """Those that have got their secret, are over or are elsewhere take no room."""
    running_now, over, first, second = await several(store, 4)
    await save(store, running_now.to(State.RUNNING).but(attempt=1))
    await save(store, over.to(State.CANCELLED))
    await save(store, rotation(id="r_else", channel="C_ELSE", plan=plan_of("pk_else")))
    two, three = [(within("C_OPS"), 2)], [(within("C_OPS"), 3)]

    with pytest.raises(Full) as full:
        await store.check_room(two)
    assert full.value.place == within("C_OPS")
    await store.check_room(three)
    asked = [rotation(id=f"r_{number}", plan=plan_of(f"pk_new{number}")) for number in range(4)]
    outcomes = await asyncio.gather(
        *(store.save(each, EVENT, at=NOW, room=three) for each in asked), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, Rotation)] == [Full] * 3
    assert (await store.save(first.but(note="n"), EVENT, at=NOW, room=two)).version == 2
    await save(store, second.to(State.CANCELLED))


async def test_a_key_concerns_its_rotations_and_the_one_that_made_it_until_they_are_over(store, redis):
    old = await unclaimed(store, redis, "r1")
    young = await unclaimed(store, redis, "r2", requested_at=later(60))
    await save(store, rotation(id="r3", plan=plan_of("pk_old_2")))
    maker = await save(store, old.to(State.RUNNING).but(attempt=1, made=("pk_new",)))
    assert await store.concerning("pk_old") == [maker, young]
    assert await store.concerning("pk_new") == [maker]
    assert await store.concerning("pk") == []

    await save(store, maker.to(State.COMPLETED))
    assert await store.concerning("pk_old") == [young]
    assert await store.concerning("pk_new") == []


async def test_every_version_has_to_be_shown_and_a_later_one_does_for_an_earlier(store):
    first = await save(store, rotation())
    second = await save(store, first.but(note="n"))
    assert await store.unshown() == ["rabc123"]

    await store.was_shown(first)
    assert await store.unshown() == ["rabc123"]
    await store.was_shown(second)
    assert await store.unshown() == []
    await save(store, second.but(note="newer"))
    assert await store.unshown() == ["rabc123"]


async def test_only_one_process_holds_a_lease(store):
    async with store.leased("r1", 0.4) as mine, store.leased("r1", 0.4) as other:
        assert (bool(mine), other) == (True, None)
    async with store.leased("r1", 0.4) as later:
        assert later


# --- fingerprints ---


def wanted(fingerprint: str | None = "f.new", **fields) -> Replacement:
    return Replacement(name="OpenAI production (rabc123)", asked_at=NOW, fingerprint=fingerprint, **fields)


async def fingerprinted(store: Store, **fields):
    """A rotation whose replacement was created, with the fingerprint of its secret."""
    asked = await begun(store, replacement=wanted())
    return await save(store, asked.but(replacement=wanted(key_id="pk_new"), made=("pk_new",), **fields))


async def test_a_fingerprint_moves_out_of_the_record_once_its_key_has_an_id(store):
    asked = await begun(store, replacement=wanted())
    assert (await store.load(asked.id)).replacement.fingerprint == "f.new"
    assert await store.fingerprints() == {}

    saved = await save(store, asked.but(replacement=wanted(key_id="pk_new"), made=("pk_new",)))
    assert saved.replacement.fingerprint is None
    assert await store.load(saved.id) == saved
    assert (await store.fingerprint("pk_new"), await store.fingerprint("pk_old")) == ("f.new", None)

    await save(store, saved.but(note="n").to(State.COMPLETED))
    assert await store.fingerprints() == {"pk_new": "f.new"}


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"replacement": None}, {"pk_old": "f.old"}),
        ({"replacement": wanted(None, key_id="pk_newer"), "made": ("pk_new", "pk_newer")}, {"pk_old": "f.old"}),
        ({"state": State.ROLLED_BACK}, {"pk_old": "f.old"}),
        ({"deleted_at": NOW}, {"pk_new": "f.new"}),
    ],
    ids=["withdrawn", "another", "rolled back", "deleted"],
)
async def test_the_fingerprint_of_a_key_that_is_not_wanted_any_more_goes(store, redis, fields, left):
    await redis.hset(NAMESPACE.key("fingerprints"), "pk_old", "f.old")
    saved = await fingerprinted(store)
    await save(store, saved.but(**fields))

    assert await store.fingerprints() == left


async def test_a_rotation_in_its_watch_does_not_restore_a_forgotten_fingerprint(store):
    watching = await fingerprinted(store, deleted_at=NOW)
    await store.forget_fingerprints(["pk_new"])

    await save(store, watching.but(note="watched once more"))

    assert await store.fingerprints() == {}


@pytest.mark.parametrize("end", [{"replacement": wanted(refusal="No.")}, {"state": State.ROLLED_BACK}])
async def test_a_key_that_was_never_created_leaves_no_fingerprint_in_the_record(store, end):
    asked = await begun(store, replacement=wanted())
    ended = await save(store, asked.but(**end))

    assert ended.replacement.fingerprint is None
    assert await store.fingerprints() == {}


# --- Redis away ---

ONE = ("load", "concerning", "holder", "messages", "fingerprint", "is_recorded", "is_leased", "open_elsewhere")
ASKED: list[tuple[Any, ...]] = [
    *((verb,) for verb in ("make_all_due", "under_way", "unshown", "fingerprints", "open_ids")),
    *((verb, "r") for verb in ONE),
    *((verb, ["r"]) for verb in ("versions", "old_keys", "forget_fingerprints")),
    *((verb, 3) for verb in ("recent", "edits_this_minute")),
    ("page_under_way", 1, 3),
    ("check_room", [(within("C_OPS"), 1)]),
    ("set_due", rotation(), NOW),
    ("was_shown", rotation()),
    ("remember_message", "r", {"a": "b"}),
]


@pytest.mark.parametrize(
    "ask",
    [
        *(methodcaller(verb, *given) for verb, *given in ASKED),
        lambda store: save(store, rotation()),
        lambda store: store.note(Kind.REFUSAL, EVENT, rotation=None, at=NOW),
        lambda store: anext(store.due(NOW)),
        trail,
    ],
)
async def test_a_missing_redis_is_one_sentence(ask):
    async with Redis.from_url("redis://127.0.0.1:9", decode_responses=True, retry=None) as nobody:
        with pytest.raises(Unanswerable, match=r"store \(Redis\) does not answer"):
            await ask(Store(nobody, NAMESPACE))


class Hanging(Redis):
    """A client that learns the end of the trail, and no more in time."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "SCRIPT LOAD" or args[2:3] == (2,):
            return await super().execute_command(*args, **options)
        raise TimeoutError


async def test_a_write_to_a_hanging_redis_is_not_reported_as_without_effect(redis_url):
    async with Hanging.from_url(redis_url, decode_responses=True) as client:
        with pytest.raises(Unanswerable, match="Keyturn cannot tell whether this was recorded"):
            await save(Store(client, NAMESPACE), rotation())
        with pytest.raises(Unanswerable, match="so nothing was changed"):
            await Store(client, NAMESPACE).load("rabc123")


async def test_a_queue_without_redis_pauses_between_tries(monkeypatch):
    monkeypatch.setattr("bot.storage.jobs.asyncio.sleep", breath := AsyncMock())
    async with Redis.from_url("redis://127.0.0.1:9", retry=None) as nobody:
        with pytest.raises(RedisError):
            await PatientQueue(nobody, nobody, NAMESPACE).dequeue(timeout=1)
    breath.assert_awaited_once_with(1.0)


async def test_waiting_for_a_job_polls_and_subscribes_to_nothing(redis_url):
    subscribed = []

    async def seen(*_: object) -> bool:
        subscribed.append(await redis.pubsub_numpat())
        return True

    async with Redis.from_url(redis_url) as redis:
        queue = PatientQueue(redis, redis, NAMESPACE)
        job = await queue.enqueue("anything")
        await queue.listen([job.key], seen, timeout=5)

    assert subscribed == [0]


# --- another bot's ---


OTHER = Namespace.of("T2", "https://cp.example.com/api")


async def test_a_bot_finds_no_record_of_another_bot(store, redis):
    record = await begun(store, replacement=wanted(), requested_at=NOW)
    await store.remember_message(record.id, {"card": "1.1"})
    theirs = Store(redis, OTHER)

    assert (await theirs.load(record.id), await theirs.holder("pk_old")) == (None, None)
    assert await theirs.under_way() == await theirs.recent(9) == await theirs.concerning("pk_old") == []
    assert await theirs.unshown() == [one async for one in theirs.due(later(99_999))] == await trail(theirs) == []
    assert await theirs.fingerprints() == await theirs.messages(record.id) == await theirs.versions([record.id]) == {}
    assert not await theirs.is_recorded(record.id)
    async with store.leased(record.id, 30):
        assert not await theirs.is_leased(record.id)
    assert await store.is_first("click", 30)
    assert await theirs.is_first("click", 30)
    assert (await store.edits_this_minute(1), await theirs.edits_this_minute(1)) == (1, 1)
    assert await theirs.open_elsewhere(record.id) is None, "nobody has said that there is one"
    await redis.hset(REGISTER, store.namespace.name, "")
    assert await theirs.open_elsewhere(record.id) == store.namespace.queue


async def test_a_record_that_was_copied_under_another_bots_names_is_refused_and_left_out(store, redis):
    record = await begun(store)
    async for name in redis.scan_iter(store.namespace.key("*")):
        await redis.copy(name, name.replace(store.namespace.prefix, OTHER.prefix))
    theirs = Store(redis, OTHER)

    with pytest.raises(NotOurRecord, match="This record belongs to another Keyturn"):
        await theirs.load(record.id)
    assert await theirs.under_way() == await theirs.recent(9) == await theirs.concerning("pk_old") == []
    assert [one async for one in theirs.due(later(99_999))] == []


async def test_a_record_of_a_newer_version_is_left_alone(store, redis):
    record = await begun(store)
    await redis.set(store.key("rotation", record.id), record.but(schema_version=SCHEMA + 1).model_dump_json())

    with pytest.raises(NotOurRecord, match="A newer version of Keyturn has this rotation in hand"):
        await store.load(record.id)


@pytest.mark.parametrize(
    ("record", "named", "instead"),
    [
        (running(done=(StepName.REPLACE,)), '"done":["replace"]', '"done":["replace","smoke"]'),
        (stopped(), '"step":"verify"', '"step":"smoke"'),
        (stopped(), '"resume":"project"', '"resume":"smoke"'),
    ],
)
def test_a_record_with_a_step_that_this_version_does_not_have_is_left_alone_and_that_is_said(record, named, instead):
    written = record.model_dump_json()
    assert read(written) == record
    assert named in written

    with pytest.raises(NotOurRecord, match="names a step that this version of Keyturn does not know"):
        read(written.replace(named, instead))
