"""Test requests that no record has noted: the last look must not take one for the answer of a replica added since.

Workers die amid a look, the watch of an earlier rotation uses the same caller key, and an answer that was lost may be
counted later. Each seed deals the requests out so that the added replica was missed before.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.steps import pacing
from sandbox.aisix.rows import ProviderKey
from tests.bot.values import NOW
from tests.support.in_memory import OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole


class Stage(NamedTuple):
    """A rotation that waits for its approver, in one environment."""

    tenancy: Tenancy
    machine: Machine
    old: ProviderKey
    record: Rotation

    async def probe(self, times: int) -> None:
        """Send test requests that no record notes."""
        for _ in range(times):
            await self.machine.world.gateways.probe(self.record.plan.models[0], self.record.id)

    def add_stale_replica(self, where: str, seed: int):
        self.tenancy.scene.switchboard.random.seed(seed)
        late = self.tenancy.aisix.place_replica(where)
        late.is_listed = False
        late.astray = {model.id: self.old.id for model in self.record.plan.models}
        return late

    async def looked(self, record: Rotation | None = None) -> Rotation:
        """Approve, and return what came of it."""
        approved = record or self.tenancy.approved(self.record)
        voids = len(approved.voids)
        return await self.machine.until(approved, lambda r: is_over(r) or len(r.voids) > voids)

    @property
    def old_is_there(self) -> bool:
        return self.old.id in self.tenancy.aisix.provider_keys


def is_over(record: Rotation) -> bool:
    return record.state in (State.COMPLETED, State.BLOCKED)


@asynccontextmanager
async def asked(where: str = "staging", models: int = 1, **settings: object) -> AsyncIterator[Stage]:
    async with tenancy_of(of_its_own=True) as tenancy:
        old = tenancy.aisix.add_key("Solo", secret=OLD_SECRET)
        for number in range(models):
            tenancy.aisix.add_model(where, f"solo-{number}", key=old, upstream="gpt-4o")
        machine = await tenancy.machine(**settings)
        record = await machine.until(await tenancy.begun(machine, old), lambda r: r.state is State.AWAITING_APPROVAL)
        assert all(finding.is_proved for finding in record.findings.values())
        yield Stage(tenancy, machine, old, record)


# --- a worker dies amid its look ---


@pytest.mark.parametrize("seed", [17, 18, 19])
async def test_a_look_that_could_not_be_recorded_hides_no_answer_from_the_next(seed):
    async with asked() as stage:
        stage.add_stale_replica("staging", seed)
        approved = stage.tenancy.approved(stage.record)
        await stage.machine.notch(approved)
        stage.tenancy.hands.mark = "there"
        await stage.looked(approved)

        assert stage.old_is_there


@pytest.mark.parametrize("seed", [12, 14])
async def test_nor_do_the_requests_of_a_worker_that_died(seed):
    async with asked("production") as stage:
        stage.add_stale_replica("production", seed)
        await stage.probe(9)
        await stage.looked()

        assert stage.old_is_there


@pytest.mark.parametrize("seed", [15])
async def test_nor_do_those_of_a_later_slice_of_the_look(monkeypatch, seed):
    async with asked(models=2, concurrency=1) as stage:
        stage.add_stale_replica("staging", seed)
        with monkeypatch.context() as slow:
            slow.setattr(pacing, "SLICE", -1)
            record = await stage.machine.notch(stage.tenancy.approved(stage.record))
        assert record.note == "1 to go"
        for model in record.plan.models * 2:
            await stage.machine.world.gateways.probe(model, record.id)
        stage.tenancy.hands.mark = "there"
        await stage.looked(record)

        assert stage.old_is_there


async def test_a_list_that_fails_now_and_then_does_not_begin_a_look_anew(monkeypatch):
    async with asked(models=8, concurrency=1, patience=60) as stage:
        monkeypatch.setattr(pacing, "SLICE", -1)
        carry, lists = stage.tenancy.wire.handle, list[httpx.Request]()

        async def handle(request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path.endswith("/provider_keys"):
                lists.append(request)
            return httpx.Response(503) if lists and len(lists) % 3 == 0 else await carry(request)

        stage.tenancy.wire.handle = handle
        record = stage.tenancy.approved(stage.record)
        looks = set()
        while not record.last_look_at and record.waits_for_bot and len(lists) < 200:
            record = await stage.machine.notch(record)
            looks.add(record.look)

        assert record.last_look_at
        assert len(looks - {""}) == 1


# --- another rotation's watch ---


async def test_the_watch_of_an_earlier_rotation_voids_no_approval():
    async with asked() as stage:
        await stage.probe(1)

        assert (await stage.looked()).state is State.COMPLETED


@pytest.mark.parametrize("seed", [1, 5, 6])
async def test_nor_does_it_hide_an_added_replica(seed):
    async with asked(require_proof=True) as stage:
        await stage.probe(5)
        stage.add_stale_replica("staging", seed)
        await stage.looked()

        assert stage.old_is_there


# --- lost answers ---


@pytest.mark.parametrize("seed", [1, 3, 10])
async def test_requests_that_hung_in_the_look_before_hide_no_answer(seed):
    async with asked(require_proof=True) as stage:
        carry, held = stage.tenancy.wire.handle, list[httpx.Request]()

        async def hanging(request: httpx.Request) -> httpx.Response:
            if request.method == "POST" and request.url.host == "staging" and len(held) < 12:
                held.append(request)
                raise httpx.ReadTimeout("late", request=request)
            return await carry(request)

        stage.tenancy.wire.handle = hanging
        record = await stage.looked()
        record = await stage.machine.until(record, lambda r: r.state is State.AWAITING_APPROVAL)
        late = stage.add_stale_replica("staging", seed)

        async def ending(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            if request.method == "POST" and request.url.host == "staging" and len(held) == 12:
                late.down = True  # what hung is on the listed replica, and is counted now
                while len(held) > 7:
                    await carry(held.pop())
                late.down = False
            return answer

        stage.tenancy.wire.handle = ending
        await stage.looked(stage.tenancy.approved(record))

        assert stage.old_is_there


@pytest.mark.parametrize("seed", [7, 8, 13])
async def test_answers_that_were_lost_are_made_up_for_where_a_model_is_likely_too(seed):
    async with asked() as stage:
        id_ = stage.record.plan.models[0].id
        finding = stage.record.findings[id_]
        likely = finding.but(verdict=finding.verdict.but(verdict=Verdict.LIKELY))
        late, chance, carry = stage.add_stale_replica("staging", seed), random.Random(seed), stage.tenancy.wire.handle

        async def lossy(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            is_ours = request.method == "POST" and request.extensions.get("answered_by") not in (None, late)
            if is_ours and chance.random() < 0.3:
                raise httpx.ReadTimeout("late", request=request)
            return answer

        stage.tenancy.wire.handle = lossy
        await stage.looked(stage.tenancy.approved(stage.record.learn({id_: likely})))

        assert stage.old_is_there


async def test_a_model_that_an_approver_has_accepted_voids_no_approval_of_a_likely_one():
    async with asked(models=2) as stage:
        fine, broken = stage.record.findings
        found = stage.record.findings[fine]
        unclear = found.verdict.but(verdict=Verdict.INCONCLUSIVE, signature="500")
        word = Acceptance(by="U_APPROVER", at=NOW, reason="known", of="500")
        record = stage.record.learn(
            {
                fine: found.but(verdict=found.verdict.but(verdict=Verdict.LIKELY)),
                broken: found.but(latest=unclear, verdict=unclear, accepted=word),
            }
        )
        alias = next(model.alias for model in record.plan.models if model.id == broken)
        carry = stage.tenancy.wire.handle

        async def handle(request: httpx.Request) -> httpx.Response:
            is_broken = request.method == "POST" and f'"{alias}"'.encode() in request.content
            return httpx.Response(500, text="<html>") if is_broken else await carry(request)

        stage.tenancy.wire.handle = handle

        assert (await stage.looked(stage.tenancy.approved(record))).state is State.COMPLETED


PENDING = Finding(latest=Evidence(verdict=Verdict.LIKELY, reason="", at=NOW), lost=9, pending=5, pending_at=NOW)


def test_a_request_without_an_answer_may_be_counted_for_ten_minutes():
    assert [PENDING.uncounted.adrift_still(NOW + timedelta(minutes=m)) for m in (0, 9, 11)] == [5, 5, 0]


def test_so_it_may_after_the_approval_is_void():
    assert PENDING.unproved.uncounted.adrift_still(NOW) == 5


def test_what_is_long_over_does_not_come_back_with_one_more():
    later = PENDING.uncounted.but(pending=1, pending_at=NOW + timedelta(days=1)).uncounted
    assert later.adrift == 1


# --- noise that is no leftover ---


def spoilt(status: int) -> Callable[[httpx.Request], httpx.Response]:
    body = {"id": "x", "object": "chat.completion", "choices": []}
    return lambda _: httpx.Response(status, json=body) if status == 200 else httpx.Response(status, text="<html>")


@pytest.mark.parametrize("status", [500, 520, 524, 200])
async def test_an_answer_that_is_spoilt_on_its_way_voids_no_approval(status):
    async with asked() as stage:
        carry, came = stage.tenancy.wire.handle, list[httpx.Request]()

        async def handle(request: httpx.Request) -> httpx.Response:
            answer = await carry(request)
            came.extend([request] * (request.method == "POST"))
            return spoilt(status)(request) if request.method == "POST" and len(came) == 5 else answer

        stage.tenancy.wire.handle = handle

        assert (await stage.looked()).state is State.COMPLETED


async def test_a_look_that_takes_too_long_names_the_setting_that_helps():
    async with asked(models=8) as stage:
        carry = stage.tenancy.wire.handle

        async def slow(request: httpx.Request) -> httpx.Response:
            stage.tenancy.clock.seconds += 120 * (request.method == "POST" and request.url.host == "staging")
            return await carry(request)

        stage.tenancy.wire.handle = slow
        ended = await stage.looked()

        assert ended.voids[0].changes == (
            "The last look took more than 10 minutes: raise `PROBE_CONCURRENCY` and restart.",
        )
