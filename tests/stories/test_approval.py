"""Nothing is deleted before an approver who is not the requester says so, and not then if the world has changed."""

import asyncio

import pytest

from bot.rotation import State
from tests.support.stage import KEY, NEW_SECRET, Stage


async def waiting(stage: Stage):
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    return card


def deletions(stage: Stage) -> int:
    return sum(call.method == "DELETE" and "/provider_keys" in call.path for call in stage.aisix.calls)


@pytest.mark.parametrize("who", ["U_REQUESTER", "U_MEMBER"])
async def test_whoever_may_not_approve_is_told_so_and_nothing_is_deleted(stage: Stage, who: str) -> None:
    card = await waiting(stage)

    await stage.press("Delete old key", card, who=who)

    assert "Only an approver other than <@U_REQUESTER> can do this." in await stage.told(who, "Only an approver")
    assert deletions(stage) == 0
    assert await stage.state() is State.AWAITING_APPROVAL


async def test_the_confirm_dialog_says_what_will_be_gone(stage: Stage) -> None:
    card = await waiting(stage)

    click = await stage.press("Delete old key", card, who="U_APPROVER", confirm=False)

    assert "is gone for good; there is no way back to it" in str(click.confirm)
    assert deletions(stage) == 0


async def test_a_double_click_deletes_once(stage: Stage) -> None:
    card = await waiting(stage)
    approver = stage.slack.person("U_APPROVER")

    await asyncio.gather(approver.click("Delete old key", card), approver.click("Delete old key", card))
    await stage.says(card, "old key deleted")

    assert deletions(stage) == 1
    assert card.plain.count("approved by @approver") == 1


async def test_an_approver_removed_a_second_before_the_click_is_out(stage: Stage) -> None:
    card = await waiting(stage)
    stage.slack.groups["S_APPROVERS"].members.remove("U_APPROVER")

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.told("U_APPROVER", "Only an approver")
    assert deletions(stage) == 0


async def test_where_slack_cannot_tell_who_approves_nobody_does(stage: Stage) -> None:
    card = await waiting(stage)
    stage.slack.faults.fail("usergroups.users.list", error="internal_error")

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.told("U_APPROVER", "Slack does not tell me who is in the user group")
    assert deletions(stage) == 0


async def test_two_approvals_are_waited_for_where_the_settings_say_so(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"APPROVALS_REQUIRED": "2", "APPROVERS": "S_APPROVERS,U_MEMBER"}
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "Approved by @approver so far.")
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.told("U_APPROVER", "You have approved this already")
        assert deletions(bare_stage) == 0

        await bare_stage.press("Delete old key", card, who="U_MEMBER")

        await bare_stage.says(card, "old key deleted")


async def test_self_approval_works_only_where_the_settings_allow_it(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"SELF_APPROVAL": "true", "APPROVERS": "U_REQUESTER"}
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        assert "Next: an approver presses Delete old key" in card.plain

        await bare_stage.press("Delete old key", card)

        await bare_stage.says(card, "old key deleted")


async def test_a_model_bound_to_the_old_key_meanwhile_stops_the_delete_by_name(stage: Stage) -> None:
    card = await waiting(stage)
    late = stage.aisix.add_model("staging", "chat-new", key=stage.key_named(KEY), upstream="gpt-4o")

    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "stopped: something uses the old key")
    assert "chat-new in staging refers to the old key. I will not delete it while anything uses it." in card.plain
    assert deletions(stage) == 0

    await stage.press("Try again", card)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.says(card, "old key deleted")
    assert stage.aisix.models[late.id].provider_key_id == (await stage.record()).replacement_id


async def test_a_model_pointed_back_at_the_old_key_stops_the_delete(stage: Stage) -> None:
    card = await waiting(stage)
    model = next(m for m in stage.aisix.models.values() if m.display_name == "support-embed")
    stage.aisix.edit(model, provider_key_id=stage.key_named(KEY).id)

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "support-embed in production refers to the old key")
    assert deletions(stage) == 0


async def test_a_passthrough_route_bound_to_the_old_key_meanwhile_stops_the_delete(stage: Stage) -> None:
    card = await waiting(stage)
    stage.aisix.add_passthrough("staging", "raw", key=stage.key_named(KEY))

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "stopped: something uses the old key")
    assert deletions(stage) == 0


async def test_a_model_that_stops_answering_before_the_delete_stops_it(stage: Stage) -> None:
    card = await waiting(stage)
    stage.aisix.upstream.refuse(NEW_SECRET)

    await stage.press("Delete old key", card, who="U_APPROVER")

    await stage.says(card, "stopped: the new secret was refused")
    assert deletions(stage) == 0


async def test_approval_and_roll_back_at_once_have_one_winner(stage: Stage) -> None:
    card = await waiting(stage)

    await asyncio.gather(
        stage.slack.person("U_APPROVER").click("Delete old key", card),
        stage.slack.person("U_REQUESTER").click("Roll back", card),
    )
    await stage.slack.until(lambda: not card.buttons, what="the end")
    await stage.slack.until(lambda: card.plain[0] in "●○", what="one end")

    survivors = {key.display_name for key in stage.aisix.provider_keys.values()}
    ended = await stage.state()
    assert (KEY in survivors) == (ended is State.ROLLED_BACK)
    assert len(survivors) == 2


async def test_a_reminder_is_told_once_each_time(bare_stage: Stage) -> None:
    bare_stage.overrides["APPROVAL_REMINDER"] = "1"
    async with bare_stage.bot():
        card = await waiting(bare_stage)

        await bare_stage.thread_says(card, "Still waiting for @key-approvers")


async def test_an_expired_request_is_verified_again_and_asked_again(bare_stage: Stage) -> None:
    bare_stage.overrides["APPROVAL_EXPIRY"] = "1"
    async with bare_stage.bot():
        card = await waiting(bare_stage)

        await bare_stage.slack.until(
            lambda: bare_stage.thread(card).count("Approval wanted") >= 2, timeout=60, what="a second request"
        )
