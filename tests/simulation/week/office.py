"""The whole bot, with a Slack and an AISIX around it, and no socket between them but Redis's."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_base_client import AsyncBaseClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import app
from bot.rotation.record import Rotation
from bot.settings import read_settings
from bot.storage.migration import Carrier
from bot.storage.records import Store
from bot.worker import Work
from handlers.announcer import SlackAnnouncer
from handlers.connect import bolt_app
from sandbox.aisix import Aisix, Switches
from sandbox.slack import Slack
from sandbox.slack.delivery import Ack
from sandbox.slack.methods import METHODS, Args
from tests.simulation.town import carried_by
from tests.simulation.week.clock import Loop
from tests.simulation.week.log import BEGIN
from tests.simulation.wire import CONTROL_PLANE, Wire
from tests.support.stage import Environment

if TYPE_CHECKING:
    from slack_bolt.app.async_app import AsyncApp

Json = dict[str, Any]

SETTINGS = {
    "APPROVERS": "S_APPROVERS",
    "ESCALATION": "S_SECOND",
    "POLICY": '{"guarded": {"keys": ["Guarded*"], "start": true}, "slow": {"keys": ["Slow*"], "soak": "14h"}}',
    "WAVES": "rest",
    "REVOKE_WITHIN": "86400",
    "PROBES": "1",
    "SOAK": "60",
    "WATCH": "900",
    "LISTEN": "0",
    "LOOK_INTERVAL": "300",
    "PATIENCE": "300",
    "REDIS_TIMEOUT": "100",
}
ENVIRONMENTS = ("production", "staging", "test")

SWEEP = 1800.0
"""Seconds between two searches for forgotten work: no hint is lost here."""

REFRESH, OTHERS = 60.0, 300.0
"""Seconds between two looks whether somebody's Home tab is out of date, and whether a list or a batch is due."""

SHOWN: ContextVar[Rotation | None] = ContextVar("shown", default=None)
"""The record that is being shown."""


class InProcess(Slack):
    """A Slack that hands every payload to the app, and takes the app's calls, without a socket."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(mode="http")
        self.now = now
        every = frozenset(scope for method in METHODS.values() for scope in method.scopes)
        self.scopes = every - {"files:write"}  # the SDK opens a socket of its own for a file
        self.site.base_url = "https://slack.invalid"
        self.app: AsyncApp | None = None

    async def _deliver(self, kind: str, payload: Json) -> Ack:
        assert self.app
        headers: Any = {"x-slack-request-timestamp": str(int(self.now()))}
        answer = await self.app.async_dispatch(
            AsyncBoltRequest(body=json.loads(json.dumps(payload)), headers=headers, mode="socket_mode")
        )
        body = json.loads(answer.body) if answer.body and answer.body.startswith("{") else None
        return Ack(body, None if answer.status == 200 else "http_service_error")

    def carried(self, api_url: str, req_args: Json) -> Json:
        """Carry out one call of the Web API; return what the SDK reads from an answer."""
        method = api_url.rpartition("/")[2]
        given = {**(req_args.get("params") or {}), **(req_args.get("data") or {}), **(req_args.get("json") or {})}
        token = (req_args.get("headers") or {}).get("Authorization", "").removeprefix("Bearer ")
        data = self._web_api._answer(method, token or given.pop("token", ""), Args(given))  # noqa: SLF001 - what its server calls
        headers = {"Date": formatdate(self.now(), usegmt=True), "X-OAuth-Scopes": ",".join(sorted(self.scopes or ()))}
        return {"data": data, "headers": headers, "status_code": 200}

    def responded(self, url: str, content: Json) -> Any:
        """Take an answer at a response_url."""
        self.site.respond(url.rpartition("/")[2], content)
        return SimpleNamespace(status_code=200)


class Hints:
    """The queue: every hint comes, at its time, once for each version."""

    def __init__(self, loop: Loop, now: Callable[[], datetime]) -> None:
        self._loop, self._now = loop, now
        self._waiting: set[str] = set()
        self._at_work: set[asyncio.Task[None]] = set()
        self.work: Work | None = None
        self.faults: list[BaseException] = []

    async def enqueue(self, what: str, *, key: str, scheduled: int = 0, **given: Any) -> None:
        """Have a worker do something, now or at a time."""
        if key not in self._waiting:
            self._waiting.add(key)
            self._loop.call_later(max(0.0, scheduled - self._now().timestamp()), self._take, what, key, given)

    def _take(self, what: str, key: str, given: Json) -> None:
        self._waiting.discard(key)
        about = {name: value for name, value in given.items() if name not in ("timeout", "retries", "ttl")}
        task = self._loop.create_task(getattr(self.work, what)({}, **about))
        self._at_work.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            self.faults.append(fault)


class Office:
    """A workspace with its bot, from `BEGIN` on."""

    def __init__(self, loop: Loop, redis_url: str, settings: Mapping[str, str]) -> None:
        self.loop, self._redis_url, self._settings = loop, redis_url, {**SETTINGS, **settings}
        self.slack = InProcess(lambda: self.now().timestamp())
        self.aisix = Aisix(Switches(cooldown=0.0), dict.fromkeys(ENVIRONMENTS, 1))
        self.wire = Wire(loop.board, self.aisix)
        self.hints = Hints(loop, self.now)
        self.on_saved: list[Callable[[Rotation], None]] = []

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.loop.board.now)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[app.Parts]:
        """Have the bot at work."""
        async with AsyncExitStack() as stack:
            enter = stack.enter_context
            patch = enter(carried_by(self.wire.handle, self.loop.time))
            enter(self.loop.waiting_for_redis())
            self._lay_lines(patch)
            redis = await stack.enter_async_context(Redis.from_url(self._redis_url))
            await redis.flushdb()
            built = await stack.enter_async_context(app.parts(self._read_settings(), self.now))
            await stack.enter_async_context(app.worker(built))
            await stack.enter_async_context(app.front(built))
            yield built

    def _read_settings(self) -> Any:
        own = {
            "REDIS_URL": self._redis_url,
            "PORT": "0",
            "AISIX_CLOUD_API": CONTROL_PLANE,
            "AISIX_ADMIN_TOKEN": self.aisix.admin_token,
            "AISIX_GATEWAYS": json.dumps(self.wire.settings()),
        }
        with Environment(self.slack.settings() | own | self._settings):
            return read_settings(None)

    def _lay_lines(self, patch: pytest.MonkeyPatch) -> None:
        async def call(_: Any, *, http_verb: str, api_url: str, req_args: Json) -> Json:
            return self.slack.carried(api_url, req_args)

        async def respond(webhook: AsyncWebhookClient, body: Json, **_: Any) -> Any:
            return self.slack.responded(webhook.url, body)

        async def queue(*_: Any) -> Hints:
            return self.hints

        def listening(*args: Any) -> Any:
            self.slack.app = bolt_app(*args)
            return self.slack.app

        patch.setattr(AsyncBaseClient, "_request", call)
        patch.setattr(AsyncWebhookClient, "send_dict", respond)
        patch.setattr(app, "queue_at", queue)
        patch.setattr(app, "bolt_app", listening)
        patch.setattr(app, "_site", _no_port)
        patch.setattr(app, "QuietWorker", self._worker)
        patch.setattr(Carrier, "keep", _nothing)  # there is no older version beside this one
        self._notice(patch)

    def _notice(self, patch: pytest.MonkeyPatch) -> None:
        """Know what is recorded, and which record each message shows."""
        save, show, first = Store.save, SlackAnnouncer.show, SlackAnnouncer.first

        async def saved(store: Store, rotation: Rotation, *args: Any, **given: Any) -> Rotation:
            after = await save(store, rotation, *args, **given)
            for notice in self.on_saved:
                notice(after)
            return after

        def noting(call: Any) -> Any:
            async def noted(announcer: SlackAnnouncer, rotation: Rotation) -> Any:
                token = SHOWN.set(rotation)
                try:
                    return await call(announcer, rotation)
                finally:
                    SHOWN.reset(token)

            return noted

        patch.setattr(Store, "save", saved)
        patch.setattr(SlackAnnouncer, "show", noting(show))
        patch.setattr(SlackAnnouncer, "first", noting(first))

    def _worker(self, _queue: Any, work: Work, *_: Any, besides: Iterable[Any], **__: Any) -> Any:
        self.hints.work, ended = work, asyncio.Event()
        others = ((each.refresh, OTHERS) for each in besides)
        upkeep = ((work.sweep, SWEEP), (work.refresh, REFRESH), *others)

        async def start() -> None:
            keepers = [asyncio.create_task(_keep(task, every)) for task, every in upkeep]
            await ended.wait()
            for keeper in keepers:
                keeper.cancel()

        return SimpleNamespace(start=start, stop_quietly=ended.set)


async def _keep(task: Callable[[], Awaitable[object]], every: float) -> None:
    while True:
        await task()
        await asyncio.sleep(every)


@asynccontextmanager
async def _no_port(*_: Any) -> AsyncIterator[None]:
    yield


async def _nothing(*_: Any) -> None:
    """Do nothing."""
