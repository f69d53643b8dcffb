"""Guards of the steps that no other test misses: each is the only thing that stops its rotation here."""

import pytest

from bot.rotation.inventory import ROUTES
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from sandbox.aisix import Switches
from sandbox.aisix.store import Environment
from tests.support.in_memory import NEW_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

HOUR = 3600


def has_ended(record: Rotation) -> bool:
    return bool(record.voids) or record.state in (State.COMPLETED, State.BLOCKED, State.AWAITING_APPROVAL)


async def released(tenancy: Tenancy, machine: Machine, *, done: str = "soak") -> Rotation:
    """A rotation that an approver has released, before the last look or, with that *done*, before the delete."""
    record = tenancy.approved(await tenancy.asked(machine))
    return await machine.until(record, lambda r: done in r.done)


# --- what the approver saw ---


@pytest.mark.parametrize("done", ["soak", "recheck"])
async def test_an_approval_of_another_digest_is_void(tenancy, done):
    """The last look compares them, and the delete, which believes no earlier step."""
    machine = await tenancy.machine()
    record = await released(tenancy, machine, done=done)
    word = record.approvals[0].but(digest="0" * 64)
    ended = await machine.until(record.but(approvals=(word,)), has_ended)

    assert [void.changes for void in ended.voids] == [("What is known of the models is not what the card showed.",)]
    assert tenancy.deletes() == 0


async def test_an_approval_of_evidence_that_was_too_old_at_the_click_is_void(tenancy):
    machine = await tenancy.machine(evidence_max_age=HOUR)
    record = await tenancy.asked(machine)
    tenancy.clock.seconds += HOUR + 60
    ended = await machine.until(tenancy.approved(record), has_ended)

    assert [void.changes for void in ended.voids] == [("The evidence was older than 1 hour.",)]
    assert tenancy.deletes() == 0


async def test_a_router_that_reaches_the_models_since_is_named(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    tenancy.aisix.add_model("production", "smart", kind="routing", targets=[tenancy.chat])
    ended = await machine.until(record, has_ended)

    assert ended.voids
    assert ended.voids[0].changes[0] == "`smart` in production now depends on these models (routing)."
    assert tenancy.deletes() == 0


async def test_a_request_on_the_old_key_since_the_approval_is_named(tenancy):
    """Of a model that is gone again when the lists are read: only the counters have it."""
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    counters = tenancy.aisix.replicas("staging")[0].dispatcher.metrics
    counters.count_one_more(tenancy.old.id, model="gone", requested_model="gone", model_id="gone")
    ended = await machine.until(record, has_ended)

    assert ended.voids
    assert "has counted 1 request on the old key" in ended.voids[0].changes[0]
    assert tenancy.deletes() == 0


# --- where the models are ---


async def test_a_model_that_came_to_the_old_key_since_is_named(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    tenancy.aisix.add_model("staging", "latecomer", key=tenancy.old, upstream="gpt-4o")
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert ended.stop.headline == "something uses the old key"
    assert "`latecomer` in staging refers to the old key" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_a_model_on_a_key_of_an_earlier_attempt_is_not_on_the_replacement(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    earlier = tenancy.aisix.add_key("an earlier attempt", secret="sk-earlier")
    tenancy.aisix.edit(tenancy.chat, key=earlier, settled=True)
    ended = await machine.until(record.but(made=(earlier.id, *record.made)), has_ended)

    assert ended.stop
    assert ended.stop.sentence == "Not deleted: `chat-large` in production is not on the replacement."
    assert tenancy.deletes() == 0


async def test_where_no_model_is_affected_the_replacement_has_to_be_there_all_the_same(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    plan = record.plan.but(models=(), environments={})
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    tenancy.aisix.remove(tenancy.new)
    ended = await machine.until(record.but(plan=plan, findings={}), has_ended)

    assert ended.stop
    assert ended.stop.headline == "a key is gone"
    assert tenancy.deletes() == 0


# --- what cannot be listed ---


@pytest.mark.parametrize(("done", "step"), [("soak", "recheck"), ("recheck", "delete")])
async def test_an_environment_that_came_since_and_does_not_show_its_lists_stops_the_delete(done, step):
    async with tenancy_of(Switches(cooldown=0.0, metric_labels="full", has_passthrough_routes=False)) as tenancy:
        tenancy.aisix.edit(tenancy.old, allowed_environments=[])
        machine = await tenancy.machine()
        record = await released(tenancy, machine, done=done)
        lab = Environment("lab")
        tenancy.aisix.store.environments[lab.id] = lab
        ended = await machine.until(record, has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.headline) == (step, "something unseen may use the old key")
    assert f"AISIX does not list the {ROUTES} of `lab`" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_an_environment_that_only_the_settings_know_of_is_missed(tenancy):
    """A record of a version that did not note which environments it was shown."""
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    del tenancy.aisix.store.environments[tenancy.aisix.environment("dev").id]
    ended = await machine.until(record.but(plan=record.plan.but(tenant={})), has_ended)

    assert ended.stop
    assert "AISIX lists no such environment: a model there may use the old key" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_an_environment_that_only_the_last_look_has_seen_is_missed_at_the_delete(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    lab = Environment("lab")
    tenancy.aisix.store.environments[lab.id] = lab
    record = await machine.until(record, lambda r: "recheck" in r.done)
    lab.is_visible = False
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert "AISIX listed `lab` to this rotation and does not now" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_a_record_of_a_version_that_noted_only_that_there_were_routes_misses_them(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    old = record.but(plan=record.plan.but(tenant={}, unlisted=(), has_routes=True))
    tenancy.aisix.faults.fail("GET", "/passthrough_routes", 404, times=None)
    after = await machine.notch(old)

    assert after.note == "AISIX does not show the passthrough routes that it had. Trying again."
    assert tenancy.deletes() == 0


# --- the replacement ---


async def test_the_old_key_is_no_replacement_of_itself(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    ended = await machine.until(record.but(replacement=record.replacement.but(key_id=tenancy.old.id)), has_ended)

    assert ended.stop
    assert ended.stop.sentence == "AISIX answered with the old key itself."


async def test_a_replacement_with_another_setting_is_named(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    tenancy.aisix.edit(tenancy.new, api_base="https://elsewhere.example.com/v1")
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert "The replacement differs from the old key in `api_base`" in ended.stop.sentence


async def test_a_key_of_an_earlier_attempt_stays_while_something_uses_it(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    earlier = [tenancy.aisix.add_key(f"attempt {number}", secret=f"sk-{number}") for number in range(2)]
    tenancy.aisix.add_model("dev", "somebody's", key=earlier[0], upstream="gpt-4o")
    made = (*(key.id for key in earlier), *record.made)
    tidied = await machine.until(record.but(made=made), lambda r: "tidy" in r.done)

    assert [key.id in tenancy.aisix.provider_keys for key in earlier] == [True, False]
    assert any("`somebody's` in dev uses it" in said for said in tidied.left_alone)


# --- a wrong secret ---


async def test_a_secret_that_the_rehearsal_refuses_moves_no_model(tenancy):
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    machine = await tenancy.machine()
    ended = await machine.until(await tenancy.begun(machine), has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.kind) == ("rehearse", StopKind.REJECTED)
    assert {tenancy.chat.provider_key_id, tenancy.staged.provider_key_id} == {tenancy.old.id}


async def test_a_secret_that_is_refused_amid_the_verification_stops_it_by_that_name(tenancy):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
    answered = record.learn({model.id: record.finding(model).but(passes=1) for model in record.plan.models})
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    stopped = await machine.notch(answered)

    assert stopped.stop
    assert (stopped.stop.step, stopped.stop.kind) == ("verify", StopKind.REJECTED)


async def test_a_secret_that_is_refused_since_the_approval_stops_the_last_look_by_that_name(tenancy):
    machine = await tenancy.machine()
    record = await released(tenancy, machine)
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    ended = await machine.until(record, has_ended)

    assert not ended.voids
    assert (ended.stop.step, ended.stop.kind) == ("recheck", StopKind.REJECTED)
    assert tenancy.deletes() == 0


# --- what is proved ---


async def test_where_no_model_uses_the_key_nothing_is_proved(tenancy):
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    machine = await tenancy.machine()
    ended = await machine.until(await tenancy.begun(machine), has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.headline) == ("verify", "the new secret is not proved")


async def test_where_a_proof_is_required_and_cannot_be_had_no_model_is_moved():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        machine = await tenancy.machine(require_proof=True)
        ended = await machine.until(await tenancy.begun(machine), has_ended)

    assert ended.stop
    assert ended.stop.step == "cut-over"
    assert {tenancy.chat.provider_key_id, tenancy.staged.provider_key_id} == {tenancy.old.id}
