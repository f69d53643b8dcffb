"""What the last look compares with the counters: a replica that was added since the proof, and serves the old key, must
not hide behind answers that were lost, turned away, refused, sent by nobody on record, or not told from callers'.

Each seed deals the test requests to the replicas; those that are named have missed the added one before.
"""

import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica
from bot.rotation.states import State
from bot.rotation.weighing import Window
from bot.steps import pacing
from bot.steps.counters import MISSED, noticed
from bot.steps.everyone import enough
from bot.steps.verdicts import as_verdict
from sandbox.aisix import Switches
from sandbox.aisix.admission import Limits
from sandbox.aisix.rows import ProviderKey
from sandbox.aisix.store import Environment
from tests.bot.values import NOW, running, tried_again
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

DEALT = range(4)


class Stage(NamedTuple):
    """A rotation that waits for its approver."""

    tenancy: Tenancy
    machine: Machine
    old: ProviderKey
    record: Rotation

    async def probe(self, times: int) -> None:
        """Send test requests that no record notes."""
        for _ in range(times):
            await self.machine.world.gateways.probe(self.record.plan.models[0], self.record.id)

    def add_stale_replica(self, seed: int, where: str = "production"):
        self.tenancy.scene.switchboard.random.seed(seed)
        late = self.tenancy.aisix.place_replica(where)
        late.is_listed = False
        late.astray = {model.id: self.old.id for model in self.record.plan.models}
        return late

    def learnt(self, verdict: Verdict = Verdict.LIKELY) -> Rotation:
        """The record, as if its first model had no better verdict."""
        id_ = self.record.plan.models[0].id
        finding = self.record.findings[id_]
        return self.record.learn({id_: finding.but(verdict=finding.verdict.but(verdict=verdict))})

    async def looked(self, record: Rotation | None = None) -> Rotation:
        """Approve, and return what came of it."""
        return await self.machine.answered(self.tenancy.approved(record or self.record))

    @property
    def old_is_there(self) -> bool:
        return self.old.id in self.tenancy.aisix.provider_keys


@asynccontextmanager
async def asked(**settings: object) -> AsyncIterator[Stage]:
    """One of two models in two environments."""
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine(**settings)
        record = await tenancy.asked(machine)
        yield Stage(tenancy, machine, tenancy.old, record)


@asynccontextmanager
async def asked_alone(where: str = "staging", models: int = 1, **settings: object) -> AsyncIterator[Stage]:
    """One of another key, in one environment, whose models are all proved."""
    async with tenancy_of(of_its_own=True) as tenancy:
        old = tenancy.aisix.add_key("Solo", secret=OLD_SECRET)
        for number in range(models):
            tenancy.aisix.add_model(where, f"solo-{number}", key=old, upstream="gpt-4o")
        machine = await tenancy.machine(**settings)
        record = await machine.ended(await tenancy.begun(machine, old))
        assert all(finding.is_proved for finding in record.findings.values())
        yield Stage(tenancy, machine, old, record)


def lose_some(stage: Stage, late: Any, share: float, chance: random.Random) -> None:
    """Lose answers of the listed replicas by chance."""

    async def lossy(request, carry):
        answer = await carry(request)
        is_listed = request.method == "POST" and request.extensions.get("answered_by") not in (None, late)
        if is_listed and chance.random() < share:
            raise httpx.ReadTimeout("late", request=request)
        return answer

    stage.tenancy.intercept(lossy)


# --- requests that were lost or turned away ---


def limit_the_rate(stage: Stage, late: Any, limit: int) -> None:
    shared = Limits()
    for replica in stage.tenancy.aisix.replicas("production"):
        replica.proxy.dispatcher.limits = shared
    for caller in late.environment.callers.values():
        caller.limit = limit if caller.name == "probe" else None


@pytest.mark.once("dealt")
@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize(
    "lost", [1, 6, 0.3, 0.5], ids=["limited after 1", "limited after 6", "3 in 10", "every second"]
)
async def test_an_answer_that_was_lost_or_turned_away_stands_in_for_none_that_is_missing(lost, dealt):
    async with asked() as stage:
        late = stage.add_stale_replica(dealt)
        if lost >= 1:
            limit_the_rate(stage, late, lost)
        else:
            lose_some(stage, late, lost, stage.tenancy.scene.switchboard.random)

        assert (await stage.looked()).voids
        assert stage.old_is_there


@pytest.mark.once
@pytest.mark.parametrize("seed", [7, 8, 13])
async def test_lost_answers_are_made_up_for_also_for_a_likely_model(seed):
    async with asked_alone() as stage:
        lose_some(stage, stage.add_stale_replica(seed, "staging"), 0.3, random.Random(seed))
        await stage.looked(stage.learnt())

        assert stage.old_is_there


@pytest.mark.once
@pytest.mark.parametrize("dealt", DEALT)
async def test_requests_that_a_replica_added_since_turned_away_are_not_sent_again_until_others_answer(dealt):
    async with asked(require_proof=True) as stage:
        late = stage.add_stale_replica(dealt)
        late.proxy.environment = with_callers(late.proxy.environment, limit=0)
        await stage.looked()

        assert stage.old_is_there or not late.proxy.calls


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


@pytest.mark.once("dealt")
@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("listed", [True, False])
async def test_a_replica_that_refuses_our_caller_key_stops_the_rotation(listed, dealt):
    async with tenancy_of(Switches(status_urls=listed, cooldown=0.0)) as tenancy:
        mute = tenancy.aisix.place_replica("production") if listed else tenancy.aisix.replicas("production")[0]
        mute.proxy.environment = with_callers(mute.proxy.environment, limit=None)
        mute.silent = True
        tenancy.scene.switchboard.random.seed(dealt)
        machine = await tenancy.machine(projection=8)

        assert (await machine.ended(await tenancy.begun(machine))).state is State.BLOCKED


@pytest.mark.once
@pytest.mark.parametrize("seed", [1, 3, 10])
async def test_requests_that_hung_in_the_look_before_hide_no_answer(seed):
    async with asked_alone(require_proof=True) as stage:
        carry, held = stage.tenancy.wire.handle, list[httpx.Request]()

        async def hanging(request, carry):
            if request.method == "POST" and request.url.host == "staging" and len(held) < 12:
                held.append(request)
                raise httpx.ReadTimeout("late", request=request)
            return await carry(request)

        stage.tenancy.intercept(hanging)
        record = await stage.machine.ended(await stage.looked())
        late = stage.add_stale_replica(seed, "staging")

        async def ending(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            if request.method == "POST" and request.url.host == "staging" and len(held) == 12:
                late.down = True  # what hung is on the listed replica, and is counted now
                while len(held) > 7:
                    await carry(held.pop())
                late.down = False
            return answer

        stage.tenancy.wire.handle = ending
        await stage.looked(record)

        assert stage.old_is_there


def test_a_request_without_an_answer_may_be_counted_for_ten_minutes_whatever_becomes_of_the_approval():
    pending = Finding(latest=Evidence(verdict=Verdict.LIKELY, reason="", at=NOW), lost=9, pending=5, pending_at=NOW)
    one_more = pending.uncounted.but(pending=1, pending_at=NOW + timedelta(days=1)).uncounted

    assert [pending.uncounted.adrift_still(NOW + timedelta(minutes=m)) for m in (0, 9, 11)] == [5, 5, 0]
    assert pending.unproved.uncounted.adrift_still(NOW) == 5
    assert one_more.adrift == 1, "what is long over does not come back"


# --- requests of a look that nobody has recorded, or of somebody else ---


@pytest.mark.once
@pytest.mark.parametrize("seed", [17, 18, 19])
async def test_a_look_that_could_not_be_recorded_hides_no_answer_from_the_next(seed):
    async with asked_alone() as stage:
        stage.add_stale_replica(seed, "staging")
        await stage.machine.notch(stage.tenancy.approved(stage.record))
        stage.tenancy.hands.mark = "there"
        await stage.looked()

        assert stage.old_is_there


@pytest.mark.parametrize(
    ("where", "times", "settings", "seed"),
    [
        *(("production", 9, {}, seed) for seed in (12, 14)),
        *(("staging", 5, {"require_proof": True}, seed) for seed in (1, 5, 6)),
    ],
    ids=str,
)
async def test_requests_of_a_dead_worker_or_an_earlier_watch_hide_no_answer(where, times, settings, seed):
    async with asked_alone(where, **settings) as stage:
        stage.add_stale_replica(seed, where)
        await stage.probe(times)
        await stage.looked()

        assert stage.old_is_there


async def test_requests_of_a_later_slice_of_the_look_hide_no_answer(monkeypatch):
    async with asked_alone(models=2, concurrency=1) as stage:
        stage.add_stale_replica(15, "staging")
        with monkeypatch.context() as slow:
            slow.setattr(pacing, "SLICE", -1)
            record = await stage.machine.notch(stage.tenancy.approved(stage.record))
        assert record.note == "1 to go"
        for model in record.plan.models * 2:
            await stage.machine.world.gateways.probe(model, record.id)
        stage.tenancy.hands.mark = "there"
        await stage.machine.answered(record)

        assert stage.old_is_there


async def test_a_test_request_of_somebody_else_during_the_last_look_hides_no_other_replica():
    async with asked() as stage:
        came = list[httpx.Request]()

        async def twice(request, carry):
            came.extend([request] * (request.method == "POST"))
            if request.method == "POST" and len(came) == 3:
                await carry(request)
            return await carry(request)

        stage.tenancy.intercept(twice)

        again = await stage.looked()
        assert again.voids
        assert "test requests that nobody has noted" in again.voids[0].changes[0]
        assert stage.old_is_there


async def test_a_list_that_fails_now_and_then_does_not_begin_a_look_anew(monkeypatch):
    async with asked_alone(models=8, concurrency=1, patience=60) as stage:
        monkeypatch.setattr(pacing, "SLICE", -1)
        lists = list[httpx.Request]()

        async def failing(request, carry):
            if request.method == "GET" and request.url.path.endswith("/provider_keys"):
                lists.append(request)
            return httpx.Response(503) if lists and len(lists) % 3 == 0 else await carry(request)

        stage.tenancy.intercept(failing)
        record, looks = stage.tenancy.approved(stage.record), set()
        while not record.last_look_at and record.waits_for_bot and len(lists) < 200:
            record = await stage.machine.notch(record)
            looks.add(record.look)

        assert record.last_look_at
        assert len(looks - {""}) == 1


# --- refusals ---


@pytest.mark.once("dealt")
@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize("done", ["project", "soak"])
async def test_a_refusal_by_one_replica_is_not_covered_by_an_answer_of_another(done, dealt):
    """In the verification, and in the last look."""
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        begun = await tenancy.released(machine) if done == "soak" else await tenancy.begun(machine)
        record = await machine.done(begun, done)
        tenancy.scene.switchboard.random.seed(dealt)
        upstream = type(tenancy.aisix.upstream)()  # one that this replica alone sends to
        upstream.accept(OLD_SECRET)
        upstream.refuse(NEW_SECRET)
        tenancy.aisix.replicas("production")[1].proxy.dispatcher.direct.upstream = upstream
        ended = await machine.stopped(record)

        assert ended.stop.headline == "the new secret was refused"
        assert tenancy.old_is_there


async def test_a_refusal_is_not_covered_by_the_answers_after_it():
    async with asked() as stage:
        stage.tenancy.aisix.upstream.refuse(NEW_SECRET)

        async def once(request, carry):
            answer = await carry(request)
            if request.method == "POST":
                stage.tenancy.aisix.upstream.accept(NEW_SECRET)
            return answer

        stage.tenancy.intercept(once)

        ended = await stage.machine.stopped(stage.tenancy.approved(stage.record))
        assert ended.stop.headline == "the new secret was refused"


async def test_a_model_that_fails_as_before_is_not_excused_from_what_a_replica_shows(tenancy):
    legacy = tenancy.aisix.add_model("production", "legacy", key=tenancy.old, upstream="gpt-3")
    for secret in (OLD_SECRET, NEW_SECRET):
        tenancy.aisix.upstream.models_for(secret, {"gpt-4o"})
    tenancy.aisix.replicas("production")[0].reject_rows = {legacy.id}
    for replica in tenancy.aisix.replicas("production"):
        replica.metrics_available = False
    machine = await tenancy.machine(verify=8)
    ended = await machine.stopped(await tenancy.begun(machine))

    assert ended.state is State.BLOCKED
    assert "has rejected the change" in ended.stop.sentence


# --- counters that do not tell our requests, or tell fewer ---


def accepted(record: Rotation, aliases: str) -> Rotation:
    """Let an approver accept the models whose alias begins so, by name."""
    learnt = {}
    for model in record.plan.models:
        if model.alias.startswith(aliases) and (found := record.findings[model.id]).current:
            word = Acceptance(by="U_APPROVER", at=NOW, reason="known", of=found.current.signature)
            learnt[model.id] = found.but(accepted=word)
    return record.learn(learnt)


@pytest.mark.once
@pytest.mark.parametrize("dealt", DEALT)
async def test_models_that_show_nothing_take_none_of_the_requests_that_a_proved_one_needs(dealt):
    async with tenancy_of(of_its_own=True) as tenancy:
        for number in range(5):
            tenancy.aisix.add_model("production", f"guarded-{number}", key=tenancy.old, upstream="gpt-4o")
            tenancy.aisix.environment("production").refusals[f"guarded-{number}"] = "guardrail"
        machine = await tenancy.machine(verify=8)
        record = await machine.ended(await tenancy.begun(machine))
        record = await machine.ended(tried_again(accepted(record, "guarded")))
        assert record.findings[tenancy.chat.id].is_proved
        stage = Stage(tenancy, machine, tenancy.old, record)
        stage.add_stale_replica(dealt)
        await stage.looked()

        assert stage.old_is_there


async def test_a_model_that_an_approver_has_accepted_voids_no_approval_of_a_likely_one():
    async with asked_alone(models=2) as stage:
        _, broken = stage.record.plan.models
        found = stage.record.findings[broken.id]
        unclear = found.verdict.but(verdict=Verdict.INCONCLUSIVE, signature="500")
        record = stage.learnt().learn({broken.id: found.but(latest=unclear, verdict=unclear)})

        async def break_(request, carry):
            is_broken = request.method == "POST" and f'"{broken.alias}"'.encode() in request.content
            return httpx.Response(500, text="<html>") if is_broken else await carry(request)

        stage.tenancy.intercept(break_)

        assert (await stage.looked(accepted(record, broken.alias))).state is State.COMPLETED


async def test_counters_that_no_longer_tell_our_requests_apart_prove_nothing(tenancy):
    machine = await tenancy.machine()
    record = await machine.done(await tenancy.begun(machine), "verify")
    assert record.findings[tenancy.chat.id].is_proved
    await tenancy.ask("production", record.barrier(tenancy.chat.environment_id).name)
    record = await machine.ended(record)

    assert "several caller keys" in record.findings[tenancy.chat.id].verdict.reason
    assert not record.findings[tenancy.chat.id].is_proved


def test_a_page_that_could_not_be_read_once_leaves_known_whose_requests_are_ours():
    well = Replica(url="http://b", at=NOW, counts={}, own={}, callers=("ck-probe",))
    dark = Replica(url="http://a", at=NOW, trouble="no answer in time")
    seen = {"prod": (Window(before=None, now=dark), Window(before=None, now=well))}

    learned = noticed(running(), seen).callers.get("prod", ())
    kept = noticed(running(callers={"prod": ("ck-probe",)}), {"prod": seen["prod"][:1]}).callers.get("prod", ())

    assert learned == kept == ("ck-probe",)


@pytest.mark.once("since")
@pytest.mark.parametrize("dark", [slice(0, 1), slice(0, 2)])
@pytest.mark.parametrize("since", ["verify", "soak"])
async def test_a_proof_ends_once_its_counters_cannot_be_read(tenancy, since, dark):
    machine = await tenancy.machine()
    record = await machine.done(await tenancy.begun(machine), since)
    assert record.findings[tenancy.chat.id].is_proved
    for replica in tenancy.aisix.replicas("production")[dark]:
        replica.status_available = replica.metrics_available = False
    ended = await machine.answered(tenancy.approved(await machine.ended(record)))

    assert ended.voids
    assert tenancy.old_is_there


@pytest.mark.once("dealt")
@pytest.mark.parametrize("dealt", DEALT)
@pytest.mark.parametrize(("require_proof", "is_likely"), [(False, False), (False, True), (True, False)])
async def test_settings_that_list_fewer_replicas_than_they_count_by_now_prove_nothing(require_proof, is_likely, dealt):
    async with asked(require_proof=require_proof) as stage:
        stage.add_stale_replica(dealt)
        settings, here = stage.tenancy.wire.settings(), stage.tenancy.chat.environment_id
        stage.tenancy.wire.settings = lambda: settings | {here: settings[here] | {"replicas": 3}}
        since = await stage.tenancy.machine(require_proof=require_proof)
        await stage._replace(machine=since).looked(stage.learnt() if is_likely else None)

        assert stage.old_is_there


# --- noise ---


async def test_a_page_that_fails_once_and_an_earlier_test_request_do_not_prevent_a_proof():
    async with asked() as stage:
        failed = set()

        async def blink(request, carry):
            if request.url.path.startswith(("/status", "/metrics")) and str(request.url) not in failed:
                failed.add(str(request.url))
                return httpx.Response(500)
            return await carry(request)

        stage.tenancy.intercept(blink)

        await stage.probe(1)  # as the watch of an earlier rotation does

        assert (await stage.looked()).state is State.COMPLETED
        assert failed


EMPTY = {"id": "x", "object": "chat.completion", "choices": []}


def spoilt(status: int | None, request: httpx.Request) -> httpx.Response:
    if status is None:
        raise httpx.ReadTimeout("late", request=request)
    return httpx.Response(200, json=EMPTY) if status == 200 else httpx.Response(status, text="<html>")


@pytest.mark.once("models")
@pytest.mark.parametrize(
    ("status", "has_reached"), [(None, False), (429, False), (504, False), (500, True), (524, True), (200, True)]
)
@pytest.mark.parametrize("models", [1, 25])
async def test_one_unclear_or_damaged_answer_voids_no_approval(models, status, has_reached):
    async with asked_alone(models=models) as stage:
        came = list[httpx.Request]()

        async def spoil(request, carry):
            came.extend([request] * (request.method == "POST"))
            if request.method != "POST" or len(came) != 5:
                return await carry(request)
            if has_reached:
                await carry(request)
            return spoilt(status, request)

        stage.tenancy.intercept(spoil)

        assert (await stage.looked()).state is State.COMPLETED


# --- how often is often enough ---


@pytest.mark.parametrize("replicas", [2, 3, 11])
@pytest.mark.parametrize("lost", [0, 1, 20])
def test_a_replica_is_met_more_often_than_answers_were_lost(replicas, lost):
    count, share = enough(replicas, 3, lost), 1 / replicas
    missed = sum(math.comb(count, met) * share**met * (1 - share) ** (count - met) for met in range(lost + 1))

    assert missed <= MISSED
    assert lost or count == enough(replicas, 1, 0)


def test_the_guide_names_the_right_numbers_of_test_requests():
    assert [enough(replicas, 3, 0) for replicas in (2, 3, 4, 11)] == [10, 18, 25, 73]
    assert [enough(3, 3, lost) for lost in (1, 2, 3)] == [28, 33, 39]


# --- an acceptance is of one reason ---


def test_an_acceptance_for_one_reason_covers_no_other():
    answer = Evidence(verdict=Verdict.LIKELY, reason="answered 3 times in a row", at=NOW, signature="200")
    shown, later = (as_verdict(answer, (Verdict.INCONCLUSIVE, why)) for why in ("no status address", "another key"))
    finding = Finding(latest=answer, accepted=Acceptance(by="U_APPROVER", at=NOW, reason="fine", of=shown.signature))

    assert finding.but(verdict=shown).is_accepted
    assert not finding.but(verdict=later).is_accepted
