"""A sandbox Slack, and one whose app does nothing but read and answer as it is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sandbox.slack import Slack


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack() as slack:
        yield slack


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
