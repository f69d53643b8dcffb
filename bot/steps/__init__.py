"""The order of the work. The engine, the checklist and the diagram in the README read these tuples."""

from collections.abc import Mapping

from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName, Track
from bot.steps import (
    baseline,
    cut_over,
    delete,
    point_back,
    project,
    recheck,
    rehearse,
    remove,
    replace,
    settle_back,
    soak,
    tidy,
    verify,
    verify_back,
    watch,
)
from bot.steps.outcomes import Step

FORWARD = (
    Step(StepName.REPLACE, "Replacement created", "creating the replacement", replace.replace),
    Step(StepName.BASELINE, "Baseline", "asking every model on the old key", baseline.baseline),
    Step(StepName.REHEARSE, "Rehearsal", "rehearsing the new secret", rehearse.rehearse),
    Step(StepName.CUT_OVER, "Models moved", "moving models", cut_over.cut_over),
    Step(StepName.PROJECT, "Gateways have the change", "waiting for the gateways", project.project),
    Step(StepName.VERIFY, "Verified live", "verifying with live requests", verify.verify, resume=StepName.PROJECT),
    Step(StepName.TIDY, "Nothing left over", "removing what is not needed", tidy.tidy),
    Step(StepName.SOAK, "Soaked", "soaking", soak.soak, waits_for_time=True),
    Step(StepName.RECHECK, "Looked at once more", "looking at everything once more", recheck.recheck, gated=True),
    Step(
        StepName.DELETE, "Old key deleted", "deleting the old key", delete.delete, gated=True, resume=StepName.RECHECK
    ),
    Step(StepName.WATCH, "Watched", "watching after the delete", watch.watch, waits_for_time=True),
)
BACK = (
    Step(StepName.POINT_BACK, "Models pointed back", "pointing models back", point_back.point_back),
    Step(StepName.SETTLE_BACK, "Gateways have the change", "waiting for the gateways", settle_back.settle_back),
    Step(StepName.VERIFY_BACK, "Verified on the old key", "verifying on the old key", verify_back.verify_back),
    Step(StepName.REMOVE, "Replacement removed", "removing the replacement", remove.remove),
)
WITHDRAW = tuple(step for step in BACK if step.name != StepName.VERIFY_BACK)
"""What **Another secret** does first: callers are back on the old key before anything is typed."""

WAVE_STEPS = frozenset({StepName.CUT_OVER, StepName.PROJECT, StepName.VERIFY})
"""Steps that come again with every wave."""

TRACKS: Mapping[Track, tuple[tuple[Step, ...], State]] = {
    Track.FORWARD: (FORWARD, State.COMPLETED),
    Track.BACK: (BACK, State.ROLLED_BACK),
    Track.WITHDRAW: (WITHDRAW, State.AWAITING_SECRET),
}


def steps_of(rotation: Rotation) -> tuple[Step, ...]:
    """Return the steps of the track that *rotation* is on."""
    return TRACKS[rotation.track][0]


def next_step(rotation: Rotation) -> Step | None:
    """Return the first step that is not done; None when the track is at its end."""
    return next((step for step in steps_of(rotation) if step.name not in rotation.done), None)


def rewound(rotation: Rotation, to: StepName) -> Rotation:
    """Return *rotation* with the step *to* and all after it undone, and the approval of what was seen void.

    Raises `ValueError` where *to* is no step of its track: going back to the start by mistake would undo a proof.
    """
    names = [step.name for step in steps_of(rotation)]
    if to not in names:
        raise ValueError(f"the track {rotation.track} has no step {to}")
    kept = names[: names.index(to)]
    approvals = rotation.approvals if rotation.deleted_at else ()  # of a delete that has happened, they stay
    return rotation.but(done=tuple(n for n in rotation.done if n in kept), approvals=approvals)
