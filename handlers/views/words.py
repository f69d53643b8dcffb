"""From a rotation to sentences: what is going on, what it means for callers now, and what to do."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bot.errors import StopKind
from bot.evidence import Verdict
from bot.plan import Plan, plural
from bot.policy import Action, offered
from bot.rotation import MEANING, Finding, Rotation, State, Track, was_failing_before
from bot.steps import next_step
from handlers.views.blocks import code, sentence, when

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

REVOKE = "The old credential still works at the provider until it is revoked there. Deleting it here did not do that."

ON_TRY_AGAIN: Mapping[StopKind, str] = {
    StopKind.REJECTED: "if this secret works by now",
    StopKind.REFUSED: "once that is mended",
    StopKind.DIFFERENCE: "once they are alike",
    StopKind.PROJECTION: "once the gateway has it",
    StopKind.UNVERIFIED: "once that is mended",
    StopKind.DRIFT: "to go on with what this card shows now",
    StopKind.TROUBLE: "once that is mended",
}
"""What **Try again** is for, by the kind of the stop."""

LEGEND: Mapping[str, str] = {
    "likely": "answered live requests since the change, not from a cache and not by another model",
    "as before": "fails as it did on the old key",
    "not probed": "not asked, because the settings say skip",
}
"""What an approver has to know of a verdict before deleting on the strength of it."""


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


def impact(rotation: Rotation) -> str:
    """Say how much uses the key, or did before it was replaced."""
    plan = rotation.plan
    if not plan.models:
        return "No model uses this key."
    environments = plural(len(plan.environments), "environment")
    use = "used" if _is_replaced(rotation) else "uses" if len(plan.models) == 1 else "use"
    dependents = len(plan.dependents)
    more = f"; {dependents} more {'alias depends' if dependents == 1 else 'aliases depend'} on them"
    return f"{plural(len(plan.models), 'model')} in {environments} {use} this key{more if dependents else ''}."


def _is_replaced(rotation: Rotation) -> bool:
    """Tell whether every model has left the old key for good or until it is rolled back."""
    return rotation.track is Track.FORWARD and "cut-over" in rotation.done


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
    if finding.latest.verdict is Verdict.SKIPPED:
        return "the settings say skip"
    return finding.latest.reason


def tally(rotation: Rotation) -> str:
    """Count the verdicts: "11 likely · 1 as before"."""
    return counted(verdict(rotation.finding(model)) for model in rotation.plan.models) or "no model to verify"


def counted(words: Iterable[str]) -> str:
    """Count each of *words*, in the order in which they come up."""
    return " · ".join(f"{count:,} {word}" for word, count in Counter(words).items())


def legend(rotation: Rotation) -> str:
    """Explain the verdicts that this card shows."""
    shown = {verdict(rotation.finding(model)) for model in rotation.plan.models}
    return " · ".join(f"*{word}*: {meaning}" for word, meaning in LEGEND.items() if word in shown)


def next_move(rotation: Rotation) -> str:
    """Say what happens next and who has to act; what a stop means and what can be done about it."""
    return NEXT[rotation.state](rotation)


def _awaiting_secret(rotation: Rotation) -> str:
    requester = f"<@{rotation.requested_by}>"
    if rotation.note:
        return f"{sentence(rotation.note)} No model has been moved. Next: {requester} gives the new secret."
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
        return "Every model goes back to the old key first. Nothing to do for you until another secret can be given."
    trouble = _trouble(rotation)
    if rotation.approvals:
        return f"{trouble}Approved by {approvers(rotation)}. Looking at everything once more, then the old key goes."
    soaking = f" An approver is asked {when(rotation.retry_at)}." if _soaks(rotation) and rotation.retry_at else ""
    return f"{trouble}{_whereabouts(rotation)} Nothing to do for you.{soaking} The thread has the details."


def _trouble(rotation: Rotation) -> str:
    if not (rotation.trouble_since and rotation.note):
        return ""
    return f"{sentence(rotation.note)} This began {when(rotation.trouble_since)}. "


def _soaks(rotation: Rotation) -> bool:
    step = next_step(rotation)
    return step is not None and step.name == "soak"


def _whereabouts(rotation: Rotation) -> str:
    """Say which key serves the callers now."""
    if not rotation.moved:
        return "Callers are on the old key and notice nothing."
    return f"{_many_moved(rotation)} on the replacement, and both keys are there."


def _many_moved(rotation: Rotation) -> str:
    """Say how many are moved, with the verb that goes with it: "3 of 3 models are"."""
    moved = len(rotation.moved)
    return f"{moved:,} of {plural(len(rotation.plan.models), 'model')} {'is' if moved == 1 else 'are'}"


def _awaiting_approval(rotation: Rotation) -> str:
    given = f"Approved by {approvers(rotation)} so far. " if rotation.approvals else ""
    found = tally(rotation)
    return (
        f"{found[:1].upper()}{found[1:]}. {given}Deleting {code(rotation.plan.old_key.id)} cannot be undone. "
        f"Next: {_wanted(rotation)} *Delete old key* or *Roll back*."
    )


def _wanted(rotation: Rotation) -> str:
    """Say who is waited for: "an approver other than @requester presses"."""
    missing = rotation.approvals_required - len(rotation.approvals)
    other = "" if rotation.self_approval else f" other than <@{rotation.requested_by}>"
    if rotation.approvals:
        return f"{plural(missing, 'more approver')}{other} {'presses' if missing == 1 else 'press'}"
    return f"an approver{other} presses" if missing == 1 else f"{missing} approvers{other} press"


def approvers(rotation: Rotation) -> str:
    """Name those who approved."""
    return ", ".join(f"<@{approval.by}>" for approval in rotation.approvals)


def stopped(rotation: Rotation) -> str:
    """Say the three: what happened, what it means for callers now, what to do."""
    assert rotation.stop is not None
    return f"{sentence(rotation.stop.sentence)}\n{consequence(rotation)}\n{_advice(rotation)}"


def _advice(rotation: Rotation) -> str:
    """Say what each button that is offered does, and who can press it."""
    todo = [f"• {text}" for action in offered(rotation) if (text := _purpose(action, rotation))]
    return "\n".join([f"Next, for <@{rotation.requested_by}> or an approver:", *todo])


def _purpose(action: Action, rotation: Rotation) -> str:
    """Say what *action* does to a stopped rotation; empty where it could do nothing."""
    assert rotation.stop is not None
    match action:
        case Action.TRY_AGAIN:
            return f"*Try again* {ON_TRY_AGAIN[rotation.stop.kind]}"
        case Action.ANOTHER_SECRET:
            first = "puts every model back on the old key, then asks" if _can_go_back(rotation) else "asks"
            return f"*Another secret* (only <@{rotation.requested_by}>) {first} for a different secret"
        case Action.ROLL_BACK if not rotation.plan.old_key_gone:
            models = "puts every model back on the old key and " if rotation.moved else ""
            return f"*Roll back* {models}ends this rotation"
        case _:
            return ""


def _can_go_back(rotation: Rotation) -> bool:
    return bool(rotation.moved) and not rotation.plan.old_key_gone


def consequence(rotation: Rotation) -> str:
    """Say what a stop means for callers now."""
    assert rotation.stop is not None
    if rotation.plan.old_key_gone:
        return _without_old_key(rotation)
    if rotation.delete_asked_at:
        return "The old key may be gone at any moment: AISIX has been asked to delete it. Every model is off it."
    if rotation.track is not Track.FORWARD:
        return "Both keys are still there. Models that are not back on the old key yet may be failing."
    if not rotation.moved:
        return "No model has been moved; callers notice nothing."
    return f"{_many_moved(rotation)} {CONSEQUENCE[rotation.stop.kind](rotation)}"


def _without_old_key(rotation: Rotation) -> str:
    left = len(rotation.plan.models) - len(rotation.moved)
    if not left:
        return "Every model is on the replacement and stays there."
    return (
        f"{plural(left, 'model')} still {'needs' if left == 1 else 'need'} the deleted key: *callers are failing now*."
    )


def _rejected(rotation: Rotation) -> str:
    """Tell a refused credential, which fails everything on it, from one model that it does not cover."""
    seen = [finding.latest for m in rotation.moved if (finding := rotation.finding(m)).latest]
    if any(evidence.blames_credential for evidence in seen):
        return "on the refused key: *their callers are failing now*."
    failing = sum(evidence.verdict is Verdict.REJECTED for evidence in seen)
    return f"on the replacement: *callers of {plural(failing, 'model')} are failing now*. Both keys are still there."


_NOTHING_LOST = "on the replacement. Both keys are still there, so nothing is lost."
CONSEQUENCE: Mapping[StopKind, Callable[[Rotation], str]] = {
    StopKind.REJECTED: _rejected,
    StopKind.REFUSED: lambda _: "on the replacement, which is gone: *their callers are failing now*.",
    StopKind.DIFFERENCE: lambda _: _NOTHING_LOST,
    StopKind.PROJECTION: lambda _: "on the replacement; callers of those named may be failing. Both keys are there.",
    StopKind.UNVERIFIED: lambda _: (
        "on the replacement; I cannot tell whether all callers are served. Both keys are there."
    ),
    StopKind.DRIFT: lambda _: _NOTHING_LOST,
    StopKind.TROUBLE: lambda _: _NOTHING_LOST,
}
"""What a stop means for callers once models have been moved; completes "3 of 3 models are …". Total, and tested."""


def left_alone(rotation: Rotation) -> str:
    """Say what was not touched and may need a hand."""
    return " ".join(f"▲ {sentence(text)}" for text in rotation.left_alone)


def _completed(rotation: Rotation) -> str:
    """Say first what fails, then the last thing to do."""
    todo = f"{REVOKE} Next: <@{rotation.requested_by}> revokes it there."
    return "\n".join(filter(None, [left_alone(rotation), todo]))


def _rolled_back(rotation: Rotation) -> str:
    if rotation.left_alone:
        return f"What this rotation moved is back on the old key. {left_alone(rotation)}"
    if not rotation.moved:
        return "No model was moved; every model is on the old key, and no replacement is left."
    return "Every model is back on the old key, and the replacement is removed."


def _cancelled(rotation: Rotation) -> str:
    if rotation.plan.old_key_gone and rotation.plan.models:
        return "The old key is gone: callers of its models fail until these get another key."
    if rotation.note:
        return sentence(rotation.note)
    return "Every model is on the old key." if rotation.attempt else "Nothing was changed."


NEXT: Mapping[State, Callable[[Rotation], str]] = {
    State.AWAITING_SECRET: _awaiting_secret,
    State.RUNNING: _running,
    State.BLOCKED: stopped,
    State.AWAITING_APPROVAL: _awaiting_approval,
    State.ROLLING_BACK: lambda _: "Every model that was moved goes back to the old key. Nothing to do for you.",
    State.COMPLETED: _completed,
    State.ROLLED_BACK: _rolled_back,
    State.CANCELLED: _cancelled,
}
"""What each state says of the next move; total, and a test holds it so."""
