"""What stops a rotation, as people see it, and how it goes on; every other stop is in tests/bot."""

from bot.rotation.states import State
from sandbox.slack import Message
from tests.support.stage import KEY, NEW_SECRET, WRONG_SECRET, Stage


async def stopped(stage: Stage) -> Message:
    card = await stage.ask()
    await stage.give(card, WRONG_SECRET)
    return await stage.says(card, "stopped: the new secret was refused")


async def test_a_wrong_secret_costs_no_caller_anything_and_another_one_takes_it_back_first(stage: Stage) -> None:
    models, old = set(stage.aisix.models), stage.key_named(KEY)
    card = await stopped(stage)
    assert "In the rehearsal in production" in card.plain
    assert "the upstream refused the credential (401 upstream_error invalid_api_key)" in card.plain
    assert "No model has been moved" in card.plain
    assert {"Another secret", "Roll back"} <= set(card.buttons)
    assert WRONG_SECRET[:12] not in card.plain + stage.thread(card)
    assert set(stage.aisix.models) == models

    await stage.press("Another secret", card)
    await stage.says(card, "The refused secret is taken back and every model is on the old key.")
    assert old.id in stage.keys_in_use()
    assert len(stage.aisix.provider_keys) == 2
    assert card.buttons == ["Enter new secret", "Cancel"]

    await stage.slack.person("U_REQUESTER").submit({"secret": NEW_SECRET})
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")
    assert old.id not in stage.aisix.provider_keys
    assert len(stage.aisix.provider_keys) == 2  # the other key, and one replacement
    assert "2 secrets given" in stage.thread(card)
    assert stage.thread(card).count("Approval wanted") == 1


async def test_roll_back_returns_every_model_and_removes_the_replacement(stage: Stage) -> None:
    old = stage.key_named(KEY)
    before = {m.id: m.provider_key_id for m in stage.aisix.models.values()}
    card = await stopped(stage)

    await stage.press("Roll back", card)
    await stage.says(card, "rolled back")
    await stage.thread_says(card, "Rolled back by @requester")

    assert {m.id: m.provider_key_id for m in stage.aisix.models.values()} == before
    assert set(stage.aisix.provider_keys) == {old.id, stage.key_named("Other key").id}
    assert await stage.state() is State.ROLLED_BACK


async def test_try_again_after_drift_goes_on_with_what_the_card_shows_now(stage: Stage) -> None:
    card = await stage.ask()
    late = stage.aisix.add_model("staging", "late", key=stage.key_named(KEY), upstream="gpt-4o")
    await stage.give(card)
    await stage.says(card, "late in staging was bound to the old key by someone.")
    assert "No model has been moved; callers notice nothing." in card.plain
    assert "4 models in 2 environments" in card.plain

    await stage.press("Try again", card)
    await stage.says(card, "waiting for an approver")

    assert stage.aisix.models[late.id].provider_key_id == (await stage.record()).replacement_id
