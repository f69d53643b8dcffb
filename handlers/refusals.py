"""What the workspace refused lately: all processes share it, so that each block is refused once a day."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from handlers.ports import ShownStore

REMEMBERED = timedelta(days=1)
"""How long Keyturn sends no block that the workspace refused: Slack may bring it there meanwhile."""

WORKSPACE = "workspace"
"""Has the place of a rotation's id in the store: until when the workspace is taken to lack which blocks."""


class Refusals:
    """Blocks that Slack refused, and reasons for it that are logged, each for as long as it is `REMEMBERED`."""

    def __init__(self, store: ShownStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def lately(self, names: Iterable[str]) -> frozenset[str]:
        """Return which of *names* were refused or logged within `REMEMBERED`."""
        until, now = await self._store.messages(WORKSPACE), self._now().timestamp()
        return frozenset(name for name in names if float(until.get(name) or 0) > now)

    async def remember(self, names: Iterable[str]) -> None:
        """Remember what was refused or logged just now."""
        until = f"{(self._now() + REMEMBERED).timestamp():.0f}"
        await self._store.remember_message(WORKSPACE, dict.fromkeys(names, until))
