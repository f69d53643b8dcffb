"""A worker may die between a move and its record: the lists of AISIX show what was moved, and they are believed."""

import pytest

from bot.rotation.labels import Label, label_of
from bot.rotation.progress import undone_from
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from sandbox.aisix import Switches
from tests.support.in_memory import NEW_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole


async def moved_unrecorded(tenancy: Tenancy, machine: Machine, step: str) -> Rotation:
    """Return the record after *step*, and move a model that it does not show as moved."""
    record = await machine.until(await tenancy.begun(machine), lambda r: step in r.done)
    tenancy.aisix.edit(tenancy.chat, key=tenancy.new, settled=True)
    return record


@pytest.mark.parametrize("reference", ["provider_key_id", "provider_key"])
async def test_a_model_that_is_on_the_new_key_already_gets_no_baseline(reference):
    switches = Switches(status_urls=True, cooldown=0.0, metric_labels="full", model_key_reference=reference)
    async with tenancy_of(switches) as tenancy:
        machine = await tenancy.machine()
        record = await moved_unrecorded(tenancy, machine, "replace")
        record = await machine.until(record, lambda r: "baseline" in r.done)
        asked = {id_ for id_, found in record.findings.items() if found.baseline}

    assert asked == {tenancy.staged.id}


async def test_a_move_is_noted_before_a_change_to_that_model_stops_it_and_a_refusal_there_is_no_excuse_for_itself():
    """The new account lacks the model that somebody has put behind the alias; on the old key nobody asked for it."""
    async with tenancy_of() as tenancy:
        tenancy.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o"})
        machine = await tenancy.machine(projection=5, verify=5)
        record = await moved_unrecorded(tenancy, machine, "rehearse")
        tenancy.aisix.edit(tenancy.chat, settled=True, model_name="gpt-5")
        stopped = await machine.ended(record)
        again = undone_from(stopped, stopped.stop.resume).but(throwaways=(), rehearsal=None, barriers=())
        ended = await machine.ended(again.unproved().to(State.RUNNING))

    assert stopped.stop.headline == "someone else changed AISIX"
    assert [model.id for model in stopped.moved] == [tenancy.chat.id]
    assert ended.state is State.BLOCKED
    assert ended.findings[tenancy.chat.id].baseline is None
    assert Label.AS_BEFORE not in map(label_of, ended.findings.values())


async def test_on_the_way_back_the_gateways_get_their_time_for_a_move_that_was_not_recorded():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine(settle=60)
        record = await moved_unrecorded(tenancy, machine, "rehearse")
        back = record.to(State.ROLLING_BACK).but(track=Track.BACK, done=())
        began = tenancy.clock.seconds
        ended = await machine.ended(back)

        assert ended.state is State.ROLLED_BACK
        assert tenancy.clock.seconds - began >= 60
        assert ended.findings[tenancy.chat.id].latest, "it is asked on the old key too"
