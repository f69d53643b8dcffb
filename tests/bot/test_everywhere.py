"""When a change is taken to be everywhere: which replicas have answered, and how often that was asked."""

from collections.abc import AsyncIterator

import pytest

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.steps.counters import turns
from sandbox.aisix import Switches
from tests.support.in_memory import Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

ELSEWHERE = "a replica is not in the settings"
MANY = 20
"""Replicas that nobody has listed: so many that a few test requests meet one."""


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of() as made:
        yield made


def has_ended(record: Rotation) -> bool:
    return record.state in (State.COMPLETED, State.BLOCKED, State.AWAITING_APPROVAL)


async def rehearsed(tenancy: Tenancy, machine: Machine) -> Rotation:
    return await machine.until(await tenancy.begun(machine), lambda r: "rehearse" in r.done)


async def test_a_barrier_is_asked_until_a_replica_more_than_is_told_would_have_been_met(tenancy):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
    barrier = record.barrier(tenancy.chat.environment_id)

    assert barrier.finding.passes >= turns(2 + 1, 3, attempt=1)


async def test_good_answers_around_a_bad_one_are_no_run():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        machine = await tenancy.machine(projection=20)
        record = await rehearsed(tenancy, machine)
        tenancy.aisix.replicas("production")[0].silent = True
        ended = await machine.until(record, has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.kind) == ("project", StopKind.PROJECTION)


async def test_a_replica_that_is_not_listed_and_lacks_the_change_stops_it_by_its_first_404(tenancy):
    machine = await tenancy.machine()
    record = await rehearsed(tenancy, machine)
    tenancy.aisix.place_replica("production").silent = True
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert ended.stop.headline == ELSEWHERE
    assert "it does not have the change, and every listed replica has it" in ended.stop.sentence


async def test_a_replica_that_is_not_listed_and_answers_for_the_barrier_stops_it(tenancy):
    machine = await tenancy.machine()
    record = await rehearsed(tenancy, machine)
    tenancy.aisix.place_replica("production")
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.headline) == ("project", ELSEWHERE)


async def test_a_replica_that_is_not_listed_and_answers_in_the_verification_stops_it(tenancy):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
    for _ in range(MANY):
        tenancy.aisix.place_replica("production")
    ended = await machine.until(record, has_ended)

    assert ended.stop
    assert (ended.stop.step, ended.stop.headline) == ("verify", ELSEWHERE)


@pytest.mark.parametrize(
    "told",
    [{"status_urls": [], "replicas": 0}, {"status_urls": ["http://production.0"], "replicas": 2}],
    ids=["how many there are is not told", "fewer addresses than replicas"],
)
async def test_where_the_settings_do_not_tell_of_every_replica_nothing_is_proved(tenancy, told):
    settings, here = tenancy.wire.settings(), tenancy.chat.environment_id
    tenancy.wire.settings = lambda: settings | {here: settings[here] | told}
    machine = await tenancy.machine()
    ended = await machine.until(await tenancy.begun(machine), has_ended)

    assert (ended.state, ended.stop and ended.stop.kind) == (State.BLOCKED, StopKind.UNVERIFIED)
