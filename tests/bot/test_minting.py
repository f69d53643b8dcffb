"""A secret that its provider makes: whatever breaks on the way, no credential is left there that nothing needs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.rotation.credentials import Ability
from bot.rotation.minting import minted, unwanted
from bot.rotation.plan import make_plan
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.bot.values import rotation
from tests.support.in_memory import KEY, Machine, Tenancy, tenancy_of

NAME = f"{KEY} (rabc123)"


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of(of_its_own=True) as made:
        made.account.abilities = frozenset(Ability)
        yield made


async def begun(tenancy: Tenancy, machine: Machine, **fields: Any) -> Rotation:
    """Return a rotation whose requester has just pressed **Create it for me**."""
    inventory = await machine.world.control_plane.inventory()
    old = inventory.key(tenancy.old.id)
    assert old is not None
    plan = make_plan(inventory, old, machine.world.gateways.environments)
    abilities = tuple(sorted(Ability))
    record = rotation(State.RUNNING, plan=plan, account="openai", abilities=abilities, names=(NAME,), **fields)
    return minted(record, NAME, machine.world.now())


def ours(tenancy: Tenancy) -> list[str]:
    """Name what works at the provider and was made for the rotation."""
    return [row.name for row in tenancy.account.active if row.name.startswith("keyturn-")]


async def test_the_provider_makes_the_secret_and_the_whole_rotation_goes_on_with_it(tenancy):
    machine = await tenancy.machine()
    asked = await machine.until(await begun(tenancy, machine), lambda r: r.state is State.AWAITING_APPROVAL)

    assert ours(tenancy) == ["keyturn-rabc123-1"]
    assert asked.replacement.row.id == asked.mints[0].row.id
    assert asked.mints[0].key_id == asked.replacement_id
    assert machine.world.pocket == {}
    assert "CANARY" not in asked.model_dump_json()
    assert unwanted(asked) == ()
    ended = await machine.until(tenancy.approved(asked), lambda r: r.state is State.COMPLETED)
    assert ours(tenancy) == ["keyturn-rabc123-1"], ended.mints
    assert tenancy.account.calls.count("mint keyturn-rabc123-1") == 1
