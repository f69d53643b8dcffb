"""What `/rotate-key` answers, and to whom."""

import pytest
from structlog.testing import capture_logs

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


async def test_an_ambiguous_name_offers_the_choice(stage: Stage) -> None:
    twin = stage.aisix.add_key(KEY, provider="openai", secret="sk-twin-0123456789", environments=["staging"])
    person = stage.slack.person("U_REQUESTER")
    await person.command(KEY)
    await stage.told("U_REQUESTER", "2 provider keys match")

    menu = person.ephemerals[-1]["blocks"][1]["elements"][0]

    assert twin.id in [option["value"] for option in menu["options"]]


@pytest.mark.parametrize(
    "text",
    ["sk-proj-abcdefghijklmnop0123456789", f"{KEY} sk-ant-abcdefghijklmnop0123456789", "A1b2C3d4E5f6G7h8J9k0L1m2N3p4"],
)
async def test_text_that_looks_like_a_secret_is_refused_without_repeating_it(stage: Stage, text: str) -> None:
    await stage.slack.person("U_REQUESTER").command(text)

    said = await stage.told("U_REQUESTER", "That looks like a secret")

    assert "revoke it" in said
    assert text.rsplit(maxsplit=1)[-1][:10] not in str([call.args for call in stage.slack.calls])


@pytest.mark.parametrize("why", ["a guest", "AISIX is away"])
async def test_a_secret_is_told_for_one_where_no_name_can_be_looked_up(stage: Stage, why: str) -> None:
    typed = "sk-proj-abcdefghijklmnop0123456789"
    if why == "AISIX is away":
        stage.aisix.faults.fail("GET", "/provider_keys", status=503, times=20)
    who = "U_GUEST" if why == "a guest" else "U_REQUESTER"
    await stage.slack.person(who).command(typed)

    said = await stage.told(who, "That looks like a secret")

    assert "revoke it" in said
    assert typed[:10] not in str([call.args for call in stage.slack.calls])


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


async def test_where_the_bot_is_not_in_the_channel_the_person_is_told_to_invite_it(stage: Stage) -> None:
    await stage.slack.person("U_REQUESTER").command(KEY, channel="C_ELSEWHERE")

    said = await stage.told("U_REQUESTER", "I am not in this channel")

    assert "/invite @keyturn" in said
    assert await stage.built.store.under_way() == []


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

    assert "Rotate R&D <eu>" in card.plain


async def test_a_command_that_slack_delivers_twice_makes_one_card(stage: Stage) -> None:
    stage.slack.deliver_twice = True
    await stage.slack.person("U_REQUESTER").command(KEY)
    await stage.told("U_REQUESTER", "Slack brought me this twice; its card is in the channel.")
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")

    assert stage.built is not None
    assert len(await stage.built.store.recent(10)) == 1
    assert len(stage.slack.messages("C_OPS")) == 1


@pytest.mark.parametrize("text", [KEY, ""])
async def test_a_rotation_asked_for_in_a_direct_message_is_answered_with_a_channel_to_use(
    stage: Stage, text: str
) -> None:
    person = stage.slack.person("U_REQUESTER")
    await stage.ask("Other key")

    await person.command(text, channel="D_U_REQUESTER")

    assert "the last rotation was in <#C_OPS>" in await stage.told("U_REQUESTER", "Nobody else would see a rotation")
    assert person.modal is None
    assert len(await stage.built.store.recent(9)) == 1


@pytest.mark.parametrize("text", [KEY, ""])
async def test_the_only_approver_is_told_that_nobody_else_could_approve(stage: Stage, text: str) -> None:
    person = stage.slack.person("U_APPROVER")

    await person.command(text)

    said = await stage.told("U_APPROVER", "Nobody of the people in APPROVERS can approve what you ask for")
    assert "APPROVALS_REQUIRED is 1" in said
    assert person.modal is None
    assert stage.slack.messages("C_OPS") == []


async def test_a_start_where_nobody_could_approve_is_logged_and_goes_on(bare_stage: Stage) -> None:
    bare_stage.slack.users["U_APPROVER"].guest = True
    with capture_logs() as logged:
        async with bare_stage.front():
            await bare_stage.slack.person("U_MEMBER").command(KEY)
            await bare_stage.told("U_MEMBER", "Nobody of the people in APPROVERS")

    (error,) = [each for each in logged if each["log_level"] == "error"]
    assert error["event"] == "too_few_approvers"
    assert "nobody of the people in APPROVERS can approve, and APPROVALS_REQUIRED is 1" in error["why"]


async def test_a_start_where_slack_cannot_tell_who_could_approve_goes_on(bare_stage: Stage) -> None:
    bare_stage.slack.faults.fail("usergroups.users.list", error="internal_error")
    with capture_logs() as logged:
        async with bare_stage.bot():
            await bare_stage.ask()

    assert [each["event"] for each in logged if each["log_level"] in ("error", "warning")] == ["approvers_unknown"]
