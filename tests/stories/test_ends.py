"""The rarer stops: what cannot be verified, what others do to the keys, and ends that are not clean."""

import asyncio

import pytest

from bot.rotation.states import State
from sandbox.aisix import Switches
from tests.support.stage import KEY, NEW_SECRET, WRONG_SECRET, Stage, stage_of

pytestmark = pytest.mark.rest


async def begun(stage: Stage, words: str, secret: str = NEW_SECRET):
    card = await stage.ask()
    await stage.give(card, secret)
    await stage.says(card, words)
    return card


def replacement(stage: Stage):
    return stage.key_named(f"{KEY} (")


async def test_a_wildcard_alias_without_a_concrete_name_cannot_be_verified(stage: Stage) -> None:
    stage.aisix.add_model("production", "openai/*", key=stage.key_named(KEY), upstream="*")

    card = await begun(stage, "stopped: some models cannot be verified")

    assert "openai/* in production has a wildcard alias: name a concrete model for it in probes." in card.plain


async def test_a_budget_on_the_key_is_warned_of(stage: Stage) -> None:
    stage.aisix.add_budget("cap", key=stage.key_named(KEY))

    card = await stage.ask()

    assert "A budget is set on this key. It does not follow" in card.plain


@pytest.mark.parametrize(
    ("rehearsal", "words"),
    [(True, "stopped: the rehearsal came to no result"), (False, "stopped: the new secret is not proved")],
)
async def test_answers_that_prove_nothing_stop_the_rotation_after_a_while(
    stage: Stage,
    rehearsal: bool,  # noqa: FBT001
    words: str,
) -> None:
    stage.aisix.switches.model_create = rehearsal
    stage.aisix.upstream.set(NEW_SECRET, 429)

    card = await begun(stage, words)

    assert "the upstream limits the rate (429 upstream_error" in card.plain
    assert "Delete old key" not in card.buttons


async def test_trouble_that_passes_does_not_stop_the_rotation(bare_stage: Stage) -> None:
    bare_stage.overrides["VERIFY_TIMEOUT"] = "30"
    async with bare_stage.bot():
        bare_stage.aisix.upstream.set(NEW_SECRET, 500)
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.aisix.until(lambda: bare_stage.aisix.upstream.answered(NEW_SECRET) > 4, what="the trouble")

        bare_stage.aisix.upstream.accept(NEW_SECRET)

        await bare_stage.says(card, "waiting for an approver")


async def test_a_dead_old_key_does_not_make_a_lagging_gateway_blame_the_new_secret(stage: Stage) -> None:
    stage.aisix.upstream.refuse("sk-old-0123456789abcdef")
    for replica in stage.aisix.all_replicas():
        replica.lag = 1.0

    card = await begun(stage, "waiting for an approver")

    assert "3 proved" in card.plain


async def test_a_move_that_was_accepted_and_has_no_effect_is_noticed(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.faults.garbage("PATCH", "/models/", times=1, after_effect=False)
    await stage.give(card)

    await stage.says(card, "stopped: someone changed a model meanwhile")

    assert "went back to the old key after I had moved it." in card.plain
    await stage.press("Try again", card)
    await stage.says(card, "waiting for an approver")


async def test_a_refused_delete_stops_and_can_be_tried_again(stage: Stage) -> None:
    card = await begun(stage, "waiting for an approver")
    stage.aisix.faults.fail("DELETE", "/provider_keys", status=409)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "stopped: the old key could not be deleted")
    assert "Something may refer to the old key that I cannot see." in card.plain

    await stage.press("Try again", card)
    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "old key deleted")


@pytest.mark.parametrize("after_effect", [True, False])
async def test_a_lost_answer_to_the_delete_is_not_an_error(stage: Stage, after_effect: bool) -> None:  # noqa: FBT001
    card = await begun(stage, "waiting for an approver")
    stage.aisix.faults.drop("DELETE", "/provider_keys", after_effect=after_effect)

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")

    assert not [key for key in stage.aisix.provider_keys.values() if key.display_name == KEY]


async def test_a_model_bound_in_the_very_moment_of_the_delete_is_named_in_the_receipt(stage: Stage) -> None:
    card = await begun(stage, "waiting for an approver")
    old = stage.key_named(KEY)
    stage.aisix.faults.before(
        "DELETE",
        "/provider_keys",
        lambda: stage.aisix.add_model("staging", "late", key=old, upstream="gpt-4o") and None,
    )

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.thread_says(
        card, "late in staging refers to the deleted key and fails: point it at the replacement now."
    )


async def test_an_old_key_deleted_by_someone_else_is_said_and_the_rest_can_be_finished(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.remove(stage.key_named(KEY))
    await stage.give(card)
    await stage.says(card, "The old key no longer exists: someone deleted it.")

    await stage.press("Try again", card)
    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "old key deleted")


async def test_with_the_old_key_gone_there_is_no_way_back_but_another_secret_helps(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(model_create=False, tell_replicas=True)) as stage, stage.bot():
        card = await begun(stage, "stopped: the new secret was refused", WRONG_SECRET)
        stage.aisix.remove(stage.key_named(KEY))
        await stage.press("Roll back", card)
        await stage.says(card, "stopped: the old key is gone")
        assert "There is no way back" in card.plain

        await stage.give(card, NEW_SECRET, button="Another secret")

        await stage.says(card, "waiting for an approver")
        assert len(stage.aisix.provider_keys) == 2


async def test_a_roll_back_that_cannot_be_verified_stops_and_goes_on_when_it_can(stage: Stage) -> None:
    card = await begun(stage, "waiting for an approver")
    stage.aisix.upstream.set("sk-old-0123456789abcdef", 500)
    await stage.press("Roll back", card)
    await stage.says(card, "stopped: a model does not answer on the old key")
    assert "Roll back" not in card.buttons
    stage.aisix.upstream.accept("sk-old-0123456789abcdef")

    await stage.press("Try again", card)
    await stage.says(card, "rolled back")

    assert await stage.state() is State.ROLLED_BACK


async def settled_back(stage: Stage) -> None:
    """Wait until every model is known to be back on the old key."""
    while "settle-back" not in (await stage.record()).done:  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(0.01)


async def test_a_model_that_someone_deletes_during_a_roll_back_does_not_hold_it_up(stage: Stage) -> None:
    card = await begun(stage, "waiting for an approver")
    stage.aisix.upstream.set("sk-old-0123456789abcdef", 500)
    await stage.press("Roll back", card)
    await settled_back(stage)
    for model in [m for m in stage.aisix.models.values() if m.provider_key_id == stage.key_named(KEY).id]:
        stage.aisix.remove(model)

    await stage.says(card, "rolled back")

    assert "Stopped:" not in stage.thread(card)


async def test_an_old_key_that_someone_deletes_during_a_roll_back_leaves_another_secret_to_help(stage: Stage) -> None:
    card = await begun(stage, "waiting for an approver")
    stage.aisix.upstream.set("sk-old-0123456789abcdef", 500)
    await stage.press("Roll back", card)
    await settled_back(stage)
    stage.aisix.remove(stage.key_named(KEY))
    await stage.says(card, "stopped: the old key is gone")

    await stage.give(card, NEW_SECRET, button="Another secret")

    await stage.says(card, "waiting for an approver")
    assert {model.provider_key_id for model in stage.aisix.models.values() if model.display_name == "chat-large"} == {
        replacement(stage).id
    }


async def test_a_replacement_is_allowed_where_a_model_turned_up_meanwhile(stage: Stage) -> None:
    key = stage.aisix.add_key("Narrow", provider="openai", secret="sk-narrow-0123456789", environments=["production"])
    stage.aisix.add_model("production", "one", key=key, upstream="gpt-4o")
    card = await stage.ask("Narrow")
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    stage.aisix.edit(key, allowed_environments=[stage.aisix.environment(e).id for e in ("production", "staging")])
    late = stage.aisix.add_model("staging", "two", key=key, upstream="gpt-4o")

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.press("Try again", card)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")

    assert stage.aisix.models[late.id].provider_key_id == (await stage.record()).replacement_id


async def test_a_card_that_nobody_gives_a_secret_for_is_closed(bare_stage: Stage) -> None:
    bare_stage.overrides["SECRET_EXPIRY"] = "1"
    async with bare_stage.bot():
        card = await bare_stage.ask()

        await bare_stage.says(card, "Nobody gave a secret in time; nothing was changed.")
