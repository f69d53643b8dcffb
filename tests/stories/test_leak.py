"""A leak, from the report to the review: what each person sees at each moment."""

import pytest

from bot.rotation.states import State
from sandbox.slack import Message
from tests.support.stage import IN_WAVES, KEY, Stage, stage_of, submitted

REPORT = {"what": "the key stood in a build log", "where": "the wiki, page Deploy"}


async def fill(stage: Stage, button: str, card: Message, who: str, fields: dict[str, str]) -> None:
    """Press a button that opens a form, and send it."""
    person = stage.slack.person(who)
    await stage.press(button, card, who=who)
    await stage.slack.until(lambda: person.modal, what="the form")
    assert (await submitted(person, fields)).closed


async def test_a_leak_is_reported_rotated_in_a_hurry_revoked_and_reviewed(redis_url: str) -> None:
    async with stage_of(redis_url, overrides={**IN_WAVES, "SOAK": "0"}) as stage, stage.bot():
        old = stage.key_named(KEY)
        card = await stage.ask()
        await fill(stage, "This secret is exposed", card, "U_REQUESTER", REPORT)
        await stage.says(card, "exposed, waiting for the new secret")
        assert "Not yet: 3 models still use it, and revoking it now fails their callers." in card.plain
        assert "This secret is exposed" not in card.buttons
        await stage.thread_says(card, "is exposed, says the requester.")

        await stage.give(card)
        await stage.recorded(lambda r: r.state is State.AWAITING_APPROVAL)
        assert (await stage.record()).wave == 1, "two environments, one wave each"
        await stage.says(card, "Safe for callers to revoke now: 3 models proved on the new key.")
        await stage.press("I've revoked it", card)
        await stage.says(card, "was revoked at")
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "review due, old key deleted")
        await stage.recorded(lambda r: r.state is State.COMPLETED)
        assert old.id not in stage.aisix.provider_keys
        assert card.plain.startswith("🟡")

        found = {"since": "last Thursday", "reach": "every model of the account"}
        await fill(stage, "Give the review", card, "U_APPROVER", found)
        await stage.says(card, "Reachable with it: every model of the account.")
        assert "Give the review" not in card.buttons
        await stage.thread_says(card, "Review: the key stood in a build log. Where: the wiki, page Deploy.")
        assert (await stage.record()).state is State.COMPLETED


@pytest.mark.rest
async def test_a_leak_can_be_reported_with_the_request(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.command("")
    await stage.slack.until(lambda: person.modal, what="the picker")
    await person.type_ahead("open")
    await person.submit({"key": KEY, "leaked": ["This secret is exposed"]})
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")
    exposed = (await stage.recorded(lambda r: r.exposed)).exposed

    assert exposed
    assert (exposed.by, exposed.what) == ("U_REQUESTER", "reported with the request")
    await stage.says(stage.slack.messages("C_OPS")[-1], "exposed, waiting for the new secret")


@pytest.mark.rest
async def test_after_a_roll_back_the_card_is_red_and_the_time_to_revoke_by_stays(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card)
    await stage.recorded(lambda r: r.state is State.AWAITING_APPROVAL)
    await fill(stage, "This secret is exposed", card, "U_APPROVER", REPORT)
    await stage.says(card, "exposed, waiting for an approver")
    await stage.press("Roll back", card)
    await stage.says(card, "exposed key in use again, rolled back")

    assert card.plain.startswith("🔴")
    assert "Revoke it by" in card.plain
    assert "Not yet: 3 models still use it" in card.plain
