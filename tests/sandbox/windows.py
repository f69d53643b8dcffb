"""A browser's socket to the page, without the browser."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PATIENCE = 120
Json = dict[str, Any]


class Window:
    """Keeps what the page has been told, and does what a person asks for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.items: Json = {}
        self.answers: dict[int, Json] = {}

    async def until(self, condition: Callable[["Window"], Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := condition(self)):
                self._hear(await self.socket.receive_json())
        return found

    def _hear(self, told: Json) -> None:
        if "re" in told:
            self.answers[told["re"]] = told
            return
        self.items |= told["put"]
        for key in told["gone"]:
            del self.items[key]

    async def do(self, act: str, **given: Any) -> Json:
        number = len(self.answers) + 1
        await self.socket.send_json({"id": number, "act": act, **given})
        return await self.until(lambda window: window.answers.get(number))

    def told(self) -> str:
        """All that this person can read."""
        return "\n".join(item["text"] for key, item in self.items.items() if key.startswith(("message/", "ephemeral/")))

    def environment(self, name: str) -> Json:
        """What the page shows of an environment; the stories between real gateways ask."""
        return next(each for each in self.items["environments"] if each["name"] == name)


@asynccontextmanager
async def window(address: str, person: str) -> AsyncIterator[Window]:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}live?as={person}") as socket:
        opened = Window(socket)
        await opened.until(lambda seen: "team" in seen.items)
        yield opened
