"""The Web API as slack_sdk sees it: what the bot calls, and what it is refused."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import NEWER

MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "New secret"},
    "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "Hello"}}],
}
LONG = {"type": "section", "text": {"type": "plain_text", "text": "x" * 3001}}
MANY = [{"type": "section", "text": {"type": "plain_text", "text": "x" * 2900}}] * 100
TABLE = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}
POST, EDIT, DELETE, WHISPER = "chat.postMessage", "chat.update", "chat.delete", "chat.postEphemeral"
GROUP = {"usergroup": "S_APPROVERS"}


@pytest.fixture
def client(slack):
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url)


async def refused(call):
    """Slack's word for why it does not do this; what is wrong with blocks is said with its place."""
    with pytest.raises(SlackApiError) as raised:
        await call
    answer = raised.value.response
    told = answer.get("response_metadata", {}).get("messages", [])
    assert all("[json-pointer:/" in each for each in told)
    assert bool(told) is (answer["error"] in ("invalid_blocks", "invalid_attachments", "invalid_arguments"))
    assert answer.get("errors", []) == [m.removeprefix("[ERROR] ") for m in told if answer["error"] == "invalid_blocks"]
    return answer["error"]


async def test_a_token_is_for_its_own_methods_and_scopes(slack, client):
    who = await client.auth_test()
    wrong, nobody = AsyncWebClient("xoxb-wrong", base_url=slack.api_url), AsyncWebClient(base_url=slack.api_url)
    app = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    slack.scopes = frozenset({"commands", "chat:write"})

    assert (who["team_id"], who["user_id"], who["bot_id"]) == ("T_HOME", "U_KEYTURN", "B_KEYTURN")
    assert await refused(wrong.auth_test()) == "invalid_auth"
    assert await refused(nobody.auth_test()) == "not_authed"
    assert await refused(client.apps_connections_open(app_token=slack.bot_token)) == "not_allowed_token_type"
    assert await refused(app.chat_postMessage(channel="C_OPS", text="x")) == "not_allowed_token_type"
    assert await refused(client.users_info(user="U_MEMBER")) == "missing_scope"


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("chat.shout", {}, "unknown_method"),
        (POST, {"channel": "C_NOWHERE"}, "channel_not_found"),
        (POST, {"channel": "C_SECRET"}, "channel_not_found"),
        (POST, {"channel": "C_ELSEWHERE"}, "not_in_channel"),
        (POST, {"channel": "C_OLD"}, "is_archived"),
        (POST, {"text": ""}, "no_text"),
        (POST, {"text": "x" * 40_001}, "msg_too_long"),
        (POST, {"blocks": "["}, "invalid_blocks_format"),
        (POST, {"blocks": [LONG]}, "invalid_blocks"),
        (POST, {"blocks": [TABLE, TABLE]}, "invalid_attachments"),
        (POST, {"blocks": MANY[:5]}, "msg_blocks_too_long"),
        (POST, {"thread_ts": "1.000001"}, "thread_not_found"),
        (POST, {"thread_ts": "a reply"}, "cannot_reply_to_message"),
        (EDIT, {"ts": "1.000001"}, "message_not_found"),
        (EDIT, {"ts": "theirs"}, "cant_update_message"),
        (EDIT, {"ts": "mine", "text": "é" * 2001}, "msg_too_long"),
        (EDIT, {"ts": "mine", "channel": "C_OLD"}, "is_inactive"),
        (DELETE, {"ts": "1.000001"}, "message_not_found"),
        (DELETE, {"ts": "theirs"}, "cant_delete_message"),
        (DELETE, {"ts": "mine", "channel": "C_NONE"}, "channel_not_found"),
        (WHISPER, {"user": "U_FAR"}, "user_not_in_channel"),
        (WHISPER, {"user": "U_MEMBER", "channel": "C_ELSEWHERE"}, "not_in_channel"),
        ("users.info", {"user": "U_NOBODY"}, "user_not_found"),
        ("usergroups.users.list", {"usergroup": "S_NONE"}, "no_such_subteam"),
        ("views.open", {"trigger_id": "1.2.3", "view": MODAL}, "invalid_trigger_id"),
        ("views.open", {"trigger_id": "good", "view": MODAL | {"blocks": [LONG]}}, "invalid_arguments"),
        ("views.open", {"trigger_id": "good", "view": MODAL | {"blocks": MANY}}, "view_too_large"),
        ("views.update", {"view_id": "V0", "view": MODAL}, "not_found"),
    ],
)
async def test_a_call_that_slack_refuses_has_no_effect(slack, client, method, args, error):
    slack.add_user("U_FAR", "far")
    slack.add_channel("C_OLD", "old", archived=True)
    slack.add_channel("C_SECRET", "secret", private=True, bot_in=False)
    mine, theirs = (slack.site.speak(slack.channels["C_OPS"], who, "x", []) for who in ("U_KEYTURN", "U_MEMBER"))
    reply = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "x", [], thread_ts=mine.ts)
    known = {"mine": mine.ts, "theirs": theirs.ts, "a reply": reply.ts, "good": slack.site.triggers.give("U_MEMBER")}
    ids = {name: known.get(args[name], args[name]) for name in ("ts", "thread_ts", "trigger_id") if name in args}

    assert await refused(client.api_call(method, json={"channel": "C_OPS", "text": "y"} | args | ids)) == error
    assert len([m for each in slack.channels for m in slack.messages(each)]) == 2
    assert mine.edits == []
    assert slack.person("U_MEMBER").modal is None


async def test_an_app_deletes_its_own_messages_unless_the_workspace_keeps_them(slack, client):
    mine = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "x", [])
    slack.keeps_messages = True
    there = {"channel": "C_OPS", "ts": mine.ts}
    assert await refused(client.chat_delete(**there)) == "compliance_exports_prevent_deletion"

    slack.keeps_messages = False
    await client.chat_delete(**there)
    assert slack.messages("C_OPS") == []
    assert await refused(client.chat_delete(**there)) == "message_not_found"


async def test_what_the_roll_out_has_not_brought_yet_is_refused_whole_and_so_is_a_little_less_text(slack, client):
    header = {"type": "header", "text": {"type": "plain_text", "text": "x"}, "level": 1}
    plan = {"type": "plan", "title": "x", "tasks": []}
    alert = {"type": "alert", "text": {"type": "plain_text", "text": "x"}}
    sent = [MANY[:4], [header], [header, plan | {"tasks": [{"task_id": "1", "title": "x", "status": "pending"}]}]]
    for blocks in sent:
        await client.chat_postMessage(channel="C_OPS", text="x", blocks=blocks)
    slack.missing_blocks, slack.blocks_text = NEWER, 11_341

    trigger = slack.site.triggers.give("U_MEMBER")
    found = [await refused(client.chat_postMessage(channel="C_OPS", text="x", blocks=blocks)) for blocks in sent]
    assert found == ["msg_blocks_too_long", "invalid_blocks", "invalid_blocks"]
    assert await refused(client.views_open(trigger_id=trigger, view=MODAL | {"blocks": [alert]})) == "invalid_arguments"
    assert len(slack.messages("C_OPS")) == 3


HEADER = {"type": "header", "text": {"type": "plain_text", "text": "x"}}
ALERT = {"type": "alert", "text": {"type": "plain_text", "text": "x"}}
SOUND = {"blocks": [HEADER, ALERT], "message": {"blocks": [TABLE, TABLE]}, "view": MODAL | {"blocks": [ALERT]}}
WRONG = [
    ({"blocks": [HEADER, {"type": "header"}]}, "/1", "missing_field", "text"),
    ({"message": {"blocks": [ALERT]}}, "/blocks/0/type", "failed_constraint", None),
    ({"view": MODAL | {"blocks": [TABLE]}}, "/blocks/0/type", "failed_constraint", None),
    ({"blocks": [{"type": "plan", "title": "x"}]}, "/0/type", "failed_constraint", None),
]


@pytest.mark.parametrize(("given", "pointer", "code", "field"), WRONG)
async def test_an_app_may_have_one_thing_validated_against_what_there_is_here(slack, given, pointer, code, field):
    client = AsyncWebClient(base_url=slack.api_url)
    slack.missing_blocks = frozenset({"plan"})
    for name, sound in SOUND.items():
        assert (await client.blocks_validate(**{name: sound}))["ok"]
    with pytest.raises(SlackApiError) as raised:
        await client.blocks_validate(**given)
    [error] = raised.value.response["errors"]

    assert raised.value.response["error"] == f"invalid_{next(iter(given))}"
    assert (error["pointer"], error["code"], error.get("field")) == (pointer, code, field)
    assert await refused(client.blocks_validate(**SOUND)) == "invalid_arguments"


async def test_a_file_is_uploaded_and_shared_once_in_a_thread(slack, client):
    card = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "card", [])
    thread = {"channel_id": "C_OPS", "thread_ts": card.ts}
    file = {"content": "model,verdict\na,proved\n", "filename": "models.csv", "title": "Every model"}
    sent = await client.files_upload_v2(**file, channel="C_OPS", thread_ts=card.ts, initial_comment="All 500")
    empty = await client.files_getUploadURLExternal(filename="models.csv", length=3)
    async with aiohttp.ClientSession() as http, http.post(empty["upload_url"], data=b"four") as answer:
        assert answer.status == 400
    [shared] = slack.thread(card)

    assert (shared.plain, shared.files[0].content) == ("All 500\nEvery model", file["content"].encode())
    assert file["content"] not in str(slack.calls)
    for file_id in (sent["file"]["id"], empty["file_id"], "F00000000"):
        shared_again = client.files_completeUploadExternal(files=[{"id": file_id}], **thread)
        assert await refused(shared_again) == "file_not_found"
    assert await refused(client.files_upload_v2(**file, channel="C_ELSEWHERE")) == "not_in_channel"
    slack.scopes = frozenset({"chat:write"})
    assert await refused(client.files_upload_v2(**file, channel="C_OPS")) == "missing_scope"
    assert len(slack.thread(card)) == 1


async def test_a_trigger_opens_one_modal_for_the_person_who_acted_within_three_seconds(slack, client):
    once, late = (slack.site.triggers.give("U_REQUESTER") for _ in range(2))
    view = (await client.views_open(trigger_id=once, view=MODAL))["view"]
    then = slack.now() + 3.1
    slack.now = lambda: then

    assert slack.person("U_REQUESTER").modal["id"] == view["id"]
    assert slack.person("U_APPROVER").modal is None
    assert await refused(client.views_open(trigger_id=once, view=MODAL)) == "exchanged_trigger_id"
    assert await refused(client.views_open(trigger_id=late, view=MODAL)) == "expired_trigger_id"


async def test_an_open_modal_is_replaced_as_long_as_it_is_open_and_what_was_typed_stays(slack, client):
    person = slack.person("U_REQUESTER")
    asks = {"type": "input", "block_id": "why", "label": {"type": "plain_text", "text": "Why"}}
    asks["element"] = {"type": "plain_text_input", "action_id": "value"}
    before = slack.site.views.open("U_REQUESTER", MODAL | {"blocks": [asks], "submit": MODAL["title"]})
    await person.fill({"why": "it is old"})
    other = MODAL | {"blocks": [*MODAL["blocks"], asks], "submit": MODAL["title"]}
    after = (await client.views_update(view_id=before["id"], hash=before["hash"], view=other))["view"]
    late, large = before | {"hash": "0.0"}, MODAL | {"blocks": MANY}

    assert after["state"]["values"]["why"]["value"]["value"] == "it is old"
    assert person.modal["id"] == before["id"] == after["id"]
    assert await refused(client.views_update(view_id=late["id"], hash=late["hash"], view=MODAL)) == "hash_conflict"
    assert await refused(client.views_update(view_id=late["id"], view=large)) == "view_too_large"
    assert await refused(client.views_update(view_id=late["id"], view=MODAL | {"type": "home"})) == "invalid_arguments"
    await person.close_modal()
    assert await refused(client.views_update(view_id=before["id"], view=other)) == "not_found"


@pytest.mark.parametrize(("minutes", "answered", "error"), [(0, 5, "used_url"), (31, 0, "expired_url")])
async def test_a_response_url_is_good_for_five_answers_in_thirty_minutes(slack, minutes, answered, error):
    url = f"{slack.site.base_url}/actions/T_HOME/{slack.site.response_urls.give('U_MEMBER', 'C_OPS')}"
    then = slack.now() + minutes * 60
    slack.now = lambda: then
    async with aiohttp.ClientSession() as http:
        for number in range(6):
            where = {} if number < 4 else {"response_type": "in_channel"}
            async with http.post(url, json={"text": str(number), **where}) as answer:
                assert answer.status == (200 if number < answered else 404)
                told = await answer.text()

    assert error in told
    assert [each["text"] for each in slack.person("U_MEMBER").ephemerals] == ["0", "1", "2", "3"][:answered]
    assert [each.text for each in slack.messages("C_OPS")] == ["4"][:answered]


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
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url, timeout=1, retry_handlers=[])

    with pytest.raises(error):
        await client.chat_postMessage(channel="C_OPS", text="x")

    assert len(slack.messages("C_OPS")) == there
