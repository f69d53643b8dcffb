"""A clock that stands while anything can be done, and then leaps to the next moment at which something is due."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection

from tests.simulation.clockwork import Switchboard


class _Leaping(selectors.DefaultSelector):
    def __init__(self, board: Switchboard) -> None:
        super().__init__()
        self._board = board

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._board.in_flight or timeout is None:  # an answer of Redis is on its way
            return super().select(1)
        self._board.now += timeout
        return []


class Loop(asyncio.SelectorEventLoop):
    """A loop by whose clock nothing takes time but waiting."""

    def __init__(self, seed: int) -> None:
        self.board = Switchboard(Random(seed))
        super().__init__(_Leaping(self.board))

    def time(self) -> float:
        return self.board.now

    @contextmanager
    def waiting_for_redis(self) -> Iterator[None]:
        """Let the clock stand while Redis is asked something."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("connect", "read_response"):
                patch.setattr(AbstractConnection, name, self._standing(getattr(AbstractConnection, name)))
            yield

    def _standing(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def standing(*args: Any, **options: Any) -> Any:
            self.board.in_flight += 1
            try:
                return await call(*args, **options)
            finally:
                self.board.in_flight -= 1

        return standing
