"""A hold keeps a key from being deleted, whenever it is set and whoever asks."""

from datetime import date, timedelta
from typing import Any

import pytest

from bot.engine import due_at, move
from bot.rotation import audit
from bot.rotation.errors import BadInput, NotAllowed, Unanswerable, WrongState
from bot.rotation.holds import KeyHold, OnHold, end_of, unreadable
from bot.rotation.record import KEY_STAYS
from bot.rotation.states import State
from bot.service.verbs import LooksLikeSecret
from bot.steps.world import World
from bot.storage.records import Store
from tests.bot.test_carrying import ASKED, MOVED, Room
from tests.bot.test_pressing import NEW_SECRET, waiting
from tests.bot.values import EVENT, NAMESPACE, NOW, back, later, limits

TODAY = NOW.date()
DAY = timedelta(days=1)


def hold_on(key_id: str, until: date = TODAY) -> KeyHold:
    return KeyHold(key_id=key_id, name="OpenAI production", reason="an audit", by="U_APPROVER", at=NOW, until=until)


# --- when it counts ---


@pytest.mark.parametrize(("hours", "counts"), [(-9999, True), (0, True), (36 - 0.001, True), (36, False)])
def test_a_hold_counts_until_its_last_day_is_over_in_every_time_zone(hours, counts):
    midnight = NOW.replace(hour=0, minute=0)

    assert hold_on("pk_old").counts(midnight + timedelta(hours=hours)) is counts


@pytest.mark.parametrize("typed", ["", "tomorrow", (TODAY - DAY).isoformat(), (TODAY + 367 * DAY).isoformat()])
def test_a_hold_ends_on_a_day_within_a_year(typed):
    assert end_of((TODAY + 366 * DAY).isoformat(), TODAY) == TODAY + 366 * DAY
    with pytest.raises(BadInput):
        end_of(typed, TODAY)


# --- in the store ---


async def test_a_hold_is_there_until_it_is_lifted_or_over_and_each_change_is_in_the_audit_trail(store):
    await store.set_hold(hold_on("pk_old"), EVENT | {"what": "put on hold"})
    await store.set_hold(hold_on("pk_other"), EVENT)

    assert await store.hold_on("pk_old", NOW) == hold_on("pk_old")
    assert await store.hold_on("pk_old", NOW + 9 * DAY) is None
    assert (await store.holds(NOW)).keys() == {"pk_old", "pk_other"}
    await store.lift_hold("pk_old", EVENT, at=later(9))
    assert await store.hold_on("pk_old", NOW) is None

    entries = audit.verified([line async for line in store.trail()])
    assert [(entry["kind"], entry["key"]) for entry in entries] == [
        ("hold", "pk_old"),
        ("hold", "pk_other"),
        ("hold", "pk_old"),
    ]


async def test_a_hold_that_cannot_be_read_counts(store, redis):
    await redis.hset(store.key("holds"), "pk_old", '{"of": "a newer version"}')

    assert await store.hold_on("pk_old", NOW) == unreadable("pk_old", NOW)


async def test_holds_come_along_to_another_namespace_before_any_rotation_does(redis):
    room = Room(redis)
    there = Store(redis, NAMESPACE)
    await there.save(ASKED, EVENT, at=NOW)
    await there.set_hold(hold_on("pk_old"), EVENT)
    await there.set_hold(hold_on("pk_unrelated"), EVENT)

    await room.another(MOVED).carry(NAMESPACE, [ASKED.id])

    assert (await Store(redis, MOVED).holds(NOW)).keys() == {"pk_old", "pk_unrelated"}
    assert await there.hold_on("pk_old", NOW), "a process that is still there keeps the key too"


# --- the last look and the delete ---


@pytest.mark.whole
@pytest.mark.parametrize("done", ["soak", "recheck"])
async def test_a_hold_that_is_set_after_the_approval_keeps_the_key_and_the_approval_no_longer_counts(tenancy, done):
    machine = await tenancy.machine()
    record = await tenancy.released(machine, done=done)
    tenancy.holds.kept[tenancy.old.id] = hold_on(tenancy.old.id)
    again = await machine.voided(record)

    assert (again.state, again.approvals) == (State.AWAITING_APPROVAL, ())
    assert again.voids[-1].changes == ("The old key is on hold until 23 Nov 2026.",)
    assert tenancy.old_is_there
    assert tenancy.deletes() == 0

    tenancy.holds.kept.clear()
    assert (await machine.ended(tenancy.approved(again))).state is State.COMPLETED


@pytest.mark.whole
async def test_a_hold_that_is_set_once_the_delete_is_noted_keeps_the_key(tenancy):
    machine, record = await tenancy.about_to_delete()
    tenancy.holds.kept[tenancy.old.id] = hold_on(tenancy.old.id)
    again = await machine.voided(record)

    assert (again.state, again.delete_asked_at, tenancy.deletes()) == (State.AWAITING_APPROVAL, None, 0)


@pytest.mark.whole
async def test_while_nobody_can_tell_whether_the_key_is_on_hold_it_is_not_deleted(tenancy):
    machine, record = await tenancy.about_to_delete()
    tenancy.holds.is_away = True
    with pytest.raises(Unanswerable):
        await machine.ended(record)

    assert tenancy.deletes() == 0
    tenancy.holds.is_away = False
    assert (await machine.ended(record)).state is State.COMPLETED


@pytest.mark.whole
async def test_a_roll_back_leaves_a_new_key_that_is_on_hold(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    tenancy.holds.kept[tenancy.new.id] = hold_on(tenancy.new.id)
    ended = await machine.ended(back(record))

    assert ended.left_alone == (f"{KEY_STAYS} `{tenancy.new.id}` of this rotation stays: it is on hold.",)
    assert tenancy.new.id in tenancy.aisix.provider_keys


# --- what people ask ---


async def held(desk, key_id: str = "pk_old", by: str = "U_APPROVER", **given: str):
    usual = {"name": "OpenAI production", "reason": "an audit", "until": TODAY.isoformat()}
    return await desk.service.hold(key_id, *(usual | given).values(), by=by)


async def test_approvers_are_not_reminded_while_the_key_is_on_hold_and_hear_once_that_it_is_over(desk):
    await held(desk)
    world: Any = World(None, None, None, limits(), lambda: NOW + DAY / 2, holds=desk.store)  # nothing of it is called
    asked = await desk.save(waiting(asked_at=NOW))
    kept = await move(asked, world)

    assert (kept.nudges, kept.held_until) == ((), hold_on("pk_old").ends)
    assert due_at(kept, limits(), NOW + DAY / 2) == kept.held_until
    saved = await desk.store.save(kept, EVENT, at=NOW)
    await desk.service.unhold("pk_old", by="U_APPROVER")
    lifted = await desk.store.load(saved.id)
    told = await move(lifted, world)
    assert (lifted.held_until, due_at(lifted, limits(), NOW)) == (None, NOW)
    assert [nudge.number for nudge in told.nudges] == [1]
    assert await move(told, world) is told


async def test_delete_old_key_is_refused_while_the_key_is_on_hold(desk):
    record = await desk.save(waiting())
    await held(desk)
    with pytest.raises(OnHold, match="on hold until 23 Nov 2026") as refused:
        await desk.approve(record)

    assert refused.value.hold.reason == "an audit"
    assert await desk.store.load(record.id) == record
    await desk.service.unhold("openai PRODUCTION", by="U_APPROVER")
    assert (await desk.approve(record)).approvals


@pytest.mark.parametrize("by", ["U_COLLEAGUE", "U_GONE"])
async def test_only_an_approver_sets_and_lifts_a_hold(desk, by):
    await held(desk)
    with pytest.raises(NotAllowed):
        await desk.service.offer_hold(desk.tenant.key.display_name, by=by)
    with pytest.raises(NotAllowed):
        await held(desk, by=by)
    with pytest.raises(NotAllowed):
        await desk.service.unhold("pk_old", by=by)

    assert await desk.store.hold_on("pk_old", NOW) == hold_on("pk_old")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": f"it is {NEW_SECRET}"}, "reason"),
        ({"until": ""}, "until"),
    ],
)
async def test_a_hold_needs_a_reason_that_is_no_secret_and_an_end(desk, given, field):
    with pytest.raises(BadInput) as wrong:
        await held(desk, **given)

    assert wrong.value.field == field
    assert await desk.store.holds(NOW) == {}


async def test_a_hold_that_may_come_too_late_names_the_rotation(desk):
    record = await desk.save(waiting(delete_asked_at=NOW))

    assert [one.id for one in await held(desk)] == [record.id]
    assert await held(desk, "pk_other") == []


async def test_the_key_of_a_hold_is_found_by_its_name_or_id_and_a_secret_is_not_repeated(desk):
    found, before = await desk.service.offer_hold(desk.tenant.key.display_name, by="U_APPROVER")
    await held(desk, found.id)

    assert (found.id, before) == (desk.tenant.key.id, None)
    assert (await desk.service.offer_hold(found.id, by="U_APPROVER"))[1] == hold_on(found.id)
    with pytest.raises(LooksLikeSecret):
        await desk.service.offer_hold(NEW_SECRET, by="U_APPROVER")
    with pytest.raises(WrongState, match="No hold counts"):
        await desk.service.unhold(desk.tenant.aisix.add_key("Free", secret="sk-FREE-0123456789").id, by="U_APPROVER")
