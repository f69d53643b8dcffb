"""The doctor's access to Slack: who can be named as a requester, and whether the channel can see the rotation."""

from dataclasses import dataclass

from bot.rotation.record import Rotation
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer


@dataclass(frozen=True)
class Reception:
    """Introduces a rebuilt rotation to its channel."""

    rotations: RotationService
    announcer: SlackAnnouncer
    team: str

    async def introduce(self, rotation: Rotation) -> None:
        """Tell the channel that *rotation* was rebuilt; raise `Refused` if nobody there would see it."""
        await self.announcer.introduce(rotation)
