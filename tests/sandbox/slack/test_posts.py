"""HTTP mode as an app sees it."""

import json

import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier


def signed(slack, request):
    headers, body, _ = request
    return SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)


async def test_a_command_is_a_signed_form(desk):
    slack, [*_], _ = desk

    await slack.person("U_MEMBER").command("OpenAI & Co = üñ")

    [request] = desk[1]
    assert signed(slack, request)
    assert request[2]["text"] == "OpenAI & Co = üñ"
    assert request[2]["user_id"] == "U_MEMBER"


async def test_a_command_may_arrive_with_entities(desk):
    slack, seen, _ = desk
    slack.escape_commands = True

    await slack.person("U_MEMBER").command("a & <b>")

    assert seen[0][2]["text"] == "a &amp; &lt;b&gt;"


async def test_an_interaction_is_a_signed_form_with_a_payload(desk):
    slack, seen, _ = desk
    button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "value": "r1"}
    blocks = [{"type": "actions", "elements": [button]}]
    message = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "x", blocks)

    await slack.person("U_MEMBER").click("Go", message)

    assert signed(slack, seen[0])
    payload = json.loads(seen[0][2]["payload"])
    assert payload["type"] == "block_actions"
    assert payload["response_url"].startswith(slack.site.base_url)
    assert payload == slack.payloads[0]["payload"]


@pytest.mark.parametrize("fault", ["bad", "stale"])
async def test_a_signature_may_be_wrong(desk, fault):
    slack, seen, _ = desk
    slack.signing_fault = fault

    await slack.person("U_MEMBER").command("x")

    assert not signed(slack, seen[0])


@pytest.mark.parametrize(("status", "error"), [(500, "http_service_error"), (404, "http_client_error")])
async def test_an_answer_that_is_not_200_is_an_error_for_the_person(desk, status, error):
    slack, _, answers = desk
    answers.append(web.Response(status=status))

    answer = await slack.person("U_MEMBER").command("x")

    assert answer.error == error
    assert error in slack.person("U_MEMBER").ephemerals[-1]["text"]


async def test_an_answer_may_be_words_or_json(desk):
    slack, _, answers = desk
    answers += [web.Response(text="words"), {"text": "json"}]

    assert (await slack.person("U_MEMBER").command("x")).text == "words"
    assert (await slack.person("U_MEMBER").command("x")).text == "json"


async def test_an_app_that_is_not_there_is_an_error_at_once(desk):
    slack, _, _ = desk
    slack.events_url = "http://127.0.0.1:9/slack/events"

    assert (await slack.person("U_MEMBER").command("x")).error == "dispatch_failed"


async def test_an_answer_that_slack_cannot_show_is_kept_as_a_complaint(desk):
    slack, _, answers = desk
    answers.append({"blocks": [{"type": "banner"}]})

    await slack.person("U_MEMBER").command("x")

    assert slack.person("U_MEMBER").ephemerals == []
    assert "banner" in slack.complaints[0]
