"""No light is green that proves nothing: what one sees on the card is held against what the provider saw."""

from pathlib import Path
from typing import Any

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.states import State
from sandbox.caller import Caller, Callers
from tests.gateway.staging import (
    SHORT,
    application,
    applications,
    cut_off_at_the_first_move,
    in_sync,
    is_never_taken_for_moved,
    is_offered,
    model_of,
    passthrough,
    real_stage,
    replica_of,
    requests_on_the_old_key,
    rotated,
    tried_again,
    unlisted,
    unproved,
    verdicts,
)
from tests.support.process import ran
from tests.support.stage import KEY, OLD_SECRET

TWO, THREE = {"production": 2, "staging": 1}, {"production": 3, "staging": 1}

SOME = 20
"""Requests of applications, where each of them is on the old key."""

GHOST = "ghost"
"""A model on the old key that the gateways know, and no list of the control plane shows."""


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


async def test_a_replica_that_stands_still_is_not_taken_for_moved_until_it_goes_on(redis_url: str, tmp_path: Path):
    overrides = {"PROJECTION_TIMEOUT": "6", "PROBE_TIMEOUT": "2"}
    async with real_stage(redis_url, tmp_path, overrides=overrides) as stage, stage.bot():
        lost = replica_of(stage, 1)
        cut_off_at_the_first_move(stage, lost, "frozen")
        card, rotation = await rotated(stage)

        assert rotation.state is State.BLOCKED
        lost.fall_ill("well")
        await in_sync(stage.aisix)
        assert is_offered(await tried_again(stage, card, rotation))
        async with applications(stage) as callers:
            assert await requests_on_the_old_key(stage, callers) == 0
        assert callers.failures_by_type() == {}


async def test_a_replica_that_no_status_address_names_and_that_is_cut_off_is_never_taken_for_proved(
    redis_url: str, tmp_path: Path, run: int
):
    told = {"environments": THREE, "overrides": SHORT, "balancing": "chance", "status_urls_told": 2}
    async with real_stage(redis_url, tmp_path, **told) as stage:
        await is_never_taken_for_moved(stage, replica_of(stage, 2))


@pytest.mark.parametrize("environments", [TWO, THREE], ids=["of two", "of three"])
async def test_without_status_addresses_one_stuck_replica_is_never_taken_for_moved(
    redis_url: str, tmp_path: Path, environments: dict[str, int], run: int
):
    told = {"environments": environments, "overrides": SHORT, "balancing": "chance", "status_urls": False}
    async with real_stage(redis_url, tmp_path, **told) as stage:
        await is_never_taken_for_moved(stage, replica_of(stage, 0))


async def test_behind_a_status_address_of_a_balancers_one_stuck_replica_is_never_taken_for_moved(
    redis_url: str, tmp_path: Path, run: int
):
    told = {"overrides": SHORT, "balancing": "chance", "status_addresses": "shared", "status_urls_told": 1}
    async with real_stage(redis_url, tmp_path, **told) as stage:
        await is_never_taken_for_moved(stage, replica_of(stage, 1))


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


async def test_a_route_on_the_old_key_that_no_list_shows_keeps_the_delete_away(redis_url: str, tmp_path: Path):
    async with real_stage(redis_url, tmp_path, overrides=SHORT, has_passthrough_routes=False) as stage:
        route = await passthrough(stage)
        await in_sync(stage.aisix)
        async with stage.bot(), Callers([route]) as callers:
            _, rotation = await rotated(stage)

            assert await requests_on_the_old_key(stage, callers, SOME) > 0
            assert not is_offered(rotation)
        assert callers.failures_by_type() == {}


def behind(kind: str) -> dict[str, Any]:
    """Return the block of a model that asks the ghost, and gives somebody else's answer."""
    other = {"model": "unrelated"}
    if kind == "routing":
        targets = [{"model": GHOST}, other]
        return {"routing": {"strategy": "failover", "targets": targets, "fallback_on_statuses": [404]}}
    return {"ensemble": {"panel": [{"model": GHOST}, other], "judge": other, "min_responses": 1}}


@pytest.mark.parametrize("kind", ["routing", "ensemble"])
async def test_an_attempt_on_the_old_key_behind_another_models_answer_keeps_the_delete_away(
    redis_url: str, tmp_path: Path, kind: str
):
    async with real_stage(redis_url, tmp_path, overrides=SHORT) as stage:
        key = stage.key_named(KEY)
        ghost = {"display_name": GHOST, "provider": "openai", "model_name": "gone", "provider_key_id": key.id}
        unlisted(stage, "models", ghost)
        unlisted(stage, "models", {"display_name": "front", **behind(kind)})
        if kind == "routing":
            stage.aisix.upstream.models_for(OLD_SECRET, {"gpt-4o", "text-embedding-3-small"})
        await in_sync(stage.aisix)
        front = Caller(stage.aisix.gateway_url("production"), stage.aisix.app_caller_key("production"), "front", 5)
        async with stage.bot(), Callers([front]) as callers:
            _, rotation = await rotated(stage)

            assert await requests_on_the_old_key(stage, callers, SOME) > 0
            assert not is_offered(rotation)
        assert callers.failures_by_type() == {}


# --- what a card and the check say ---


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
