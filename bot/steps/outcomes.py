"""The outcomes of a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from bot.rotation.errors import ApiError, Blocked
from bot.rotation.record import Rotation
from bot.rotation.states import StepName


@dataclass(frozen=True)
class Done:
    """The step is finished."""

    rotation: Rotation


@dataclass(frozen=True)
class Wait:
    """The step is not finished; run it again after *retry_in* (zero: at once). If *is_calm*, no trouble goes on.

    If *is_for_time*, it waits for nothing but a moment, and `PATIENCE` does not end it.
    """

    rotation: Rotation
    reason: str
    retry_in: timedelta = timedelta(0)
    is_calm: bool = True
    is_for_time: bool = False


@dataclass(frozen=True)
class Ask:
    """The requester has the next move: Keyturn needs another secret, for this *reason*."""

    rotation: Rotation
    reason: str


@dataclass(frozen=True)
class Again:
    """Go back to the step *name* and repeat it and all later ones, for this *reason*; approvals become void."""

    rotation: Rotation
    name: StepName
    reason: str


@dataclass(frozen=True)
class Unapproved:
    """Too few approvals still count; an approver is asked again."""

    rotation: Rotation


@dataclass(frozen=True)
class Unstarted:
    """No start approval counts for the plan; an approver is asked, for this *reason* if one had counted before."""

    rotation: Rotation
    reason: str | None = None


@contextmanager
def leaving(rotation: Rotation) -> Iterator[None]:
    """If the block ends in a stop or in trouble, have *rotation* recorded."""
    try:
        yield
    except (Blocked, ApiError) as end:
        end.after = end.after or rotation
        raise


Outcome = Done | Wait | Ask | Again | Unapproved | Unstarted
