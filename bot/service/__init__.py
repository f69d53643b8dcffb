"""What people can ask of Keyturn, one method each. Each checks the person, saves the record, and queues work."""

from bot.service.batching import Batching
from bot.service.exposures import Exposures
from bot.service.holding import Holding
from bot.service.homes import Homes
from bot.service.minting import Minting
from bot.service.revoking import Revoking
from bot.service.talk import Talk
from bot.service.tasks import Tasks
from bot.service.verbs import BeingRotated, LooksLikeSecret

__all__ = ["BeingRotated", "LooksLikeSecret", "RotationService"]


class RotationService(Batching, Minting, Exposures, Talk, Tasks, Revoking, Homes, Holding):
    """The verbs. All of them raise `Refused` with one sentence for the person who asked."""
