"""What the last look compares with the counters: a replica that was added since the proof must not hide behind answers
that were lost, turned away, refused, given by models that show nothing, or not told from callers'."""

from copy import copy
from typing import Any

import httpx
import pytest

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.progress import undone_from
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica
from bot.rotation.states import State
from bot.rotation.weighing import Window
from bot.steps.counters import MISSED, noticed
from bot.steps.everyone import enough
from bot.steps.verdicts import as_verdict
from sandbox.aisix import Switches
from sandbox.aisix.admission import Limits
from sandbox.aisix.store import Environment
from sandbox.aisix.upstream import Refused
from tests.bot.values import NOW, running
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

DEALT = range(4)
"""Seeds of the balancer: which replica answers is chance."""


def is_over(record: Rotation) -> bool:
    return record.state in (State.COMPLETED, State.BLOCKED) or bool(record.voids)


async def looked(tenancy: Tenancy, machine: Machine, record: Rotation) -> Rotation:
    ended: Rotation = await machine.until(tenancy.approved(record), is_over)
    return ended


def add_stale_replica(tenancy: Tenancy, record: Rotation, dealt: int):
    tenancy.scene.switchboard.random.seed(dealt)
    late = tenancy.aisix.place_replica("production")
    late.is_listed = False
    late.astray = {model.id: tenancy.old.id for model in record.plan.models}
    return late


@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("limit", [1, 3, 6])
async def test_requests_that_a_rate_limit_turned_away_met_nobody(limit, dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        late = add_stale_replica(tenancy, record, dealt)
        shared = Limits()
        for replica in tenancy.aisix.replicas("production"):
            replica.proxy.dispatcher.limits = shared
        for caller in late.environment.callers.values():
            caller.limit = limit if caller.name == "probe" else None
        ended = await looked(tenancy, machine, record)

        assert ended.voids
        assert tenancy.old_is_there


@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("share", [0.3, 0.5])
async def test_an_answer_that_was_lost_stands_in_for_none_that_is_missing(share, dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        late = add_stale_replica(tenancy, record, dealt)
        random, carry = tenancy.scene.switchboard.random, tenancy.wire.handle

        async def handle(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            by = request.extensions.get("answered_by")
            if request.method == "POST" and by not in (None, late) and random.random() < share:
                raise httpx.ReadTimeout("late", request=request)
            return answer

        tenancy.wire.handle = handle
        ended = await looked(tenancy, machine, record)

        assert ended.voids
        assert tenancy.old_is_there


@pytest.mark.parametrize("dealt", DEALT)
async def test_a_refusal_by_one_replica_is_not_covered_by_an_answer_of_another(dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        tenancy.scene.switchboard.random.seed(dealt)
        refuse_at(tenancy, 1)
        ended = await looked(tenancy, machine, record)

        assert ended.stop
        assert ended.stop.headline == "the new secret was refused"
        assert tenancy.old_is_there


async def test_a_refusal_is_not_covered_by_the_answers_after_it():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        carry = tenancy.wire.handle
        tenancy.aisix.upstream.refuse(NEW_SECRET)

        async def handle(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            if request.method == "POST":
                tenancy.aisix.upstream.accept(NEW_SECRET)
            return answer

        tenancy.wire.handle = handle
        ended = await looked(tenancy, machine, record)

        assert ended.stop
        assert ended.stop.headline == "the new secret was refused"


@pytest.mark.parametrize("dealt", DEALT)
async def test_nor_is_it_in_the_verification(dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
        tenancy.scene.switchboard.random.seed(dealt)
        refuse_at(tenancy, 1)
        ended = await machine.until(record, lambda r: is_over(r) or r.state is State.AWAITING_APPROVAL)

        assert ended.stop
        assert ended.stop.headline == "the new secret was refused"


def refuse_at(tenancy: Tenancy, number: int) -> None:
    """Let the upstream refuse the new secret where one replica sends it: it does not know that address."""
    upstream = type(tenancy.aisix.upstream)()
    upstream.accept(OLD_SECRET)
    upstream.refuse(NEW_SECRET)
    tenancy.aisix.replicas("production")[number].proxy.dispatcher.direct.upstream = upstream


@pytest.mark.parametrize("dealt", DEALT)
async def test_models_that_show_nothing_take_none_of_the_requests_that_a_proved_one_needs(dealt):
    async with tenancy_of(of_its_own=True) as tenancy:
        here = tenancy.aisix.environment("production")
        for number in range(5):
            tenancy.aisix.add_model("production", f"guarded-{number}", key=tenancy.old, upstream="gpt-4o")
            here.refusals[f"guarded-{number}"] = "guardrail"
        machine = await tenancy.machine(verify=8)
        record = await machine.until(await tenancy.begun(machine), lambda r: r.state is State.BLOCKED)
        record = await machine.until(accepted(record, machine), lambda r: r.state is State.AWAITING_APPROVAL)
        assert record.findings[tenancy.chat.id].is_proved
        add_stale_replica(tenancy, record, dealt)
        await looked(tenancy, machine, record)

        assert tenancy.old_is_there


def accepted(record: Rotation, machine: Machine) -> Rotation:
    """Let an approver accept what a guardrail stops, by name."""
    learnt = {}
    for model in record.plan.models:
        finding = record.findings[model.id]
        if model.alias.startswith("guarded") and finding.current:
            word = Acceptance(by="U_APPROVER", at=machine.world.now(), reason="known", of=finding.current.signature)
            learnt[model.id] = finding.but(accepted=word)
    assert record.stop
    return undone_from(record.learn(learnt), record.stop.step).to(State.RUNNING)


async def test_counters_that_do_not_tell_our_requests_any_more_prove_nothing_any_more():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), lambda r: "verify" in r.done)
        assert record.findings[tenancy.chat.id].is_proved
        callers = tenancy.aisix.environment("production").callers.values()
        token = next(caller.token for caller in callers if caller.name != "probe")
        barrier = record.barrier(tenancy.chat.environment_id)
        assert barrier
        await tenancy.carry(
            httpx.Request(
                "POST",
                "http://production/v1/chat/completions",
                headers={"Authorization": f"Bearer {token}"},
                json={"model": barrier.name, "messages": [{"role": "user", "content": "x"}]},
            )
        )
        record = await machine.until(record, lambda r: r.state is State.AWAITING_APPROVAL)

        assert "several caller keys" in record.findings[tenancy.chat.id].verdict.reason
        assert not record.findings[tenancy.chat.id].is_proved


@pytest.mark.parametrize("dealt", DEALT)
async def test_requests_that_a_replica_added_since_turned_away_are_not_sent_again_until_others_answer(dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine(require_proof=True)
        record = await tenancy.asked(machine)
        late = add_stale_replica(tenancy, record, dealt)
        late.proxy.environment = with_callers(late.proxy.environment, limit=0)
        await looked(tenancy, machine, record)

        assert tenancy.old_is_there or not late.proxy.calls


def with_callers(environment: Environment, limit: int | None) -> Environment:
    """Return a replica's own view of an environment, in which our caller key has another *limit*, or is unknown."""
    here = copy(environment)
    known = {
        token: copy(caller) for token, caller in here.callers.items() if limit is not None or caller.name != "probe"
    }
    for caller in known.values():
        caller.limit = limit if caller.name == "probe" else None
    here.callers = known
    return here


def test_a_page_that_could_not_be_read_once_leaves_known_whose_requests_are_ours():
    well = Replica(url="http://b", at=NOW, counts={}, own={}, callers=("ck-probe",))
    dark = Replica(url="http://a", at=NOW, trouble="no answer in time")
    seen = {"prod": (Window(before=None, now=dark), Window(before=None, now=well))}

    learned = noticed(running(), seen).callers.get("prod", ())
    kept = noticed(running(callers={"prod": ("ck-probe",)}), {"prod": seen["prod"][:1]}).callers.get("prod", ())

    assert learned == kept == ("ck-probe",)


@pytest.mark.parametrize("dark", [slice(0, 1), slice(0, 2)])
@pytest.mark.parametrize("since", ["verify", "soak"])
async def test_what_was_proved_is_not_once_its_counters_cannot_be_read(since, dark):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), lambda r: since in r.done)
        assert record.findings[tenancy.chat.id].is_proved
        for replica in tenancy.aisix.replicas("production")[dark]:
            replica.status_available = replica.metrics_available = False
        record = await machine.until(record, lambda r: r.state is State.AWAITING_APPROVAL or is_over(r))
        ended = await looked(tenancy, machine, record)

        assert ended.voids
        assert tenancy.old_is_there


async def test_a_page_that_blinks_costs_no_proof():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        carry, failed = tenancy.wire.handle, set()

        async def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path.startswith(("/status", "/metrics")) and str(request.url) not in failed:
                failed.add(str(request.url))
                return httpx.Response(500)
            return await carry(request)

        tenancy.wire.handle = handle
        ended = await looked(tenancy, machine, record)

        assert failed
        assert ended.state is State.COMPLETED


@pytest.mark.parametrize("status", [None, 429, 504])
@pytest.mark.parametrize(("more", "unclear"), [(0, 10), (24, 5)])
async def test_one_unclear_answer_voids_no_approval(more, unclear, status):
    async with tenancy_of(of_its_own=True) as tenancy:
        for number in range(more):
            tenancy.aisix.add_model("production", f"team-{number}", key=tenancy.old, upstream="gpt-4o")
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), lambda r: r.state is State.AWAITING_APPROVAL)
        carry, asked = tenancy.wire.handle, [0]

        async def handle(request: httpx.Request) -> httpx.Response:
            asked[0] += request.method == "POST"
            if request.method == "POST" and asked[0] == unclear:
                if status is None:
                    raise httpx.ReadTimeout("late", request=request)
                return httpx.Response(status, text="<html>")
            return await carry(request)

        tenancy.wire.handle = handle
        ended = await looked(tenancy, machine, record)

        assert ended.state is State.COMPLETED


@pytest.mark.parametrize("dealt", DEALT)
async def test_a_likely_model_is_compared_from_the_beginning_of_the_last_look_on(dealt):
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        finding = record.findings[tenancy.chat.id]
        likely = finding.but(verdict=finding.verdict.but(verdict=Verdict.LIKELY), lost=1)
        record = record.learn({tenancy.chat.id: likely})
        late = add_stale_replica(tenancy, record, dealt)
        await looked(tenancy, machine, record)

        assert tenancy.old_is_there or not late.proxy.calls


@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("require_proof", [False, True])
async def test_settings_that_list_fewer_replicas_than_they_count_by_now_prove_nothing(require_proof, dealt):
    async with tenancy_of() as tenancy:
        record = await tenancy.asked(await tenancy.machine(require_proof=require_proof))
        add_stale_replica(tenancy, record, dealt)
        settings, here = tenancy.wire.settings(), tenancy.chat.environment_id
        tenancy.wire.settings = lambda: settings | {here: settings[here] | {"replicas": 3}}
        await looked(tenancy, await tenancy.machine(require_proof=require_proof), record)

        assert tenancy.old_is_there


@pytest.mark.parametrize("dealt", DEALT)
async def test_a_model_that_fails_as_before_is_not_excused_from_what_a_replica_shows(dealt):
    async with tenancy_of(of_its_own=True) as tenancy:
        here = tenancy.aisix.environment("production")
        picky = tenancy.aisix.add_model("production", "o-large", key=tenancy.old, upstream="o3")
        settings = tenancy.wire.settings()
        probes = {"probes": {"o-large": "chat"}}
        tenancy.wire.settings = lambda: {e: told | (probes if e == here.id else {}) for e, told in settings.items()}
        answered = tenancy.aisix.upstream.answer

        async def answer(call: Any) -> Any:
            if call.model == "o3":
                raise Refused(400, "Unsupported parameter: 'max_tokens'.", "unsupported_parameter")
            return await answered(call)

        tenancy.aisix.upstream.answer = answer
        tenancy.aisix.replicas("production")[0].reject_rows = {picky.id}
        for replica in tenancy.aisix.replicas("production"):
            replica.metrics_available = False
        tenancy.scene.switchboard.random.seed(dealt)
        machine = await tenancy.machine(verify=8)
        ended = await machine.until(
            await tenancy.begun(machine), lambda r: is_over(r) or r.state is State.AWAITING_APPROVAL
        )

        assert ended.state is State.BLOCKED
        assert "has rejected the change" in ended.stop.sentence


# --- a replica that never says anything clear ---


@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("listed", [True, False])
async def test_a_replica_that_refuses_our_caller_key_is_not_drawn_around(listed, dealt):
    async with tenancy_of(Switches(status_urls=listed, cooldown=0.0)) as tenancy:
        mute = tenancy.aisix.place_replica("production") if listed else tenancy.aisix.replicas("production")[0]
        mute.proxy.environment = with_callers(mute.proxy.environment, limit=None)
        mute.silent = True
        tenancy.scene.switchboard.random.seed(dealt)
        machine = await tenancy.machine(projection=8)
        ended = await machine.until(
            await tenancy.begun(machine), lambda r: is_over(r) or r.state is State.AWAITING_APPROVAL
        )

        assert ended.state is State.BLOCKED


# --- how often is often enough ---


@pytest.mark.parametrize("replicas", [2, 3, 4, 11])
@pytest.mark.parametrize("lost", [0, 1, 5, 20])
def test_a_replica_is_met_more_often_than_answers_were_lost(replicas, lost):
    count = enough(replicas, 3, lost)
    missed = sum(chance(met, count, 1 / replicas) for met in range(lost + 1))

    assert missed <= MISSED
    assert lost or count == enough(replicas, 1, 0)


def chance(met: int, count: int, share: float) -> float:
    ways = 1.0
    for step in range(met):
        ways = ways * (count - step) / (step + 1)
    return ways * share**met * (1 - share) ** (count - met)


def test_the_numbers_that_the_guide_names():
    assert [enough(replicas, 3, 0) for replicas in (2, 3, 4, 11)] == [10, 18, 25, 73]
    assert [enough(3, 3, lost) for lost in (1, 2, 3)] == [28, 33, 39]


# --- an acceptance is of one reason ---


def test_a_word_for_one_reason_accepts_no_other():
    answer = Evidence(verdict=Verdict.LIKELY, reason="answered 3 times in a row", at=NOW, signature="200")
    shown, later = (as_verdict(answer, (Verdict.INCONCLUSIVE, why)) for why in ("no status address", "another key"))
    word = Acceptance(by="U_APPROVER", at=NOW, reason="fine", of=shown.signature)
    finding = Finding(latest=answer, accepted=word)

    assert finding.but(verdict=shown).is_accepted
    assert not finding.but(verdict=later).is_accepted
