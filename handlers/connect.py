"""Connect to Slack: the client, one check of each token, and the Bolt app."""

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.credentials import APP_TOKEN, BOT_TOKEN, Credentials, User
from bot.proxies import proxy_for
from bot.rotation.errors import CannotPost
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.settings import Settings, WrongSettings
from bot.telemetry import logs
from bot.telemetry.tracing import tracer
from handlers.payload import text
from handlers.slack import UNREACHABLE, Later, MessageLost, called, counted, reason_of

BOLT_READS = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
"""Variables that Bolt reads from the environment by itself; the last two would make it ignore the bot token."""


DEAD = frozenset({"token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive"})
"""Slack's words for a token that will never work again."""


class Web(AsyncWebClient):
    """Slack's Web API; notes whether Slack takes the bot's tokens, and what they are for."""

    scopes: frozenset[str] | None = None
    """The scopes of the bot token, as the last answer said; None if none has."""

    def __init__(self, credentials: Credentials, **options: Any) -> None:
        super().__init__(**options)
        self._credentials = credentials

    async def api_call(self, api_method: str, **options: Any) -> Any:
        """Call a method."""
        token = APP_TOKEN if api_method == "apps.connections.open" else BOT_TOKEN
        try:
            with counted(api_method), tracer().call("POST", self.base_url + api_method) as ended:
                answer = await super().api_call(api_method, **options)
                ended(str(answer.status_code))
        except SlackApiError as error:
            if (word := reason_of(error)) in DEAD:
                self._credentials.refused(token, word)
            raise
        self._credentials.works(token)
        if token == BOT_TOKEN and (said := answer.headers.get("X-OAuth-Scopes")) is not None:
            self.scopes = frozenset(re.split(r"[,\s]+", said))
        return answer


@asynccontextmanager
async def slack_client(settings: Settings, credentials: Credentials | None = None) -> AsyncIterator[AsyncWebClient]:
    """Open one session for all calls to Slack: handshakes for each call would use up Slack's three seconds."""
    timeout = aiohttp.ClientTimeout(total=settings.slack_timeout.total_seconds())
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield _web(settings, session, credentials or Credentials())


def _web(settings: Settings, session: aiohttp.ClientSession | None, credentials: Credentials) -> Web:
    client = Web(
        credentials,
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url,
        session=session,
        logger=logs.library_logger("slack_sdk.keyturn"),
        retry_handlers=[],
    )
    client.proxy = proxy_for(settings.slack_api_url)  # the SDK would ignore NO_PROXY
    return client


def slack_user(slack: AsyncWebClient, team: Mapping[str, Any]) -> User:
    """Return how to try and to renew the bot token."""
    return User(BOT_TOKEN, slack.auth_test, partial(_take_token, slack, team), (SlackApiError, *UNREACHABLE))


async def _take_token(slack: AsyncWebClient, team: Mapping[str, Any], later: Settings) -> None:
    """Use another token of the same bot: one of another would post what is ours elsewhere."""
    if later.slack_api_url != slack.base_url:
        return
    whose = await _web(later, slack.session, Credentials()).auth_test()
    if all(whose.get(name) == team.get(name) for name in ("team_id", "user_id")):
        slack.token = later.slack_bot_token.get_secret_value()


async def who_am_i(slack: AsyncWebClient) -> dict[str, Any]:
    """Ask Slack who the bot token belongs to; raise `WrongSettings` if it is refused."""
    with _asking_slack("SLACK_BOT_TOKEN", "a bot token, xoxb-…"):
        return dict((await slack.auth_test()).data)  # type: ignore[arg-type]


async def date_at(slack: AsyncWebClient) -> str | None:
    """Return the time by Slack's clock, as a header of HTTP has it; None if Slack does not tell."""
    with _asking_slack("SLACK_BOT_TOKEN", "a bot token, xoxb-…"):
        return (await slack.auth_test()).headers.get("Date")


def may_attach(slack: AsyncWebClient) -> bool | None:
    """Return whether the app may put files into threads; None if no answer of Slack told the token's scopes."""
    scopes = slack.scopes if isinstance(slack, Web) else None
    return None if scopes is None else "files:write" in scopes


def tells_addresses(slack: AsyncWebClient) -> bool | None:
    """Return whether Slack tells people's e-mail addresses; None if no answer of it told the token's scopes."""
    scopes = slack.scopes if isinstance(slack, Web) else None
    return None if scopes is None else "users:read.email" in scopes


async def is_in_a_channel(slack: AsyncWebClient) -> bool | None:
    """Return whether the bot has been invited to a channel; None if Slack does not tell, as without the scopes."""
    try:
        answer = await called(slack.users_conversations, types=CHANNELS, limit=1)
    except (Later, CannotPost, MessageLost):
        return None
    return bool(answer.get("channels"))


async def is_in_channel(slack: AsyncWebClient, channel: str) -> bool | None:
    """Return whether the bot is in one channel; None if Slack does not tell."""
    cursor = ""
    while True:
        try:
            answer = await called(slack.users_conversations, types=CHANNELS, limit=200, cursor=cursor)
        except (Later, CannotPost, MessageLost):
            return None
        if any(text(one, "id") == channel for one in answer.get("channels") or []):
            return True
        if not (cursor := text(answer.data, "response_metadata", "next_cursor")):
            return False


CHANNELS = "public_channel,private_channel"


async def own_app(slack: AsyncWebClient, bot: str) -> str:
    """Ask Slack which app the bot belongs to; empty if Slack does not say, as each transport knows its app too."""
    try:
        answer = await called(slack.bots_info, bot=bot)
    except (Later, CannotPost, MessageLost):
        return ""
    return text(answer.data, "bot", "app_id")


async def try_socket(slack: AsyncWebClient, app_token: str) -> None:
    """Ask for a socket once; raise `WrongSettings` if it is refused: the SDK itself would retry forever."""
    with _asking_slack("SLACK_APP_TOKEN", "an app-level token with connections:write, xapp-…"):
        await slack.apps_connections_open(app_token=app_token)


@contextmanager
def _asking_slack(setting: str, looks: str) -> Iterator[None]:
    """Turn a refusal by Slack, or a missing answer, into `WrongSettings`."""
    try:
        yield
    except SlackApiError as error:
        status = getattr(error.response, "status_code", None)
        if status != HTTPStatus.OK:
            sentence = (
                f"Slack is not well (it answers {status}), so {setting} could not be tried. Try again in a minute."
            )
            raise WrongSettings(sentence) from None
        raise WrongSettings(f"{setting} is wrong: Slack says {reason_of(error)}. It should be {looks}.") from None
    except UNREACHABLE as error:
        why = UNTRUSTED if is_untrusted(error) else type(error).__name__
        raise WrongSettings(
            f"SLACK_API_URL does not answer ({why}): it should be https://slack.com/api/, "
            "and this machine has to reach it."
        ) from None


def bolt_app(slack: AsyncWebClient, team: Mapping[str, Any]) -> AsyncApp:
    """Return a Bolt app without listeners; its own signature check is off because it logs bodies.

    Slack has told at the start who the bot is: with a client of its own, Bolt would ask again at the first command, and
    call the app uninstalled if Slack is in trouble just then.
    """
    for name in BOLT_READS:
        os.environ.pop(name, None)

    async def known() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=text(team, "enterprise_id") or None,
            team_id=text(team, "team_id"),
            bot_user_id=text(team, "user_id"),
            bot_id=text(team, "bot_id"),
            bot_token=slack.token,
        )

    return AsyncApp(
        name="keyturn",  # otherwise Bolt reads the source of every frame on the stack
        authorize=known,
        logger=logs.library_logger("slack_bolt.keyturn"),
        request_verification_enabled=False,
        signing_secret="checked in handlers.http",  # noqa: S106 - Bolt requires one, even if unused
    )
