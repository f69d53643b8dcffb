"""What a person does in Slack, as the app is told of it in HTTP mode, and what its answers do on their screen."""

import json

import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier


def plain(words):
    return {"type": "plain_text", "text": words}


def option(words, value):
    return {"text": plain(words), "value": value}


def field(name, **element):
    return {"type": "input", "block_id": name, "label": plain(name.title()), "element": element | {"action_id": name}}


MODAL = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Form"),
    "submit": plain("Go"),
    "blocks": [
        field("secret", type="plain_text_input", min_length=3, max_length=20, initial_value="proposed"),
        field("key", type="external_select", min_query_length=2) | {"optional": True},
    ],
}
DIALOG = {
    "title": plain("Delete?"),
    "text": plain("It is gone for good."),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}
CARD = [
    {
        "type": "actions",
        "elements": [
            {"type": "button", "text": plain("Go"), "value": "1"},
            {"type": "button", "text": plain("Delete"), "value": "1", "confirm": DIALOG},
        ],
    }
]


@pytest.fixture
def card(desk):
    slack, *_ = desk
    return slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "card", CARD)


@pytest.fixture
def member(desk):
    return desk[0].person("U_MEMBER")


def opened(slack, **more):
    slack.site.views.open("U_MEMBER", MODAL | more)
    return slack.person("U_MEMBER")


@pytest.mark.parametrize(("fault", "is_signed"), [(None, True), ("bad", False), ("stale", False)])
async def test_the_app_is_told_in_forms_whose_signature_may_be_wrong_and_that_may_come_twice(
    desk, member, card, fault, is_signed
):
    slack, seen, _ = desk
    slack.signing_fault = fault
    await member.command("OpenAI & Co = üñ")
    await member.click("Go", card)
    slack.escape_commands = slack.deliver_twice = True
    await member.command("a & <b>")
    signed = [SignatureVerifier(slack.signing_secret).is_valid_request(body, head) for head, body, _ in seen]
    command, interaction, *escaped = [form for _, _, form in seen]
    payload = json.loads(interaction["payload"])

    assert signed == [is_signed] * 4
    assert (command["text"], command["user_id"]) == ("OpenAI & Co = üñ", "U_MEMBER")
    assert [each["text"] for each in escaped] == ["a &amp; &lt;b&gt;"] * 2
    assert payload == slack.payloads[1]["payload"]
    assert (payload["type"], payload["response_url"][:7]) == ("block_actions", "http://")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (web.Response(text="words"), "words"),
        ({"text": "json"}, "json"),
        (web.Response(status=500), '/rotate-key failed with the error "http_service_error"'),
        (web.Response(status=404), '/rotate-key failed with the error "http_client_error"'),
        ({"blocks": [{"type": "banner"}]}, None),
    ],
)
async def test_the_person_sees_the_answer_to_a_command(desk, member, answer, shown):
    slack, _, answers = desk
    answers.append(answer)
    await member.command("x")

    assert [each["text"] for each in member.ephemerals] == ([shown] if shown else [])
    assert bool(slack.complaints) is (shown is None)


async def test_nobody_clicks_where_they_are_not_or_what_is_gone_or_has_declined(desk, member, card):
    slack, *_ = desk
    slack.add_user("U_FAR", "far")
    for act in (slack.person("U_FAR").click("Go", card), slack.person("U_FAR").command("x")):
        with pytest.raises(LookupError, match="is in no channel C_OPS"):
            await act
    declined = await member.click("Delete", card, confirm=False)
    slack.site.remove(card)
    with pytest.raises(LookupError, match="gone"):
        await member.click("Go", card)

    assert (declined.confirm["text"], declined.sent) == ("It is gone for good.", False)
    assert slack.payloads == []


async def test_a_type_ahead_asks_the_app_from_its_shortest_query_on(desk):
    slack, _, answers = desk
    answers += [{"options": [option("OpenAI production", "pk_1")]}, None]
    person = opened(slack)

    assert await person.type_ahead("o") == []
    assert await person.type_ahead("op") == [("OpenAI production", "pk_1")]
    assert await person.type_ahead("other") == []
    assert [each["payload"]["type"] for each in slack.payloads] == ["block_suggestion"] * 2
    assert "'other' shows nothing" in slack.complaints[0]


@pytest.mark.parametrize(("typed", "why"), [("x" * 21, "at most 20"), ("x", "at least 3"), ("", "required")])
async def test_slacks_client_checks_a_form_before_it_is_sent(desk, typed, why):
    with pytest.raises(ValueError, match=why):
        await opened(desk[0]).submit({"Secret": typed})

    assert desk[0].payloads == []


async def test_a_form_is_sent_with_its_values_and_stays_open_for_an_error(desk, member):
    slack, _, answers = desk
    errors = {"secret": "That is wrong."}
    answers += [{"response_action": "errors", "errors": errors}, {"options": [option("OpenAI production", "pk_1")]}]
    wrong = await opened(slack).submit()
    right = await member.submit({"Key": "OpenAI production"})
    values = right.payload["view"]["state"]["values"]

    assert (wrong.errors, wrong.closed) == (errors, False)
    assert (right.closed, member.modal) == (True, None)
    assert values["secret"]["secret"] == {"type": "plain_text_input", "value": "proposed"}
    assert values["key"]["key"]["selected_option"]["value"] == "pk_1"


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "dance"},
        {"text": "hello"},
    ],
    ids=json.dumps,
)
async def test_an_answer_that_makes_no_sense_is_trouble_for_the_person(desk, answer):
    slack, _, answers = desk
    answers.append(answer)
    person = opened(slack)
    result = await person.submit()

    assert (bool(result.error), result.closed, bool(slack.complaints)) == (True, False, True)
    assert "trouble connecting" in person.ephemerals[-1]["text"]


async def test_home_is_opened_by_an_event_in_json_and_holds_its_view_once_there_is_one(desk, member):
    slack, seen, _ = desk
    await member.open_home()
    slack.site.views.publish(member.id, {"type": "home", "blocks": CARD})
    await member.open_home()

    (headers, first, _), (_, second, _) = seen
    assert headers["Content-Type"] == "application/json"
    assert [json.loads(body)["type"] for body in (first, second)] == ["event_callback"] * 2
    event = json.loads(first)["event"]
    assert (event["type"], event["user"], event["tab"]) == ("app_home_opened", member.id, "home")
    assert "view" not in event
    assert json.loads(second)["event"]["view"]["blocks"][0]["elements"][0]["text"] == plain("Go")


async def test_a_button_on_home_and_a_global_shortcut_belong_to_no_channel_and_have_no_response_url(desk, member):
    slack, seen, _ = desk
    slack.site.views.publish(member.id, {"type": "home", "blocks": CARD})
    await member.click("Go", member.home)
    await member.shortcut("rotate")

    for _, _, form in seen:
        payload = json.loads(form["payload"])
        assert payload["trigger_id"]
        assert not {"channel", "response_url"} & payload.keys()


async def test_a_shortcut_on_a_message_names_its_channel_and_can_be_answered(desk, member, card):
    _, seen, _ = desk
    await member.shortcut("rotate", card)

    payload = json.loads(seen[0][2]["payload"])
    assert (payload["type"], payload["callback_id"], payload["channel"]["id"]) == ("message_action", "rotate", "C_OPS")
    assert payload["message"]["ts"] == payload["message_ts"] == card.ts
    assert payload["response_url"]


async def test_a_menu_without_shared_channels_does_not_offer_one(desk, member):
    slack, *_ = desk
    menu = {"type": "conversations_select", "filter": {"exclude_external_shared_channels": True}}
    slack.site.views.open(member.id, MODAL | {"blocks": [field("where", **menu)]})
    await member.fill({"where": "C_OPS"})
    slack.channels["C_OPS"].shared = True

    with pytest.raises(LookupError, match="shared with others"):
        await member.fill({"where": "C_OPS"})
