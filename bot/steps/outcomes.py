"""What a step may return."""

from dataclasses import dataclass
from datetime import timedelta

from bot.rotation.record import Rotation
from bot.rotation.states import StepName


@dataclass(frozen=True)
class Done:
    """The step is finished."""

    rotation: Rotation


@dataclass(frozen=True)
class Wait:
    """The step is not finished; look again in *retry_in* (zero: at once)."""

    rotation: Rotation
    reason: str
    retry_in: timedelta = timedelta(0)


@dataclass(frozen=True)
class Ask:
    """The next move is the requester's: another secret is needed, for this *reason*."""

    rotation: Rotation
    reason: str


@dataclass(frozen=True)
class Again:
    """Go on from the step *name*, with it and all after it undone, for this *reason*; approvals are void."""

    rotation: Rotation
    name: StepName
    reason: str


@dataclass(frozen=True)
class Unapproved:
    """Approvals that were given no longer count, and too few are left: an approver is asked again."""

    rotation: Rotation


Outcome = Done | Wait | Ask | Again | Unapproved
