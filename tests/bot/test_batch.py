"""Several keys, one after the other: which may begin, what stops it, and what one approval covers."""

from datetime import timedelta
from typing import Any

import pytest

from bot.rotation import audit
from bot.rotation.batch import (
    Batch,
    Entry,
    Halt,
    Standing,
    halted,
    is_done,
    next_entry,
    occupies,
    ready,
    refusal,
    standing,
)
from bot.rotation.errors import BadInput, CannotPost, NotAllowed, WrongState
from bot.rotation.flags import Flag, shown_of
from bot.rotation.people import People
from bot.rotation.plan import Plan
from bot.rotation.policies import NamedPolicy, Policy
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind
from bot.service.batching import Wanted
from tests.bot.conftest import AT_ONCE
from tests.bot.test_pressing import waiting
from tests.bot.values import EVENT, FLAGGED, NOW, key, plan_of, rotation, rules, running, stopped

ENTRIES = tuple(Entry(key_id=f"pk_{n}", name=f"Key {n}", environments=places) for n, places in enumerate(
    [("prod",), ("prod", "stag"), ("stag",), ()]
))  # fmt: skip
BATCH = Batch(id="rbatch2", team="T1", channel="C_OPS", by="U_REQUESTER", at=NOW, entries=ENTRIES)


def of_batch(record: Any = None, **fields: Any) -> Any:
    return (record or rotation()).but(batch=BATCH.id, **fields)


def begun(**rotations: Any) -> tuple[Batch, dict[str, Any]]:
    """Return the batch with the rotation of each named key."""
    batch = BATCH
    for name, record in rotations.items():
        entry = next(one for one in BATCH.entries if one.key_id == name)
        batch = batch.with_entry(entry.but(rotation=record.id))
    return batch, {record.id: record for record in rotations.values()}


GONE = running(deleted_at=NOW)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (rotation(), ""),
        (running(), ""),
        (stopped(StopKind.TROUBLE), ""),
        (stopped(StopKind.REJECTED), "stopped: it stopped"),
        (stopped(StopKind.REFUSED), "stopped: it stopped"),
        (running(track=Track.BACK).but(state=State.ROLLING_BACK), "rolled back"),
        (running(track=Track.BACK).but(state=State.ROLLED_BACK), "rolled back"),
        (rotation(State.CANCELLED), "cancelled"),
        (GONE, ""),
    ],
)
def test_a_refused_secret_a_roll_back_and_a_cancel_stop_the_batch(record, said):
    assert refusal(record) == said
    batch, found = begun(pk_0=record)
    after = halted(batch, found, NOW)

    assert (after.halt.why if after.halt else "") == said
    assert halted(batch.but(passed=(record.id,)), found, NOW).halt is None, "somebody went on"


@pytest.mark.parametrize(
    ("record", "holds"),
    [
        (rotation(), True),
        (running(), True),
        (waiting(), True),
        (stopped(), True),
        (GONE, False),
        (rotation(State.CANCELLED), False),
    ],
)
def test_another_rotation_waits_from_the_card_to_the_delete_and_not_for_the_watch(record, holds):
    assert occupies(record) is holds


@pytest.mark.parametrize(
    ("plan", "most", "first"),
    [
        (None, 1, "pk_0"),
        ({"prod": "production"}, 1, "pk_2"),
        ({"prod": "production", "stag": "staging"}, 1, "pk_3"),
        ({"prod": "production"}, 2, "pk_0"),
        ({}, 1, "pk_0"),
    ],
)
def test_as_many_rotations_of_batches_as_the_settings_say_are_under_way_in_an_environment(plan, most, first):
    record = of_batch(running(), plan=Plan(old_key=key("pk_x"), models=(), environments=plan or {}))
    others = [record] if plan is not None else [record.but(batch="")]

    assert next_entry(BATCH, others, most).key_id == first
    assert next_entry(BATCH, [record.but(deleted_at=NOW)], most).key_id == "pk_0"
    assert next_entry(BATCH.but(halt=Halt(why="x", at=NOW)), [], most) is None
    assert next_entry(BATCH.but(ended_at=NOW), [], most) is None


def test_once_somebody_went_on_a_stopped_rotation_holds_up_no_other():
    record = of_batch(stopped(StopKind.REJECTED), plan=Plan(old_key=key(), models=(), environments={"prod": "p"}))
    batch, _ = begun(pk_0=record)

    assert next_entry(batch, [record], 1).key_id == "pk_2"
    assert next_entry(batch.but(passed=(record.id,)), [record], 1).key_id == "pk_1"
    back = record.but(state=State.ROLLING_BACK, track=Track.BACK)
    assert next_entry(batch.but(passed=(record.id,)), [back], 1).key_id == "pk_2", "a roll back moves models"


def test_a_batch_is_done_once_each_key_is_rotated_or_left_out():
    batch, found = begun(pk_0=GONE)
    assert not is_done(batch, found)

    left = batch.but(entries=tuple(one if one.rotation else one.but(left_out="gone") for one in batch.entries))
    assert is_done(left, found)
    assert [standing(one, found) for one in left.entries] == [Standing.DONE, *[Standing.LEFT_OUT] * 3]
    assert not is_done(left, {GONE.id: running()})


def test_one_approval_covers_only_what_needs_no_reason():
    plain, flagged = waiting(id="rabc234"), waiting(id="rabc235", **FLAGGED[Flag.FAILED])
    batch, found = begun(pk_0=plain, pk_1=flagged, pk_2=running(id="rabc236"))

    assert ready(batch, [*found.values(), waiting(id="rother2")]) == {plain.id: shown_of(plain)}


# --- in the store ---


async def test_a_batch_is_written_over_the_version_that_was_read_and_each_change_is_in_the_trail(store):
    saved = await store.save_batch(BATCH, EVENT, at=NOW)
    ended = await store.save_batch(saved.but(ended_at=NOW), EVENT, at=NOW)
    with pytest.raises(WrongState):
        await store.save_batch(saved, EVENT, at=NOW)

    assert await store.batch(BATCH.id) == ended
    assert (ended.version, await store.open_batches()) == (2, [])
    entries = audit.verified([line async for line in store.trail()])
    assert [(entry["kind"], entry["batch"]) for entry in entries] == [("batch", BATCH.id)] * 2


# --- what people ask ---


class Shown:
    def __init__(self, refuses: bool = False) -> None:  # noqa: FBT001, FBT002 - a test's switch
        self.cards: list[Any] = []
        self.refuses = refuses

    async def __call__(self, record: Any) -> None:
        if self.refuses:
            raise CannotPost("The channel is archived.")
        self.cards.append(record)


async def asked(desk: Any, **wanted: Any) -> Batch:
    found = Wanted(**{"provider": "openai"} | wanted)
    return await desk.service.begin_batch("C_OPS", found, by="U_REQUESTER", team="T1")


async def moved(desk: Any, batch: Batch, shown: Shown, times: int = 4) -> Batch:
    for _ in range(times):
        batch = await desk.service.advance_batch(batch.id, shown)
    return batch


@pytest.fixture
async def two(desk):
    """A batch of two keys that no model uses, so that one holds up the other."""
    names = [desk.tenant.aisix.add_key(f"Spare {n}", secret=f"sk-SPARE-{n}-0123456789").id for n in range(2)]
    return await asked(desk, keys=frozenset(names), provider="")


async def test_the_next_card_comes_once_the_rotation_before_is_deleted(desk, two):
    shown = Shown()
    batch = await moved(desk, two, shown)
    assert [card.plan.old_key.display_name for card in shown.cards] == ["Spare 0"]
    assert {card.batch for card in shown.cards} == {batch.id}

    first = await desk.store.load(batch.entries[0].rotation)
    await desk.save(first.but(state=State.RUNNING, deleted_at=NOW))
    batch = await moved(desk, batch, shown)
    assert len(shown.cards) == 2

    second = await desk.store.load(batch.entries[1].rotation)
    await desk.save(second.but(state=State.COMPLETED, deleted_at=NOW, ended_at=NOW))
    batch = await moved(desk, batch, shown)
    assert batch.ended_at == NOW
    assert await desk.service.open_batches() == [batch.id], "its message follows the watch of the first"

    watched = await desk.store.load(batch.entries[0].rotation)
    await desk.save(watched.but(state=State.COMPLETED, ended_at=NOW))
    await moved(desk, batch, shown)
    assert await desk.service.open_batches() == []


async def test_a_rotation_that_a_process_began_and_could_not_note_is_found_again(desk, two):
    started = await desk.service.start(two.entries[0].key_id, by=two.by, team="T1", channel="C_OPS", batch=two.id)
    batch = await moved(desk, two, Shown())

    assert batch.entries[0].rotation == started.id
    assert len(await desk.store.under_way()) == 1


async def test_the_batch_stops_at_a_refusal_and_goes_on_by_a_click_of_the_requester_or_an_approver(desk, two):
    batch = await moved(desk, two, shown := Shown())
    refused = batch.entries[0].rotation
    await desk.service.cancel(refused, by="U_REQUESTER")
    batch = await moved(desk, batch, shown)

    assert (batch.halt.rotation, batch.halt.why, len(shown.cards)) == (refused, "cancelled", 1)
    with pytest.raises(NotAllowed):
        await desk.service.go_on(batch.id, refused, by="U_COLLEAGUE")
    with pytest.raises(WrongState):
        await desk.service.go_on(batch.id, "rother2", by="U_REQUESTER")
    await desk.service.go_on(batch.id, refused, by="U_APPROVER")
    assert len((await moved(desk, batch, shown)).rotations) == 2
    with pytest.raises(WrongState):
        await desk.service.go_on(batch.id, refused, by="U_APPROVER")


async def test_an_ended_batch_begins_nothing_more(desk, two):
    with pytest.raises(NotAllowed):
        await desk.service.end_batch(two.id, by="U_COLLEAGUE")
    ended = await desk.service.end_batch(two.id, by="U_APPROVER")

    assert (await moved(desk, ended, shown := Shown())).ended_by == "U_APPROVER"
    assert shown.cards == []
    with pytest.raises(WrongState):
        await desk.service.end_batch(two.id, by="U_APPROVER")


async def test_an_ended_batch_is_followed_until_its_rotations_are_over(desk, two):
    batch = await moved(desk, two, shown := Shown())
    ended = await moved(desk, await desk.service.end_batch(batch.id, by="U_APPROVER"), shown)
    assert (len(shown.cards), ended.settled, await desk.service.open_batches()) == (1, False, [two.id])

    await desk.service.cancel(batch.entries[0].rotation, by="U_REQUESTER")
    settled = await moved(desk, ended, shown)
    assert (len(shown.cards), settled.settled, settled.ended_by) == (1, True, "U_APPROVER")
    assert await desk.service.open_batches() == []


async def test_a_card_that_cannot_be_posted_stops_the_batch(desk, two):
    batch = await moved(desk, two, Shown(refuses=True))

    assert batch.halt.why == "cancelled"
    assert len(batch.rotations) == 1


async def test_keys_are_chosen_by_name_provider_or_age_and_those_under_way_are_left_out(desk):
    tenant = desk.tenant
    old = tenant.aisix.add_key("Old", secret="sk-OLD-0123456789")
    old.created_at = (NOW - timedelta(days=91)).isoformat()
    tenant.key.created_at = NOW.isoformat()
    aged = await asked(desk, provider="", older_than=timedelta(days=90))

    assert [entry.key_id for entry in aged.entries] == [old.id]
    with pytest.raises(BadInput):
        await asked(desk, provider="nobody")
    await desk.ask(old.id)
    with pytest.raises(BadInput):
        await asked(desk, provider="", older_than=timedelta(days=90))


async def test_a_key_on_hold_is_left_out_of_a_batch_with_its_reason_also_if_the_hold_comes_later(desk, two):
    async def hold(key_id: str) -> None:
        await desk.service.hold(key_id, "Spare", "an audit", NOW.date().isoformat(), by="U_APPROVER")

    first, second = [entry.key_id for entry in two.entries]
    await hold(first)
    again = await asked(desk, keys=frozenset((first, second)), provider="")
    moved_on = await moved(desk, two, shown := Shown())

    assert [entry.left_out for entry in again.entries] == ["The old key is on hold until 23 Nov 2026.", ""]
    assert [entry.left_out for entry in moved_on.entries] == ["The old key is on hold until 23 Nov 2026.", ""]
    assert [card.plan.old_key.id for card in shown.cards] == [second]
    with pytest.raises(BadInput, match="All of these keys are on hold"):
        await asked(desk, keys=frozenset((first,)), provider="")


async def test_one_click_approves_what_the_message_showed_and_leaves_out_what_has_changed(desk):
    plain = await desk.save(waiting(id="rabc234", plan=plan_of("pk_1")))
    changed = await desk.save(waiting(id="rabc235", plan=plan_of("pk_2")))
    stranger = await desk.save(waiting(id="rabc236", plan=plan_of("pk_3")))
    batch, _ = begun(pk_0=plain, pk_1=changed)
    await desk.store.save_batch(batch, EVENT, at=NOW)
    shown = {plain.id: shown_of(plain), changed.id: "0" * 16, stranger.id: shown_of(stranger)}
    click = {"pressed": AT_ONCE, "click": "1"}

    with pytest.raises(NotAllowed):
        await desk.service.approve_ready(batch.id, shown, by="U_REQUESTER", **click)
    result = await desk.service.approve_ready(batch.id, shown, by="U_APPROVER", **click)

    assert result.names == ("Key 0",)
    assert [name for name, _ in result.left] == ["Key 1"]
    assert (await desk.store.load(plain.id)).approvals[0].by == "U_APPROVER"
    assert await desk.store.load(changed.id) == changed
    assert await desk.store.load(stranger.id) == stranger, "it is of no batch"


@pytest.mark.parametrize("given", [{"one_approval_for_a_batch": False}, {"step_up": True}])
async def test_one_click_approves_nothing_where_the_settings_want_each_card(desk, given):
    plain = await desk.save(waiting(id="rabc234"))
    batch, _ = begun(pk_0=plain)
    await desk.store.save_batch(batch, EVENT, at=NOW)
    desk.service._rules = rules(approvers=frozenset({"S_APPROVERS"}), **given)  # noqa: SLF001 - today's settings

    with pytest.raises(NotAllowed, match="on each card"):
        await desk.service.approve_ready(
            batch.id, {plain.id: shown_of(plain)}, by="U_APPROVER", pressed=AT_ONCE, click="1"
        )
    assert await desk.store.load(plain.id) == plain


@pytest.mark.parametrize(
    ("today", "kept"),
    [
        ({}, ["U_APPROVER"]),
        ({"one_approval_for_a_batch": False}, []),
        ({"policies": (NamedPolicy(asks=Policy(own_approval=True)),)}, []),
    ],
)
async def test_an_approval_for_a_whole_batch_lapses_where_the_settings_want_each_card_by_now(desk, today, kept):
    plain = await desk.save(waiting(id="rabc234"))
    batch, _ = begun(pk_0=plain)
    await desk.store.save_batch(batch, EVENT, at=NOW)
    mark = {plain.id: shown_of(plain)}
    await desk.service.approve_ready(batch.id, mark, by="U_APPROVER", pressed=AT_ONCE, click="1")
    given = await desk.store.load(plain.id)
    people = People(desk.slack, rules(approvers=frozenset({"S_APPROVERS"}), **today))

    assert [one.by for one in (await people.reviewed(given, NOW)).approvals] == kept
    on_the_card = given.but(approvals=tuple(one.but(for_a_batch=False) for one in given.approvals))
    assert (await people.reviewed(on_the_card, NOW)).approvals == on_the_card.approvals


@pytest.mark.parametrize("when", ["then", "now"])
async def test_one_click_covers_no_rotation_whose_policy_wants_its_own_approval(desk, when):
    own = Policy(own_approval=True)
    record = waiting(id="rabc234", **({"policy": own} if when == "then" else {}))
    plain = await desk.save(record)
    batch, _ = begun(pk_0=plain)
    await desk.store.save_batch(batch, EVENT, at=NOW)
    if when == "now":
        asked_today = rules(approvers=frozenset({"S_APPROVERS"}), policies=(NamedPolicy(asks=own),))
        desk.service._rules, desk.service._people = asked_today, People(desk.slack, asked_today)  # noqa: SLF001
    shown = {plain.id: shown_of(plain)}
    result = await desk.service.approve_ready(batch.id, shown, by="U_APPROVER", pressed=AT_ONCE, click="1")

    assert result.left == (("Key 0", "Its policy asks for an approval on its own card."),)
    assert await desk.store.load(plain.id) == plain
    if when == "then":
        assert ready(batch, [plain]) == {}


async def test_while_a_rotation_cannot_be_read_no_other_begins(desk, two, redis):
    batch = await moved(desk, two, shown := Shown())
    await redis.set(desk.store.key("rotation", batch.entries[0].rotation), '{"of": "a newer version"}')

    assert await moved(desk, batch, shown) == batch
    assert len(shown.cards) == 1
