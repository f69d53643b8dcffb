"""Our own credentials: one that is refused makes the bot not ready and is told, and one that works again is well."""

import json
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.app import utc_now, world_of
from bot.credentials import ADMIN_TOKEN, BOT_TOKEN, CALLER_KEY, Credentials, User
from bot.settings import read_settings
from tests.bot.test_check_product import SETTINGS
from tests.support.in_memory import Tenancy, tenancy_of

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

    assert told == SAID[BOT_TOKEN] + "Tell whoever runs Keyturn: SLACK_BOT_TOKEN needs a new one."
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

    credentials.users.append(User(ask, held.append, (OSError,)))

    assert bool(await credentials.tried(lambda: renewed)) is trouble


async def revoke_the_admin_token(tenancy: Tenancy) -> None:
    tenancy.aisix.gate.tokens.clear()


async def disable_the_caller_key(tenancy: Tenancy) -> None:
    environment = tenancy.aisix.environment("staging")
    environment.callers[tenancy.aisix.caller_key("staging")].state = "disabled"


REVOKED = {ADMIN_TOKEN: revoke_the_admin_token, CALLER_KEY: disable_the_caller_key}


@pytest.mark.parametrize("setting", REVOKED)
async def test_what_aisix_refuses_is_known_by_the_next_use(setting):
    async with tenancy_of() as tenancy:
        gateways, token = tenancy.scene.wire.settings(), tenancy.aisix.admin_token
        environ = SETTINGS | {"AISIX_ADMIN_TOKEN": token, "AISIX_GATEWAYS": json.dumps(gateways)}
        credentials, settings = Credentials(), read_settings(None, environ)
        async with AsyncExitStack() as stack:
            await world_of(settings, utc_now, stack, credentials=credentials)
            assert await credentials.tried(lambda: None) == ""

            await REVOKED[setting](tenancy)
            assert (await credentials.tried(lambda: None)).startswith(SAID[setting])
            assert (await credentials.tried(lambda: settings)).startswith(SAID[setting])

            tenancy.aisix.gate.tokens["at-new"] = {"read", "write"}
            renewed = settings.model_copy(update={"aisix_admin_token": SecretStr("at-new")})
            assert bool(await credentials.tried(lambda: renewed)) is (setting == CALLER_KEY)
