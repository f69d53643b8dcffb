"""No light is green that proves nothing: what one sees on the card is held against what the provider saw."""

from pathlib import Path

import pytest

from bot.evidence import Verdict
from bot.rotation import Rotation, State
from sandbox.gateways import RealReplica
from sandbox.slack import Message
from tests.gateway.staging import (
    applications,
    decided,
    in_sync,
    is_offered,
    real_stage,
    replica_of,
    requests_on_the_old_key,
    verdicts,
)
from tests.support.stage import Stage

TWO, THREE = {"production": 2, "staging": 1}, {"production": 3, "staging": 1}
TRIES = 3
"""How often somebody presses **Try again** who is told to look at a replica, and sees that callers are well."""


def cut_off_at_the_first_move(stage: Stage, replica: RealReplica, how: str = "closed") -> None:
    """Have *replica* lose its etcd when the first model is moved, after the rehearsal."""
    where = f"environments/{replica.environment.id}/models/"
    stage.aisix.faults.before("PATCH", where, lambda: replica.fall_ill(how))


async def rotated(stage: Stage) -> tuple[Message, Rotation]:
    """Ask for a rotation, give the secret, and wait until the bot asks somebody for something."""
    card = await stage.ask()
    await stage.give(card)
    return card, await decided(stage)


async def tried_again(stage: Stage, card: Message, rotation: Rotation) -> Rotation:
    """Press **Try again** as long as the card has it, a few times."""
    for _ in range(TRIES):
        if is_offered(rotation):
            break
        await stage.press("Try again", card)
        await stage.recorded(lambda now: now.state is not State.BLOCKED)
        rotation = await decided(stage)
    return rotation


@pytest.mark.parametrize("how", ["closed", "silent"])
async def test_a_replica_that_loses_its_etcd_midway_stops_the_rotation_until_it_is_back(
    redis_url: str, tmp_path: Path, how: str
):
    async with real_stage(redis_url, tmp_path, overrides={"PROJECTION_TIMEOUT": "6"}) as stage, stage.bot():
        lost = replica_of(stage, 1)
        cut_off_at_the_first_move(stage, lost, how)
        async with applications(stage) as callers:
            card, rotation = await rotated(stage)

            assert rotation.state is State.BLOCKED
            assert await requests_on_the_old_key(stage, callers) > 0
            lost.fall_ill("well")
            await in_sync(stage.aisix)
            assert is_offered(await tried_again(stage, card, rotation))
            assert await requests_on_the_old_key(stage, callers) == 0
        assert callers.failures_by_type() == {}


async def test_without_status_addresses_all_is_likely_where_every_replica_has_the_change(
    redis_url: str, tmp_path: Path
):
    async with (
        real_stage(redis_url, tmp_path, balancing="chance", status_urls=False) as stage,
        stage.bot(),
        applications(stage) as callers,
    ):
        _, rotation = await rotated(stage)

        assert is_offered(rotation)
        assert verdicts(rotation) == {Verdict.LIKELY}
        assert await requests_on_the_old_key(stage, callers) == 0
