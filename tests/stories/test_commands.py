"""What `/rotate-key` answers, and to whom."""

import pytest

from tests.support.stage import KEY, Stage


async def test_the_bare_command_opens_a_picker_whose_choice_posts_the_card(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.command("")
    await stage.slack.until(lambda: person.modal, what="the picker")

    found = [text for text, _ in await person.type_ahead("production")]
    await person.choose(KEY)
    await person.submit({})
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")

    assert found == [KEY]
    assert KEY in stage.slack.messages("C_OPS")[-1].plain


@pytest.mark.parametrize("name", ["hf-llama3-production", "sk-proj-ZyXwVuTsRqPoNmLkJiHg"])
async def test_a_name_that_only_looks_like_a_secret_is_looked_up_and_its_key_is_rotated(
    stage: Stage, name: str
) -> None:
    key = stage.aisix.add_key(name, provider="openai", secret="sk-old-9876543210abc", environments=["production"])
    stage.aisix.add_model("production", "llama", key=key, upstream="gpt-4o")

    card = await stage.ask(name)
    await stage.give(card)
    await stage.says(card, "waiting for an approver")

    assert (await stage.record()).replacement.name.startswith(f"{name} (")


async def test_status_lists_what_is_under_way_with_links_and_history_the_last_ones(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.command("status")
    await stage.told("U_REQUESTER", "Nothing is under way.")
    card = await stage.ask()
    await stage.is_linked()
    link = f"archives/C_OPS/p{card.ts.replace('.', '')}|open"

    await person.command("status")
    assert link in await stage.told("U_REQUESTER", "Under way:")
    await stage.press("Cancel", card)
    await stage.says(card, "cancelled")
    await person.command("history")
    assert "cancelled" in await stage.told("U_REQUESTER", "The last rotations:")


async def test_a_slow_control_plane_delays_the_card_but_not_the_acknowledgement(stage: Stage) -> None:
    stage.aisix.faults.hang("GET", "/provider_keys")

    answer = await stage.slack.person("U_REQUESTER").command(KEY)

    assert not answer.timed_out
    assert stage.slack.messages("C_OPS") == []
    await stage.aisix.until(lambda: stage.aisix.calls, what="the slow call")
    stage.aisix.faults.release()
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")


async def test_a_name_that_slack_sends_escaped_is_found(stage: Stage) -> None:
    stage.aisix.add_key("R&D <eu>", provider="openai", secret="sk-rnd-0123456789", environments=["production"])
    stage.slack.escape_commands = True

    card = await stage.ask("R&D <eu>")

    assert "R&D <eu>: waiting" in card.plain


async def test_a_command_that_slack_delivers_twice_makes_one_card(stage: Stage) -> None:
    stage.slack.deliver_twice = True
    await stage.slack.person("U_REQUESTER").command(KEY)
    await stage.told("U_REQUESTER", "Slack brought this twice; its card is in the channel.")
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")

    assert stage.built is not None
    assert len(await stage.built.store.recent(10)) == 1
    assert len(stage.slack.messages("C_OPS")) == 1
