"""Wait for a condition without polling."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Watcher = Callable[[str, Any], None]


class Changes:
    """Wakes all waiters at every change, and tells the watchers what changed."""

    def __init__(self, describe: Callable[[], str]) -> None:
        self._describe = describe
        self._watchers: list[Watcher] = []
        self._waiting: set[asyncio.Event] = set()

    def watch(self, watcher: Watcher) -> None:
        """Call *watcher* with every announced change from now on."""
        self._watchers.append(watcher)

    def announce(self, kind: str, what: Any) -> None:
        """Tell the watchers, and wake the waiters."""
        for watcher in self._watchers:
            watcher(kind, what)
        self.wake()

    def wake(self) -> None:
        """Let every waiter check its condition again, without telling the watchers."""
        for event in self._waiting:
            event.set()

    async def until(self, condition: Callable[[], T], timeout: float, what: str) -> T:  # noqa: ASYNC109 - it names what ran out
        """Wait until *condition* holds and return its value; a LookupError means not yet."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout):
                while not (value := _value_of(condition)):
                    await event.wait()
                    event.clear()
        except TimeoutError:
            value = _value_of(condition)
        finally:
            self._waiting.discard(event)
        if not value:
            raise TimeoutError(f"Waited {timeout:g} s for {what or 'a condition'}. {self._describe()}")
        return value


def _value_of(condition: Callable[[], T]) -> T | None:
    try:
        return condition()
    except LookupError:
        return None
