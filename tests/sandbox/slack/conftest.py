"""A sandbox Slack with a small real Bolt app connected to it, in either mode."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import Slack


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack() as slack:
        yield slack


@pytest.fixture
def client(slack: Slack) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture(params=["socket", "http"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Slack]:
    """A Slack in each of the two modes."""
    async with Slack(mode=request.param) as slack:
        yield slack


@pytest.fixture
def bolt() -> Callable[[Slack], AsyncApp]:
    """Make a Bolt app for a Slack."""

    def make(slack: Slack) -> AsyncApp:
        client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
        return AsyncApp(name="sandbox", token=slack.bot_token, signing_secret=slack.signing_secret, client=client)

    return make


@pytest.fixture
def connected() -> Callable[[Slack, AsyncApp], AbstractAsyncContextManager[None]]:
    """Make an app reachable for a Slack until the block ends."""

    def connect(slack: Slack, app: AsyncApp) -> AbstractAsyncContextManager[None]:
        return socket_mode(slack, app) if slack.mode == "socket" else http_mode(slack, app)

    return connect


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Slack, list[Any], list[Any]]]:
    """A Slack in HTTP mode, what its app was sent, and the answers that the app is to give."""
    seen: list[Any] = []
    answers: list[Any] = []

    async def events(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        seen.append((dict(request.headers), body, dict(await request.post())))
        answer = answers.pop(0) if answers else None
        return web.json_response(answer) if isinstance(answer, dict) else answer or web.Response()

    app = web.Application()
    app.router.add_post("/slack/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Slack(mode="http", events_url=f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events") as slack:
        yield slack, seen, answers
    await runner.cleanup()


@contextlib.asynccontextmanager
async def socket_mode(slack: Slack, app: AsyncApp) -> AsyncIterator[None]:
    before = slack.sockets
    handler = AsyncSocketModeHandler(app, slack.app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.until(lambda: slack.sockets > before)
    try:
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@contextlib.asynccontextmanager
async def http_mode(slack: Slack, app: AsyncApp) -> AsyncIterator[None]:
    runner = web.AppRunner(app.web_app("/slack/events"), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.events_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()
