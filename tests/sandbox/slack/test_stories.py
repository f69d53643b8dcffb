"""A person and a real Bolt app meet in the sandbox, in both modes."""

import asyncio

import pytest

FORM = {
    "type": "modal",
    "callback_id": "secret",
    "title": {"type": "plain_text", "text": "New secret"},
    "submit": {"type": "plain_text", "text": "Create"},
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "secret",
            "label": {"type": "plain_text", "text": "Secret"},
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 20, "min_length": 3},
        },
        {
            "type": "input",
            "block_id": "key",
            "optional": True,
            "label": {"type": "plain_text", "text": "Provider key"},
            "element": {"type": "external_select", "action_id": "key", "min_query_length": 2},
        },
    ],
}
CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Rotate `OpenAI production`"}},
    {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": "enter", "value": "r1", "text": {"type": "plain_text", "text": "Enter"}},
            {
                "type": "button",
                "action_id": "delete",
                "value": "r1",
                "text": {"type": "plain_text", "text": "Delete"},
                "confirm": {
                    "title": {"type": "plain_text", "text": "Delete?"},
                    "text": {"type": "plain_text", "text": "It is gone for good."},
                    "confirm": {"type": "plain_text", "text": "Delete"},
                    "deny": {"type": "plain_text", "text": "Not yet"},
                },
            },
        ],
    },
]


def listen_to_messages(app, heard):
    @app.command("/rotate-key")
    async def command(ack, command, client):
        await ack()
        heard.append(command)
        await client.chat_postMessage(channel=command["channel_id"], text=command["text"], blocks=CARD)

    @app.action("enter")
    async def enter(ack, body, client):
        await ack()
        heard.append(body)
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.action("delete")
    async def delete(ack, body, respond):
        await ack()
        heard.append(body)
        await respond("Only you see that it is deleted.")


def listen_to_forms(app, heard):
    @app.options("key")
    async def options(ack, payload):
        names = [name for name in ("OpenAI production", "OpenAI staging") if payload["value"] in name]
        await ack(options=[{"text": {"type": "plain_text", "text": n}, "value": n.lower()} for n in names])

    @app.view("secret")
    async def secret(ack, view, body, client):
        heard.append(body)
        wrong = view["state"]["values"]["secret"]["value"]["value"] == "wrong"
        await (ack(response_action="errors", errors={"secret": "That is wrong."}) if wrong else ack())

    @app.view_closed("secret")
    async def closed(ack, body):
        await ack()
        heard.append(body)


@pytest.fixture
async def desk(both, bolt, connected):
    """The Slack, a Bolt app that does a little of everything, and what the app heard."""
    app, heard = bolt(both), []
    listen_to_messages(app, heard)
    listen_to_forms(app, heard)
    async with connected(both, app):
        yield both, heard


async def start(slack):
    await slack.person("U_REQUESTER").command("OpenAI production")
    [card] = await slack.until(lambda: slack.messages("C_OPS"))
    return slack.person("U_REQUESTER"), card


async def open_form(slack):
    person, card = await start(slack)
    await person.click("Enter", card)
    await slack.until(lambda: person.modal)
    return person, card


async def test_a_confirm_dialog_is_read_and_may_be_dismissed(desk):
    slack, heard = desk
    person, card = await start(slack)

    press = await person.click("Delete", card, confirm=False)

    assert press.confirm["text"] == "It is gone for good."
    assert not press.sent
    assert len(heard) == 1


async def test_an_error_at_a_field_keeps_the_form_open(desk):
    slack, _ = desk
    person, _ = await open_form(slack)

    result = await person.submit({"Secret": "wrong"})

    assert result.errors == {"secret": "That is wrong."}
    assert not result.closed
    assert person.modal is not None


async def test_a_good_submission_closes_the_form(desk):
    slack, heard = desk
    person, _ = await open_form(slack)

    result = await person.submit({"Secret": "sk-right", "Provider key": "OpenAI staging"})

    assert result.closed
    assert person.modal is None
    values = heard[-1]["view"]["state"]["values"]
    assert values["secret"]["value"] == {"type": "plain_text_input", "value": "sk-right"}
    assert values["key"]["key"]["selected_option"]["value"] == "openai staging"


async def test_slacks_client_checks_a_form_before_it_is_sent(desk):
    slack, heard = desk
    person, _ = await open_form(slack)
    before = len(heard)

    with pytest.raises(ValueError, match="at most 20"):
        await person.submit({"Secret": "x" * 21})
    with pytest.raises(ValueError, match="at least 3"):
        await person.submit({"Secret": "x"})
    with pytest.raises(ValueError, match="required"):
        await person.submit({"Secret": ""})
    with pytest.raises(LookupError, match="Provider key"):
        await person.submit({"Nothing": "x"})
    assert len(heard) == before


async def test_a_payload_may_arrive_twice(desk):
    slack, heard = desk
    slack.deliver_twice = True

    await slack.person("U_REQUESTER").command("twice")

    await slack.until(lambda: len(slack.messages("C_OPS")) == 2)
    assert [each["text"] for each in heard] == ["twice", "twice"]


async def test_clicks_on_a_stale_card_are_possible(desk):
    slack, heard = desk
    person, card = await start(slack)
    slack.site.rewrite(card, "done", [])

    with pytest.raises(LookupError, match=r"there are \[\]"):
        await person.click("Delete", card)
    await person.click("Delete", card, stale=True)

    assert heard[-1]["message"]["text"] == "done"


async def test_an_unheard_command_times_out_for_the_person(both, bolt, connected):
    both.ack_within = 0.05
    app = bolt(both)

    @app.command("/rotate-key")
    async def never(ack):
        await asyncio.sleep(0.3)
        await ack()

    async with connected(both, app):
        answer = await both.person("U_REQUESTER").command("x")

    assert answer.timed_out
    assert "operation_timeout" in both.person("U_REQUESTER").ephemerals[-1]["text"]
