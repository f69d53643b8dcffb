"""What a card and the check say of what real gateways count and show."""

from pathlib import Path

import pytest

from bot.rotation.evidence import Verdict
from sandbox.caller import Callers
from tests.gateway.staging import (
    SHORT,
    application,
    applications,
    cut_off_at_the_first_move,
    in_sync,
    is_offered,
    model_of,
    passthrough,
    real_stage,
    replica_of,
    requests_on_the_old_key,
    rotated,
    tried_again,
    unproved,
    verdicts,
)
from tests.support.process import ran


@pytest.mark.parametrize("addresses", ["own", "shared"])
async def test_the_check_tells_a_replicas_own_status_address_from_a_balancers(
    redis_url: str, tmp_path: Path, addresses: str
):
    told = None if addresses == "own" else 1
    async with real_stage(redis_url, tmp_path, status_addresses=addresses, status_urls_told=told) as stage:
        async with applications(stage):
            status, said = await ran(stage.environ, tmp_path, "check")

        assert status == (0 if addresses == "own" else 1), said
        assert ("balancer" in said) == (addresses == "shared"), said


async def test_callers_that_the_gateway_turns_away_are_no_failures_of_a_key(redis_url: str, tmp_path: Path):
    async with real_stage(redis_url, tmp_path) as stage:
        token = await stage.aisix.add_caller("production", "limited", limit=60)
        await in_sync(stage.aisix)
        limited = [application(stage, model_of(stage, alias), 10, token) for alias in ("chat-large", "chat-any")]
        others = applications(stage)
        async with stage.bot(), others, Callers(limited) as callers:
            await stage.aisix.until(lambda: callers.failed > 20, 60, "callers to be turned away")
            card, rotation = await rotated(stage)
            turned_away = callers.failures_by_type()

            assert unproved(rotation) == {}
            assert rotation.tally
            assert rotation.tally.failed == 0
            assert {status for status, _ in turned_away} == {429}
            assert others.failures_by_type() == {}
            await stage.says(card, "turned away")


async def test_a_status_address_that_is_a_balancers_is_named_and_not_blamed_on_the_old_key(
    redis_url: str, tmp_path: Path
):
    async with (
        real_stage(redis_url, tmp_path, status_addresses="shared", status_urls_told=1) as stage,
        stage.bot(),
        applications(stage) as callers,
    ):
        card, rotation = await rotated(stage)
        await stage.says(card, "balancer")

        assert Verdict.PROVED not in verdicts(rotation)
        assert "served it" not in f"{card.plain}\n{stage.thread(card)}"
        assert callers.failures_by_type() == {}


async def test_behind_a_status_address_of_a_balancers_one_stuck_replica_is_never_taken_for_moved(
    redis_url: str, tmp_path: Path, run: int
):
    async with real_stage(
        redis_url, tmp_path, overrides=SHORT, balancing="chance", status_addresses="shared", status_urls_told=1
    ) as stage:
        cut_off_at_the_first_move(stage, replica_of(stage, 1))
        async with stage.bot(), applications(stage) as callers:
            card, rotation = await rotated(stage)
            rotation = await tried_again(stage, card, rotation)

            assert await requests_on_the_old_key(stage, callers) > 0
            assert not is_offered(rotation)


async def test_a_route_that_was_left_behind_and_is_used_again_alarms_the_watch(redis_url: str, tmp_path: Path):
    async with real_stage(
        redis_url, tmp_path, overrides={"WATCH": "30", "LOOK_INTERVAL": "1"}, has_passthrough_routes=False
    ) as stage:
        route = await passthrough(stage)
        await in_sync(stage.aisix)
        async with stage.bot(), applications(stage):
            card, rotation = await rotated(stage)
            assert is_offered(rotation)
            await stage.press("Delete old key", card, who="U_APPROVER")
            await stage.thread_says(card, "Receipt")
            async with Callers([route]):
                await stage.recorded(lambda now: now.troubles, 60)
