"""What stops a rotation, what the card says then, and how it goes on."""

import json

import pytest

from bot.rotation.states import State
from sandbox.aisix import Switches
from tests.support.stage import IN_WAVES, KEY, NEW_SECRET, WRONG_SECRET, Stage, stage_of


async def stopped(stage: Stage, words: str, secret: str = NEW_SECRET):
    card = await stage.ask()
    await stage.give(card, secret)
    await stage.says(card, words)
    return card


async def test_a_wrong_secret_is_caught_in_the_rehearsal_and_costs_no_caller_anything(stage: Stage) -> None:
    models = set(stage.aisix.models)
    card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)

    assert "In the rehearsal in production" in card.plain
    assert "the upstream refused the credential (401 upstream_error invalid_api_key)" in card.plain
    assert "No model has been moved" in card.plain
    assert {"Another secret", "Roll back"} <= set(card.buttons)
    assert WRONG_SECRET[:12] not in card.plain + stage.thread(card)
    assert set(stage.aisix.models) == models
    assert stage.key_named(KEY).id in stage.keys_in_use()


async def test_where_no_model_can_be_created_a_wrong_secret_stops_the_rotation_after_the_move(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(model_create=False, tell_replicas=True)) as stage, stage.bot():
        card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)
        assert "callers are failing" in card.plain
        await stage.thread_says(card, "not possible here")

        await stage.give(card, NEW_SECRET, button="Another secret")

        await stage.says(card, "waiting for an approver")


async def test_a_secret_of_an_account_without_the_model_is_caught_in_the_rehearsal(stage: Stage) -> None:
    stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o"})

    card = await stopped(stage, "stopped: the new account lacks a model")

    assert "the upstream does not offer this model to the credential" in card.plain
    assert "No model has been moved" in card.plain


async def test_no_throw_away_model_outlives_a_rotation_and_no_name_is_used_twice(redis_url: str) -> None:
    async with stage_of(redis_url, overrides=IN_WAVES) as stage, stage.bot():
        models = set(stage.aisix.models)
        card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)
        await stage.press("Try again", card)
        await stage.slack.until(lambda: stage.thread(card).count("Stopped:") == 2, timeout=60, what="a second stop")
        await stage.give(card, NEW_SECRET, button="Another secret")
        await stage.says(card, "waiting for an approver")

    names = [c.body["display_name"] for c in stage.aisix.calls if c.method == "POST" and c.path.endswith("/models")]
    assert set(stage.aisix.models) == models
    assert len(names) == len(set(names)) == 12  # three rehearsals of three, and a barrier for each of three waves
    assert all(name.startswith("keyturn-") for name in names)


async def test_a_throw_away_model_is_like_the_model_it_stands_for(stage: Stage) -> None:
    told = {"timeout": 700, "retries": 1, "allowed_cidrs": ["0.0.0.0/0"]}
    key = stage.aisix.add_key("Alone", secret="sk-alone-0123456789abcdef", environments=["staging"])
    stage.aisix.add_model("staging", "alone", key=key, upstream="gpt-4.1", **told)
    card = await stage.ask("Alone")
    await stage.give(card)
    await stage.says(card, "waiting for an approver")

    made = [c.body for c in stage.aisix.calls if c.method == "POST" and c.path.endswith("/models")]
    replacement = (await stage.record()).replacement_id
    assert made
    assert all(told.items() <= body.items() for body in made)
    assert {(body["model_name"], body["provider_key_id"]) for body in made} == {("gpt-4.1", replacement)}


async def test_a_probe_key_that_may_not_use_throw_away_models_is_said(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(tell_replicas=True)) as stage, stage.bot():
        for name in ("production", "staging"):
            environment = stage.aisix.environment(name)
            token = stage.aisix.caller_key(name)
            environment.callers[token].allowed[:] = ["chat-large", "support-embed"]

        card = await stage.ask()
        await stage.give(card)
        await stage.says(card, "waiting for an approver")

        await stage.thread_says(card, "the probe's caller key may not use keyturn-*")


async def test_another_secret_takes_the_refused_one_back_first_and_leaves_no_key_behind(stage: Stage) -> None:
    old = stage.key_named(KEY)
    card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)

    await stage.give(card, NEW_SECRET, button="Another secret")
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")

    assert old.id not in stage.aisix.provider_keys
    assert len(stage.aisix.provider_keys) == 2  # the other key, and one replacement
    assert "2 secrets given" in stage.thread(card)
    assert stage.thread(card).count("Approval wanted") == 1


async def test_after_another_secret_callers_are_on_the_old_key_until_it_is_given(stage: Stage) -> None:
    old = stage.key_named(KEY)
    card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)

    await stage.press("Another secret", card)
    await stage.says(card, "The refused secret is taken back and every model is on the old key.")

    assert old.id in stage.keys_in_use()
    assert len(stage.aisix.provider_keys) == 2
    assert card.buttons == ["Enter new secret", "Cancel"]


async def test_roll_back_returns_every_model_and_removes_the_replacement(stage: Stage) -> None:
    old = stage.key_named(KEY)
    before = {m.id: m.provider_key_id for m in stage.aisix.models.values()}
    card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)

    await stage.press("Roll back", card)
    await stage.says(card, "rolled back")
    await stage.thread_says(card, "Rolled back by @requester")

    assert {m.id: m.provider_key_id for m in stage.aisix.models.values()} == before
    assert set(stage.aisix.provider_keys) == {old.id, stage.key_named("Other key").id}
    assert await stage.state() is State.ROLLED_BACK


async def test_roll_back_leaves_alone_what_someone_else_has_changed(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    other, replacement = stage.key_named("Other key"), stage.key_named("(20")
    taken, bound = (
        await taken_over(stage, other.id),
        stage.aisix.add_model("production", "late", key=replacement, upstream="x"),
    )

    await stage.press("Roll back", card, who="U_APPROVER")
    await stage.says(card, "rolled back")

    assert stage.aisix.models[taken].provider_key_id == other.id
    assert stage.aisix.models[bound.id].provider_key_id == replacement.id
    assert replacement.id in stage.aisix.provider_keys
    assert "uses a key that this rotation does not know; I left it alone" in card.plain
    assert "late in production uses it." in card.plain


async def taken_over(stage: Stage, key_id: str) -> str:
    """Have a person point one affected model at another key, through the control plane."""
    model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
    stage.aisix.edit(model, provider_key_id=key_id)
    return model.id


async def test_a_model_that_someone_changed_meanwhile_stops_the_cut_over_by_name(stage: Stage) -> None:
    card = await stage.ask()
    await taken_over(stage, stage.key_named("Other key").id)

    await stage.give(card)
    await stage.says(card, "stopped: someone else changed AISIX")

    assert "support-embed in production uses a key that this rotation does not know" in card.plain
    assert "No model has been moved; callers notice nothing." in card.plain


async def test_try_again_after_drift_goes_on_with_what_the_card_shows_now(stage: Stage) -> None:
    card = await stage.ask()
    late = stage.aisix.add_model("staging", "late", key=stage.key_named(KEY), upstream="gpt-4o")
    await stage.give(card)
    await stage.says(card, "late in staging was bound to the old key by someone.")
    assert "4 models in 2 environments" in card.plain

    await stage.press("Try again", card)
    await stage.says(card, "waiting for an approver")

    assert stage.aisix.models[late.id].provider_key_id == (await stage.record()).replacement_id


@pytest.mark.parametrize("rehearsal", [True, False])
async def test_a_gateway_that_never_takes_the_change_is_not_blamed_on_the_secret(
    bare_stage: Stage,
    rehearsal: bool,  # noqa: FBT001
) -> None:
    bare_stage.aisix.switches.model_create = rehearsal
    bare_stage.aisix.switches.tell_replicas = True
    bare_stage.overrides["PROJECTION_TIMEOUT"] = "1"
    async with bare_stage.bot():
        for replica in bare_stage.aisix.replicas("staging"):
            replica.reject_rows = {"new keys"}
        card = await bare_stage.ask()
        await bare_stage.give(card)

        await bare_stage.says(card, "stopped: the gateway has not taken the change")

        assert "This says nothing against the new secret" in card.plain
        assert {"Try again", "Roll back"} == set(card.buttons)


async def test_trouble_that_stays_stops_the_rotation_and_try_again_ends_it_well(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"PATIENCE": "1", "CONTROL_PLANE_ATTEMPTS": "1"}
    async with bare_stage.bot():
        card = await bare_stage.ask()
        bare_stage.aisix.faults.fail("PATCH", "/models/", status=500, times=1000)
        await bare_stage.give(card)
        await bare_stage.says(card, "stopped: no usable answer")
        assert "AISIX had an error (500)." in card.plain

        bare_stage.aisix.faults.clear()
        await bare_stage.press("Try again", card)
        await bare_stage.says(card, "waiting for an approver")


@pytest.mark.parametrize(("status", "words"), [(500, "does not answer"), (403, "AISIX refused to move")])
async def test_a_refused_move_names_the_model(bare_stage: Stage, status: int, words: str) -> None:
    bare_stage.overrides |= {"PATIENCE": "1", "CONTROL_PLANE_ATTEMPTS": "1"}
    async with bare_stage.bot():
        card = await bare_stage.ask()
        bare_stage.aisix.faults.fail("PATCH", "/models/", status=status, times=1000)
        await bare_stage.give(card)

        await bare_stage.says(card, "stopped:")

        assert words in card.plain


async def test_an_environment_without_a_gateway_is_warned_of_and_never_offered_for_deletion(redis_url: str) -> None:
    async with stage_of(redis_url) as stage:
        gateways = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
        del gateways[stage.aisix.environment("staging").id]
        stage.overrides["AISIX_GATEWAYS"] = json.dumps(gateways)
        async with stage.bot():
            card = await stage.ask()
            assert "staging has no gateway in the settings: its 1 model cannot be verified" in card.plain
            await stage.give(card)

            await stage.says(card, "stopped: some models cannot be verified")

            assert "Delete old key" not in card.buttons


async def test_a_model_that_failed_before_is_not_blamed_on_the_rotation(stage: Stage) -> None:
    stage.aisix.upstream.models_for(NEW_SECRET, {"gpt-4o", "text-embedding-3-small"})
    stage.aisix.upstream.models_for("sk-old-0123456789abcdef", {"gpt-4o", "text-embedding-3-small"})
    stage.aisix.add_model("production", "legacy-chat", key=stage.key_named(KEY), upstream="gpt-3")
    card = await stage.ask()
    await stage.give(card)

    await stage.says(card, "waiting for an approver")

    assert "failed on the old key too, not our doing" in card.plain
    await stage.thread_says(card, "legacy-chat did not before we began")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_secret_that_also_fails_where_the_old_one_failed_is_still_refused(stage: Stage, status: int) -> None:
    stage.aisix.upstream.refuse("sk-old-0123456789abcdef", status)
    stage.aisix.upstream.refuse(WRONG_SECRET, status)
    card = await stopped(stage, "stopped: the new secret was refused", WRONG_SECRET)

    assert "Delete old key" not in card.buttons


async def test_a_replacement_that_differs_stops_with_the_name_of_the_setting(stage: Stage) -> None:
    old = stage.key_named(KEY)
    card = await stage.ask()
    stage.aisix.faults.before(
        "POST", "/provider_keys", lambda: stage.aisix.edit(old, api_base="https://eu.example.com")
    )
    await stage.give(card)

    await stage.says(card, "stopped: the replacement is not like the old key")

    assert "The replacement differs from the old key in api_base." in card.plain


async def test_a_setting_that_the_api_does_not_accept_is_left_out_and_no_reason_to_stop(redis_url: str) -> None:
    async with stage_of(redis_url, switches=Switches(extra_key_fields=True)) as stage, stage.bot():
        card = await stage.ask()
        await stage.give(card)

        await stage.says(card, "waiting for an approver")
