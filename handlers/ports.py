"""The part of the store that showing rotations needs."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from bot.rotation.holds import KeyHold
from bot.rotation.record import Rotation


class ShownStore(Protocol):
    """Stores which messages show each rotation, and what they show."""

    def leased(self, name: str, seconds: float) -> AbstractAsyncContextManager[object | None]:
        """Lease *name* for this process; yield None if another has it."""

    async def messages(self, rotation_id: str) -> dict[str, str]:
        """Return the messages that show a rotation, and what they show."""

    async def remember_message(self, rotation_id: str, fields: Mapping[str, str]) -> None:
        """Store what a message shows."""

    async def was_shown(self, rotation: Rotation) -> None:
        """Note that people see this version of *rotation* or a later one."""

    async def load(self, rotation_id: str) -> Rotation | None:
        """Return a rotation; raise `NotOurRecord` if this bot must not change it."""

    async def concerning(self, key_id: str) -> list[Rotation]:
        """Return the open rotations that replace a provider key or that made it, oldest first."""

    async def hold_on(self, key_id: str, now: datetime) -> KeyHold | None:
        """Return the hold that counts for a key *now*, if there is one."""

    async def edits_this_minute(self, minute: int) -> int:
        """Count one edit of a message against the workspace's limit; return the number in this minute."""


class Visit(Protocol):
    """When somebody opened Home, and a digest of what it shows."""

    @property
    def at(self) -> float:
        """Return the time, in seconds since 1970."""

    @property
    def digest(self) -> str:
        """Return the digest."""


class Visitors(Protocol):
    """Stores who opened Home lately."""

    async def came(self, person: str, at: datetime, digest: str) -> None:
        """Note that Home shows somebody what has this *digest*; *at* is when they opened it."""

    async def left(self, person: str) -> None:
        """Forget somebody."""

    async def lately(self, now: datetime, most: int) -> Mapping[str, Visit]:
        """Return up to *most* people who opened Home lately, the last ones first."""
