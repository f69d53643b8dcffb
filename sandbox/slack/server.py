"""The local Slack as one object: start it, act as its people, read what happened."""

import asyncio
import secrets
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from sandbox.slack.delivery import Ack
from sandbox.slack.faults import Faults
from sandbox.slack.person import Person
from sandbox.slack.posts import Posts
from sandbox.slack.sockets import Sockets
from sandbox.slack.web_api import Call, WebApi
from sandbox.slack.workspace import Workspace

Json = dict[str, Any]


class Slack(Workspace):
    """A workspace with one app installed, served on a loopback socket."""

    def __init__(self, mode: Literal["socket", "http"] = "socket", events_url: str | None = None) -> None:
        super().__init__(events_url=events_url)
        self.mode = mode
        self.bot_token = f"xoxb-sandbox-{secrets.token_hex(8)}"
        self.app_token = f"xapp-1-sandbox-{secrets.token_hex(8)}"
        self.signing_secret = secrets.token_hex(16)
        self.payloads: list[Json] = []
        """Everything sent to the app, each as `{"type", "payload"}`."""

        self.acks: list[Ack] = []
        """What the app answered to them."""

        self.doors: list[Any] = []
        """aiohttp middlewares that see every request first, outermost first. Add them before the start."""

        self._web_api = WebApi(self.site, self.bot_token, self.app_token)
        self._sockets = Sockets(self.site)
        self._posts = Posts(self.signing_secret, self.site)
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> Self:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        app = web.Application(client_max_size=4 * 1024 * 1024, middlewares=self.doors)
        app.router.add_route("*", "/api/{method}", self._web_api.call)
        app.router.add_post("/actions/{team}/{ticket}", self._web_api.respond)
        app.router.add_post("/upload/v1/{ticket}", self._web_api.upload)
        app.router.add_get("/link", self._sockets.accept)
        app.on_shutdown.append(self._sockets.hang_up)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.site.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    def renew_app_token(self) -> None:
        """Revoke the app-level token, and issue another; what is connected stays so."""
        self.app_token = self._web_api.app_token = f"xapp-1-sandbox-{secrets.token_hex(8)}"

    async def stop(self) -> None:
        """Close every connection, and stop listening."""
        self._web_api.release()
        await self._posts.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def api_url(self) -> str:
        """The address of the Web API; it ends in a slash, as slack_sdk requires."""
        return f"{self.site.base_url}/api/"

    @property
    def calls(self) -> list[Call]:
        """Every call of the Web API and of a response_url, oldest first."""
        return self._web_api.calls

    @property
    def faults(self) -> Faults:
        """The planned faults of the Web API."""
        return self._web_api.faults

    @property
    def sockets(self) -> int:
        """The number of sockets that apps have open."""
        return len(self._sockets.open)

    def settings(self) -> dict[str, str]:
        """Return the settings for a bot that uses this Slack."""
        own = {
            "socket": {"SLACK_APP_TOKEN": self.app_token},
            "http": {"SLACK_SIGNING_SECRET": self.signing_secret},
        }
        return {"SLACK_API_URL": self.api_url, "SLACK_BOT_TOKEN": self.bot_token, **own[self.mode]}

    def person(self, user_id: str) -> Person:
        """Return a person to act as."""
        return Person(self.site, self.users[user_id], self._deliver)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every connected app to reconnect, and close its socket."""
        await self._sockets.disconnect(reason)

    async def _deliver(self, kind: str, payload: Json) -> Ack:
        """Send a payload to the app, or twice with `deliver_twice`; the first answer counts."""
        carrier = self._sockets if self.mode == "socket" else self._posts
        times = 2 if self.deliver_twice else 1
        self.payloads.extend({"type": kind, "payload": payload} for _ in range(times))
        self.site.changes.wake()
        acks = await asyncio.gather(*(carrier.carry(kind, payload) for _ in range(times)))
        self.acks.extend(acks)
        self.site.changes.wake()
        return acks[0]
