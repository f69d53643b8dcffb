"""What the doctor needs Slack for: who may be named as a requester, and whether the channel sees it."""

from dataclasses import dataclass

from bot.rotation.record import Rotation
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer


@dataclass(frozen=True)
class Reception:
    """Where a rotation that is brought forward is introduced."""

    rotations: RotationService
    announcer: SlackAnnouncer
    team: str

    async def introduce(self, rotation: Rotation) -> None:
        """Tell the channel that *rotation* is brought forward; raise `Refused` if nobody there would see it."""
        await self.announcer.introduce(rotation)
