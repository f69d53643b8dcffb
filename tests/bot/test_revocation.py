"""The second delete: which credential is to be revoked, by whom, until when, and who says that it is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.engine import move
from bot.rotation.errors import BadInput, NotAllowed, WrongState
from bot.rotation.parts import Exposure, Replacement, Way, Which
from bot.rotation.revocation import left_too, owed, with_task
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind
from bot.steps.world import World
from tests.bot.values import NOW, key, later, limits, revocation, rotation, running, stopped

GONE = rotation().plan.but(old_key_gone=True)
LEAK = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(3600))
MADE = {"made": ("pk_new",), "names": ("OpenAI production (rabc123)",)}


@pytest.mark.parametrize(
    ("record", "which"),
    [
        (running(), None),
        (running(deleted_at=NOW), Which.OLD),
        (running(deleted_at=NOW).but(state=State.COMPLETED), Which.OLD),
        (stopped(deleted_at=NOW), Which.OLD),
        (running(**MADE).but(state=State.ROLLING_BACK), None),
        (running(**MADE).but(state=State.ROLLED_BACK), Which.NEW),
        (running().but(state=State.ROLLED_BACK), None),
        (rotation(State.CANCELLED), None),
        (rotation(State.CANCELLED, attempt=1, **MADE), Which.NEW),
        (rotation(State.CANCELLED, attempt=1, plan=GONE, **MADE), Which.OLD),
        (rotation(State.CANCELLED, attempt=1, delete_asked_at=NOW, **MADE), Which.OLD),
    ],
)
def test_the_credential_that_nothing_should_use_any_more_is_to_be_revoked(record, which):
    given = with_task(record, NOW, timedelta(hours=2)).revocation

    assert owed(record) is which
    assert (given and (given.which, given.owner, given.due_at)) == (which and (which, "U_REQUESTER", later(7200)))


def test_a_task_is_given_once():
    done = running(deleted_at=NOW, revocation=revocation(ended_at=NOW, ended_by="U_REQUESTER"))

    assert with_task(done, later(9), timedelta(hours=2)) == done


EARLY = running(exposed=LEAK, revocation=revocation(ended_at=NOW, ended_by="U_REQUESTER"), **MADE)


def test_a_task_that_was_ended_before_the_delete_is_there_again_after_it():
    again = with_task(EARLY.but(deleted_at=later(60)), later(60), timedelta(hours=2)).revocation

    assert (again.is_open, again.since, again.due_at) == (True, later(60), LEAK.revoke_by)
    assert with_task(EARLY, later(60), timedelta(hours=2)) == EARLY
    back = EARLY.but(state=State.ROLLED_BACK)
    assert with_task(back, later(60), timedelta(hours=2)) == back, "an approver or the requester has answered for it"


NEW = Replacement(name=MADE["names"][0], asked_at=NOW, key_id="pk_new")
TWICE = {"withdrawn": ("first",), "names": ("first", NEW.name), "made": ("pk_1", "pk_new"), "replacement": NEW}


@pytest.mark.parametrize(
    ("record", "which", "names"),
    [
        (running(deleted_at=NOW, **TWICE), Which.OLD, ("first",)),
        (running(exposed=LEAK, **TWICE).but(state=State.ROLLED_BACK), Which.OLD, ("first", NEW.name)),
        (running(exposed=LEAK, **TWICE), Which.OLD, ("first",)),
        (running(**TWICE).but(state=State.ROLLED_BACK), Which.NEW, ("first",)),
        (running(**TWICE | {"replacement": NEW.but(way=Way.MINTED)}, exposed=LEAK).but(state=State.ROLLED_BACK),
         Which.OLD, ("first",)),
        (rotation(State.CANCELLED, attempt=1, withdrawn=(NEW.name,), **MADE), Which.NEW, ()),
        (running(deleted_at=NOW, **MADE), Which.OLD, ()),
    ],
)  # fmt: skip
def test_what_people_gave_and_nothing_uses_is_to_be_revoked_with_it(record, which, names):
    assert left_too(record) == ()
    assert left_too(record.but(revocation=revocation(which))) == names


async def test_another_secret_leaves_the_one_that_is_taken_back_to_be_revoked(desk):
    record = await desk.save(stopped(StopKind.REJECTED, replacement=NEW, **MADE))
    taking_back = await desk.service.another_secret(record.id, by="U_REQUESTER", agreed=0)

    assert taking_back.withdrawn == (NEW.name,)


@pytest.mark.parametrize(
    ("old", "made"),
    [
        (key(), None),
        (key(name="OpenAI (2026-05-02 rabc234)"), datetime(2026, 5, 2, tzinfo=UTC)),
        (key(created_at=NOW), NOW),
    ],
)
def test_the_date_of_the_old_key_is_aisix_s_or_the_one_in_its_name(old, made):
    record = running(deleted_at=NOW, plan=rotation().plan.but(old_key=old), started_at=later(-60))

    assert with_task(record, NOW, timedelta(1)).revocation.made_at == made
    assert with_task(rotation(State.CANCELLED, started_at=NOW, **MADE), NOW, timedelta(1)).revocation.made_at == NOW


async def test_a_move_that_ends_a_rotation_gives_the_task_and_one_that_is_over_gets_none():
    world: Any = World(None, None, None, limits(), lambda: NOW)  # nothing of it is called
    back = running(track=Track.BACK, done=("point-back", "settle-back", "verify-back", "remove"), **MADE)
    ended = await move(back.but(state=State.ROLLING_BACK), world)
    older = ended.but(revocation=None)

    assert (ended.state, ended.revocation.which, ended.revocation.since) == (State.ROLLED_BACK, Which.NEW, NOW)
    assert await move(older, world) == older


async def test_cancelling_gives_the_task(desk):
    record = await desk.save(rotation(attempt=1, **MADE))
    cancelled = await desk.service.cancel(record.id, by="U_REQUESTER")

    assert (cancelled.state, cancelled.revocation.which) == (State.CANCELLED, Which.NEW)


def done(**fields):
    return running(deleted_at=NOW, revocation=revocation(), **fields).but(state=State.COMPLETED)


@pytest.mark.parametrize("by", ["U_REQUESTER", "U_APPROVER"])
async def test_the_word_of_the_requester_or_an_approver_ends_the_task_and_nothing_else(desk, by):
    record = await desk.save(done())
    after = await desk.service.revoked(record.id, by=by)
    *_, last = [json.loads(line) async for line in desk.store.trail()]

    assert (after.revocation.ended_at, after.revocation.ended_by, after.revocation.reason) == (NOW, by, "")
    same: dict[str, Any] = {"revocation": None, "version": 0, "write": "", "audit_head": None, "acted_at": None}
    assert after.but(**same) == record.but(**same)
    assert (last["by"], last["what"]) == (by, "says that the credential is revoked")
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.revoked(record.id, by=by)


async def test_nobody_else_says_that_it_is_revoked(desk):
    record = await desk.save(done())

    with pytest.raises(NotAllowed, match="or an approver can do this"):
        await desk.service.revoked(record.id, by="U_MEMBER")
    assert await desk.store.load(record.id) == record


async def test_only_an_approver_other_than_the_requester_says_that_it_need_not_be_and_why(desk):
    record = await desk.save(done())

    with pytest.raises(NotAllowed):
        await desk.service.not_needed(record.id, "it expires today", by="U_REQUESTER")
    with pytest.raises(NotAllowed):
        await desk.service.offer_not_needed(record.id, by="U_REQUESTER")
    with pytest.raises(BadInput, match="Say why"):
        await desk.service.not_needed(record.id, " ", by="U_APPROVER")
    assert await desk.service.offer_not_needed(record.id, by="U_APPROVER") == record
    after = await desk.service.not_needed(record.id, "it expires today", by="U_APPROVER")
    *_, last = [json.loads(line) async for line in desk.store.trail()]

    assert after.revocation.reason == last["why"] == "it expires today"
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.not_needed(record.id, "again", by="U_APPROVER")


async def test_what_is_to_be_revoked_is_listed_by_its_due_date_until_somebody_has(desk):
    second = await desk.save(done(id="rabc124", plan=rotation().plan.but(old_key=key("pk_2"))))
    first = await desk.save(done().but(revocation=revocation(due_at=later(60))))
    await desk.save(running(id="rabc125", plan=rotation().plan.but(old_key=key("pk_3"))))

    assert await desk.store.revocations_due(9) == [first, second]
    assert await desk.store.revocations_due(1) == [first]
    await desk.service.revoked(first.id, by="U_REQUESTER")
    assert await desk.store.revocations_due(9) == [second]
