"""What showing rotations needs from the store."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bot.rotation.record import Rotation


class ShownStore(Protocol):
    """Remembers what of each rotation Slack shows, and where."""

    def leased(self, name: str, seconds: float) -> AbstractAsyncContextManager[object | None]:
        """Hold *name* for this process; yield None if another has it."""

    async def messages(self, rotation_id: str) -> dict[str, str]:
        """Return where a rotation is shown, and what Slack shows of it."""

    async def remember_message(self, rotation_id: str, fields: Mapping[str, str]) -> None:
        """Save what Slack shows now."""

    async def was_shown(self, rotation: Rotation) -> None:
        """Note that people see this version, or a later one."""

    async def concerning(self, key_id: str) -> list[Rotation]:
        """Return the open rotations of a provider key, and those that made it, oldest first."""

    async def edits_this_minute(self, minute: int) -> int:
        """Count one edit against the workspace's budget; return how many there are this minute."""
