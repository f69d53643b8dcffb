"""Put together what makes approving take a sign-in, where the settings ask for it."""

from collections.abc import Callable
from datetime import datetime

from bot.oidc import LINK, provider_of
from bot.rotation.people import Directory
from bot.service import RotationService
from bot.service.step_up import StepUp
from bot.settings import Settings
from bot.storage.tickets import Tickets


def step_up_of(
    settings: Settings, rotations: RotationService, tickets: Tickets, directory: Directory, now: Callable[[], datetime]
) -> StepUp | None:
    """Return it; None without `APPROVAL_LINK`."""
    provider = provider_of(settings, now)
    if provider is None:
        return None
    return StepUp(rotations, tickets, provider, directory, now, f"{settings.approval_link}{LINK}")
