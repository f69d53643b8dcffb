"""A leak: what it hurries and what it never leaves out, when revoking is safe for callers, and what people may say."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.rotation import receipt
from bot.rotation.errors import BadInput, NotAllowed, WrongState
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.exposure import SOAK_MOST, Standing, Use, hurried, standing, uses
from bot.rotation.finding import Finding
from bot.rotation.flags import Flag
from bot.rotation.parts import Exposure, Trouble, Which
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.states import FORWARD, State, Track
from bot.rotation.waves import waves
from sandbox.aisix import Switches
from tests.bot.values import FLAGGED, NOW, affected, later, plan_of, rotation, running, silence, stopped
from tests.support.in_memory import tenancy_of

LEAK = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200), at_once=True)
PROVED = Finding(moved_at=NOW, verdict=Evidence(verdict=Verdict.PROVED, reason="", at=NOW))
LIKELY = Finding(moved_at=NOW, verdict=Evidence(verdict=Verdict.LIKELY, reason="", at=NOW))
TOLD = {"what": "it stood in a build log", "where": "the wiki", "since": "Thursday"}
FOUND = TOLD | {"reach": "every model"}
SECRET = "sk-CANARY-0123456789abcdefghij"


def moved(finding: Finding = PROVED, **fields: Any) -> Rotation:
    return running(**{"exposed": LEAK, "findings": {"m1": finding}} | fields)


# --- what it hurries ---


def test_the_soak_of_a_leak_is_short_and_no_other_is():
    long, short = timedelta(hours=3), timedelta(seconds=20)

    assert (hurried(running(), long), hurried(moved(), long), hurried(moved(), short)) == (long, SOAK_MOST, short)


def test_a_leak_that_is_reported_in_time_moves_each_environment_at_once_and_keeps_their_order():
    models = tuple(affected(f"m{n}", "prod" if n < 3 else "stag") for n in range(5))
    plan = running().plan.but(models=models, environments={"prod": "production", "stag": "staging"})
    sizes = {late: [len(w) for w in waves(running(plan=plan, exposed=LEAK.but(at_once=not late)), (), (1,))]
             for late in (False, True)}  # fmt: skip

    assert sizes == {False: [3, 2], True: [1, 2, 1, 1]}
    unrehearsed = running(plan=plan, exposed=LEAK, unrehearsed="not possible")
    assert [len(wave) for wave in waves(unrehearsed, (), (5,))] == [1, 2, 1, 1]


async def test_nothing_that_proves_is_left_out_in_a_hurry():
    async with tenancy_of(Switches()) as tenancy:
        machine = await tenancy.machine(soak=3600, listen=900, waves=(1,))
        record = (await tenancy.begun(machine)).but(exposed=LEAK)
        asked = await machine.until(record, lambda r: r.state is State.AWAITING_APPROVAL)

        assert asked.done == tuple(step.name for step in FORWARD if not step.gated and step.name != "watch")
        assert asked.rehearsal
        assert all(asked.finding(model).is_proved for model in asked.plan.models)
        assert timedelta(seconds=tenancy.clock.seconds) < SOAK_MOST + timedelta(minutes=1)


# --- is it safe to revoke ---

WRONG = Trouble(at=NOW, about="chat", sentence="chat does not answer")


@pytest.mark.parametrize(
    ("record", "means"),
    [
        (rotation(exposed=LEAK), Standing.NEEDED),
        (running(exposed=LEAK, findings={}), Standing.NEEDED),
        (moved(track=Track.BACK).but(state=State.ROLLED_BACK), Standing.NEEDED),
        (moved(track=Track.WITHDRAW), Standing.NEEDED),
        (moved(LIKELY), Standing.UNPROVED),
        (moved(Finding(moved_at=NOW)), Standing.UNPROVED),
        (moved(plan=running().plan.but(models=())), Standing.UNPROVED),
        (moved(**FLAGGED[Flag.IN_USE]), Standing.FAILING),
        (moved(**FLAGGED[Flag.UNSEEN]), Standing.FAILING),
        (moved(**FLAGGED[Flag.FAILED]), Standing.FAILING),
        (moved(deleted_at=NOW, troubles=(WRONG,)), Standing.FAILING),
        (moved(deleted_at=NOW, plan=running().plan.but(old_key_gone=True)), Standing.SAFE),
        (moved(), Standing.SAFE),
    ],
)
def test_revoking_is_safe_only_once_every_model_is_moved_and_proved_and_nothing_speaks_against_it(record, means):
    assert standing(record) is means


# --- use of the key after the move ---


async def test_uses_of_the_old_key_after_every_model_left_it_add_up_over_all_looks():
    async with tenancy_of(Switches()) as tenancy:
        machine = await tenancy.machine()
        record = await machine.done((await tenancy.begun(machine)).but(exposed=LEAK), "verify")
        assert uses(record) == ()
        counters = tenancy.aisix.replicas("staging")[0].dispatcher.metrics
        for _ in range(3):
            counters.count_one_more(tenancy.old.id, model="gone", requested_model="gone", model_id="gone")
        ended = await machine.ended(record)

        ((where, many, _),) = uses(ended)
        assert (where, many) == (tenancy.aisix.environment("staging").id, 3)
        assert ended.well_since > ended.verified_at, "the soak began again"


async def test_the_watch_does_not_say_to_wait_with_revoking_an_exposed_key():
    async with tenancy_of(Switches()) as tenancy:
        machine = await tenancy.machine(watch=60)
        gone = await machine.until(await tenancy.released(machine), lambda r: r.deleted_at)
        counters = tenancy.aisix.replicas("staging")[0].dispatcher.metrics
        counters.count_one_more(tenancy.old.id, model="gone", requested_model="gone", model_id="gone")
        found = await machine.until(gone.but(exposed=LEAK), lambda r: r.troubles)

        assert "still serves with the deleted key, which is exposed" in found.troubles[0].sentence
        assert [use.requests for use in uses(found)] == [1]


def test_uses_are_counted_by_environment_and_only_a_leak_has_any():
    used = (
        silence("r:1").but(total=3, first_at=later(9)),
        silence("r:2").but(total=4, first_at=later(5)),
        silence("r:3"),
    )

    assert uses(moved(silences=used)) == (Use("prod", 7, later(5)),)
    assert uses(moved(silences=used, exposed=None)) == ()


# --- what people say ---


async def test_a_leak_is_recorded_with_what_people_said_and_when_it_must_be_revoked(desk):
    record = await desk.save(rotation())
    told = await desk.service.expose(record.id, by="U_APPROVER", **TOLD)

    assert told.exposed
    assert told.exposed.model_dump(include={*TOLD}) == TOLD
    assert told.revocation
    assert (told.revocation.which, told.revocation.due_at) == (Which.OLD, told.exposed.revoke_by)
    assert (told.exposed.by, told.exposed.at_once) == ("U_APPROVER", True)
    assert told.exposed.revoke_by - told.exposed.at == timedelta(hours=2)
    *_, last = [json.loads(line) async for line in desk.store.trail()]
    assert last["what"] == "reported a leak"
    with pytest.raises(WrongState):
        await desk.service.expose(record.id, by="U_REQUESTER", **TOLD)


async def test_waves_that_have_begun_go_on_and_a_soak_that_is_under_way_is_measured_again(desk):
    waiting = {"retry_at": later(9999), "retry_in": timedelta(seconds=9999)}
    soaks = running(done=tuple(step.name for step in FORWARD[:7]), **waiting)
    told = await desk.service.expose((await desk.save(soaks)).id, by="U_REQUESTER", **TOLD)

    assert told.exposed
    assert (told.exposed.at_once, told.retry_at) == (False, None)


@pytest.mark.parametrize("field", FOUND)
async def test_what_looks_like_a_secret_is_refused_in_every_field_and_repeated_nowhere(desk, field):
    due = await desk.save(moved(deleted_at=NOW))
    asked = await desk.save(rotation(id="rother1", plan=plan_of("pk_2")))
    verbs = [(desk.service.give_review, due, FOUND)]
    verbs += [(desk.service.expose, asked, TOLD)] if field in TOLD else []
    for verb, record, said in verbs:
        with pytest.raises(BadInput) as refusal:
            await verb(record.id, by="U_REQUESTER", **said | {field: f"it is {SECRET}"})
        assert refusal.value.field == field
        assert SECRET not in str(refusal.value)
        assert await desk.store.load(record.id) == record
    assert SECRET not in "".join([line async for line in desk.store.trail()])


@pytest.mark.parametrize("field", FOUND)
async def test_a_review_says_everything_once_and_the_rotation_stays_what_it_is(desk, field):
    due = await desk.save(moved(deleted_at=NOW, ended_at=NOW).but(state=State.COMPLETED))
    with pytest.raises(BadInput):
        await desk.service.give_review(due.id, by="U_REQUESTER", **FOUND | {field: " "})
    given = await desk.service.give_review(due.id, by="U_APPROVER", **FOUND)

    assert given.review
    assert given.review.model_dump(include={*FOUND}) == FOUND
    assert (given.state, offered(given)) == (State.COMPLETED, ())
    with pytest.raises(WrongState):
        await desk.service.give_review(due.id, by="U_APPROVER", **FOUND)


async def test_nobody_else_reports_or_reviews(desk):
    due, asked = moved(deleted_at=NOW), stopped(id="rother1", plan=plan_of("pk_2"))
    for verb, record, said in ((desk.service.give_review, due, FOUND), (desk.service.expose, asked, TOLD)):
        with pytest.raises(NotAllowed):
            await verb((await desk.save(record)).id, by="U_COLLEAGUE", **said)


def test_a_receipt_has_the_leak_and_one_of_another_rotation_has_no_such_field():
    entry = json.dumps({"number": 1, "hash": "abc"})
    leak = receipt.document(moved(), "", entry)

    assert leak["exposed"]["by"] == "U_REQUESTER"
    assert {"exposed", "review"} & receipt.document(moved(exposed=None), "", entry).keys() == set()
