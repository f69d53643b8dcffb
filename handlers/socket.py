"""Socket Mode: keep a connection open."""

import asyncio
from contextlib import suppress

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.proxies import proxy_for
from bot.settings import Settings
from handlers.pressed import EVERY, Absence

log = structlog.get_logger("keyturn.socket")

WATCH_EVERY = EVERY
"""Seconds between checks of the connection."""

GIVE_UP_ADDRESS_AFTER = 3
"""Failed checks after which the one-time address is dropped: the SDK would retry it forever."""


class Socket:
    """The Socket Mode connection of one process."""

    def __init__(
        self, app: AsyncApp, slack: AsyncWebClient, app_token: str, *, timeout: float, absence: Absence
    ) -> None:
        self._absence = absence
        self._handler = AsyncSocketModeHandler(app, app_token, logger=app.logger, web_client=slack)
        self._issue = self._handler.client.issue_new_wss_url
        self._handler.client.issue_new_wss_url = self._issued  # type: ignore[method-assign]
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and stay connected; the watcher starts first, as even the first address can be dead."""
        client = self._handler.client
        await client.aiohttp_client_session.close()
        client.aiohttp_client_session = aiohttp.ClientSession(timeout=self._timeout)  # the SDK's waits for minutes
        self._watch = asyncio.get_running_loop().create_task(self._keep())
        await self._handler.connect_async()  # type: ignore[no-untyped-call]

    async def _issued(self) -> str:
        """Ask for an address, which may need another proxy than Slack's Web API."""
        address = await self._issue()
        self._handler.client.proxy = proxy_for(address)
        return address

    async def use(self, later: Settings) -> None:
        """Connect with the app-level token of other settings from now on."""
        if later.slack_app_token and later.slack_api_url == self._handler.client.web_client.base_url:
            self._handler.client.app_token = later.slack_app_token.get_secret_value()

    async def is_open(self) -> bool:
        """Tell whether Slack can reach us."""
        return bool(await self._handler.client.is_connected())

    async def close(self) -> None:
        """Disconnect for good."""
        if self._watch:
            self._watch.cancel()
        with suppress(aiohttp.ClientError, OSError):
            await self._handler.close_async()  # type: ignore[no-untyped-call]
        await self._handler.client.aiohttp_client_session.close()

    async def _keep(self) -> None:
        missed = 0
        while True:
            await asyncio.sleep(WATCH_EVERY)
            self._absence.look()
            missed = 0 if await self.is_open() else missed + 1
            if missed == GIVE_UP_ADDRESS_AFTER:
                log.warning("socket_stuck", seconds=WATCH_EVERY * missed)
                self._handler.client.wss_uri = None
                missed = 0
