"""Put together what people reach beside Slack: pages after a sign-in, where the settings ask for it, and tokens."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from bot.oidc import LINK, SECRET_LINK, provider_of
from bot.rotation.people import Directory
from bot.service import RotationService
from bot.service.giving import CommandLineTokens, SecretPages
from bot.service.signing_in import SignIns
from bot.service.step_up import StepUp
from bot.settings import Settings
from bot.storage.tickets import Tickets


class Doors(NamedTuple):
    """The ways in beside Slack; None where the settings don't ask for one."""

    tokens: CommandLineTokens
    sign_ins: SignIns | None = None
    step_up: StepUp | None = None
    secret_pages: SecretPages | None = None


def doors_of(
    settings: Settings, rotations: RotationService, tickets: Tickets, directory: Directory, now: Callable[[], datetime]
) -> Doors:
    """Return them: without `APPROVAL_LINK`, tokens alone."""
    tokens, provider = CommandLineTokens(rotations, tickets), provider_of(settings, now)
    if provider is None:
        return Doors(tokens)
    sign_ins, base = SignIns(rotations, tickets, provider, directory, now), settings.approval_link
    pages = SecretPages(rotations, sign_ins, f"{base}{SECRET_LINK}") if settings.is_secret_on_a_page else None
    return Doors(tokens, sign_ins, StepUp(rotations, sign_ins, f"{base}{LINK}"), pages)
