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


async def test_a_double_click_deletes_once(stage: Stage) -> None:
    card = await waiting(stage)
    approver = stage.slack.person("U_APPROVER")

    await asyncio.gather(approver.click("Delete old key", card), approver.click("Delete old key", card))
    await stage.says(card, "old key deleted")

    assert deletions(stage) == 1
    assert card.plain.count("approved by @approver") == 1


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
