"""No light is green that proves nothing: what one sees on the card is held against what the provider saw."""

from pathlib import Path
from typing import Any

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.states import State
from sandbox.caller import Caller, Callers
from tests.gateway.staging import (
    SHORT,
    applications,
    cut_off_at_the_first_move,
    in_sync,
    is_offered,
    passthrough,
    real_stage,
    replica_of,
    requests_on_the_old_key,
    rotated,
    tried_again,
    unlisted,
    verdicts,
)
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
    async with real_stage(
        redis_url,
        tmp_path,
        environments=THREE,
        overrides=SHORT,
        balancing="chance",
        status_urls_told=2,
    ) as stage:
        cut_off_at_the_first_move(stage, replica_of(stage, 2))
        async with stage.bot(), applications(stage) as callers:
            card, rotation = await rotated(stage)
            rotation = await tried_again(stage, card, rotation)

            assert await requests_on_the_old_key(stage, callers) > 0
            assert not is_offered(rotation)
            assert stage.key_named(KEY)


@pytest.mark.parametrize("environments", [TWO, THREE], ids=["of two", "of three"])
async def test_without_status_addresses_one_stuck_replica_is_never_taken_for_moved(
    redis_url: str, tmp_path: Path, environments: dict[str, int], run: int
):
    async with real_stage(
        redis_url,
        tmp_path,
        environments=environments,
        overrides=SHORT,
        balancing="chance",
        status_urls=False,
    ) as stage:
        cut_off_at_the_first_move(stage, replica_of(stage, 0))
        async with stage.bot(), applications(stage) as callers:
            card, rotation = await rotated(stage)
            rotation = await tried_again(stage, card, rotation)

            assert await requests_on_the_old_key(stage, callers) > 0
            assert not is_offered(rotation)
            assert stage.key_named(KEY)


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
