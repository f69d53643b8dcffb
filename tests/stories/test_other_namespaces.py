"""Records of another namespace on one Redis: brought over by hand, or named and left alone.

That a bot finds nothing of another one is in tests/bot/test_store.py.
"""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.storage.namespace import BEFORE
from bot.storage.records import Store
from tests.bot.values import NOW, rotation
from tests.support.process import ran
from tests.support.stage import KEY, Stage

# --- AISIX Cloud gets another address ---


async def test_after_a_move_of_aisix_cloud_its_rotations_are_named_brought_over_by_hand_and_come_to_their_end(
    bare_stage: Stage, tmp_path: Path
) -> None:
    stage = bare_stage
    async with stage.bot():
        card = await stage.ask()
        await stage.give(card)
        await stage.says(card, "waiting for an approver")
        await stage.is_linked()
    old = stage.namespace.queue
    stage.overrides["AISIX_CLOUD_API"] = stage.aisix.api_url.replace("127.0.0.1", "localhost")
    await is_named(stage, tmp_path, old)
    async with stage.bot():
        await stage.slack.person("U_APPROVER").click("Delete old key", card)
        await stage.told("U_APPROVER", "Keyturn does not know this rotation any more.")

    status, said = await ran(stage.environ, tmp_path, "carry-over", old)
    assert (status, f"1 rotation carried over from {old} to {stage.namespace.queue}." in said) == (0, True), said

    new = stage.overrides.pop("AISIX_CLOUD_API")
    async with stage.bot():
        await stage.slack.person("U_APPROVER").click("Delete old key", card)
        await stage.told("U_APPROVER", "This rotation goes on in a Keyturn with another AISIX_CLOUD_API")
    assert stage.key_named(KEY).id in stage.aisix.provider_keys

    stage.overrides["AISIX_CLOUD_API"] = new
    async with stage.bot():
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.thread_says(card, "Receipt")
    status, said = await ran({"REDIS_URL": stage.redis_url}, tmp_path, "audit", "verify")
    assert (status, said.count("each chained to the one before")) == (0, 2), said


async def is_named(stage: Stage, folder: Path, old: str) -> None:
    status, said = await ran(stage.environ, folder, "check")
    assert status == 0, said
    assert f"`{old}` has 1 rotation of http://127.0.0.1:" in said
    assert f"If that is an earlier address of this AISIX Cloud: `python -m bot carry-over {old}`." in said
    status, said = await ran(stage.environ, folder, "doctor")
    assert status == 0, said
    assert f"Its record is under {old}: `python -m bot carry-over {old}` brings it here." in said


@pytest.mark.rest
async def test_what_cannot_be_brought_over_is_refused_with_a_sentence(bare_stage: Stage, tmp_path: Path) -> None:
    for name, sentence in (
        ("nonsense", "nonsense is no namespace: `python -m bot check` says what there is."),
        ("keyturn:T_OTHER-0a1b2c3d", "keyturn:T_OTHER-0a1b2c3d is of another workspace"),
        (bare_stage.namespace.queue, "is where this bot keeps its records already."),
    ):
        status, said = await ran(bare_stage.environ, tmp_path, "carry-over", name)

        assert (status, sentence in said) == (1, True), said


# --- what the version before left of two bots ---


@pytest.mark.rest
async def test_what_the_version_before_left_of_another_bot_is_named_by_the_check(
    bare_stage: Stage, redis_url: str, tmp_path: Path
) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        await Store(redis, BEFORE).save(
            rotation(id="rother2", team="T_HOME"), {"by": "", "what": "asked", "why": ""}, at=NOW
        )

    status, said = await ran(bare_stage.environ, tmp_path, "check")

    assert status == 0, said
    assert "1 rotation of the version before (rother2) cannot be: AISIX Cloud does not show its keys" in said
