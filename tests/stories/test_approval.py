"""Nothing is deleted before an approver who is not the requester says so, and not then if the world has changed."""

import asyncio

from bot.rotation.states import State
from tests.support.stage import KEY, Stage


async def waiting(stage: Stage):
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    return card


def deletions(stage: Stage) -> int:
    return sum(call.method == "DELETE" and "/provider_keys" in call.path for call in stage.aisix.calls)


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


TWO = {"APPROVERS": "U_APPROVER,U_MEMBER", "APPROVALS_REQUIRED": "2"}


async def test_a_first_approval_does_not_count_once_its_giver_has_left(bare_stage: Stage) -> None:
    bare_stage.overrides |= TWO
    async with bare_stage.bot():
        card = await waiting(bare_stage)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "Approved by @approver so far.")
        bare_stage.slack.users["U_APPROVER"].deleted = True

        await bare_stage.press("Delete old key", card, who="U_MEMBER")

        await bare_stage.says(card, "The approval of @approver no longer counts. This account is deactivated.")
        await bare_stage.says(card, "Approved by @member so far.")
        await bare_stage.thread_says(card, "Not deleted. The approval of @approver no longer counts.")
        assert deletions(bare_stage) == 0
        assert await bare_stage.state() is State.AWAITING_APPROVAL


async def test_what_waits_for_an_approval_goes_by_a_stricter_setting_after_a_restart(bare_stage: Stage) -> None:
    bare_stage.overrides["APPROVERS"] = TWO["APPROVERS"]
    async with bare_stage.bot():
        card = await waiting(bare_stage)
    bare_stage.overrides |= TWO
    async with bare_stage.bot():
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.says(card, "Approved by @approver so far.")
        assert deletions(bare_stage) == 0

        await bare_stage.press("Delete old key", card, who="U_MEMBER")

        await bare_stage.says(card, "old key deleted")
