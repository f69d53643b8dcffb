"""A rotation whose record is lost is taken back from what AISIX shows, and no key goes that something needs."""

import pytest

from bot.recovery.adoption import taken_back
from bot.recovery.orphans import rotations_seen
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.support.in_memory import KEY, Machine, Tenancy

pytestmark = pytest.mark.whole

TAG = "rabc234"


async def lost(tenancy: Tenancy, machine: Machine) -> Rotation:
    """Have both models moved, and nothing known of it; return the record that the doctor makes."""
    await machine.until(await tenancy.begun(machine), lambda r: "cut-over" in r.done)
    tenancy.aisix.edit(tenancy.new, display_name=f"{KEY} (2026-11-23 {TAG})")
    inventory = await machine.world.control_plane.inventory()
    [orphan] = rotations_seen(inventory)
    return taken_back(orphan, inventory, machine.world.gateways.environments, machine.world.now())


async def ended(machine: Machine, record: Rotation) -> Rotation:
    return await machine.until(record, lambda r: not r.waits_for_bot)


def on(tenancy: Tenancy) -> list[str]:
    return [model.provider_key_id for model in (tenancy.chat, tenancy.staged)]


async def test_what_people_made_by_hand_is_left_alone(tenancy):
    machine = await tenancy.machine()
    record = await lost(tenancy, machine)
    other = tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    named_alike = tenancy.aisix.add_model("production", f"keyturn-{TAG}-99", key=other)
    ours = tenancy.aisix.add_model("production", f"keyturn-{TAG}-97", key=tenancy.new)
    last = await ended(machine, record)

    assert (last.state, on(tenancy)) == (State.ROLLED_BACK, [tenancy.old.id] * 2)
    assert tenancy.new.id not in tenancy.aisix.provider_keys
    assert (named_alike.id in tenancy.aisix.models, ours.id in tenancy.aisix.models) == (True, False)


async def test_a_replacement_that_something_refers_to_stays(tenancy):
    machine = await tenancy.machine()
    record = await lost(tenancy, machine)
    tenancy.aisix.add_passthrough("production", "raw", key=tenancy.new)
    last = await ended(machine, record)

    assert "passthrough route `raw` in production uses it" in str(last.left_alone)
    assert not [asked for asked in tenancy.happened if asked.startswith("DELETE /provider_keys/")]
