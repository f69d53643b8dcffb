"""Redis is lost altogether in the middle of a rotation: the doctor finds it in AISIX, and brings it to an end."""

import json
from pathlib import Path
from typing import NamedTuple
from unittest.mock import AsyncMock

import pytest
from click.testing import CliRunner
from redis import Redis

from bot import cli
from bot.recovery.doctor import Orders
from bot.rotation import audit
from bot.rotation.states import State
from bot.settings import read_settings
from tests.support.process import BotProcess, bot_process, ran
from tests.support.stage import KEY, Environment, Stage


class Moment(NamedTuple):
    """When the bot is killed: at a call of this kind, which has its effect; and what the doctor then calls it."""

    method: str
    part: str
    number: int
    says: str
    callers: str


MOMENTS = {
    "the first model is moved": Moment("PATCH", "/models/", 1, "split over two keys", "one key or the other"),
    "rehearsed": Moment("POST", "/models", 2, "and no model is on it", "as if nothing had begun"),
    "all are moved": Moment("PATCH", "/models/", 3, "every model of", "all are served with the replacement"),
}  # fmt: skip


@pytest.fixture
def broken(bare_stage: Stage) -> Stage:
    """A stage whose models are moved one at a time."""
    bare_stage.overrides |= {"CONTROL_PLANE_CONCURRENCY": "1", "SWEEP_INTERVAL": "1"}
    return bare_stage


async def broken_off(stage: Stage, folder: Path, moment: Moment) -> None:
    """Have a rotation broken off for good: the bot is killed, and Redis is emptied."""
    async with bot_process(stage.environ, folder) as bot:
        card = await stage.ask()
        kill_at(stage, bot, moment)
        await stage.give(card)
        await bot.ended(30)
    stage.aisix.faults.clear()
    with Redis.from_url(stage.redis_url) as redis:
        redis.flushall()


def kill_at(stage: Stage, bot: BotProcess, moment: Moment) -> None:
    seen: list[int] = []

    def count() -> None:
        seen.append(1)
        if len(seen) == moment.number:
            bot.kill()

    stage.aisix.faults.before(moment.method, moment.part, count, times=None)


class Said(NamedTuple):
    well: bool
    text: str


async def doctor(stage: Stage, capsys: pytest.CaptureFixture[str], **orders: object) -> Said:
    """`python -m bot doctor`, in this process."""
    with Environment(stage.environ):
        settings = read_settings(None)
    capsys.readouterr()
    well = await cli.attended(settings, Orders(yes=True, **orders))  # type: ignore[arg-type]
    return Said(well, capsys.readouterr().out)


WHO = {"channel": "C_OPS", "requester": "U_REQUESTER"}


def rotation_in(text: str) -> str:
    return text.partition("HALF   ")[2].partition(":")[0]


def own_models(stage: Stage) -> dict[str, str | None]:
    """Alias and key of the models that people made."""
    return {m.id: m.provider_key_id for m in stage.aisix.models.values() if not m.display_name.startswith("keyturn-")}


def throwaways(stage: Stage) -> list[str]:
    return [m.display_name for m in stage.aisix.models.values() if m.display_name.startswith("keyturn-")]


def changes(stage: Stage) -> int:
    return sum(call.method != "GET" for call in stage.aisix.calls)


@pytest.mark.parametrize("name", MOMENTS)
async def test_what_is_half_done_is_found_and_taken_back_once_its_id_is_typed(
    broken: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before, keys = own_models(broken), set(broken.aisix.provider_keys)
    await broken_off(broken, tmp_path, MOMENTS[name])
    so_far = changes(broken)

    found = await doctor(broken, capsys)
    assert not found.well
    assert MOMENTS[name].says in found.text
    assert MOMENTS[name].callers in found.text
    id_ = rotation_in(found.text)
    assert id_ in broken.key_named("(20").display_name
    status, said = await ran(broken.environ, tmp_path, "doctor", "--json")
    (told,) = json.loads(said)["findings"]
    assert (status, told["level"], told["about"], MOMENTS[name].says in told["said"]) == (1, "half", id_, True)
    status, said = await ran(broken.environ, tmp_path, "doctor", id_, "--clean", stdin="no\n")
    assert (status, "nothing was done" in said, changes(broken)) == (1, True, so_far), said

    status, said = await ran(broken.environ, tmp_path, "doctor", id_, "--clean", stdin=f"{id_}\n")

    assert status == 0, said
    assert said.rstrip().endswith("No provider key and no model is left over from a rotation.")
    assert own_models(broken) == before
    assert throwaways(broken) == []
    assert set(broken.aisix.provider_keys) == keys, "the old key stays, the replacement is gone"
    with Redis.from_url(broken.redis_url, decode_responses=True) as redis:
        trail = redis.lrange(broken.namespace.key("audit"), 0, -1)
    assert [entry for entry in audit.verified(trail) if entry["what"] == f"took it back: {id_}"]
    assert "There is nothing to do." in (await doctor(broken, capsys, clean=True)).text


SPLIT = MOMENTS["the first model is moved"]


async def test_what_is_half_done_is_brought_forward_for_a_requester_who_may_ask_in_a_channel_that_sees_it(
    broken: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = broken.key_named(KEY)
    await broken_off(broken, tmp_path, SPLIT)
    for orders, sentence in (
        ({"channel": "C_OPS"}, "--adopt needs --channel"),
        ({"channel": "C_OPS", "requester": "U_GUEST"}, "U_GUEST cannot be its requester: Guests cannot use Keyturn."),
        ({"channel": "C_NOWHERE", "requester": "U_REQUESTER"}, "Keyturn is not in this channel"),
    ):
        refused = await doctor(broken, capsys, adopt=True, **orders)
        assert (refused.well, sentence in refused.text) == (False, True), refused.text
    with Redis.from_url(broken.redis_url) as redis:
        assert redis.keys(broken.namespace.key("rotation", "*")) == []
    broken.slack.calls.clear()

    adopted = await doctor(broken, capsys, adopt=True, **WHO)
    assert adopted.well, adopted.text
    assert "The record of a rotation of" in broken.slack.messages("C_OPS")[-1].plain
    async with broken.bot():
        await broken.slack.until(lambda: "rebuilt" in broken.slack.messages("C_OPS")[-1].plain, what="a card")
        card = broken.slack.messages("C_OPS")[-1]
        await broken.press("Delete old key", card, who="U_REQUESTER")
        await broken.told("U_REQUESTER", "Only an approver other than")
        assert old.id in broken.aisix.provider_keys
        await broken.press("Delete old key", card, who="U_APPROVER")
        await broken.thread_says(card, "Receipt")
        assert await broken.state() is State.COMPLETED

    keys = {broken.key_named("(20").id, broken.key_named("Other key").id}
    assert set(broken.aisix.provider_keys) == keys, "one replacement, and no old key"
    assert throwaways(broken) == []
    assert set(own_models(broken).values()) == {*keys, None}
    assert "The record was lost and rebuilt" in broken.thread(card)
    assert (await doctor(broken, capsys)).well


@pytest.mark.rest
async def test_what_is_recorded_is_left_to_the_bot_and_what_is_over_is_not_begun_again(
    broken: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    async with broken.bot():
        card = await broken.ask()
        await broken.give(card)
        await broken.says(card, "waiting for an approver")
        so_far, id_ = changes(broken), (await broken.record()).id

        for orders in ({}, {"clean": True}, {"adopt": True, **WHO}):
            said = await doctor(broken, capsys, rotation=id_, **orders)
            assert "It is under way" in said.text
            assert said.well is (not orders), "what is under way is nothing for the doctor to do"
        assert changes(broken) == so_far
        broken.aisix.add_passthrough("production", "raw", key=broken.key_named("(20"))
        await broken.press("Roll back", card)
        await broken.says(card, "rolled back")

    adopted = await doctor(broken, capsys, rotation=id_, adopt=True, **WHO)
    assert "LEFT   Its record says: rolled back. What is over is not begun again" in adopted.text
    broken.aisix.remove(next(iter(broken.aisix.store.passthrough_routes.values())), settled=True)
    assert (await doctor(broken, capsys, rotation=id_, clean=True)).well


@pytest.mark.rest
async def test_what_another_rotation_has_in_hand_is_left_alone_until_that_one_is_over(
    broken: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await broken_off(broken, tmp_path, SPLIT)
    id_ = rotation_in((await doctor(broken, capsys)).text)
    broken.aisix.faults.fail("POST", "/provider_keys", status=403, times=None)
    async with broken.bot():
        card = await broken.ask()
        await broken.give(card)  # from here on it has the old key in hand
        await broken.says(card, "stopped")
        other = (await broken.record()).id

        said = await doctor(broken, capsys, rotation=id_, clean=True)
        assert f"Rotation {other} has one of its keys in hand: finish that one first." in said.text
        assert broken.key_named(id_)
        await broken.press("Roll back", card)
        await broken.says(card, "rolled back")

    assert (await doctor(broken, capsys, rotation=id_, clean=True)).well


async def test_what_the_doctor_does_is_dated_by_the_clock_of_redis(
    bare_stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis.asyncio.Redis.time", AsyncMock(return_value=(4_102_444_800, 0)))
    bare_stage.aisix.add_key(f"{KEY} (2026-11-23 r7k2abc)", secret="sk-second-0123456789")

    assert (await doctor(bare_stage, capsys, rotation="r7k2abc", clean=True)).well
    with Redis.from_url(bare_stage.redis_url, decode_responses=True) as redis:
        trail = redis.lrange(bare_stage.namespace.key("audit"), 0, -1)
    assert {entry["at"][:10] for entry in audit.verified(trail)} == {"2100-01-01"}


@pytest.mark.parametrize("asked", [["r7k2abc", "--adopt", "--clean"], ["--clean", "--old", "pk_1"]])
def test_what_may_be_meant_in_two_ways_is_refused_before_anything_is_looked_at(asked: list[str]) -> None:
    said = CliRunner().invoke(cli.main, ["doctor", *asked])

    assert said.exit_code == 2
    assert "Usage: " in said.output
