"""The world that every step acts on, and the limits from the settings."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr

from bot.rotation.credentials import NO_PROVIDERS, Providers
from bot.rotation.hours import Calendar
from bot.rotation.nudges import Paces
from bot.rotation.people import NOBODY
from bot.rotation.ports import (
    NO_HOLDS,
    NO_OWNERS,
    UNHELD,
    Clock,
    ControlPlane,
    Gateways,
    Hold,
    KeyHolds,
    Reviewer,
    RowOwners,
    StatusPages,
)


@dataclass(frozen=True)
class Limits:
    """Durations and numbers, all from the settings."""

    concurrency: int
    probes: int
    create_grace: timedelta
    read_back: timedelta
    projection: timedelta
    settle: timedelta
    verify: timedelta
    require_proof: bool
    waves: tuple[int, ...]
    environment_order: tuple[str, ...]
    soak: timedelta
    listen: timedelta
    look_interval: timedelta
    evidence_max_age: timedelta
    watch: timedelta
    patience: timedelta
    mint_patience: timedelta
    secret_expiry: timedelta
    approval_reminder: timedelta
    approval_expiry: timedelta
    revoke_within: timedelta
    revoke_grace: timedelta
    after_expiry: Literal["park", "roll-back"]
    page_after: timedelta
    stop_reminder: timedelta
    calendar: Calendar

    @property
    def paces(self) -> Paces:
        """Return when people are pushed."""
        return Paces(self.page_after, self.stop_reminder, self.approval_reminder, self.calendar)


@dataclass(frozen=True)
class World:
    """The ports, limits and people that the steps use."""

    control_plane: ControlPlane
    gateways: Gateways
    status: StatusPages
    limits: Limits
    now: Clock
    people: Reviewer = NOBODY
    hold: Hold = UNHELD
    """The lease on the rotation."""

    holds: KeyHolds = NO_HOLDS
    owners: RowOwners = NO_OWNERS
    providers: Providers = NO_PROVIDERS
    pocket: dict[str, SecretStr] = field(default_factory=dict)
    """By the names of credentials, secrets that were minted and that AISIX has not been sent yet.

    It is for as long as a process has a rotation in hand.
    """
