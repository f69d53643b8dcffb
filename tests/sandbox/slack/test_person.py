"""What a person can do, and what the sandbox says when they cannot."""

import json

import pytest

MODAL = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Form"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "name", "initial_value": "proposed"},
        }
    ],
}


def button(words, **more):
    return {"type": "button", "text": {"type": "plain_text", "text": words}, **more}


def option(words, value=None):
    return {"text": {"type": "plain_text", "text": words}, "value": value or words}


def said(slack, *blocks):
    return slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "card", list(blocks))


def sent(slack):
    return slack.payloads[-1]["payload"]


async def test_a_button_that_is_not_there_is_named_beside_those_that_are(desk):
    slack, *_ = desk
    card = said(slack, {"type": "actions", "elements": [button("Enter"), button("Cancel")]})

    with pytest.raises(LookupError, match=r"'Delete'; there are \['Enter', 'Cancel'\]"):
        await slack.person("U_MEMBER").click("Delete", card)


async def test_twin_buttons_are_told_apart_by_their_value(desk):
    slack, *_ = desk
    card = said(slack, {"type": "actions", "elements": [button("Go", value="1"), button("Go", value="2")]})

    with pytest.raises(LookupError, match="2 buttons say 'Go'"):
        await slack.person("U_MEMBER").click("Go", card)
    await slack.person("U_MEMBER").click("Go", card, value="2")

    assert sent(slack)["actions"][0]["value"] == "2"


async def test_nobody_clicks_where_they_are_not_or_on_what_is_gone(desk):
    slack, *_ = desk
    slack.add_user("U_FAR", "far")
    card = said(slack, {"type": "actions", "elements": [button("Go")]})

    with pytest.raises(LookupError, match="is in no channel C_OPS"):
        await slack.person("U_FAR").click("Go", card)
    with pytest.raises(LookupError, match="is in no channel C_OPS"):
        await slack.person("U_FAR").command("x")
    slack.site.remove(card)
    with pytest.raises(LookupError, match="gone"):
        await slack.person("U_MEMBER").click("Go", card)
    assert slack.payloads == []


async def test_a_choice_in_a_message_is_sent_and_remembered(desk):
    slack, *_ = desk
    menu = {"type": "static_select", "action_id": "which", "options": [option("One", "1"), option("Two", "2")]}
    card = said(slack, {"type": "section", "text": {"type": "plain_text", "text": "Which?"}, "accessory": menu})
    person = slack.person("U_MEMBER")

    await person.choose("Two", card)

    assert sent(slack)["actions"][0]["selected_option"]["value"] == "2"
    [values] = sent(slack)["state"]["values"].values()
    assert values["which"]["selected_option"]["value"] == "2"
    with pytest.raises(LookupError, match=r"there are \['One', 'Two'\]"):
        await person.choose("Three", card)


async def test_a_choice_seen_in_the_type_ahead_is_not_asked_for_again(desk):
    slack, _, answers = desk
    menu = {"type": "external_select", "action_id": "which"}
    card = said(slack, {"type": "actions", "elements": [menu]})
    answers += [{"options": [option("OpenAI production", "pk_1")]}, None]
    person = slack.person("U_MEMBER")

    assert await person.type_ahead("op", where=card) == []
    assert await person.type_ahead("open", where=card) == [("OpenAI production", "pk_1")]
    await person.choose("OpenAI production", card)

    assert [each["payload"]["type"] for each in slack.payloads] == ["block_suggestion", "block_actions"]


def open_form(slack, **more):
    slack.site.views.open("U_MEMBER", MODAL | more)
    return slack.person("U_MEMBER")


@pytest.mark.parametrize("name", ["Name", "name"])
async def test_a_field_is_named_by_its_label_or_ids(desk, name):
    slack, *_ = desk

    await open_form(slack).submit({name: "mine"})

    assert sent(slack)["view"]["state"]["values"]["name"]["name"]["value"] == "mine"


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "update", "view": {"type": "modal"}},
        {"response_action": "dance"},
        {"text": "hello"},
    ],
    ids=json.dumps,
)
async def test_an_answer_that_makes_no_sense_is_trouble_for_the_person(desk, answer):
    slack, _, answers = desk
    answers.append(answer)
    person = open_form(slack)

    result = await person.submit()

    assert result.error
    assert not result.closed
    assert "trouble connecting" in person.ephemerals[-1]["text"]
    assert slack.complaints


async def test_closing_tells_the_app_only_if_it_asked(desk):
    slack, *_ = desk

    await open_form(slack).close_modal()
    assert slack.payloads == []
    await open_form(slack, notify_on_close=True).close_modal()
    assert sent(slack)["type"] == "view_closed"
    with pytest.raises(LookupError, match="no modal open"):
        await slack.person("U_MEMBER").submit()


async def test_until_says_what_it_waited_for_and_what_there_was(slack):
    said(slack, {"type": "actions", "elements": [button("Enter")]})
    slack.site.whisper("U_MEMBER", "psst")

    with pytest.raises(TimeoutError, match=r"(?s)0.01 s for the receipt.*Enter.*only U_MEMBER: 'psst'"):
        await slack.until(lambda: None, timeout=0.01, what="the receipt")


async def test_a_watcher_is_told_of_everything_people_see(desk):
    slack, _, answers = desk
    told = []
    slack.on_change(lambda kind, what: told.append(kind))
    answers.append({"text": "hi"})

    await slack.person("U_MEMBER").command("x")
    card = said(slack, {"type": "actions", "elements": [button("Go")]})
    await slack.person("U_MEMBER").click("Go", card)
    slack.site.rewrite(card, "new", [])
    slack.site.remove(card)
    await open_form(slack).submit()

    expected = ["command", "ephemeral", "message", "click", "edit", "delete", "fill", "submit", "modal_closed"]
    assert told == expected
