"""Attempts to have a key deleted that is needed, to approve what was not asked, or to keep a rotation from its end."""

import json

import pytest

from bot.rotation.states import State
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, WRONG_SECRET, Stage

pytestmark = pytest.mark.rest


async def waiting(stage: Stage, secret: str = NEW_SECRET):
    card = await stage.ask()
    await stage.give(card, secret)
    await stage.says(card, "waiting for an approver")
    return card


def key_is_there(stage: Stage) -> bool:
    return any(key.display_name == KEY for key in stage.aisix.provider_keys.values())


@pytest.mark.parametrize("broken", [{"caller_key": "nonsense"}, {"url": "http://127.0.0.1:9"}], ids=["key", "url"])
async def test_probes_that_never_reach_a_model_are_no_green_light(bare_stage: Stage, broken: dict[str, str]) -> None:
    gateways = json.loads(bare_stage.aisix.settings()["AISIX_GATEWAYS"])
    bare_stage.overrides["AISIX_GATEWAYS"] = json.dumps({env: {**g, **broken} for env, g in gateways.items()})
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card, WRONG_SECRET)

        await bare_stage.says(card, "stopped:")

        assert "Delete old key" not in card.buttons
        assert bare_stage.key_named(KEY).id in bare_stage.keys_in_use()


async def test_an_environment_where_nothing_ever_answered_proves_nothing(stage: Stage) -> None:
    for secret in (OLD_SECRET, NEW_SECRET):
        stage.aisix.upstream.models_for(secret, {"gpt-4o", "text-embedding-3-small"})
    key = stage.aisix.add_key("Legacy", provider="openai", secret=OLD_SECRET, environments=["staging"])
    stage.aisix.add_model("staging", "old-chat", key=key, upstream="gpt-2")
    card = await stage.ask("Legacy")
    await stage.give(card)

    await stage.says(card, "stopped: the new secret is not proved")

    assert "No model in staging answers, neither before nor now" in card.plain


@pytest.mark.parametrize("fault", ["rate_limit", "fail"])
async def test_a_model_bound_while_the_delete_is_tried_again_is_seen(stage: Stage, fault: str) -> None:
    card = await waiting(stage)
    key = stage.key_named(KEY)
    getattr(stage.aisix.faults, fault)("DELETE", "/provider_keys")
    stage.aisix.faults.before(
        "DELETE",
        "/provider_keys",
        lambda: stage.aisix.add_model("staging", "late", key=key, upstream="gpt-4o") and None,
    )

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "stopped: something uses the old key")

    assert key_is_there(stage)


async def test_once_the_delete_was_asked_for_there_is_no_way_back(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"PATIENCE": "1", "CONTROL_PLANE_TIMEOUT": "0.5"}
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        bare_stage.aisix.faults.hang("DELETE", "/provider_keys", times=100)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "stopped: no usable answer")

        assert "Roll back" not in card.buttons
        assert "AISIX has been asked to delete it" in card.plain
        bare_stage.aisix.faults.clear()
        await bare_stage.press("Try again", card)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "old key deleted")


async def test_a_roll_back_while_the_key_is_created_leaves_no_key_behind(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.switches.latency = 0.5
    await stage.give(card)
    await stage.press("Roll back", card)
    await stage.says(card, "rolled back")
    stage.aisix.switches.latency = 0
    ended = await stage.record()

    await stage.aisix.until(lambda: len(stage.aisix.provider_keys) == 2, what="the old key and the other one alone")

    assert ended.state is State.ROLLED_BACK
    assert (await stage.record()).version == ended.version


async def test_a_step_that_never_gets_on_ends_with_a_person(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"PATIENCE": "2", "READ_BACK": "1"}
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        bare_stage.aisix.faults.garbage("DELETE", "/provider_keys", times=1000, after_effect=False)

        await bare_stage.press("Delete old key", card, who="U_APPROVER")

        await bare_stage.says(card, "stopped: a step does not get on")
