"""How far a rotation has come on its track. Pure."""

from bot.rotation import states
from bot.rotation.record import Rotation
from bot.rotation.states import State, Step, StepName, Track


def steps_of(rotation: Rotation) -> tuple[Step, ...]:
    """Return the steps of the track that *rotation* is on."""
    return states.TRACKS[rotation.track][0]


def next_step(rotation: Rotation) -> Step | None:
    """Return the first step that is not done; None at the end of the track."""
    return next((step for step in steps_of(rotation) if step.name not in rotation.done), None)


def how_left(before: Rotation, after: Rotation) -> str:
    """Return how a move from *before* to *after* left the step that was next; empty if it goes on or never ran."""
    step = next_step(before)
    if step is None or not before.waits_for_bot or (step.gated and before.lacks_approval) or after.step_since:
        return ""
    return LEFT.get(after.state) or ("done" if step.name in after.done else "again")


LEFT = {
    State.BLOCKED: "stopped",
    State.AWAITING_SECRET: "asked",
    State.AWAITING_START: "unstarted",
    State.AWAITING_APPROVAL: "unapproved",
}
"""How a step ends that leaves the rotation in another state."""


def earlier(rotation: Rotation, one: StepName, other: StepName) -> StepName:
    """Return the one of two steps that comes first on the track of *rotation*."""
    names = [step.name for step in steps_of(rotation)]
    return min(one, other, key=names.index)


def before_approval(rotation: Rotation) -> Rotation:
    """Return *rotation* before the first step that needs approvals, with those it has: each click gets its own look."""
    gated = next(step.name for step in steps_of(rotation) if step.gated)
    return undone_from(rotation, gated).but(approvals=rotation.approvals)


def verified_again(rotation: Rotation) -> Rotation:
    """Return *rotation*, which waits for an approver, where it verifies again and asks again; approvals are void."""
    again = undone_from(rotation.to(State.RUNNING), StepName.PROJECT).unproved()
    return again.but(asked_at=None, reminded_at=None, stale_at=None, parked_at=None)


def rolled_back(rotation: Rotation, *, by: str | None) -> Rotation:
    """Return *rotation* on its way back, as *by* asked for; None if nobody approved in time."""
    return rotation.to(State.ROLLING_BACK).but(track=Track.BACK, done=(), approvals=(), ended_by=by)


def undone_from(rotation: Rotation, to: StepName) -> Rotation:
    """Return *rotation* with the step *to* and all later ones undone; approvals become void.

    Raises `ValueError` if its track has no step *to*: going back to the start by mistake would undo a proof.
    """
    names = [step.name for step in steps_of(rotation)]
    if to not in names:
        raise ValueError(f"the track {rotation.track} has no step {to}")
    kept = names[: names.index(to)]
    approvals = rotation.approvals if rotation.deleted_at else ()  # approvals of a delete that has happened stay
    looked_at = rotation.last_look_at if StepName.RECHECK in kept else None
    return rotation.but(done=tuple(n for n in rotation.done if n in kept), approvals=approvals, last_look_at=looked_at)
