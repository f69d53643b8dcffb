"""Attempts to make evidence say too much, to have a key in use deleted, or to keep a rotation from its end."""

from typing import Any

import pytest

from bot.rotation.actions import Action
from bot.rotation.attention import fails_callers, open_troubles
from bot.rotation.evidence import Verdict
from bot.rotation.flags import FAILING, Flag, flags
from bot.rotation.parts import REFERS
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from tests.bot import values
from tests.bot.test_traps import at_the_move, tenancy_with, verdicts
from tests.bot.values import back
from tests.support.in_memory import ATTEMPTS, NEW_SECRET, OLD_SECRET, Machine, Tenancy

pytestmark = pytest.mark.whole


async def after(tenancy: Tenancy, step: str, **settings: Any) -> tuple[Machine, Rotation]:
    """Return a rotation that has done *step*."""
    machine = await tenancy.machine(**{"projection": 5, "verify": 5} | settings)
    return machine, await machine.done(await tenancy.begun(machine), step)


def tried_again(stopped: Rotation) -> Rotation:
    return values.tried_again(stopped).but(rehearsal=None, barriers=(), throwaways=())


# --- what is in the way of the rehearsal of a wrong secret ---


def bar_throwaways(tenancy: Tenancy) -> None:
    for caller in tenancy.aisix.environment("staging").callers.values():
        caller.denied.append("keyturn-*")


def refuse_models(tenancy: Tenancy) -> None:
    tenancy.aisix.faults.fail("POST", f"/environments/{tenancy.staged.environment_id}/models", 403, times=None)


def fail_at_the_baseline(tenancy: Tenancy) -> None:
    tenancy.aisix.upstream.set(OLD_SECRET, 503)


def answer_with_a_conflict(tenancy: Tenancy) -> None:
    tenancy.aisix.faults.fail("POST", "/models", 409, after_effect=True)


@pytest.mark.parametrize("hinder", [bar_throwaways, refuse_models, fail_at_the_baseline, answer_with_a_conflict])
async def test_trouble_in_one_rehearsal_lets_no_wrong_secret_past_the_others(tenancy, hinder):
    hinder(tenancy)
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    machine = await tenancy.machine(projection=5, verify=5)
    ended = await machine.ended(await tenancy.begun(machine))

    assert ended.stop
    assert not [asked for asked in tenancy.happened if asked.startswith("PATCH")]


async def test_a_wildcard_of_another_key_answers_for_no_throw_away_model(tenancy):
    other = tenancy.aisix.add_key("Catch-all", secret="sk-catch-all-0123456789abcdef")
    for environment in ("production", "staging"):
        tenancy.aisix.add_model(environment, "*", key=other, upstream="gpt-4o")
    _, record = await after(tenancy, "rehearse")

    assert record.rehearsal == "not possible here: `*` answers for every name, so nothing shows who did"


async def test_a_model_that_joins_after_the_rehearsal_is_rehearsed_before_it_moves(tenancy):
    machine, record = await after(tenancy, "rehearse")
    tenancy.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o"})
    late = tenancy.aisix.add_model("production", "late", key=tenancy.old, upstream="gpt-9")
    stopped = await machine.stopped(record)
    assert stopped.stop.headline == "someone else changed AISIX"
    ended = await machine.stopped(tried_again(stopped))

    assert ended.stop.headline == "the new account lacks a model"
    assert late.provider_key_id == tenancy.old.id
    assert not ended.finding(ended.plan.models[0]).moved_at


# --- what others do meanwhile ---


def delete_a_model(tenancy: Tenancy) -> None:
    tenancy.aisix.remove(tenancy.staged)


def have_no_effect(tenancy: Tenancy) -> None:
    tenancy.aisix.faults.garbage("PATCH", "/models/", times=1, after_effect=False)


@pytest.mark.parametrize(
    ("step", "happen", "said"),
    [
        ("baseline", delete_a_model, "`chat-large` in staging"),
        ("cut-over", delete_a_model, "`chat-large` in staging"),
        ("rehearse", have_no_effect, "went back to the old key after Keyturn had moved it."),
    ],
)
async def test_a_model_that_is_gone_or_did_not_move_is_said_and_it_can_be_tried_again(tenancy, step, happen, said):
    machine, record = await after(tenancy, step)
    happen(tenancy)
    stopped = await machine.stopped(record)
    assert said in stopped.stop.sentence

    assert (await machine.ended(tried_again(stopped))).state is State.AWAITING_APPROVAL


async def test_a_move_that_fails_for_a_while_is_not_taken_for_drift(tenancy):
    small = tenancy.aisix.add_model("production", "chat-small", key=tenancy.old, upstream="gpt-4o-mini")
    tenancy.aisix.faults.fail("PATCH", small.id, 500, times=ATTEMPTS)
    machine = await tenancy.machine()

    assert (await machine.ended(await tenancy.begun(machine))).state is State.AWAITING_APPROVAL


async def test_a_replacement_that_somebody_deletes_is_said_and_the_way_back_goes_to_the_old_key(tenancy):
    machine, record = await after(tenancy, "cut-over")
    tenancy.aisix.remove(tenancy.new)
    stopped = await machine.stopped(record)
    if "someone deleted it" not in stopped.stop.sentence:
        stopped = await machine.stopped(tried_again(stopped))
    assert "someone deleted it" in stopped.stop.sentence
    ended = await machine.ended(back(stopped))

    assert ended.state is State.ROLLED_BACK
    assert {tenancy.chat.provider_key_id, tenancy.staged.provider_key_id} == {tenancy.old.id}


async def test_a_model_bound_in_the_very_moment_of_the_delete_is_an_open_problem(tenancy):
    machine, record = await tenancy.about_to_delete()
    tenancy.aisix.bind_before("DELETE", "/provider_keys", key=tenancy.old)
    ended = await machine.ended(record)

    assert ended.state is State.COMPLETED
    assert [trouble.sentence[-len(REFERS) :] for trouble in open_troubles(ended)] == [REFERS]
    assert fails_callers(ended)


async def test_g10_a_model_bound_between_two_deletes_is_seen(tenancy):
    machine, record = await tenancy.about_to_delete()
    tenancy.aisix.faults.fail("DELETE", "/provider_keys", 500)
    record = await machine.notch(record)
    tenancy.aisix.add_model("staging", "late", key=tenancy.old, upstream="gpt-4o")
    ended = await machine.stopped(record)

    assert "`late` in staging refers to the old key" in ended.stop.sentence
    assert (tenancy.deletes(), tenancy.old_is_there) == (1, True)


async def test_a_throw_away_model_whose_creation_comes_late_is_removed_all_the_same(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.released(machine)
    late = tenancy.aisix.add_model("production", f"keyturn-{record.id}-9", key=tenancy.new, upstream="gpt-4o")

    assert (await machine.ended(record)).state is State.COMPLETED
    assert late.id not in tenancy.aisix.models


async def test_another_secret_after_the_delete_was_asked_for_puts_no_model_back_on_the_old_key(tenancy):
    machine, record = await tenancy.about_to_delete()
    ended = await machine.ended(record.but(track=Track.WITHDRAW, done=(), approvals=()))

    assert ended.state is State.AWAITING_SECRET
    assert tenancy.old.id not in {m.provider_key_id for m in tenancy.aisix.models.values()}


async def test_a_delete_that_has_no_effect_ends_with_a_person(tenancy):
    machine, record = await tenancy.about_to_delete(patience=4, read_back=1)
    tenancy.aisix.faults.garbage("DELETE", "/provider_keys", times=None, after_effect=False)
    ended = await machine.stopped(record)

    assert ended.stop.headline == "a step does not get on"
    assert Action.ROLL_BACK not in offered(ended)


# --- what passes, and what does not ---


@pytest.mark.parametrize("settings", [{}, {"status_urls": False}], ids=["seen", "unseen"])
async def test_a_model_that_fails_in_the_soak_is_verified_again_and_the_soak_restarts(settings):
    async with tenancy_with(**settings) as tenancy:
        machine = await tenancy.machine(projection=5, verify=5, soak=60, look_interval=20)
        record = await machine.until(await tenancy.begun(machine), lambda r: r.note == "soaking")
        tenancy.aisix.upstream.set(NEW_SECRET, 429)
        faltered = await machine.until(record, lambda r: "verify" not in r.done or not r.waits_for_bot)
        tenancy.aisix.upstream.accept(NEW_SECRET)
        ended = await machine.ended(faltered)

    assert ended.state is State.AWAITING_APPROVAL
    assert ended.well_since > faltered.verified_at
    assert (ended.asked_at - ended.well_since).total_seconds() >= 60


async def test_a_request_on_the_old_key_after_the_verification_restarts_the_soak(tenancy):
    machine, record = await after(tenancy, "verify")
    counters = tenancy.aisix.replicas("staging")[0].dispatcher.metrics
    counters.count_one_more(tenancy.old.id, model="gone", requested_model="gone", model_id="gone")
    ended = await machine.ended(record)

    assert ended.state is State.AWAITING_APPROVAL
    assert ended.well_since > ended.verified_at


async def test_trouble_that_passes_does_not_stop_the_rotation(tenancy):
    machine, record = await after(tenancy, "cut-over", verify=60)
    tenancy.aisix.upstream.set(NEW_SECRET, 500)
    record = await machine.until(record, lambda r: any(f.failing_since for f in r.findings.values()))
    tenancy.aisix.upstream.accept(NEW_SECRET)

    assert (await machine.ended(record)).state is State.AWAITING_APPROVAL


async def test_a_dead_old_key_does_not_have_the_new_secret_blamed_where_a_gateway_lags():
    async with tenancy_with(model_create=False) as tenancy:
        tenancy.aisix.upstream.refuse(OLD_SECRET)
        at_the_move(tenancy, lambda: tenancy.wire.behind.update(tenancy.aisix.replicas("production")))
        machine, record = await after(tenancy, "cut-over")
        record = await machine.until(record, lambda r: (r.note or "").startswith("1 model not synced yet: "))
        tenancy.wire.behind.clear()
        tenancy.wire.project()
        ended = await machine.ended(record)

    assert (ended.state, ended.stop) == (State.AWAITING_APPROVAL, None)
    assert set(verdicts(ended).values()) == {Verdict.LIKELY}


# --- the way back ---


def recover(tenancy: Tenancy) -> None:
    tenancy.aisix.upstream.accept(OLD_SECRET)


def delete_the_models(tenancy: Tenancy) -> None:
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)


def delete_the_key(tenancy: Tenancy) -> None:
    tenancy.aisix.remove(tenancy.old)


@pytest.mark.parametrize(
    ("then", "headline"), [(recover, None), (delete_the_models, None), (delete_the_key, "the old key is gone")]
)
async def test_a_way_back_that_cannot_be_verified_stops_and_goes_on_when_it_can(tenancy, then, headline):
    machine = await tenancy.machine(projection=3)
    record = await tenancy.asked(machine)
    tenancy.aisix.upstream.set(OLD_SECRET, 500)
    stopped = await machine.stopped(back(record))
    assert stopped.stop.headline == "a model does not answer on the old key"
    assert Action.ROLL_BACK not in offered(stopped)
    then(tenancy)
    again = stopped.to(State.ROLLING_BACK).but(done=tuple(step for step in stopped.done if step != "verify-back"))
    ended = await machine.ended(again)

    assert (ended.stop and ended.stop.headline) == headline
    assert headline or ended.state is State.ROLLED_BACK


async def test_where_all_counters_are_lost_after_the_approval_the_next_one_needs_a_reason(tenancy):
    machine = await tenancy.machine()
    record = tenancy.approved(await tenancy.asked(machine))
    for replica in tenancy.aisix.all_replicas():
        replica.metrics_available = False
    asked = await machine.ended(await machine.voided(record))

    assert asked.state is State.AWAITING_APPROVAL
    assert flags(asked) == (Flag.UNSEEN,)


async def test_an_approval_is_void_once_most_callers_fail_though_test_requests_pass(tenancy):
    machine = await tenancy.machine()
    verified = await machine.done(await tenancy.begun(machine), "verify")
    await fail(tenancy, 1)
    asked = await machine.ended(verified)
    assert flags(asked) == (Flag.FAILED,)
    record = tenancy.approved(asked)
    await fail(tenancy, 5)

    assert (await machine.voided(record)).voids[-1].changes == (FAILING,)


async def fail(tenancy: Tenancy, times: int) -> None:
    """Have callers fail so often, and nobody after them."""
    tenancy.aisix.upstream.set(NEW_SECRET, 500)
    for _ in range(times):
        await tenancy.ask("staging", "chat-large")
    tenancy.aisix.upstream.accept(NEW_SECRET)
