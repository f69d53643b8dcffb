"""From a rotation to sentences: what is going on, what it means for callers now, and what to do."""

from collections.abc import Callable, Iterable, Mapping

from bot.errors import StopKind
from bot.evidence import Verdict
from bot.plan import AffectedModel, Plan, plural
from bot.policy import Action, offered
from bot.rotation import MEANING, Finding, Rotation, State, Track, was_failing_before
from bot.steps import next_step
from handlers.views.blocks import code, sentence

MARKS: Mapping[State, str] = {
    State.AWAITING_SECRET: "◔",
    State.RUNNING: "◑",
    State.BLOCKED: "■",
    State.AWAITING_APPROVAL: "◕",
    State.ROLLING_BACK: "◑",
    State.COMPLETED: "●",
    State.ROLLED_BACK: "○",
    State.CANCELLED: "○",
}
"""The one mark at the start of a card."""

REVOKE = (
    "The old credential still works at the provider until it is revoked there. Deleting it here did not do that: "
    "revoking it is the thing to do now."
)

ADVICE: Mapping[Action, str] = {
    Action.TRY_AGAIN: "*Try again* when that is mended",
    Action.ANOTHER_SECRET: "*Another secret* to take this one back and give another",
    Action.ROLL_BACK: "*Roll back* to return every model to the old key",
}
"""What each button of a stopped card is for."""


def headline(rotation: Rotation) -> str:
    """Say the state in a few words, with the progress while the bot is at work."""
    meaning = MEANING[rotation.state]
    if rotation.state is State.BLOCKED and rotation.stop:
        return f"{meaning}: {rotation.stop.headline}"
    step = next_step(rotation) if rotation.waits_for_bot else None
    if step is None or (step.gated and not rotation.approvals):
        return meaning
    progress = f", {rotation.note}" if rotation.note and rotation.note[:1].isdigit() else ""
    return f"{meaning}: {step.doing}{progress}"


def impact(plan: Plan) -> str:
    """Say how much uses the key."""
    if not plan.models:
        return "No model uses this key."
    environments = plural(len(plan.environments), "environment")
    use = "uses" if len(plan.models) == 1 else "use"
    dependents = len(plan.dependents)
    more = f"; {dependents} more {'alias depends' if dependents == 1 else 'aliases depend'} on them"
    return f"{plural(len(plan.models), 'model')} in {environments} {use} this key{more if dependents else ''}."


def also_reached(plan: Plan, most: int = 20) -> str:
    """Name the dependent aliases."""
    named = ", ".join(f"{code(d.alias)} ({d.role}, {code(d.environment_name)})" for d in plan.dependents[:most])
    more = len(plan.dependents) - most
    return f"Also reached through these: {named}{f', and {more} more' if more > 0 else ''}"


def verdict(finding: Finding) -> str:
    """Say in a word or two what is known of a model."""
    if finding.latest is None:
        return "moved" if finding.moved_at else "–"
    if was_failing_before(finding):
        return "as before"
    if finding.latest.verdict is Verdict.SKIPPED:
        return "not probed"
    return finding.latest.verdict.value


def why(finding: Finding) -> str:
    """Say why."""
    if finding.latest is None:
        return "–"
    if was_failing_before(finding):
        return f"failed on the old key too, not our doing: {finding.latest.reason}"
    return finding.latest.reason


def tally(rotation: Rotation) -> str:
    """Count the verdicts: "11 likely · 1 as before"."""
    words = [verdict(rotation.finding(model)) for model in rotation.plan.models]
    return " · ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def next_move(rotation: Rotation) -> str:
    """Say what happens next and who has to act; what a stop means and what can be done about it."""
    return NEXT[rotation.state](rotation)


def _awaiting_secret(rotation: Rotation) -> str:
    requester = f"<@{rotation.requested_by}>"
    if rotation.note:
        return f"{sentence(rotation.note)} No model is moved. Next: {requester} gives the new secret."
    if rotation.attempt and rotation.plan.old_key_gone:
        return f"The old key is gone, so callers fail until a working secret is given. Next: {requester} gives it."
    if rotation.attempt:
        return (
            "The refused secret is taken back and every model is on the old key. "
            f"Next: {requester} gives another secret."
        )
    return f"Nothing has changed yet. Next: {requester} gives the new secret."


def _running(rotation: Rotation) -> str:
    if rotation.track is Track.WITHDRAW:
        return "Taking the refused secret back first. Then another can be given."
    trouble = f"{sentence(rotation.note)} " if rotation.trouble_since and rotation.note else ""
    if rotation.approvals:
        return f"{trouble}Approved by {approvers(rotation)}. Looking at everything once more, then the old key goes."
    return f"{trouble}Both keys are there; nothing to do for you. The thread has the details."


def _awaiting_approval(rotation: Rotation) -> str:
    requester = f"<@{rotation.requested_by}>"
    missing = rotation.approvals_required - len(rotation.approvals)
    who = plural(missing, "more approver") if rotation.approvals else f"an approver other than {requester}"
    given = f"Approved by {approvers(rotation)} so far. " if rotation.approvals else ""
    key = code(rotation.plan.old_key.id)
    return f"{tally(rotation)}. {given}Deleting {key} cannot be undone. Next: {who} presses *Delete old key*."


def approvers(rotation: Rotation) -> str:
    """Name those who approved."""
    return ", ".join(f"<@{approval.by}>" for approval in rotation.approvals)


def stopped(rotation: Rotation) -> str:
    """Say the three: what happened, what it means for callers now, what to do."""
    assert rotation.stop is not None
    advice = [ADVICE[action] for action in offered(rotation) if action in ADVICE]
    todo = ", or ".join(advice)
    return f"{sentence(rotation.stop.sentence)}\n{consequence(rotation)}\nPress {todo}."


def consequence(rotation: Rotation) -> str:
    """Say what a stop means for callers now."""
    assert rotation.stop is not None
    moved = rotation.moved
    if rotation.plan.old_key_gone:
        return "The old key is gone; what is on the replacement stays there."
    if rotation.track is Track.BACK:
        return "Both keys are still there; some models may not be back on the old key yet."
    if not moved:
        return "No model has been moved; callers notice nothing."
    many = f"{len(moved)} of {plural(len(rotation.plan.models), 'model')}"
    if rotation.stop.kind is StopKind.REJECTED:
        return f"{many} {_are(moved)} on the refused key: *their callers are failing now*."
    return f"{many} {_are(moved)} on the replacement. Both keys are still there, so nothing is lost."


def _are(models: Iterable[AffectedModel]) -> str:
    return "is" if len(list(models)) == 1 else "are"


def left_alone(rotation: Rotation) -> str:
    """Name what was not touched."""
    if not rotation.left_alone:
        return ""
    return "Left alone: " + " ".join(sentence(text) for text in rotation.left_alone)


NEXT: Mapping[State, Callable[[Rotation], str]] = {
    State.AWAITING_SECRET: _awaiting_secret,
    State.RUNNING: _running,
    State.BLOCKED: stopped,
    State.AWAITING_APPROVAL: _awaiting_approval,
    State.ROLLING_BACK: lambda _: "Every model that was moved goes back to the old key. Nothing to do for you.",
    State.COMPLETED: lambda _: REVOKE,
    State.ROLLED_BACK: lambda rotation: "Every model is as it was before. " + left_alone(rotation),
    State.CANCELLED: lambda rotation: sentence(rotation.note or "Nothing was changed."),
}
"""What each state says of the next move; total, and a test holds it so."""
