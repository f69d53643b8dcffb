"""The Home tab, drawn at each visit and at changes; its buttons and the shortcuts begin a rotation."""

from datetime import timedelta

import pytest

from handlers.views.batch import BATCH_FORM
from sandbox.slack.person import Person
from sandbox.slack.reading import plain
from tests.support.stage import KEY, Stage, stage_of


def shown(person: Person) -> str:
    return plain((person.home or {"blocks": []})["blocks"])


async def says(stage: Stage, person: Person, words: str) -> None:
    await stage.slack.until(lambda: words in shown(person), what=f"{words!r} on Home; it says {shown(person)!r}")


async def test_home_shows_what_waits_for_each_person_and_follows_the_rotation(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.home.REFRESH_EVERY", timedelta(seconds=1))
    requester, approver = stage.slack.person("U_REQUESTER"), stage.slack.person("U_APPROVER")
    await requester.open_home()
    await approver.open_home()
    await says(stage, requester, "Nothing. Keyturn shows here what you can do")
    card = await stage.ask()
    await requester.open_home()
    await says(stage, requester, "Give the new secret.")

    await requester.click("Enter new secret", requester.home)
    await stage.slack.until(lambda: requester.modal, what="the form")
    await requester.close_modal()
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    await says(stage, approver, "Look at the card, then approve")
    calls = [call for call in stage.slack.calls if call.method == "views.publish"]

    assert stage.slack.person("U_GUEST").home is None
    assert len(calls) < 12, "one for each opening, and one a person for each burst of changes"


async def test_the_shortcut_asks_for_the_key_and_a_channel_and_the_one_on_a_message_takes_its_channel(
    stage: Stage,
) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.shortcut("rotate_a_key")
    await stage.slack.until(lambda: person.modal, what="the picker")
    await person.submit({"key": KEY, "channel": "C_ELSEWHERE"})
    await stage.slack.until(lambda: stage.slack.direct_messages("U_REQUESTER"), what="the answer")
    assert "Keyturn is not in this channel" in stage.slack.direct_messages("U_REQUESTER")[-1].plain

    said = stage.slack.site.speak(stage.slack.channels["C_OPS"], "U_MEMBER", "that key is old", [])
    await person.shortcut("rotate_a_key_here", said)
    await stage.slack.until(lambda: person.modal, what="the picker")
    await person.submit({"key": KEY})
    await stage.slack.until(lambda: len(stage.slack.messages("C_OPS")) > 1, what="the card")
    assert KEY in stage.slack.messages("C_OPS")[-1].plain


async def test_an_app_without_a_home_tab_goes_on(stage: Stage) -> None:
    stage.slack.home_enabled = False
    await stage.slack.person("U_REQUESTER").open_home()
    await stage.slack.until(
        lambda: [call.error for call in stage.slack.calls if call.method == "views.publish"] == ["not_enabled"],
        what="the refusal",
    )

    assert KEY in (await stage.ask()).plain


async def test_a_key_on_home_is_proposed_in_the_picker_and_the_card_comes_where_the_person_says(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.open_home()
    await says(stage, person, "Other key")
    await person.click("Rotate", person.home, value=stage.key_named("Other key").id)
    await stage.slack.until(lambda: person.modal, what="the picker")
    assert (await person.submit({"channel": "C_OPS"})).closed
    await stage.slack.until(lambda: stage.slack.messages("C_OPS"), what="the card")

    assert "Other key" in stage.slack.messages("C_OPS")[-1].plain


async def test_the_picker_of_home_becomes_the_form_of_a_batch_and_keeps_the_channel(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    await person.open_home()
    await says(stage, person, "Other key")
    await person.click("Rotate a key", person.home)
    await stage.slack.until(lambda: person.modal, what="the picker")
    await person.fill({"channel": "C_OPS"})
    await person.click("Several keys…")
    await stage.slack.until(lambda: (person.modal or {}).get("callback_id") == BATCH_FORM, what="the form of a batch")
    assert (await person.submit({"provider": "openai"})).closed

    assert "2 keys: " in stage.slack.messages("C_OPS")[0].plain


async def test_the_history_is_found_from_home_and_by_the_command_with_the_receipt(stage: Stage) -> None:
    person = stage.slack.person("U_REQUESTER")
    card = await stage.ask()
    await stage.is_linked()
    rotation = await stage.record()
    await person.open_home()
    await says(stage, person, "History…")
    await says(stage, person, "being rotated")

    await person.click("History…", person.home)
    await stage.slack.until(lambda: person.modal, what="the form")
    assert (await person.submit({"key": "openai", "by": "U_REQUESTER", "environment": "production"})).errors == {}
    assert "1 rotation." in plain(person.modal["blocks"])
    assert f"p{card.ts.replace('.', '')}" in str(person.modal["blocks"])
    await person.close_modal()

    await person.command("history key:openai by:<@U_REQUESTER|requester> since:2026-01-01")
    assert "Found, the newest first:" in await stage.told("U_REQUESTER", "Found")
    await person.command("history by:<@U_MEMBER>")
    await stage.told("U_REQUESTER", "No rotation is like that.")
    await person.command(f"receipt {rotation.id}")
    assert "|open>" in await stage.told("U_REQUESTER", "It has no receipt")


async def test_home_opens_over_http_too(redis_url: str) -> None:
    async with stage_of(redis_url, mode="http") as stage, stage.front():
        person = stage.slack.person("U_APPROVER")
        assert (await person.open_home()).error is None
        await says(stage, person, "Waits for you")
