"""The Web API as slack_sdk sees it: what the bot calls, and what it is refused."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "New secret"},
    "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Hello"}}],
}


def text(words):
    return {"type": "section", "text": {"type": "mrkdwn", "text": words}}


async def refused(call):
    """Slack's word for why it does not do this."""
    with pytest.raises(SlackApiError) as raised:
        await call
    return raised.value.response["error"]


async def test_a_token_is_for_its_own_methods_and_scopes(slack, client):
    who = await client.auth_test()
    wrong, nobody = AsyncWebClient("xoxb-wrong", base_url=slack.api_url), AsyncWebClient(base_url=slack.api_url)
    app = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    slack.scopes = frozenset({"commands", "chat:write"})

    assert (who["team_id"], who["user_id"], who["bot_id"]) == ("T_HOME", "U_KEYTURN", "B_KEYTURN")
    assert await refused(wrong.auth_test()) == "invalid_auth"
    assert await refused(wrong.apps_connections_open(app_token="xapp-wrong")) == "invalid_auth"
    assert await refused(nobody.auth_test()) == "not_authed"
    assert await refused(client.apps_connections_open(app_token=slack.bot_token)) == "not_allowed_token_type"
    assert await refused(app.chat_postMessage(channel="C_OPS", text="x")) == "not_allowed_token_type"
    assert await refused(client.users_info(user="U_MEMBER")) == "missing_scope"
    assert await refused(client.api_call("chat.shout")) == "unknown_method"


async def test_a_message_is_posted_and_edited(slack, client):
    posted = await client.chat_postMessage(channel="C_OPS", text="one", blocks=[text("*one* `two`")])
    [message] = slack.messages("C_OPS")
    assert (message.ts, message.plain) == (posted["ts"], "one two")

    await client.chat_update(channel="C_OPS", ts=message.ts, text="three")
    assert (message.text, message.blocks, message.plain) == ("three", [], "three")
    assert message.edits[0][0] == "one"

    slack.site.remove(message)
    assert await refused(client.chat_update(channel="C_OPS", ts=message.ts, text="x")) == "message_not_found"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"channel": "C_NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": "C_ELSEWHERE", "text": "x"}, "not_in_channel"),
        ({"channel": "C_OLD", "text": "x"}, "is_archived"),
        ({"channel": "C_OPS", "text": ""}, "no_text"),
        ({"channel": "C_OPS", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "C_OPS", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ({"channel": "C_OPS", "text": "x", "blocks": "["}, "invalid_blocks_format"),
    ],
)
async def test_a_message_that_slack_refuses(slack, client, args, error):
    slack.add_channel("C_OLD", "old", archived=True)

    assert await refused(client.api_call("chat.postMessage", json=args)) == error
    assert slack.messages(args["channel"]) == []


async def test_a_refusal_of_blocks_says_where_and_why(client):
    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="C_OPS", text="x", blocks=[text("fine"), text("x" * 3001)])

    assert raised.value.response["error"] == "invalid_blocks"
    [message] = raised.value.response["response_metadata"]["messages"]
    assert "at most 3000" in message
    assert "/blocks/1/text/text" in message


async def test_an_edit_has_less_room_than_a_post_and_only_for_ones_own(slack, client):
    posted = await client.chat_postMessage(channel="C_OPS", text="x" * 4001)
    theirs = slack.site.speak(slack.channels["C_OPS"], "U_MEMBER", "hello", [])

    assert await refused(client.chat_update(channel="C_OPS", ts=posted["ts"], text="x" * 4001)) == "msg_too_long"
    assert await refused(client.chat_update(channel="C_OPS", ts=theirs.ts, text="x")) == "cant_update_message"


async def test_replies_stand_in_the_thread_and_threads_have_one_level(slack, client):
    parent = await client.chat_postMessage(channel="C_OPS", text="parent")
    reply = await client.chat_postMessage(channel="C_OPS", text="reply", thread_ts=parent["ts"])

    assert [m.text for m in slack.messages("C_OPS")] == ["parent"]
    assert [m.text for m in slack.thread(parent["ts"])] == ["reply"]
    deeper = client.chat_postMessage(channel="C_OPS", text="x", thread_ts=reply["ts"])
    assert await refused(deeper) == "cannot_reply_to_message"


async def test_what_is_for_one_person_is_seen_by_nobody_else(slack, client):
    slack.add_user("U_FAR", "far")
    await client.chat_postMessage(channel="U_APPROVER", text="psst")
    await client.chat_postEphemeral(channel="C_OPS", user="U_MEMBER", text="only you")

    assert [m.text for m in slack.direct_messages("U_APPROVER")] == ["psst"]
    assert [each["text"] for each in slack.person("U_MEMBER").ephemerals] == ["only you"]
    assert slack.person("U_APPROVER").ephemerals == []
    assert slack.messages("C_OPS") == []
    far = client.chat_postEphemeral(channel="C_OPS", user="U_FAR", text="x")
    assert await refused(far) == "user_not_in_channel"
    elsewhere = client.chat_postEphemeral(channel="C_ELSEWHERE", user="U_MEMBER", text="x")
    assert await refused(elsewhere) == "not_in_channel"


async def test_people_are_shown_with_what_they_are(slack, client):
    slack.add_user("U_SINGLE", "single", single_channel_guest=True)
    slack.add_user("U_GONE", "gone", deleted=True)

    async def user(user_id):
        return (await client.users_info(user=user_id))["user"]

    assert (await user("U_GUEST"))["is_restricted"]
    assert (await user("U_SINGLE"))["is_ultra_restricted"]
    assert (await user("U_GONE"))["deleted"]
    assert (await user("U_KEYTURN"))["is_bot"]
    stranger = await user("U_STRANGER")
    assert (stranger["is_stranger"], stranger["team_id"]) == (True, "T_OTHER")
    assert await refused(client.users_info(user="U_NOBODY")) == "user_not_found"


async def test_groups_change_under_the_apps_feet_and_cost_money(slack, client):
    slack.groups["S_APPROVERS"].members.append("U_MEMBER")

    members = await client.usergroups_users_list(usergroup="S_APPROVERS")

    assert members["users"] == ["U_APPROVER", "U_MEMBER"]
    assert await refused(client.usergroups_users_list(usergroup="S_NONE")) == "no_such_subteam"
    slack.plan_has_groups = False
    assert await refused(client.usergroups_users_list(usergroup="S_APPROVERS")) == "plan_upgrade_required"


async def test_a_trigger_opens_one_modal_for_whoever_acted_within_three_seconds(slack, client):
    once, late = (slack.site.triggers.give("U_REQUESTER") for _ in range(2))
    view = (await client.views_open(trigger_id=once, view=MODAL))["view"]
    then = slack.now() + 3.1
    slack.now = lambda: then

    assert slack.person("U_REQUESTER").modal["id"] == view["id"]
    assert slack.person("U_APPROVER").modal is None
    assert await refused(client.views_open(trigger_id=once, view=MODAL)) == "exchanged_trigger_id"
    assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "expired_trigger_id"
    assert await refused(client.views_open(trigger_id="1.2.3", view=MODAL)) == "invalid_trigger_id"


async def test_views_that_slack_refuses(slack, client):
    def opened(**more):
        return client.views_open(trigger_id=slack.site.triggers.give("U_REQUESTER"), view=MODAL | more)

    with pytest.raises(SlackApiError) as raised:
        await opened(title={"type": "plain_text", "text": "x" * 25})
    assert raised.value.response["error"] == "invalid_arguments"
    assert "/view/title/text" in raised.value.response["response_metadata"]["messages"][0]

    many = [{"type": "section", "text": {"type": "plain_text", "text": "x" * 2900}}] * 100
    assert await refused(opened(blocks=many)) == "view_too_large"


async def test_a_rate_limit_says_when_to_come_back(slack, client):
    slack.faults.rate_limit("chat.postMessage", retry_after=7)

    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="C_OPS", text="x")

    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "7"
    await client.chat_postMessage(channel="C_OPS", text="x")
    assert [(call.method, call.status) for call in slack.calls] == [
        ("chat.postMessage", 429),
        ("chat.postMessage", 200),
    ]


async def test_failures_are_used_up_in_the_order_they_were_asked_for(slack, client):
    slack.faults.fail("auth.test", status=503)
    slack.faults.fail("*", error="internal_error", times=2)

    with pytest.raises(SlackApiError) as raised:
        await client.auth_test()
    assert raised.value.response.status_code == 503
    assert await refused(client.auth_test()) == "internal_error"
    assert await refused(client.users_info(user="U_MEMBER")) == "internal_error"
    await client.auth_test()


@pytest.mark.parametrize(
    ("fault", "more", "error", "there"),
    [
        ("drop", {"after_effect": False}, aiohttp.ClientError, 0),
        ("drop", {"after_effect": True}, aiohttp.ClientError, 1),
        ("hang", {}, asyncio.TimeoutError, 0),
    ],
)
async def test_a_call_without_an_answer_may_or_may_not_have_had_its_effect(slack, fault, more, error, there):
    getattr(slack.faults, fault)("chat.postMessage", **more)
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, timeout=0.2, retry_handlers=[])

    with pytest.raises(error):
        await client.chat_postMessage(channel="C_OPS", text="x")

    assert len(slack.messages("C_OPS")) == there
