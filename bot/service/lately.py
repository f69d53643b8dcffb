"""A value that is slow to read, kept for a moment for everybody who asks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """Reads a value at most once in *keep*, however many ask at the same time; an error is raised and not kept."""

    def __init__(self, read: Callable[[], Awaitable[T]], now: Callable[[], datetime], keep: timedelta) -> None:
        self._read, self._now, self._keep = read, now, keep
        self._known: tuple[datetime, T] | None = None
        self._one = asyncio.Lock()

    async def get(self) -> T:
        """Return the value, at most *keep* old."""
        async with self._one:
            if self._known is None or self._now() - self._known[0] >= self._keep:
                self._known = (self._now(), await self._read())
            return self._known[1]
