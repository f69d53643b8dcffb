"""The whole of it, from `/rotate-key` to the receipt."""

import pytest
from redis.asyncio import Redis

from bot.rotation.states import State
from tests.handlers.test_manifest import MANIFEST
from tests.support.stage import IN_WAVES, KEY, NEW_SECRET, WRONG_SECRET, Stage, stage_of, submitted


@pytest.mark.parametrize(("mode", "lacking"), [("socket", ""), ("http", "files:write")])
async def test_g21_a_rotation_goes_from_the_command_to_the_deleted_key(redis_url: str, mode: str, lacking: str) -> None:
    overrides = {**IN_WAVES, "AISIX_DASHBOARD": "https://aisix.example.com/{key}"}
    async with stage_of(redis_url, mode=mode, overrides=overrides) as stage, stage.bot():
        stage.slack.scopes = frozenset(MANIFEST["oauth_config"]["scopes"]["bot"]) - {lacking}
        old = stage.key_named(KEY)
        card = await stage.ask()
        assert "3 models in 2 environments use this key; 1 more alias depends on them." in card.plain
        assert "Nothing has changed yet. Next: @requester gives the new secret." in card.plain

        await stage.give(card)
        followed = await stage.press("Open in AISIX", card, who="U_MEMBER")
        assert followed.error is None, "a link is acknowledged too"
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "old key deleted")
        await stage.thread_says(card, "Receipt")
        attached = [file for reply in stage.slack.thread(card) for file in reply.files]
        assert [file.content.count(b"\r\n") for file in attached] == [4] * (not lacking), "a header and 3 models"
        assert (".csv above" in stage.thread(card)) is (not lacking)
        assert not [file for file in attached if NEW_SECRET.encode() in file.content]

        assert old.id not in stage.aisix.provider_keys
        assert old.id not in stage.keys_in_use()
        ended = await stage.record()
        assert (ended.state, ended.tally.answered) == (State.COMPLETED, 0), "where nobody calls, none is said to"
        assert "The old API key still works at" in stage.thread(card)


async def test_a_replacement_that_is_being_created_is_not_looked_for_as_if_it_were_lost(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"SWEEP_INTERVAL": "30", "CREATE_GRACE": "30"}
    bare_stage.aisix.switches.latency = 0.05
    async with bare_stage.bot() as built:
        await bare_stage.give(await bare_stage.ask())
        await bare_stage.recorded(lambda r: "replace" in r.done)

        assert not [line async for line in built.store.trail() if "could not find out" in line]


async def test_a_second_request_for_a_key_is_answered_with_the_link_and_makes_no_card(stage: Stage) -> None:
    card = await stage.ask()
    await stage.is_linked()
    picking = stage.slack.person("U_REQUESTER")

    await stage.slack.person("U_MEMBER").command(stage.key_named(KEY).id)
    await picking.command("")
    await stage.slack.until(lambda: picking.modal, what="the picker")
    await picking.type_ahead("open")
    await picking.submit({"key": KEY})

    for who in ("U_MEMBER", "U_REQUESTER"):
        said = await stage.told(who, "OpenAI production` is already being rotated: waiting for the new secret.")
        assert f"p{card.ts.replace('.', '')}|Open its card>" in said
    assert stage.slack.messages("C_OPS") == [card]
    assert len(await stage.built.store.recent(9)) == 1


async def test_the_card_of_another_rotation_of_the_same_key_links_the_first(stage: Stage) -> None:
    built, card = stage.built, await stage.ask()
    await stage.is_linked()
    first = await stage.record()
    async with Redis.from_url(stage.redis_url) as redis:  # a version before claimed a key with the first secret only
        await redis.delete(stage.namespace.key("active", first.plan.old_key.id))
    event = {"by": "a test", "what": "recorded", "why": ""}
    saved = await built.store.save(first.but(id="rother2", version=0), event, at=built.world.now())
    await built.announcer.first(saved)

    second = stage.slack.messages("C_OPS")[-1]
    assert "Another rotation of this key is under way" in second.plain
    assert f"p{card.ts.replace('.', '')}" in str(second.blocks)


async def test_a_wrong_secret_costs_no_caller_anything_and_another_one_takes_it_back_first(stage: Stage) -> None:
    models, old = set(stage.aisix.models), stage.key_named(KEY)
    card = await stage.ask()
    await stage.give(card, WRONG_SECRET)
    await stage.says(card, "stopped: the new secret was refused")
    assert "the upstream refused the credential (401 upstream_error invalid_api_key)" in card.plain
    assert "No model has been moved" in card.plain
    assert {"Another secret", "Roll back"} <= set(card.buttons)
    assert WRONG_SECRET[:12] not in card.plain + stage.thread(card)
    assert set(stage.aisix.models) == models

    await stage.press("Another secret", card)
    await stage.says(card, "The refused secret is taken back and every model is on the old key.")
    assert old.id in stage.keys_in_use()
    assert len(stage.aisix.provider_keys) == 2
    assert card.buttons[:2] == ["Enter new secret", "Cancel"]

    await submitted(stage.slack.person("U_REQUESTER"), {"secret": NEW_SECRET})
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")
    assert old.id not in stage.aisix.provider_keys
    assert len(stage.aisix.provider_keys) == 2  # the other key, and one replacement
    assert "2 secrets given" in stage.thread(card)
    assert stage.thread(card).count("Approval wanted") == 1
