"""Our own credentials: one that is refused makes the bot not ready and is told, and one that works again is well."""

import json
from contextlib import AsyncExitStack

import httpx
import pytest
from aiohttp import test_utils, web
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.app import gateways_of, utc_now, world_of
from bot.credentials import ADMIN_TOKEN, BOT_TOKEN, CALLER_KEY, WHAT, Credentials, User
from bot.rotation.errors import ApiError, Unanswerable
from bot.settings import read_settings
from handlers.answers import Answers
from handlers.connect import slack_client, slack_user
from handlers.slack import SlackAway
from tests.bot.test_check_product import SETTINGS
from tests.support.in_memory import CONTROL_PLANE, Tenancy, tenancy_of

SAID = {
    BOT_TOKEN: "Slack refuses Keyturn's bot token (token_revoked), so nothing was done. ",
    ADMIN_TOKEN: "AISIX refuses Keyturn's admin token (401), so nothing was done. ",
    CALLER_KEY: "A gateway refuses Keyturn's caller key (401 invalid_api_key), so nothing was done. ",
}


def test_a_credential_that_is_refused_is_logged_once_and_told_until_it_works():
    credentials = Credentials(logged=True)
    with capture_logs() as logged:
        for _ in range(3):
            credentials.refused(BOT_TOKEN, "token_revoked")
        told = credentials.trouble
        credentials.works(BOT_TOKEN)

    assert told == SAID[BOT_TOKEN] + "Tell the people who run Keyturn: SLACK_BOT_TOKEN needs a new one."
    assert [(each["event"], each["log_level"]) for each in logged] == [
        ("credential_refused", "error"),
        ("credential_works", "info"),
    ]
    assert credentials.trouble == ""


@pytest.mark.parametrize(("renewed", "trouble"), [("new", False), ("old", True), (None, True)])
async def test_a_credential_that_was_renewed_in_the_settings_is_used_without_a_restart(renewed, trouble):
    credentials, held = Credentials(), ["old"]

    async def ask() -> None:
        if held[-1] == "new":
            credentials.works(ADMIN_TOKEN)
        else:
            credentials.refused(ADMIN_TOKEN, "401")
            raise OSError

    async def take(later: str) -> None:
        held.append(later)

    async def take_what_is_half_written(later: str) -> None:
        pytest.fail("nobody refused this one")

    async def well() -> None:
        credentials.works(BOT_TOKEN)

    credentials.users.append(User(ADMIN_TOKEN, ask, take, (OSError,)))
    credentials.users.append(User(BOT_TOKEN, well, take_what_is_half_written, ()))

    assert bool(await credentials.tried(lambda: renewed)) is trouble


@pytest.mark.parametrize(("address", "sent"), [(CONTROL_PLANE, "new"), ("http://moved.invalid/api", "old")])
async def test_a_new_credential_goes_to_no_other_address_than_its_own(monkeypatch, address, sent):
    async with tenancy_of() as tenancy:
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": "at-old", "AISIX_GATEWAYS": gateway(address, "ck-old")}
        moved = {"AISIX_CLOUD_API": address, "AISIX_GATEWAYS": gateway(CONTROL_PLANE, "ck-new")}
        later = read_settings(None, environ | moved | {"AISIX_ADMIN_TOKEN": "at-new"})
        seen = list[str]()

        async def carried(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["Authorization"].removeprefix("Bearer "))
            return httpx.Response(401, json={"error": {"type": "invalid_api_key"}})

        monkeypatch.setattr(tenancy, "carry", carried)
        credentials = Credentials()
        async with AsyncExitStack() as stack:
            await world_of(read_settings(None, environ), utc_now, stack, credentials=credentials)
            await credentials.tried(lambda: later)

    assert seen == ["at-old", "ck-old", f"at-{sent}", f"ck-{sent}"]


def gateway(url: str, caller_key: str) -> str:
    return json.dumps({"env-1": {"url": url, "caller_key": caller_key}})


@pytest.mark.parametrize(
    ("status", "body", "known"),
    [
        (502, {}, True),
        (429, {"error": {"type": "rate_limit_exceeded"}}, False),
        (403, {"error": {"type": "permission_denied"}}, False),
        (200, {"data": []}, False),
    ],
)
async def test_a_caller_key_works_again_when_the_gateway_itself_says_so(monkeypatch, status, body, known):
    answers = [httpx.Response(401, json={"error": {"type": "invalid_api_key"}}), httpx.Response(status, json=body)]

    async def carried(_: httpx.Request) -> httpx.Response:
        return answers.pop(0)

    async with tenancy_of() as tenancy:
        monkeypatch.setattr(tenancy, "carry", carried)
        credentials = Credentials()
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": "at", "AISIX_GATEWAYS": gateway("http://g", "ck")}
        async with gateways_of(read_settings(None, environ), utc_now, credentials) as gateways:
            await gateways.greet_all()
            assert credentials.trouble
            await gateways.greet_all()

    assert bool(credentials.trouble) is known


@pytest.mark.parametrize(("whose", "used"), [("T1", "xoxb-new"), ("T2", "xoxb-1")])
async def test_a_new_bot_token_is_taken_only_if_it_is_of_the_same_bot(whose, used):
    async def answer(request: web.Request) -> web.Response:
        is_new = request.headers["Authorization"].endswith("new")
        said = {"ok": True, "team_id": whose, "user_id": "U1"} if is_new else {"ok": False, "error": "token_revoked"}
        return web.json_response(said)

    site = web.Application()
    site.router.add_route("*", "/{path:.*}", answer)
    async with test_utils.TestServer(site) as server:
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": "at", "SLACK_API_URL": str(server.make_url("/api/"))}
        credentials = Credentials()
        async with slack_client(read_settings(None, environ), credentials) as slack:
            credentials.users.append(slack_user(slack, {"team_id": "T1", "user_id": "U1"}))
            trouble = await credentials.tried(lambda: read_settings(None, environ | {"SLACK_BOT_TOKEN": "xoxb-new"}))

            assert (slack.token, bool(trouble)) == (used, whose == "T2")


BEHIND = [
    (BOT_TOKEN, SlackAway("Slack does not tell Keyturn who you are.")),
    (ADMIN_TOKEN, ApiError("AISIX refuses the token.", 401)),
    (ADMIN_TOKEN, ApiError("AISIX says that the token may not do this.", 403)),
    ("Redis", Unanswerable("Keyturn cannot tell whether this was recorded.")),
    ("AISIX away", ApiError("AISIX is not answering.")),
]


@pytest.mark.parametrize(("why", "error"), BEHIND)
def test_a_person_who_clicks_hears_of_a_refused_credential_only_if_it_is_the_cause(why, error):
    credentials = Credentials()
    for setting in (CALLER_KEY, BOT_TOKEN, ADMIN_TOKEN):
        credentials.refused(setting, "word")
    told = Answers(AsyncWebClient(), 1, credentials).trouble_behind(error)

    assert told == credentials.trouble_of(why)
    assert bool(told) is (why in WHAT)


async def revoke_the_admin_token(tenancy: Tenancy) -> None:
    tenancy.aisix.gate.tokens.clear()


async def take_all_from_the_admin_token(tenancy: Tenancy) -> None:
    tenancy.aisix.gate.tokens[tenancy.aisix.admin_token] = {"write"}


async def disable_the_caller_key(tenancy: Tenancy) -> None:
    environment = tenancy.aisix.environment("staging")
    environment.callers[tenancy.aisix.caller_key("staging")].state = "disabled"


REVOKED = [
    (ADMIN_TOKEN, "401", revoke_the_admin_token),
    (ADMIN_TOKEN, "403", take_all_from_the_admin_token),
    (CALLER_KEY, "401 invalid_api_key", disable_the_caller_key),
]


@pytest.mark.parametrize(("setting", "word", "revoke"), REVOKED)
async def test_what_aisix_refuses_is_known_by_the_next_use(setting, word, revoke):
    async with tenancy_of() as tenancy:
        gateways, token = tenancy.scene.wire.settings(), tenancy.aisix.admin_token
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": token, "AISIX_GATEWAYS": json.dumps(gateways)}
        credentials, settings = Credentials(), read_settings(None, environ)
        async with AsyncExitStack() as stack:
            await world_of(settings, utc_now, stack, credentials=credentials)
            assert await credentials.tried(lambda: None) == ""

            await revoke(tenancy)
            for later in (None, settings):
                trouble = await credentials.tried(lambda later=later: later)
                assert trouble.startswith(SAID[setting].replace("(401)", f"({word})"))

            tenancy.aisix.gate.tokens["at-new"] = {"read", "write"}
            renewed = settings.model_copy(update={"aisix_admin_token": SecretStr("at-new")})
            assert bool(await credentials.tried(lambda: renewed)) is (setting == CALLER_KEY)


@pytest.mark.parametrize("path", ["/environments", "/provider_keys", "/budgets"])
async def test_a_list_that_the_admin_token_may_not_read_does_not_mark_it_as_refused(monkeypatch, path):
    async with tenancy_of() as tenancy:
        carry, credentials = tenancy.carry, Credentials()
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": tenancy.aisix.admin_token}

        async def carried(request: httpx.Request) -> httpx.Response:
            return httpx.Response(403) if request.url.path.endswith(path) else await carry(request)

        monkeypatch.setattr(tenancy, "carry", carried)
        async with AsyncExitStack() as stack:
            world = await world_of(read_settings(None, environ), utc_now, stack, credentials=credentials)
            with pytest.raises(ApiError):
                await world.control_plane.inventory()

    assert credentials.trouble == ""
