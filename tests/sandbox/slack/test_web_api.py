"""The Web API as slack_sdk sees it: what it does, and what it refuses."""

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


def trigger(slack, person="U_REQUESTER"):
    return slack.site.triggers.give(person)


async def opened(client, slack, **more):
    answer = await client.views_open(trigger_id=trigger(slack), view=MODAL | more)
    return answer["view"]


async def test_auth_test_says_who_the_bot_is(slack, client):
    answer = await client.auth_test()

    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T_HOME", "U_KEYTURN", "B_KEYTURN")


async def test_a_wrong_token_is_refused(slack):
    wrong = AsyncWebClient("xoxb-wrong", base_url=slack.api_url)
    assert await refused(wrong.auth_test()) == "invalid_auth"
    assert await refused(wrong.apps_connections_open(app_token="xapp-wrong")) == "invalid_auth"
    nobody = AsyncWebClient(base_url=slack.api_url)
    assert await refused(nobody.auth_test()) == "not_authed"


async def test_each_token_is_for_its_own_methods(slack, client):
    assert await refused(client.apps_connections_open(app_token=slack.bot_token)) == "not_allowed_token_type"
    app = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    assert await refused(app.chat_postMessage(channel="C_OPS", text="x")) == "not_allowed_token_type"


async def test_an_unknown_method_is_said_to_be_unknown(client):
    assert await refused(client.api_call("chat.shout")) == "unknown_method"


async def test_api_test_needs_no_token_and_echoes(slack):
    answer = await AsyncWebClient(base_url=slack.api_url).api_test(foo="bar")

    assert answer["args"]["foo"] == "bar"


async def test_a_scope_that_was_not_granted_is_missed(slack, client):
    slack.scopes = frozenset({"commands", "chat:write"})

    await client.chat_postMessage(channel="C_OPS", text="x")

    assert await refused(client.users_info(user="U_MEMBER")) == "missing_scope"


async def test_a_message_is_posted_edited_and_deleted(slack, client):
    posted = await client.chat_postMessage(channel="C_OPS", text="one", blocks=[text("*one* `two`")])
    [message] = slack.messages("C_OPS")
    assert (message.ts, message.plain) == (posted["ts"], "one two")

    await client.chat_update(channel="C_OPS", ts=message.ts, text="three")
    assert (message.text, message.blocks, message.plain) == ("three", [], "three")
    assert message.edits[0][0] == "one"

    await client.chat_delete(channel="C_OPS", ts=message.ts)
    assert slack.messages("C_OPS") == []
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
        ({"channel": "C_OPS", "text": "x", "blocks": [text("")]}, "invalid_blocks"),
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

    [message] = raised.value.response["response_metadata"]["messages"]
    assert "at most 3000" in message
    assert "/blocks/1/text/text" in message


async def test_an_edit_has_less_room_than_a_post_and_only_for_ones_own(slack, client):
    posted = await client.chat_postMessage(channel="C_OPS", text="x" * 4001)
    theirs = slack.site.speak(slack.channels["C_OPS"], "U_MEMBER", "hello", [])

    assert await refused(client.chat_update(channel="C_OPS", ts=posted["ts"], text="x" * 4001)) == "msg_too_long"
    assert await refused(client.chat_update(channel="C_OPS", ts=theirs.ts, text="x")) == "cant_update_message"
    assert await refused(client.chat_delete(channel="C_OPS", ts=theirs.ts)) == "cant_delete_message"


async def test_replies_stand_in_the_thread_and_threads_have_one_level(slack, client):
    parent = await client.chat_postMessage(channel="C_OPS", text="parent")
    reply = await client.chat_postMessage(channel="C_OPS", text="reply", thread_ts=parent["ts"])

    assert [m.text for m in slack.messages("C_OPS")] == ["parent"]
    assert [m.text for m in slack.thread(parent["ts"])] == ["reply"]
    deeper = client.chat_postMessage(channel="C_OPS", text="x", thread_ts=reply["ts"])
    assert await refused(deeper) == "cannot_reply_to_message"


async def test_a_link_to_a_reply_names_its_thread(client):
    parent = await client.chat_postMessage(channel="C_OPS", text="parent")
    reply = await client.chat_postMessage(channel="C_OPS", text="reply", thread_ts=parent["ts"])

    answer = await client.chat_getPermalink(channel="C_OPS", message_ts=reply["ts"])

    assert answer["permalink"].startswith("https://sandbox.slack.com/archives/C_OPS/p")
    assert answer["permalink"].endswith(f"?thread_ts={parent['ts']}&cid=C_OPS")


async def test_a_user_id_as_channel_means_direct_messages(slack, client):
    posted = await client.chat_postMessage(channel="U_APPROVER", text="psst")
    opened = await client.conversations_open(users="U_APPROVER")

    assert posted["channel"] == opened["channel"]["id"]
    assert [m.text for m in slack.direct_messages("U_APPROVER")] == ["psst"]
    assert await refused(client.chat_update(channel="U_APPROVER", ts=posted["ts"], text="x")) == "channel_not_found"


async def test_an_ephemeral_is_seen_by_one_person_of_the_channel(slack, client):
    slack.add_user("U_FAR", "far")

    await client.chat_postEphemeral(channel="C_OPS", user="U_MEMBER", text="only you")

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
    groups = await client.usergroups_list(include_users=True)

    assert members["users"] == groups["usergroups"][0]["users"] == ["U_APPROVER", "U_MEMBER"]
    assert await refused(client.usergroups_users_list(usergroup="S_NONE")) == "no_such_subteam"
    slack.plan_has_groups = False
    assert await refused(client.usergroups_users_list(usergroup="S_APPROVERS")) == "plan_upgrade_required"


async def test_a_channel_says_whether_the_bot_is_in_and_who_shares_it(slack, client):
    slack.add_channel("C_SHARED", "shared", {"U_STRANGER"}, shared=True)

    shared = (await client.conversations_info(channel="C_SHARED"))["channel"]
    elsewhere = (await client.conversations_info(channel="C_ELSEWHERE"))["channel"]

    assert (shared["is_member"], shared["is_ext_shared"]) == (True, True)
    assert (elsewhere["is_member"], elsewhere["is_ext_shared"]) == (False, False)
    assert await refused(client.conversations_info(channel="C_NONE")) == "channel_not_found"


async def test_a_trigger_works_once_and_for_three_seconds(slack, client):
    once, late = trigger(slack), trigger(slack)
    await client.views_open(trigger_id=once, view=MODAL)
    then = slack.now() + 3.1
    slack.now = lambda: then

    assert await refused(client.views_open(trigger_id=once, view=MODAL)) == "exchanged_trigger_id"
    assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "expired_trigger_id"
    assert await refused(client.views_open(trigger_id="1.2.3", view=MODAL)) == "invalid_trigger_id"


async def test_a_modal_opens_on_the_screen_of_the_person_who_acted(slack, client):
    view = await opened(client, slack)

    assert slack.person("U_REQUESTER").modal["id"] == view["id"]
    assert slack.person("U_APPROVER").modal is None


async def test_three_modals_fit_on_a_stack(slack, client):
    first = await opened(client, slack)
    for _ in range(2):
        pushed = await client.views_push(trigger_id=trigger(slack), view=MODAL)

    assert pushed["view"]["root_view_id"] == first["id"]
    assert await refused(client.views_push(trigger_id=trigger(slack), view=MODAL)) == "push_limit_reached"
    person = slack.person("U_REQUESTER")
    await person.close_modal()
    await person.close_modal()
    assert person.modal["id"] == first["id"]


async def test_a_view_is_updated_by_whoever_knows_its_latest_hash(slack, client):
    view = await opened(client, slack)

    updated = await client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL | {"callback_id": "b"})

    assert updated["view"]["id"] == view["id"]
    assert slack.person("U_REQUESTER").modal["callback_id"] == "b"
    again = client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)
    assert await refused(again) == "hash_conflict"
    assert await refused(client.views_update(view_id="V_NONE", view=MODAL)) == "not_found"


async def test_a_closed_view_is_not_found(slack, client):
    view = await opened(client, slack)
    await slack.person("U_REQUESTER").close_modal()

    assert await refused(client.views_update(view_id=view["id"], view=MODAL)) == "not_found"


async def test_an_external_id_is_used_once(slack, client):
    await opened(client, slack, external_id="r1")

    await client.views_update(external_id="r1", view=MODAL | {"external_id": "r1"})
    again = client.views_open(trigger_id=trigger(slack, "U_MEMBER"), view=MODAL | {"external_id": "r1"})

    assert await refused(again) == "duplicate_external_id"


async def test_views_that_slack_refuses(slack, client):
    with pytest.raises(SlackApiError) as raised:
        await opened(client, slack, title={"type": "plain_text", "text": "x" * 25})
    assert raised.value.response["error"] == "invalid_arguments"
    assert "/view/title/text" in raised.value.response["response_metadata"]["messages"][0]

    many = [{"type": "section", "text": {"type": "plain_text", "text": "x" * 2900}}] * 100
    assert await refused(opened(client, slack, blocks=many)) == "view_too_large"


async def test_what_was_typed_outlives_an_update_that_keeps_the_ids(slack, client):
    def form(block_id):
        element = {"type": "plain_text_input", "action_id": "value"}
        label = {"type": "plain_text", "text": "Secret"}
        blocks = [{"type": "input", "block_id": block_id, "label": label, "element": element}]
        return {"blocks": blocks, "submit": {"type": "plain_text", "text": "Go"}}

    view = await opened(client, slack, **form("a"))
    person = slack.person("U_REQUESTER")
    await person.fill({"Secret": "typed"})

    await client.views_update(view_id=view["id"], view=MODAL | form("a"))
    assert person.modal["state"]["values"]["a"]["value"]["value"] == "typed"

    await client.views_update(view_id=view["id"], view=MODAL | form("b"))
    assert person.modal["state"]["values"] == {"b": {"value": {"type": "plain_text_input", "value": None}}}


async def test_a_home_tab_is_published_for_one_person(slack, client):
    await client.views_publish(user_id="U_MEMBER", view={"type": "home", "blocks": MODAL["blocks"]})

    assert slack.person("U_MEMBER").home["type"] == "home"
    assert slack.person("U_APPROVER").home is None


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


async def test_a_method_may_be_limited_by_the_minute(slack, client):
    slack.per_minute["chat.update"] = 2
    posted = await client.chat_postMessage(channel="C_OPS", text="x")

    for _ in range(2):
        await client.chat_update(channel="C_OPS", ts=posted["ts"], text="y")

    assert await refused(client.chat_update(channel="C_OPS", ts=posted["ts"], text="z")) == "ratelimited"
    later = slack.now() + 61
    slack.now = lambda: later
    await client.chat_update(channel="C_OPS", ts=posted["ts"], text="z")


async def test_failures_are_used_up_in_the_order_they_were_asked_for(slack, client):
    slack.faults.fail("auth.test", status=503)
    slack.faults.fail("*", error="internal_error", times=2)

    with pytest.raises(SlackApiError) as raised:
        await client.auth_test()
    assert raised.value.response.status_code == 503
    assert await refused(client.auth_test()) == "internal_error"
    assert await refused(client.users_info(user="U_MEMBER")) == "internal_error"
    await client.auth_test()


@pytest.mark.parametrize(("after_effect", "there"), [(False, 0), (True, 1)])
async def test_a_dropped_call_may_or_may_not_have_had_its_effect(slack, after_effect, there):
    slack.faults.drop("chat.postMessage", after_effect=after_effect)
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])

    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C_OPS", text="x")

    assert len(slack.messages("C_OPS")) == there
    assert slack.calls[-1].status == 0


async def test_a_hanging_call_has_no_answer_and_no_effect(slack):
    slack.faults.hang("chat.postMessage")
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, timeout=0.1, retry_handlers=[])

    with pytest.raises(asyncio.TimeoutError):
        await client.chat_postMessage(channel="C_OPS", text="x")

    assert slack.messages("C_OPS") == []
