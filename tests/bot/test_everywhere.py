"""When a change is taken to be everywhere: which replicas have answered, and how often that was asked."""

from collections.abc import Callable

import pytest

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.steps.counters import turns
from sandbox.aisix import Switches
from tests.support.in_memory import Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

MANY = 20
"""Replicas that nobody has listed: so many that a few test requests meet one."""


async def until_barriers(tenancy: Tenancy) -> tuple[Machine, Rotation]:
    """Return a machine, and a rotation whose barriers have their names and are not made yet."""
    machine = await tenancy.machine()
    return machine, await machine.until(await tenancy.begun(machine), lambda r: r.barriers)


async def test_a_barrier_is_asked_often_enough_to_meet_one_replica_more_than_listed(tenancy):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: "project" in r.done)
    barrier = record.barrier(tenancy.chat.environment_id)

    assert barrier.finding.passes >= turns(2 + 1, 3, attempt=1)


async def test_a_bad_answer_ends_a_run_of_good_ones():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        machine = await tenancy.machine(projection=5)
        record = await machine.until(await tenancy.begun(machine), lambda r: "rehearse" in r.done)
        tenancy.aisix.replicas("production")[0].silent = True
        ended = await machine.ended(record)

    assert ended.stop
    assert (ended.stop.step, ended.stop.kind) == ("project", StopKind.PROJECTION)


@pytest.mark.parametrize(
    ("after", "replicas", "lacks", "step", "says"),
    [
        ("rehearse", 1, True, "project", "it is not synced, and every listed replica is"),
        ("rehearse", 1, False, "project", ""),
        ("project", MANY, False, "verify", ""),
    ],
    ids=["lacks the change", "answers for the barrier", "answers in the verification"],
)
async def test_an_unlisted_replica_stops_the_rotation(tenancy, after, replicas, lacks, step, says):
    machine = await tenancy.machine()
    record = await machine.until(await tenancy.begun(machine), lambda r: after in r.done)
    for _ in range(replicas):
        tenancy.aisix.place_replica("production").silent = lacks
    stop = (await machine.ended(record)).stop

    assert (stop.step, stop.headline) == (step, "a replica is not in the settings")
    assert says in stop.sentence


async def test_a_barrier_is_made_with_the_cut_over_after_the_last_model_of_the_wave(tenancy):
    machine, record = await until_barriers(tenancy)
    tenancy.happened.clear()
    record = await machine.until(record, lambda r: "cut-over" in r.done)

    made = [what.split()[0] for what in tenancy.happened if what.startswith(("POST", "PATCH"))]
    assert made == ["PATCH", "POST"]
    assert all(barrier.created for barrier in record.barriers)


@pytest.mark.parametrize("when", ["listed", "not listed yet", "before somebody moved the model"])
async def test_a_barrier_that_a_crash_left_behind_is_not_taken_for_one_made_after_the_change(tenancy, when):
    machine, record = await until_barriers(tenancy)
    old = record.barrier(tenancy.chat.environment_id)

    def made_before() -> None:
        tenancy.aisix.add_model("production", old.name, key=tenancy.new)

    at_the_next_post(tenancy, made_before) if when == "not listed yet" else made_before()
    if when == "before somebody moved the model":
        tenancy.aisix.edit(tenancy.chat, key=tenancy.new)
    record = await machine.until(record, lambda r: "project" in r.done)

    assert record.barrier(tenancy.chat.environment_id).name != old.name


def at_the_next_post(tenancy: Tenancy, act: Callable[[], object]) -> None:
    """Do something right before the next object is created."""
    usual = tenancy.before

    async def act_once(asked: str) -> None:
        if asked.startswith("POST"):
            tenancy.before = usual
            act()

    tenancy.before = act_once


@pytest.mark.parametrize(
    "happen",
    [
        lambda tenancy: tenancy.aisix.edit(tenancy.chat, key=tenancy.old),
        lambda tenancy: tenancy.aisix.remove(tenancy.new),
    ],
    ids=["the model goes back", "the key goes"],
)
async def test_a_barrier_beside_which_the_models_are_not_read_back_is_made_again(tenancy, happen):
    machine, record = await until_barriers(tenancy)
    old = record.barrier(tenancy.chat.environment_id)

    async def move(request, carry):
        answer = await carry(request)
        if request.method == "PATCH":
            happen(tenancy)
        return answer

    tenancy.intercept(move)
    record = await machine.notch(record)

    assert "cut-over" not in record.done
    assert old.name not in {barrier.name for barrier in record.barriers}


async def test_a_barrier_that_is_refused_twice_is_said_to_be_impossible(tenancy):
    machine, record = await until_barriers(tenancy)
    tenancy.aisix.switches.model_create = False
    record = await machine.until(record, lambda r: r.no_throwaways)

    assert record.no_throwaways.startswith("AISIX refuses to create models")
    assert record.barriers == ()


@pytest.mark.parametrize(
    "told",
    [{"status_urls": [], "replicas": 0}, {"status_urls": ["http://production.0"], "replicas": 2}],
    ids=["how many there are is not told", "fewer addresses than replicas"],
)
async def test_where_the_settings_do_not_tell_of_every_replica_nothing_is_proved(tenancy, told):
    settings, here = tenancy.wire.settings(), tenancy.chat.environment_id
    tenancy.wire.settings = lambda: settings | {here: settings[here] | told}
    machine = await tenancy.machine(projection=5, verify=5)
    ended = await machine.ended(await tenancy.begun(machine))

    assert (ended.state, ended.stop and ended.stop.kind) == (State.BLOCKED, StopKind.UNVERIFIED)
