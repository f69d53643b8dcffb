"""Announce events, and wake those who wait for a condition."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

CHECK_EVERY = 0.05
"""Seconds after which a condition is checked without an event: it may depend on another process."""


@dataclass(frozen=True)
class Event:
    """An event: its kind (`row`, `call`, `projected`, `request` or `replica`) and its subject."""

    kind: str
    subject: object = None
    at: float = field(default_factory=time.time)


class Pulse:
    """Sends each event to listeners, and wakes those who wait for a condition."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._waiters: set[asyncio.Event] = set()

    def listen(self, callback: Callable[[Event], None]) -> None:
        self._listeners.append(callback)

    def beat(self, kind: str, subject: object = None) -> None:
        """Announce an event."""
        for waiter in self._waiters:
            waiter.set()
        if self._listeners:
            event = Event(kind, subject)
            for callback in self._listeners:
                callback(event)

    async def until(self, condition: Callable[[], object], limit: float, what: str) -> None:
        """Return once *condition* holds; after *limit* seconds, fail with *what* was awaited."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(limit):
                await _watch(condition, waiter)
        except TimeoutError:
            raise AssertionError(f"Waited {limit} s in vain for: {what}") from None
        finally:
            self._waiters.discard(waiter)


async def _watch(condition: Callable[[], object], waiter: asyncio.Event) -> None:
    while not condition():
        waiter.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(waiter.wait(), CHECK_EVERY)
