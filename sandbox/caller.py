"""Callers: applications whose requests must not fail during a rotation."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Self

import aiohttp

Endpoint = Literal["chat", "embeddings"]
PATIENCE = 10.0
"""Seconds that a caller waits for an answer."""

CATCHES_UP = 0.5
"""A caller delayed by a busy machine catches up on this many seconds of requests at most."""


class Failure(NamedTuple):
    """A failed request; status 0 means that there was no answer."""

    time: float
    alias: str
    status: int
    type: str


class Caller:
    """Sends steady traffic for one alias, whatever the answers, as applications do.

    Its requests are unevenly spaced: with even ones and a round-robin balancer, another client could always meet the
    same replica. It uses the cheapest HTTP client, so that callers take little CPU from what is being tested.
    """

    def __init__(self, url: str, caller_key: str, alias: str, rate: float = 10, endpoint: Endpoint = "chat") -> None:
        self.alias, self._interval, self._endpoint = alias, 1 / rate, endpoint
        self._chance = random.Random(alias)
        self.ok = 0
        self.failures: list[Failure] = []
        self._times: list[float] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._beat: asyncio.Task[None] | None = None
        self._url, self._headers = url, {"Authorization": f"Bearer {caller_key}"}
        self._http: aiohttp.ClientSession | None = None

    @property
    def sent(self) -> int:
        return len(self._times)

    @property
    def failed(self) -> int:
        return len(self.failures)

    def sent_between(self, start: float, end: float) -> int:
        return sum(start <= moment <= end for moment in self._times)

    def failed_between(self, start: float, end: float) -> int:
        """Return how many requests sent from *start* to *end* (in `time.time()`) failed."""
        return sum(start <= failure.time <= end for failure in self.failures)

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        self._http = aiohttp.ClientSession(self._url, headers=self._headers, timeout=timeout)
        self._beat = asyncio.create_task(self._keep_sending(self._http))

    async def stop(self) -> None:
        """Stop sending, and wait for open requests."""
        if self._beat is not None:
            self._beat.cancel()
            await asyncio.wait([self._beat])
        if self._under_way:
            await asyncio.wait(self._under_way)
        if self._http is not None:
            await self._http.close()

    def asks(self, text: str) -> tuple[str, dict[str, Any]]:
        """Return the path and the body of the next request."""
        return question(self.alias, self._endpoint, text)

    async def _keep_sending(self, http: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._spawn(http)
            pause = self._interval * self._chance.uniform(0, 2)
            due = max(due + pause, loop.time() - CATCHES_UP)
            await asyncio.sleep(due - loop.time())

    def _spawn(self, http: aiohttp.ClientSession) -> None:
        self._times.append(time.time())
        task = asyncio.create_task(self._send(http, self._times[-1]))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, http: aiohttp.ClientSession, began: float) -> None:
        try:
            path, body = self.asks(f"request {self.sent}")
            async with http.post(path, json=body) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(Failure(began, self.alias, 0, type(error).__name__))
            return
        if response.ok:
            self.ok += 1
        else:
            self.failures.append(Failure(began, self.alias, response.status, _type_of(answer)))


def question(alias: str, endpoint: Endpoint, text: str) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a request for *alias*."""
    if endpoint == "embeddings":
        return "/v1/embeddings", {"model": alias, "input": text}
    return "/v1/chat/completions", {"model": alias, "messages": [{"role": "user", "content": text}]}


def _type_of(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["type"])
    except (ValueError, LookupError, TypeError):
        return "unreadable"


class Callers:
    """Several callers and their total figures."""

    def __init__(self, callers: Iterable[Caller]) -> None:
        self.callers = list(callers)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        await asyncio.gather(*(caller.start() for caller in self.callers))

    async def stop(self) -> None:
        await asyncio.gather(*(caller.stop() for caller in self.callers))

    def __str__(self) -> str:
        return f"{self.sent:,} requests sent, {self.failed:,} failed"

    @property
    def sent(self) -> int:
        return sum(caller.sent for caller in self.callers)

    @property
    def ok(self) -> int:
        return sum(caller.ok for caller in self.callers)

    @property
    def failed(self) -> int:
        return sum(caller.failed for caller in self.callers)

    @property
    def failures(self) -> list[Failure]:
        return sorted(failure for caller in self.callers for failure in caller.failures)

    def sent_between(self, start: float, end: float) -> int:
        return sum(caller.sent_between(start, end) for caller in self.callers)

    def failed_between(self, start: float, end: float) -> int:
        return sum(caller.failed_between(start, end) for caller in self.callers)

    def failures_by_type(self) -> Counter[tuple[int, str]]:
        """Count the failures by status and type."""
        return Counter((failure.status, failure.type) for failure in self.failures)
