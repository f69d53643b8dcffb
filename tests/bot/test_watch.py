"""The watch after the delete: what it finds, what it clears away, and how often it looks."""

from itertools import pairwise
from typing import Any

import httpx
import pytest

from bot.rotation.attention import open_troubles
from bot.rotation.record import Rotation, Trouble
from bot.rotation.states import State
from bot.steps.watch import MOST_TOLD
from sandbox.aisix import Switches
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

HOUR = 3600
STAGED = "`chat-large` in staging"


async def deleted(tenancy: Tenancy, **settings: Any) -> tuple[Machine, Rotation]:
    """Return a rotation whose old key has just been deleted."""
    machine = await tenancy.machine(watch=HOUR, **settings)
    return machine, await machine.until(await tenancy.released(machine), lambda r: r.deleted_at)


async def test_the_watch_tests_each_kind_of_model_at_growing_intervals(tenancy):
    machine, record = await deleted(tenancy)
    before, looks = tenancy.probes(), []
    while record.state is not State.COMPLETED:
        record, watched = await machine.notch(record), record.watched
        if record.watched != watched:
            looks.append(round(tenancy.clock.seconds))

    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == 600
    assert (record.ended_at - record.deleted_at).total_seconds() >= HOUR
    assert tenancy.probes() - before == 2 * record.watched
    assert (record.troubles, record.blind) == ((), 0)


@pytest.mark.parametrize("dark", ["AISIX", "status pages"])
async def test_a_look_that_could_not_read_everything_is_counted_as_blind(tenancy, dark):
    machine, record = await deleted(tenancy)

    async def darken(request, carry):
        is_dark = request.method == "GET" and ("/api/" in str(request.url)) is (dark == "AISIX")
        return httpx.Response(500, json={}) if is_dark else await carry(request)

    tenancy.intercept(darken)
    ended = await machine.ended(record)

    assert ended.blind == ended.watched


async def test_an_answer_from_a_cache_is_a_blind_look_and_neither_a_trouble_nor_its_end():
    async with tenancy_of(Switches(cache_ignores_no_cache=True, cooldown=0.0)) as tenancy:
        machine, record = await deleted(tenancy)
        here = tenancy.aisix.environment("production")
        here.cache = "semantic"
        hidden = await machine.until(record, lambda r: r.blind)
        here.cache = None
        tenancy.aisix.upstream.refuse(NEW_SECRET)
        failing = await machine.until(hidden, lambda r: len(r.troubles) == 2)
        here.cache = "semantic"
        tenancy.aisix.upstream.accept(NEW_SECRET)
        cached = await machine.until(failing, lambda r: len(r.troubles) > 2)
        here.cache = None
        well = await machine.until(cached, lambda r: len(r.troubles) > 3)

    assert (hidden.cached, hidden.troubles) == (("`chat-large` in production",), ())
    assert (cached.cached, [trouble.about for trouble in cached.troubles[2:]]) == (hidden.cached, [STAGED])
    assert (well.cached, [trouble.about for trouble in well.troubles[3:]]) == ((), [*hidden.cached])


async def test_a_credential_that_dies_and_recovers_is_told_both_times(tenancy):
    machine, record = await deleted(tenancy)
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    failing = await machine.until(record, lambda r: r.troubles)
    tenancy.aisix.upstream.accept(NEW_SECRET)
    well = await machine.until(failing, lambda r: any(trouble.over for trouble in r.troubles))

    assert failing.troubles[0].sentence.startswith("`chat-large` in production does not answer: ")
    assert [trouble.over for trouble in well.troubles] == [False, False, True, True]


async def test_callers_that_failed_are_well_again_only_once_they_are_answered(tenancy):
    machine, record = await deleted(tenancy)
    record = await machine.until(record, lambda r: r.watched)
    tenancy.aisix.upstream.set(NEW_SECRET, 500)
    for _ in range(5):
        await tenancy.ask("staging", "chat-large")
    failing = await machine.until(record, lambda r: f"what callers ask of {STAGED}" in abouts(r))
    tenancy.aisix.upstream.accept(NEW_SECRET)
    silent = await machine.until(failing, lambda r: r.watched > failing.watched + 1)
    await tenancy.ask("staging", "chat-large")
    well = await machine.until(silent, lambda r: r.watched > silent.watched)

    assert abouts(silent) == [f"what callers ask of {STAGED}"]
    assert abouts(well) == []


def abouts(record: Rotation) -> list[str]:
    """Return what is in trouble."""
    return [trouble.about for trouble in open_troubles(record)]


async def test_a_cache_does_not_take_back_that_a_model_failed_a_moment_ago(tenancy):
    machine, record = await deleted(tenancy)
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    asked: list[str] = []

    async def from_a_cache(request, carry):
        asked.append(str(request.url))
        is_second = str(request.url).startswith("http://staging/v1/chat") and asked.count(asked[-1]) % 2 == 0
        hit = {"choices": [{"message": {"content": "Hi"}}]}
        return httpx.Response(200, headers={"x-aisix-cache": "hit"}, json=hit) if is_second else await carry(request)

    tenancy.intercept(from_a_cache)
    failing = await machine.until(record, lambda r: r.watched)

    assert STAGED in abouts(failing)


async def test_however_often_models_come_and_go_an_open_trouble_is_kept(tenancy):
    machine, record = await deleted(tenancy)
    record = await machine.until(record, lambda r: r.watched)
    told = [Trouble(at=record.deleted_at, about=STAGED, sentence="-", over=over) for over in (False, True)]
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    failing = await machine.until(record.but(troubles=told * MOST_TOLD), lambda r: r.watched > record.watched)

    assert STAGED in abouts(failing)
    assert len(failing.troubles) < MOST_TOLD


def bind(tenancy: Tenancy) -> None:
    tenancy.aisix.add_model("staging", "late", key=tenancy.old, upstream="gpt-4o")


def use(tenancy: Tenancy) -> None:
    counters = tenancy.aisix.replicas("staging")[0].dispatcher.metrics
    counters.count_one_more(tenancy.old.id, model="gone", requested_model="gone", model_id="gone")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (bind, "`late` in staging refers to the deleted key"),
        (use, "`staging.0` still serves with the deleted key"),
    ],
)
async def test_what_still_uses_the_deleted_key_is_named(tenancy, what, sentence):
    machine, record = await deleted(tenancy)
    record = await machine.until(record, lambda r: r.watched)
    what(tenancy)
    record = await machine.until(record, lambda r: r.troubles)

    assert record.troubles[0].sentence.startswith(sentence)


async def test_a_route_that_was_left_on_the_deleted_key_and_is_on_no_list_is_heard():
    async with tenancy_of(Switches(cooldown=0.0, has_passthrough_routes=False)) as tenancy:
        tenancy.aisix.add_passthrough("production", "raw", key=tenancy.old)
        machine, record = await deleted(tenancy)
        record = await machine.until(record, lambda r: r.watched)
        await tenancy.ask("production", "gpt-4o", "passthrough/raw")
        record = await machine.until(record, lambda r: r.troubles)

    assert "refused 1 requests because their key is gone (a passthrough route" in record.troubles[0].sentence
    assert OLD_SECRET not in str(record)


async def test_a_throw_away_model_whose_creation_comes_after_the_delete_is_removed(tenancy):
    machine, record = await deleted(tenancy)
    late = tenancy.aisix.add_model("production", f"keyturn-{record.id}-9", key=tenancy.new, upstream="gpt-4o")
    await machine.until(record, lambda r: r.watched)

    assert late.id not in tenancy.aisix.models
