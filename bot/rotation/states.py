"""The states of a rotation, the transitions between them, and the order of the steps. Pure.

The engine, the checklist and the diagram in docs/how-it-works.md read these tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Who has the next move. Steps may be added or go; states stay."""

    AWAITING_SECRET = "AWAITING_SECRET"  # noqa: S105 - a state's name
    RUNNING = "RUNNING"
    BLOCKED = "BLOCKED"
    AWAITING_START = "AWAITING_START"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    ROLLING_BACK = "ROLLING_BACK"
    COMPLETED = "COMPLETED"
    ROLLED_BACK = "ROLLED_BACK"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.AWAITING_SECRET: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset(
        {
            State.AWAITING_SECRET,
            State.AWAITING_START,
            State.AWAITING_APPROVAL,
            State.BLOCKED,
            State.ROLLING_BACK,
            State.COMPLETED,
        }
    ),
    State.BLOCKED: frozenset({State.RUNNING, State.AWAITING_SECRET, State.ROLLING_BACK, State.CANCELLED}),
    State.AWAITING_START: frozenset({State.RUNNING, State.ROLLING_BACK, State.CANCELLED}),
    State.AWAITING_APPROVAL: frozenset({State.RUNNING, State.ROLLING_BACK}),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK, State.BLOCKED}),
    State.COMPLETED: frozenset(),
    State.ROLLED_BACK: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The states that each state may change to. The diagram in docs/how-it-works.md is made from this."""

TERMINAL = frozenset(state for state, exits in TRANSITIONS.items() if not exits)

MEANING: Mapping[State, str] = {
    State.AWAITING_SECRET: "waiting for the new secret",
    State.RUNNING: "running",
    State.BLOCKED: "stopped",
    State.AWAITING_START: "waiting for an approver to start",
    State.AWAITING_APPROVAL: "waiting for an approver",
    State.ROLLING_BACK: "rolling back",
    State.COMPLETED: "old key deleted",
    State.ROLLED_BACK: "rolled back",
    State.CANCELLED: "cancelled",
}
"""What people read for each state."""


class StepName(StrEnum):
    """Every step of every track. Records hold the values, so a name never changes."""

    REPLACE = "replace"
    BASELINE = "baseline"
    REHEARSE = "rehearse"
    CUT_OVER = "cut-over"
    PROJECT = "project"
    VERIFY = "verify"
    TIDY = "tidy"
    SOAK = "soak"
    RECHECK = "recheck"
    DELETE = "delete"
    WATCH = "watch"
    POINT_BACK = "point-back"
    SETTLE_BACK = "settle-back"
    VERIFY_BACK = "verify-back"
    REMOVE = "remove"


class Track(StrEnum):
    """The sequence of steps that the bot is on."""

    FORWARD = "forward"
    BACK = "back"
    WITHDRAW = "withdraw"
    """Withdraw a refused replacement, then wait for another secret."""


@dataclass(frozen=True)
class Step:
    """One step; `bot/steps` has a function of its name. The card shows *doing* while it runs.

    A gated step waits for an approver first. A step with *waits_for_time* may go on without learning anything new.
    *resume* names the earlier step where **Try again** begins after a stop.
    """

    name: StepName
    title: str
    doing: str
    gated: bool = False
    waits_for_time: bool = False
    resume: StepName | None = None


FORWARD = (
    Step(StepName.REPLACE, "New key created", "creating the new key"),
    Step(StepName.BASELINE, "Baseline", "testing every model on the old key"),
    Step(StepName.REHEARSE, "Rehearsal", "rehearsing the new secret"),
    Step(StepName.CUT_OVER, "Models moved", "moving models"),
    Step(StepName.PROJECT, "Gateways synced", "waiting for the gateways"),
    Step(StepName.VERIFY, "Verified", "verifying with test requests", resume=StepName.PROJECT),
    Step(StepName.TIDY, "Nothing left over", "removing what is not needed"),
    Step(StepName.SOAK, "Soaked", "soaking", waits_for_time=True),
    Step(StepName.RECHECK, "Checked once more", "checking everything once more", gated=True),
    Step(StepName.DELETE, "Old key deleted", "deleting the old key", gated=True, resume=StepName.RECHECK),
    Step(StepName.WATCH, "Watched", "watching after the delete", waits_for_time=True),
)
BACK = (
    Step(StepName.POINT_BACK, "Models pointed back", "pointing models back"),
    Step(StepName.SETTLE_BACK, "Gateways synced", "waiting for the gateways"),
    Step(StepName.VERIFY_BACK, "Verified on the old key", "verifying on the old key"),
    Step(StepName.REMOVE, "New key removed", "removing the new key"),
)
WITHDRAW = tuple(step for step in BACK if step.name != StepName.VERIFY_BACK)
"""The steps before **Another secret**: callers are back on the old key before the requester types anything."""

WAVE_STEPS = frozenset({StepName.CUT_OVER, StepName.PROJECT, StepName.VERIFY})
"""The steps that repeat with every wave."""

TRACKS: Mapping[Track, tuple[tuple[Step, ...], State]] = {
    Track.FORWARD: (FORWARD, State.COMPLETED),
    Track.BACK: (BACK, State.ROLLED_BACK),
    Track.WITHDRAW: (WITHDRAW, State.AWAITING_SECRET),
}
