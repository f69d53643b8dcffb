"""Turn a rotation into sentences: its state, what that means for callers, and what to do."""

from collections.abc import Callable, Mapping

from bot.rotation.actions import Action
from bot.rotation.attention import (
    fails_callers,
    harm,
    has_failed_callers,
    in_trouble,
    is_watched,
    may_be_deleted,
    open_questions,
    open_void,
)
from bot.rotation.exposure import is_back_in_use, is_still_due, review_is_due
from bot.rotation.nudges import leaking
from bot.rotation.phrases import MOVED_IS_BACK
from bot.rotation.plan import Plan, plural
from bot.rotation.policy import offered
from bot.rotation.progress import next_step
from bot.rotation.record import Rotation, Stop, Void
from bot.rotation.states import MEANING, State, StepName, Track
from bot.rotation.stops import StopKind
from handlers.views import approving, asks, choices, exposure, revoking, there, watch
from handlers.views.blocks import code, sentence, when
from handlers.views.callers import consequence
from handlers.views.links import place_of

MARKS: Mapping[State, str] = {
    State.AWAITING_SECRET: "⚪",
    State.RUNNING: "🔵",
    State.BLOCKED: "🔴",
    State.AWAITING_START: "🟡",
    State.AWAITING_APPROVAL: "🟡",
    State.ROLLING_BACK: "🔵",
    State.COMPLETED: "🟢",
    State.ROLLED_BACK: "⚪",
    State.CANCELLED: "⚪",
}
"""The mark at the start of a card, by state."""

HARM = "🔴"
"""The mark of a rotation in whose course callers fail, or that ended on an exposed key, whatever its state."""


def mark(rotation: Rotation) -> str:
    """Return the mark of a card; the watch has that of a completed rotation; what is left alone or unknown asks."""
    if fails_callers(rotation):
        return HARM
    if is_back_in_use(rotation):
        return HARM
    if (
        is_still_due(rotation)
        or (rotation.is_over and rotation.left_alone)
        or rotation.cached
        or watch.saw_too_little(rotation)
    ):
        return MARKS[State.AWAITING_APPROVAL]
    return MARKS[State.COMPLETED if is_watched(rotation) else rotation.state]


GONE_AND_STAYS = "The old key is gone, and every model stays on the new key."

STAYS = "AISIX has been asked to delete the old key, so no model goes back to it: each stays on the new key."


def _rotates_that(rotation: Rotation) -> str:
    """Say who must see to the new key of a rotation that nobody can go on with."""
    return f"Next: <@{rotation.requested_by}> rotates the new key with `/rotate-key` if it does not work."


def headline(rotation: Rotation) -> str:
    """Say the state in a few words, with the progress while the bot works."""
    return exposure.headline(rotation, _state(rotation))


def _state(rotation: Rotation) -> str:
    meaning = MEANING[rotation.state] if not is_parked(rotation) else PARKED
    if is_watched(rotation) or rotation.state is State.COMPLETED:
        return watch.headline(rotation)
    if rotation.state is State.BLOCKED and rotation.stop:
        return _stopped(rotation, rotation.stop.headline)
    harmed = f", {said}" if (said := harm(rotation)) else ""
    step = next_step(rotation) if rotation.waits_for_bot else None
    if step is None or (step.gated and not rotation.approvals):
        return f"{meaning}{harmed}"
    progress = f", {_so_far(rotation)}" if _so_far(rotation) else ""
    doing = "taking the refused secret back" if rotation.track is Track.WITHDRAW else step.doing
    doing = "waiting for the change window" if waits_for_window(rotation) else doing
    return f"{meaning}: {doing}{harmed}{progress}"


def _so_far(rotation: Rotation) -> str:
    """Return how far the step has got, without the names behind a colon; empty if it does not count."""
    return rotation.note.partition(": ")[0] if rotation.note and rotation.note[:1].isdigit() else ""


def _stopped(rotation: Rotation, why: str) -> str:
    """Say what stopped, why, and whether callers fail: the colour of the mark does not say it to everybody."""
    meaning = MEANING[State.BLOCKED]
    rolling_back = " rolling back" if rotation.track is Track.BACK else ""
    return ", ".join(filter(None, [f"{meaning}{rolling_back}: {why}", harm(rotation)]))


def state_label(rotation: Rotation) -> str:
    """Say the state in a word or two, for a list."""
    label = watch.WATCHING if is_watched(rotation) else MEANING[rotation.state]
    return exposure.headline(rotation, PARKED if is_parked(rotation) else label)


PARKED = "parked, nobody approved in time"


def is_parked(rotation: Rotation) -> bool:
    """Return whether nobody approved in time, and nobody is reminded."""
    return rotation.state in (State.AWAITING_START, State.AWAITING_APPROVAL) and rotation.parked_at is not None


def being_rotated(rotation: Rotation, link: str) -> str:
    """Answer someone who asks for a key that *rotation* already rotates."""
    place = f"<{link}|Open its card>" if link else "Its card is on its way; `/rotate-key status` will have the link"
    name = code(rotation.plan.old_key.display_name)
    return f"{name} is already being rotated: {state_label(rotation)}. {place}. Use that card."


def impact(rotation: Rotation) -> str:
    """Say how many models use the key, or used it before it was replaced."""
    plan = rotation.plan
    if not plan.models:
        return "No model uses this key."
    environments = plural(len(plan.environments), "environment")
    use = "used" if _is_replaced(rotation) else "uses" if len(plan.models) == 1 else "use"
    dependents = len(plan.dependents)
    more = f"; {dependents} more {'alias depends' if dependents == 1 else 'aliases depend'} on them"
    return f"{plural(len(plan.models), 'model')} in {environments} {use} this key{more if dependents else ''}."


def _is_replaced(rotation: Rotation) -> bool:
    """Tell whether every model has left the old key, for good or until a roll back."""
    if rotation.delete_asked_at:  # no roll back after that
        return True
    return rotation.track is Track.FORWARD and rotation.all_moved


def also_reached(plan: Plan, most: int = 20) -> str:
    """Name the dependent aliases."""
    named = ", ".join(f"{code(d.alias)} ({d.role}, {code(d.environment_name)})" for d in plan.dependents[:most])
    more = len(plan.dependents) - most
    return f"Also reached through these: {named}{f', and {more} more' if more > 0 else ''}"


def adopted(rotation: Rotation) -> str:
    """Tell the channel that a rotation with a lost record continues there."""
    return (
        f"The record of a rotation of {code(rotation.plan.old_key.display_name)} was lost. It goes on from what AISIX "
        f"shows, with <@{rotation.requested_by}> as its requester; its card follows. "
        "The old key is deleted when an approver says so, and not before."
    )


def then(rotation: Rotation) -> str:
    """Say who must act, and how; this comes last, beside the buttons."""
    task = revoking.task(rotation) if rotation.state in GIVEN_UP else ""
    return "\n".join(filter(None, [NEXT[rotation.state](rotation), task, exposure.then(rotation), asked(rotation)]))


def asked(rotation: Rotation) -> str:
    """Repeat the newest question that the requester has not answered; empty without one."""
    waiting = open_questions(rotation)
    if not waiting:
        return ""
    more = f" {len(waiting) - 1:,} more in the thread." if len(waiting) > 1 else ""
    newest = waiting[-1]
    said = f"<@{newest.by}> asks: {code(newest.text, 300)}. Next: <@{rotation.requested_by}> answers"
    return f"{said}, here or in the thread.{more}"


GIVEN_UP = frozenset({State.ROLLED_BACK, State.CANCELLED})
"""Ends that may leave a credential to be revoked, although that was not what the rotation was for."""


def first_move(rotation: Rotation) -> list[str]:
    """Say who must do what, in a line or two; for a stop, what its first button does."""
    if rotation.state is State.BLOCKED:
        return [line for line in (choices.first(rotation), asked(rotation)) if line]
    return then(rotation).split("\n")


def _awaiting_secret(rotation: Rotation) -> str:
    if rotation.note:
        return f"{sentence(rotation.note)} {_where_models_are(rotation)} {_gives(rotation, 'the new secret')}"
    if rotation.attempt and rotation.plan.old_key_gone:
        return (
            f"{_where_models_are(rotation)} {_gives(rotation, 'another secret' if rotation.delete_asked_at else 'it')}"
        )
    if rotation.attempt and rotation.delete_asked_at:
        return f"{STAYS} {_gives(rotation, 'another secret')}"
    if rotation.attempt:
        where = f", and {MOVED_IS_BACK}" if rotation.left_alone else " and every model is on the old key"
        return f"The refused secret is taken back{where}. {_gives(rotation, 'another secret')}"
    return f"Nothing has changed yet. {_gives(rotation, 'the new secret')}"


def _gives(rotation: Rotation, what: str) -> str:
    """Say how the requester goes on."""
    made = Action.MINT in offered(rotation)
    press = f"presses *{Action.MINT.value}*, which has {place_of(rotation.plan.old_key)} make it, or " if made else ""
    return f"Next: <@{rotation.requested_by}> {press}gives {what}."


def _where_models_are(rotation: Rotation) -> str:
    """Say which key the models use while Keyturn waits for another secret."""
    if rotation.plan.old_key_gone and rotation.delete_asked_at:
        return f"{GONE_AND_STAYS} Callers fail if its secret does not work."
    if rotation.attempt and rotation.plan.old_key_gone:
        return "The old key is gone, so callers fail until a working secret is given."
    return STAYS if rotation.delete_asked_at else "No model has been moved."


def _running(rotation: Rotation) -> str:
    if rotation.track is Track.WITHDRAW and rotation.delete_asked_at:
        return f"{STAYS} Nothing to do for you until another secret can be given."
    if rotation.track is Track.WITHDRAW:
        return "Every model goes back to the old key first. Nothing to do for you until another secret can be given."
    if is_watched(rotation):
        return _watching(rotation)
    if rotation.approvals:
        step = next_step(rotation)
        doing = "Deleting the old key." if step and step.name is StepName.DELETE else LAST_LOOK
        return f"Approved by {approving.approvers(rotation)}. {doing}"
    if waits_for_window(rotation):
        return _waiting_for_window(rotation)
    back = f"presses *{Action.ROLL_BACK.value}* if the new key is the cause"
    look = f"Next: {choices.either(rotation)} finds out why, and {back}."
    take_it = f"Next: {choices.either(rotation)} presses *{Action.ON_IT.value}*."
    calm = take_it if leaking(rotation) else "Nothing to do for you."
    first = look if has_failed_callers(rotation) else calm
    parts = [first, _soaking(rotation), _awaited(rotation), "The thread has the details."]
    return " ".join(filter(None, parts))


LAST_LOOK = "Checking everything once more; then Keyturn deletes the old key."


def _watching(rotation: Rotation) -> str:
    is_open = any(watch.wrong_now(rotation)) or review_is_due(rotation)
    return _revoking(rotation) if is_open else f"Done. {_revoking(rotation)}"


def _revoking(rotation: Rotation) -> str:
    """Name the last thing to do, and say that it must wait while something is wrong; or who has done it."""
    if rotation.revocation and not rotation.is_owed:
        return revoking.task(rotation)
    if doing := there.said(rotation):
        return doing
    wrong = any(watch.wrong_now(rotation))
    press = f", presses *{Action.ANOTHER_SECRET.value}* if the new key is the cause"
    cure = press if in_trouble(rotation) else ""
    then = (
        f"looks into this first{cure}, and revokes the old one there when all is well"
        if wrong
        else f"revokes it there{revoking.due(rotation)}"
    )
    said = f"{revoking.still_works(rotation)}. Next: <@{rotation.requested_by}> {then}."
    return said if wrong else "\n".join(filter(None, [said, revoking.also(rotation), revoking.which(rotation)]))


def void(rotation: Rotation) -> str:
    """Say why an approval is void, until a new one is asked for."""
    found = open_void(rotation)
    if not found:
        return ""
    return f"{not_deleted(rotation, found)}, though approved: {changed(found)} Verifying again, then asking again."


def not_deleted(rotation: Rotation, void: Void) -> str:
    """Say that an approval did not delete the old key, or that nobody knows, as AISIX may have been asked before."""
    return "Delete not confirmed" if may_be_deleted(rotation, void) else "Not deleted"


def changed(void: Void, most: int = 600) -> str:
    """Say what had changed when someone approved."""
    people = void.by if void.lapsed else ()
    lapsed = [
        f"The approval of <@{person}> no longer counts. {sentence(why, most)}"
        for person, why in zip(people, void.changes, strict=False)
    ]
    rest = sentence(" ".join(void.changes[len(people) :]), most)
    return " ".join(filter(None, [*lapsed, rest]))


def trouble(rotation: Rotation) -> str:
    """Say what keeps the bot from going on, and since when; empty if nothing does."""
    if not (rotation.trouble_since and rotation.note):
        return ""
    return f"{sentence(rotation.note)} This began {when(rotation.trouble_since)}."


def waits_for_window(rotation: Rotation) -> bool:
    """Return whether Keyturn waits for the change window before it moves models."""
    step = next_step(rotation) if rotation.state is State.RUNNING else None
    return step is not None and step.name is StepName.CUT_OVER and rotation.opens_at is not None


def _waiting_for_window(rotation: Rotation) -> str:
    where = "No model has been moved." if not rotation.moved else _so_far_moved(rotation)
    opens = when(rotation.opens_at) if rotation.opens_at else "later"
    times = asks.times(rotation.policy.move)
    return f"Waits for the change window: opens {opens} ({times}). {where} Nothing to do for you."


def _soaking(rotation: Rotation) -> str:
    step = next_step(rotation)
    if step is None or step.name != StepName.SOAK or rotation.well_since is None:
        return ""
    if rotation.note not in (None, step.doing):
        return f"The soak starts again ({sentence(rotation.note or '')})."
    then = when(rotation.soak_until) if rotation.soak_until else "when that has lasted long enough"
    if has_failed_callers(rotation):
        return (
            f"Nothing else speaks against the new key since {when(rotation.well_since)}; an approver is asked {then}."
        )
    return f"All has been well since {when(rotation.well_since)}; if it stays so, an approver is asked {then}."


def _awaited(rotation: Rotation) -> str:
    """Name what a counted wait is for."""
    names = rotation.note.partition(": ")[2] if rotation.note and _so_far(rotation) else ""
    return f"Not synced yet: {sentence(names)}." if names else ""


def _awaiting_start(rotation: Rotation) -> str:
    again = f"{sentence(rotation.note)} " if rotation.note else ""
    where = "No model has been moved." if not rotation.moved else _so_far_moved(rotation)
    starts = f"an approver{choices.other(rotation)} presses *{Action.START.value}*"
    ends = next(action for action in offered(rotation) if action not in (Action.START, Action.ON_IT))
    return f"{again}{where} Next: {starts}. Or {choices.either(rotation)} presses *{ends.value}*."


def _so_far_moved(rotation: Rotation) -> str:
    return f"{len(rotation.moved):,} of {plural(len(rotation.plan.models), 'model')} moved so far; no other moves yet."


def left_alone(rotation: Rotation) -> list[str]:
    """Say what Keyturn did not touch and a person may have to fix, one line each."""
    return [f"▲ {sentence(text)}" for text in rotation.left_alone]


def _back_but(rotation: Rotation) -> str:
    """Say that the models are back, and who must look into what was left alone."""
    return f"{MOVED_IS_BACK.capitalize()}. Next: <@{rotation.requested_by}> looks into the ▲ above."


def _rolled_back(rotation: Rotation) -> str:
    if rotation.left_alone:
        return _back_but(rotation)
    if not rotation.moved:
        return "No model was moved; every model is on the old key, and no new key is left."
    return "Every model is back on the old key, and the new key is removed."


def _cancelled(rotation: Rotation) -> str:
    if rotation.stop:
        return _cancelled_at(rotation.stop, rotation)
    if rotation.attempt and rotation.delete_asked_at:
        return f"{GONE_AND_STAYS if rotation.plan.old_key_gone else STAYS} {_rotates_that(rotation)}"
    if rotation.plan.old_key_gone and rotation.plan.models:
        gone = "The old key is gone: callers of its models fail until these get another key."
        return f"{gone} Next: <@{rotation.requested_by}> points them at one in AISIX."
    if rotation.note:
        return sentence(rotation.note)
    if rotation.left_alone:
        return _back_but(rotation)
    return "Every model is on the old key." if rotation.attempt else "Nothing was changed."


def _cancelled_at(stop: Stop, rotation: Rotation) -> str:
    helps = "" if stop.kind is StopKind.REFUSED else f" {_rotates_that(rotation)}"
    return f"Cancelled after a stop: {stop.headline}. {consequence(rotation)}{helps}"


NEXT: Mapping[State, Callable[[Rotation], str]] = {
    State.AWAITING_SECRET: _awaiting_secret,
    State.RUNNING: _running,
    State.BLOCKED: choices.advice,
    State.AWAITING_START: _awaiting_start,
    State.AWAITING_APPROVAL: approving.awaiting_approval,
    State.ROLLING_BACK: lambda _: "Every model that was moved goes back to the old key. Nothing to do for you.",
    State.COMPLETED: _revoking,
    State.ROLLED_BACK: _rolled_back,
    State.CANCELLED: _cancelled,
}
"""The next move for each state; a test checks that none is missing."""
