"""Where a rotation can be, and where it may go from there. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Who has the next move. Steps come and go; states do not."""

    AWAITING_SECRET = "AWAITING_SECRET"  # noqa: S105 - a state's name
    RUNNING = "RUNNING"
    BLOCKED = "BLOCKED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    ROLLING_BACK = "ROLLING_BACK"
    COMPLETED = "COMPLETED"
    ROLLED_BACK = "ROLLED_BACK"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.AWAITING_SECRET: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.AWAITING_SECRET, State.AWAITING_APPROVAL, State.BLOCKED, State.ROLLING_BACK, State.COMPLETED}
    ),
    State.BLOCKED: frozenset({State.RUNNING, State.AWAITING_SECRET, State.ROLLING_BACK}),
    State.AWAITING_APPROVAL: frozenset({State.RUNNING, State.ROLLING_BACK}),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK, State.BLOCKED}),
    State.COMPLETED: frozenset(),
    State.ROLLED_BACK: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Where each state may go. The README's diagram is made from this."""

TERMINAL = frozenset(state for state, exits in TRANSITIONS.items() if not exits)

MEANING: Mapping[State, str] = {
    State.AWAITING_SECRET: "waiting for the new secret",
    State.RUNNING: "running",
    State.BLOCKED: "stopped",
    State.AWAITING_APPROVAL: "waiting for an approver",
    State.ROLLING_BACK: "rolling back",
    State.COMPLETED: "old key deleted",
    State.ROLLED_BACK: "rolled back",
    State.CANCELLED: "cancelled",
}
"""What each state is called where people read it."""


class StepName(StrEnum):
    """Every step there is, on whichever track. Records hold the values, so a name stays what it is."""

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
    """Which tuple of steps the bot is on."""

    FORWARD = "forward"
    BACK = "back"
    WITHDRAW = "withdraw"
    """Take a refused replacement back, then wait for another secret."""
