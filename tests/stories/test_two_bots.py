"""Two bots on one Redis: neither shows, moves, approves or ends what is the other's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.rotation.states import State
from bot.storage.namespace import BEFORE
from bot.storage.records import Store
from sandbox.slack import Message
from sandbox.slack.methods import basics
from tests.bot.values import NOW, rotation
from tests.support.process import ran
from tests.support.stage import KEY, Stage, stage_of
from tests.support.stored import READ, TRANSIENT

OTHER = "T_OTHER"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def stages(redis_url: str) -> AsyncIterator[tuple[Stage, Stage]]:
    """Production and staging: one workspace, two control planes, one Redis."""
    async with stage_of(redis_url) as production, stage_of(redis_url) as staging:
        assert production.namespace.name != staging.namespace.name
        assert production.namespace.team == staging.namespace.team
        yield production, staging


async def waiting(stage: Stage) -> Message:
    card = await stage.ask()
    await stage.give(card)
    return await stage.says(card, "waiting for an approver")


async def deleted(stage: Stage, card: Message) -> None:
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")
    await stage.thread_says(card, "Receipt")


async def kept(redis: Any, stage: Stage) -> dict[str, Any]:
    """Return all that is kept in a bot's namespace, but for leases and other things of the moment."""
    names = [name async for name in redis.scan_iter(stage.namespace.key("*"))]
    moment = tuple(stage.namespace.key(kind, "") for kind in TRANSIENT)
    return {name: await READ[await redis.type(name)](redis, name) for name in names if not name.startswith(moment)}


async def test_two_bots_rotate_a_key_of_the_same_name_beside_each_other(
    stages: tuple[Stage, Stage], tmp_path: Path
) -> None:
    production, staging = stages
    async with production.bot(), staging.bot():
        cards = [await waiting(stage) for stage in stages]
        ids = [(await stage.record()).id for stage in stages]

        for stage, own, other in zip(stages, ids, reversed(ids), strict=True):
            assert stage.built
            assert [one.id for one in await stage.built.store.under_way()] == [own]
            assert await stage.built.store.load(other) is None
            assert [message.plain for message in stage.slack.messages("C_OPS") if other in str(message.blocks)] == []
        for stage, card in zip(stages, cards, strict=True):
            await deleted(stage, card)
            person = stage.slack.person("U_REQUESTER")
            await person.command("history")
            said = await stage.told("U_REQUESTER", "The last rotations:")
            assert said.count(KEY) == 1

    status, said = await ran({"REDIS_URL": production.redis_url}, tmp_path, "audit", "verify")
    assert status == 0, said
    assert sorted(line.split(":")[1].split()[0] for line in said.splitlines()) == sorted(
        stage.namespace.name for stage in stages
    )


# --- two workspaces ---


async def test_the_bot_of_another_workspace_on_the_same_control_plane_leaves_a_rotation_alone(
    bare_stage: Stage, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bare_stage.bot():
        await bare_stage.ask()
        await bare_stage.is_linked()
        asked = await bare_stage.record()
    before = await kept(redis, bare_stage)
    monkeypatch.setattr(basics, "HOME", OTHER)
    bare_stage.overrides["SECRET_EXPIRY"] = "1"

    async with bare_stage.bot() as other:
        own = rotation(id="rother2", team=OTHER).but(requested_at=asked.requested_at - timedelta(days=1))
        await other.store.save(own, {"by": "U_REQUESTER", "what": "asked", "why": ""}, at=NOW)
        await bare_stage.recorded(lambda record: record.id == own.id and record.state is State.CANCELLED)
        assert other.store.namespace.team == OTHER
        assert await other.store.load(asked.id) is None

    assert await kept(redis, bare_stage) == before


# --- AISIX Cloud gets another address ---


@pytest.fixture
async def moved(bare_stage: Stage) -> tuple[Stage, Message, str]:
    """A rotation that waits for its approval while AISIX Cloud gets another address; and the namespace of the old."""
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        await bare_stage.is_linked()
    old = bare_stage.namespace.queue
    bare_stage.overrides["AISIX_CLOUD_API"] = bare_stage.aisix.api_url.replace("127.0.0.1", "localhost")
    assert bare_stage.namespace.queue != old
    return bare_stage, card, old


async def test_after_a_move_of_aisix_cloud_its_rotations_are_named_brought_over_by_hand_and_come_to_their_end(
    moved: tuple[Stage, Message, str], tmp_path: Path
) -> None:
    stage, card, old = moved
    status, said = await ran(stage.environ, tmp_path, "check")
    assert status == 0, said
    assert f"`{old}` has 1 rotation of http://127.0.0.1:" in said
    assert f"If that is an earlier address of this AISIX Cloud: `python -m bot carry-over {old}`." in said
    async with stage.bot():
        await stage.slack.person("U_APPROVER").click("Delete old key", card)
        await stage.told("U_APPROVER", "I do not know this rotation any more.")
    status, said = await ran(stage.environ, tmp_path, "doctor")
    assert status == 0, said
    assert f"Its record is under {old}: `python -m bot carry-over {old}` brings it here." in said

    status, said = await ran(stage.environ, tmp_path, "carry-over", old)
    assert (status, f"1 rotation carried over from {old} to {stage.namespace.queue}." in said) == (0, True), said

    new = stage.overrides.pop("AISIX_CLOUD_API")
    async with stage.bot():
        await stage.slack.person("U_APPROVER").click("Delete old key", card)
        await stage.told("U_APPROVER", "This rotation goes on in a Keyturn with another AISIX_CLOUD_API")
    assert stage.key_named(KEY).id in stage.aisix.provider_keys

    stage.overrides["AISIX_CLOUD_API"] = new
    async with stage.bot():
        await deleted(stage, card)
    status, said = await ran({"REDIS_URL": stage.redis_url}, tmp_path, "audit", "verify")
    assert (status, said.count("each chained to the one before")) == (0, 2), said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nonsense", "nonsense is no namespace: `python -m bot check` says what there is."),
        ("keyturn:T_OTHER-0a1b2c3d", "keyturn:T_OTHER-0a1b2c3d is of another workspace"),
        ("own", "is where this bot keeps its records already."),
    ],
)
async def test_what_cannot_be_brought_over_is_refused_with_a_sentence(
    bare_stage: Stage, tmp_path: Path, name: str, sentence: str
) -> None:
    asked = bare_stage.namespace.queue if name == "own" else name

    status, said = await ran(bare_stage.environ, tmp_path, "carry-over", asked)

    assert (status, sentence in said) == (1, True), said


# --- what the version before left of two bots ---


async def test_what_the_version_before_left_of_another_bot_is_named_by_the_check_and_never_touched(
    bare_stage: Stage, redis: Any, tmp_path: Path
) -> None:
    async with stage_of(bare_stage.redis_url) as other:
        async with bare_stage.bot(), other.bot():
            cards = [await bare_stage.ask(), await other.ask()]
            await bare_stage.is_linked()
            await other.is_linked()
            records = [await bare_stage.record(), await other.record()]
        for stage, record in zip((bare_stage, other), records, strict=True):
            await as_before(redis, stage, record.id)
    theirs = records[1].id
    left = await redis.get(BEFORE.key("rotation", theirs))

    status, said = await ran(bare_stage.environ, tmp_path, "check")
    assert status == 0, said
    assert "1 rotation of the version before will be carried over at the start." in said
    assert f"1 rotation of the version before ({theirs}) cannot be: AISIX Cloud does not show its keys" in said

    async with bare_stage.bot():
        await bare_stage.slack.person("U_REQUESTER").command("status")
        assert (await bare_stage.told("U_REQUESTER", "Under way:")).count(KEY) == 1
        await bare_stage.press("Cancel", cards[0])
        await bare_stage.says(cards[0], "cancelled")

    assert await redis.get(BEFORE.key("rotation", theirs)) == left
    assert await redis.smembers(BEFORE.key("open")) == {theirs}
    status, said = await ran({"REDIS_URL": bare_stage.redis_url}, tmp_path, "audit", "verify")
    assert status == 0, said


async def as_before(redis: Any, stage: Stage, rotation_id: str) -> None:
    """Have a rotation kept as the version before did, by every bot under the same names."""
    store = Store(redis, stage.namespace)
    record = await store.load(rotation_id)
    assert record is not None
    before = Store(redis, BEFORE)
    await before.save(record.but(version=0), {"by": "U_REQUESTER", "what": "asked", "why": ""}, at=NOW)
    await before.remember_message(rotation_id, await store.messages(rotation_id) | {"version": "1"})
    await redis.delete(*[name async for name in redis.scan_iter(stage.namespace.key("*"))])
