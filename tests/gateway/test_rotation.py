"""A rotation between real gateways, from the command to the deleted key, and what it costs."""

from pathlib import Path
from time import monotonic

import pytest

from bot.rotation.states import State
from tests.conftest import Tried
from tests.gateway.staging import (
    applications,
    decided,
    in_sync,
    real_stage,
    requests_on_the_old_key,
    unproved,
)
from tests.support.stage import IN_WAVES, KEY, NEW_SECRET, WRONG_SECRET, submitted


async def test_a_whole_rotation_is_proved_and_no_request_fails(redis_url: str, tmp_path: Path):
    async with (
        real_stage(redis_url, tmp_path, overrides=IN_WAVES) as stage,
        stage.bot(),
        applications(stage) as callers,
    ):
        old = stage.key_named(KEY)
        card = await stage.ask()
        await stage.give(card)
        rotation = await decided(stage)

        assert unproved(rotation) == {}
        assert await requests_on_the_old_key(stage, callers) == 0
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.thread_says(card, "Receipt")
        await requests_on_the_old_key(stage, callers)

    assert old.id not in stage.aisix.provider_keys
    assert callers.failures_by_type() == {}


@pytest.mark.parametrize("models", [3, 100])
async def test_the_time_from_the_secret_to_the_approval(redis_url: str, tmp_path: Path, tried: Tried, models: int):
    async with real_stage(redis_url, tmp_path, overrides=IN_WAVES) as stage:
        for number in range(models - 3):
            stage.aisix.add_model(("production", "staging")[number % 2], f"team-{number:03d}", key=stage.key_named(KEY))
        await in_sync(stage.aisix)
        async with stage.bot(), applications(stage, 60 / models) as callers:
            card = await stage.ask()
            await stage.press("Enter new secret", card)
            person = stage.slack.person("U_REQUESTER")
            await stage.slack.until(lambda: person.modal, what="the form")
            began = monotonic()
            await submitted(person, {"secret": NEW_SECRET})
            rotation = await decided(stage)
            took = monotonic() - began

            assert unproved(rotation) == {}
            assert await requests_on_the_old_key(stage, callers) == 0
        tried(f"from the secret to the approval, {models} models", milliseconds=round(1000 * took))
        assert callers.failures_by_type() == {}


async def test_a_wrong_secret_is_refused_in_the_rehearsal_and_no_request_fails(redis_url: str, tmp_path: Path):
    async with real_stage(redis_url, tmp_path) as stage, stage.bot(), applications(stage) as callers:
        card = await stage.ask()
        await stage.give(card, WRONG_SECRET)
        rotation = await decided(stage)

        assert rotation.state is State.BLOCKED
        await stage.slack.until(lambda: "Another secret" in card.buttons, what="the card to ask for another secret")
        assert not [call for call in stage.aisix.calls if call.method == "PATCH" and "/models/" in call.path]
        assert callers.failures_by_type() == {}


async def test_a_rotation_is_rolled_back_and_no_request_fails(redis_url: str, tmp_path: Path):
    async with real_stage(redis_url, tmp_path) as stage, stage.bot(), applications(stage) as callers:
        old = stage.key_named(KEY)
        card = await stage.ask()
        await stage.give(card)
        await decided(stage)
        await stage.press("Roll back", card)
        await stage.recorded(lambda rotation: rotation.state is State.ROLLED_BACK, 60)

        assert stage.keys_in_use() <= {old.id, stage.key_named("Other key").id}
        assert await requests_on_the_old_key(stage, callers) > 0
        assert NEW_SECRET not in {call.secret for call in stage.aisix.upstream.calls[-20:]}
    assert callers.failures_by_type() == {}
