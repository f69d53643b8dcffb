"""Guards of the steps that no other test misses: each is the only thing that stops its rotation here."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from bot.rotation.counted import Tally
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.aisix import Switches
from sandbox.aisix.store import Environment
from tests.bot.values import NOW
from tests.support.in_memory import NEW_SECRET, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

HOUR = 3600
LISTLESS = Switches(cooldown=0.0, metric_labels="full", has_passthrough_routes=False)


def said(record: Rotation) -> str:
    """Return why it stopped, or why its approval is void."""
    stop = record.stop
    told = [stop.step, stop.kind, stop.headline, stop.sentence] if stop else []
    return "; ".join([*told, *(change for void in record.voids for change in void.changes)])


def on(tenancy: Tenancy) -> set[str]:
    """Return the keys that the models are on."""
    return {tenancy.chat.provider_key_id, tenancy.staged.provider_key_id}


def put_up(tenancy: Tenancy) -> Environment:
    lab = Environment("lab")
    tenancy.aisix.store.environments[lab.id] = lab
    return lab


def use_once(tenancy: Tenancy) -> None:
    """Have a model use the old key that is gone again when the lists are read: only the counters have it."""
    gone = dict.fromkeys(("model", "requested_model", "model_id"), "gone")
    tenancy.aisix.replicas("staging")[0].dispatcher.metrics.count_one_more(tenancy.old.id, **gone)


def fail_callers(tenancy: Tenancy) -> None:
    """Have a caller's request fail on the new key, which answers every test request."""
    asked = dict.fromkeys(("model", "requested_model", "target"), "chat-large") | {"model_id": tenancy.chat.id}
    failed = asked | {"api_key_id": "app", "status": "500", "outcome": "upstream_error"}
    tenancy.aisix.replicas("production")[0].dispatcher.metrics.count_one_more(tenancy.chat.provider_key_id, **failed)


def move_to_an_earlier_key(tenancy: Tenancy) -> None:
    earlier = tenancy.aisix.add_key("an earlier attempt", secret="sk-earlier")
    tenancy.aisix.edit(tenancy.chat, key=earlier, settled=True)


def remove_everything(tenancy: Tenancy) -> None:
    for gone in (tenancy.chat, tenancy.staged, tenancy.new):
        tenancy.aisix.remove(gone)


def another_digest(record: Rotation, _: Tenancy) -> Rotation:
    return record.but(approvals=(record.approvals[0].but(digest="0" * 64),))


class Since(NamedTuple):
    """What happens since the approval, to AISIX or to the record, and what is said of it."""

    says: str
    happen: Callable[[Tenancy], Any] = lambda _: None
    change: Callable[[Rotation, Tenancy], Rotation] = lambda record, _: record
    done: str = "soak"
    switches: Switches | None = None


SINCE = {
    "another digest at the last look": Since(
        "What is known of the models is not what the card showed.", change=another_digest
    ),
    "another digest at the delete, which believes no earlier step": Since(
        "What is known of the models is not what the card showed.", change=another_digest, done="recheck"
    ),
    "callers that fail at the last look": Since("Caller requests have failed since the change.", fail_callers),
    "callers that fail, of which the approver was not told, at the delete": Since(
        "Caller requests have failed since the change.",
        change=lambda record, _: record.but(tally=Tally(since=NOW, failed=1)),
        done="recheck",
    ),
    "a router that reaches the models": Since(
        "`smart` in production now depends on these models (routing).",
        lambda t: t.aisix.add_model("production", "smart", kind="routing", targets=[t.chat]),
    ),
    "g17 a request on the old key": Since("has counted 1 request on the old key", use_once),
    "a model that came to the old key": Since(
        "something uses the old key; `latecomer` in staging refers to the old key",
        lambda t: t.aisix.add_model("staging", "latecomer", key=t.old),
    ),
    "a model that somebody pointed elsewhere": Since(
        "`chat-large` in production uses a key that this rotation does not know",
        lambda t: t.aisix.edit(t.chat, key=t.aisix.add_key("Other key", secret="sk-other"), settled=True),
    ),
    "a model on a key of an earlier attempt": Since(
        "Not deleted: `chat-large` in production is not on the new key.",
        move_to_an_earlier_key,
        lambda record, t: record.but(made=(t.chat.provider_key_id, *record.made)),
    ),
    "a replacement that is gone where no model is affected": Since(
        "a key is gone",
        remove_everything,
        lambda record, _: record.but(plan=record.plan.but(models=(), environments={}), findings={}),
    ),
    "an environment without its lists at the last look": Since(
        "recheck; unverified; something unseen may use the old key", put_up, switches=LISTLESS
    ),
    "an environment without its lists at the delete": Since(
        "delete; unverified; something unseen may use the old key", put_up, done="recheck", switches=LISTLESS
    ),
    "an environment that only the settings know of, and a record that does not say which it was shown": Since(
        "AISIX lists no such environment: a model there may use the old key",
        lambda t: t.aisix.store.environments.pop(t.aisix.environment("dev").id),
        lambda record, _: record.but(plan=record.plan.but(tenant={})),
    ),
    "a refused secret": Since("recheck; rejected; ", lambda t: t.aisix.upstream.refuse(NEW_SECRET)),
}


@pytest.mark.parametrize("name", SINCE)
async def test_what_has_changed_since_the_approval_keeps_the_old_key(name):
    since = SINCE[name]
    async with tenancy_of(since.switches) as tenancy:
        if since.switches:
            tenancy.aisix.edit(tenancy.old, allowed_environments=[])
        machine = await tenancy.machine()
        record = await tenancy.released(machine, done=since.done)
        since.happen(tenancy)
        ended = await machine.answered(since.change(record, tenancy))

    assert since.says in said(ended)
    assert tenancy.deletes() == 0


async def test_a_change_that_voids_an_approval_is_shown_and_voids_no_later_one(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.released(machine)
    tenancy.aisix.add_model("production", "smart", kind="routing", targets=[tenancy.chat])
    asked = await machine.ended(await machine.voided(record))

    assert [dependent.alias for dependent in asked.plan.dependents] == ["smart"]
    assert (await machine.ended(tenancy.approved(asked))).state is State.COMPLETED


async def test_an_approval_of_evidence_that_was_too_old_at_the_click_is_void(tenancy):
    machine = await tenancy.machine(evidence_max_age=HOUR)
    record = await tenancy.asked(machine)
    id_, finding = next(iter(record.findings.items()))
    first = finding.latest.at - timedelta(minutes=45)
    record = record.learn({id_: finding.but(latest=finding.latest.but(at=first))})
    tenancy.clock.seconds += HOUR / 2
    early, late = tenancy.approved(record, record.asked_at), tenancy.approved(record)
    ended = await machine.answered(late.but(approvals=(*early.approvals, *late.approvals), approvals_required=2))

    assert [void.changes for void in ended.voids] == [("The evidence was older than 1 hour.",)]
    assert tenancy.deletes() == 0


async def test_an_environment_whose_gateway_is_in_the_settings_no_more_keeps_the_old_key(tenancy):
    record = await tenancy.released(await tenancy.machine())
    settings = tenancy.wire.settings()
    del settings[tenancy.staged.environment_id]
    tenancy.wire.settings = lambda: settings
    ended = await (await tenancy.machine()).answered(record)

    assert "`staging` has no gateway in the settings" in said(ended)
    assert tenancy.deletes() == 0


async def test_an_environment_that_only_the_last_look_has_seen_is_missed_at_the_delete(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.released(machine)
    lab = put_up(tenancy)
    record = await machine.until(record, lambda r: "recheck" in r.done)
    lab.is_visible = False
    ended = await machine.answered(record)

    assert "AISIX listed `lab` to this rotation and does not now" in said(ended)
    assert tenancy.deletes() == 0


async def test_a_record_of_a_version_that_noted_only_that_there_were_routes_misses_them(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.released(machine)
    tenancy.aisix.faults.fail("GET", "/passthrough_routes", 404, times=None)
    after = await machine.notch(record.but(plan=record.plan.but(tenant={}, unlisted=(), has_routes=True)))

    assert after.note == "AISIX does not show the passthrough routes that it had. Trying again."
    assert tenancy.deletes() == 0


REPLACEMENTS = {
    "the old key itself": Since(
        "AISIX answered with the old key itself.",
        change=lambda record, t: record.but(replacement=record.replacement.but(key_id=t.old.id)),
    ),
    "g22 another setting": Since(
        "The new key differs from the old key in `api_base`",
        lambda t: t.aisix.edit(t.new, api_base="https://elsewhere.example.com/v1"),
    ),
    "a secret that the rehearsal refuses": Since("rehearse; rejected; ", lambda t: t.aisix.upstream.refuse(NEW_SECRET)),
}


@pytest.mark.parametrize("name", REPLACEMENTS)
async def test_a_wrong_replacement_takes_no_model(tenancy, name):
    wrong = REPLACEMENTS[name]
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    wrong.happen(tenancy)
    ended = await machine.answered(wrong.change(record, tenancy))

    assert wrong.says in said(ended)
    assert on(tenancy) == {tenancy.old.id}


async def test_a_secret_that_is_refused_amid_the_verification_stops_it_by_that_name(tenancy):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
    answered = record.learn({model.id: record.finding(model).but(passes=1) for model in record.plan.models})
    tenancy.aisix.upstream.refuse(NEW_SECRET)

    assert said(await machine.notch(answered)).startswith("verify; rejected; ")


async def test_where_no_model_uses_the_key_nothing_is_proved(tenancy):
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    machine = await tenancy.machine()
    ended = await machine.answered(await tenancy.begun(machine))

    assert said(ended).startswith("verify; unverified; the new secret is not proved; ")


async def test_where_a_proof_is_required_and_cannot_be_had_no_model_is_moved():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        machine = await tenancy.machine(require_proof=True)
        ended = await machine.answered(await tenancy.begun(machine))

        assert said(ended).startswith("cut-over; ")
        assert on(tenancy) == {tenancy.old.id}


async def test_one_refusal_ends_the_rehearsal_while_another_environment_gives_no_clear_answer(tenancy):
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    tenancy.aisix.environment("staging").callers[tenancy.aisix.caller_key("staging")].limit = 0
    machine = await tenancy.machine()
    began = tenancy.clock.now()
    ended = await machine.ended(await tenancy.begun(machine))

    assert ended.stop.headline == "the new secret was refused"
    assert tenancy.clock.now() - began < machine.world.limits.verify
