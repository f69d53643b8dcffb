"""What a step is, and what it may return."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.steps.world import World


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


@dataclass(frozen=True)
class Step:
    """A named move. *doing* is what the card says while it runs; a gated one waits for an approver first.

    One that *waits for time* is not stopped for learning nothing new; *resume* names the earlier step where
    **Try again** begins after a stop.
    """

    name: StepName
    title: str
    doing: str
    run: Callable[[Rotation, World], Awaitable[Outcome]]
    gated: bool = False
    waits_for_time: bool = False
    resume: StepName | None = None
