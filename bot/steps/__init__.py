"""The order of the work. The engine, the checklist and the diagram in the README read these tuples."""

from collections.abc import Mapping

from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
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
    Step("replace", "Replacement created", "creating the replacement", replace.replace),
    Step("baseline", "Baseline", "asking every model on the old key", baseline.baseline),
    Step("rehearse", "Rehearsal", "rehearsing the new secret", rehearse.rehearse),
    Step("cut-over", "Models moved", "moving models", cut_over.cut_over),
    Step("project", "Gateways have the change", "waiting for the gateways", project.project),
    Step("verify", "Verified live", "verifying with live requests", verify.verify, resume="project"),
    Step("tidy", "Nothing left over", "removing what is not needed", tidy.tidy),
    Step("soak", "Soaked", "soaking", soak.soak, waits_for_time=True),
    Step("recheck", "Looked at once more", "looking at everything once more", recheck.recheck, gated=True),
    Step("delete", "Old key deleted", "deleting the old key", delete.delete, gated=True, resume="recheck"),
    Step("watch", "Watched", "watching after the delete", watch.watch, waits_for_time=True),
)
BACK = (
    Step("point-back", "Models pointed back", "pointing models back", point_back.point_back),
    Step("settle-back", "Gateways have the change", "waiting for the gateways", settle_back.settle_back),
    Step("verify-back", "Verified on the old key", "verifying on the old key", verify_back.verify_back),
    Step("remove", "Replacement removed", "removing the replacement", remove.remove),
)
WITHDRAW = tuple(step for step in BACK if step.name != "verify-back")
"""What **Another secret** does first: callers are back on the old key before anything is typed."""

WAVE_STEPS = frozenset({"cut-over", "project", "verify"})
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


def rewound(rotation: Rotation, to: str) -> Rotation:
    """Return *rotation* with the step *to* and all after it undone, and the approval of what was seen void."""
    names = [step.name for step in steps_of(rotation)]
    kept = names[: names.index(to)] if to in names else []
    approvals = rotation.approvals if rotation.deleted_at else ()  # of a delete that has happened, they stay
    return rotation.but(done=tuple(n for n in rotation.done if n in kept), approvals=approvals)
