"""The rehearsal: what it finds stops the rotation before any model that callers use is moved."""

import pytest

from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, tenancy_of

pytestmark = pytest.mark.whole


def has_ended(record: Rotation) -> bool:
    return record.state in (State.BLOCKED, State.AWAITING_APPROVAL)


async def test_a_secret_that_is_refused_everywhere_stops_the_rotation_even_if_the_old_one_was_refused_alike():
    async with tenancy_of() as tenancy:
        for secret in (OLD_SECRET, NEW_SECRET):
            tenancy.aisix.upstream.refuse(secret, 403)
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), has_ended)

    assert record.stop.headline == "the new secret was refused"


async def test_one_refusal_ends_the_rehearsal_while_another_environment_gives_no_clear_answer():
    async with tenancy_of() as tenancy:
        tenancy.aisix.upstream.refuse(NEW_SECRET)
        tenancy.aisix.environment("staging").callers[tenancy.aisix.caller_key("staging")].limit = 0
        machine = await tenancy.machine()
        began = tenancy.clock.now()
        record = await machine.until(await tenancy.begun(machine), has_ended)

    assert record.stop.headline == "the new secret was refused"
    assert (tenancy.clock.now() - began).total_seconds() < machine.world.limits.verify.total_seconds()
