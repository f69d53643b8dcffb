"""Pushes about what waits for people: the reminder in the thread, and what became of what people were asked."""

from collections.abc import Callable, Iterator, Mapping

from bot.rotation.actions import Action
from bot.rotation.attention import harm, occasion
from bot.rotation.exposure import review_is_due
from bot.rotation.nudges import Kind, Whom, harmful, is_taken, matters, nudge_of
from bot.rotation.parts import OnIt
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import approving, choices, exposure, revoking, words
from handlers.views.around import TROUBLE
from handlers.views.blocks import escaped, sentence, visible, when
from handlers.views.replies import Reply, reply

REMINDER = "reminder:"
"""The prefix of the key of a reminder; the kind of the matter follows, so there is one message for each kind."""

STOPPED = "stopped:"


def key_of(rotation: Rotation) -> str:
    """Name the key that a push is about: five rotations are five lines that can be told apart."""
    return f"*{escaped(visible(rotation.plan.old_key.display_name, 60))}*"


def reminders(rotation: Rotation, approvers: str, escalation: str) -> Iterator[Reply]:
    """Yield the newest reminder of each matter; it takes the place of the one before it."""
    for matter in matters(rotation):
        if nudge := nudge_of(rotation, matter):
            said = REMINDERS[matter.kind](rotation, approvers, escalation)
            is_late = matter.whom is Whom.REQUESTER and nudge.number > 1
            text = f"{key_of(rotation)}{said}{UNANSWERED.format(approvers) if is_late else ''}"
            about = reply(REMINDER + matter.kind, text)
            yield about._replace(edition=nudge.at.isoformat(), replaces=True)


UNANSWERED = "\n{}: nobody has answered the first reminder, so this one goes to you as well."
"""The end of a later reminder to the requester, who may be away, or have left."""


def _harm(rotation: Rotation, approvers: str, escalation: str) -> str:
    people = " ".join(filter(None, (f"<@{rotation.requested_by}>", approvers, escalation)))
    return f": {harm(rotation)}, and nobody is on it. {people}: {TAKE}."


TAKE = f"*{Action.ON_IT.value}* on the card stops these messages"


def _stop(rotation: Rotation, _approvers: str, _escalation: str) -> str:
    stop = rotation.stop
    said = sentence(stop.headline, 300) if stop else ""
    who = f" <@{rotation.on_it.by}>" if rotation.on_it and rotation.on_it.by != rotation.requested_by else ""
    return f" is still stopped: {said}. <@{rotation.requested_by}>{who}\n{choices.first(rotation)}"


def _secret(rotation: Rotation, _approvers: str, _escalation: str) -> str:
    return f" still waits for another secret. <@{rotation.requested_by}>: *{Action.ENTER_SECRET.value}* on the card."


def _start(_: Rotation, approvers: str, _escalation: str) -> str:
    return f" still waits for {approvers}: *{Action.START.value}* or *{Action.ROLL_BACK.value}* on the card."


def _approval(rotation: Rotation, approvers: str, _escalation: str) -> str:
    if rotation.stale_at:
        again = f"The evidence is too old for it: *{Action.VERIFY_AGAIN.value}* first, or *{Action.ROLL_BACK.value}*."
        return f" still waits for {approvers}. {again}"
    return f" still waits for {approvers}: *{Action.DELETE_OLD_KEY.value}* or *{Action.ROLL_BACK.value}* on the card."


def _leak(rotation: Rotation, approvers: str, escalation: str) -> str:
    people = " ".join(filter(None, (approvers, escalation)))
    return f": the old key is exposed, and nobody is on it. {people}: {TAKE}.\n{exposure.lines(rotation)[-1]}"


def _review(rotation: Rotation, _approvers: str, _escalation: str) -> str:
    return f" still waits for the review of the leak. <@{rotation.requested_by}>: *{Action.REVIEW.value}* on the card."


def _revocation(rotation: Rotation, _approvers: str, _escalation: str) -> str:
    if rotation.revocation and rotation.revocation.there:
        return f": {revoking.task(rotation)}\nDecide on the card how it goes on."
    review = f" *{Action.REVIEW.value}* waits there too." if review_is_due(rotation) else ""
    return f": {revoking.task(rotation)}\nIt is due: *{Action.REVOKED.value}* on the card stops these messages.{review}"


REMINDERS: Mapping[Kind, Callable[[Rotation, str, str], str]] = {
    Kind.HARM: _harm,
    Kind.LEAK: _leak,
    Kind.STOP: _stop,
    Kind.SECRET: _secret,
    Kind.START: _start,
    Kind.APPROVAL: _approval,
    Kind.REVIEW: _review,
    Kind.REVOCATION: _revocation,
}
"""What a reminder says, after the name of the key; a test checks that none is missing."""


def alarmed(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Call people to harm that no other reply tells of; it goes out at once."""
    about = occasion(rotation)
    if harmful(rotation) and not about.startswith((STOPPED, TROUBLE)):
        text = f"{key_of(rotation)}: {harm(rotation)}. <@{rotation.requested_by}> {approvers}\n{TAKE}."
        yield reply(f"harm:{about}", text)


def called(rotation: Rotation, approvers: str) -> str:
    """Mention the people whom a stop or trouble calls: approvers too if callers fail."""
    who = f"<@{rotation.requested_by}>"
    return f"{who} {approvers}" if harmful(rotation) else who


def became(rotation: Rotation) -> str:
    """Say in a sentence what became of what people were asked."""
    if rotation.on_it and _is_last_word(rotation.on_it, rotation):
        return f"<@{rotation.on_it.by}> is on it, {when(rotation.on_it.at)}."
    if rotation.state in (State.ROLLING_BACK, State.ROLLED_BACK):
        return f"Rolled back {by(rotation)}."
    if rotation.state is State.CANCELLED:
        return f"Cancelled {by(rotation)}." if rotation.ended_by else sentence(rotation.note or "Cancelled.")
    if rotation.approvals and not rotation.lacks_approval:
        return f"Already approved by {approving.approvers(rotation)}."
    return f"Now: {sentence(words.headline(rotation), 300)}."


def _is_last_word(taken: OnIt, rotation: Rotation) -> bool:
    """Tell whether nobody has decided anything since somebody took care of it."""
    decided = [*(approval.at for approval in rotation.approvals), *filter(None, [rotation.ended_at])]
    is_back = rotation.state is State.ROLLING_BACK
    return is_taken(rotation) and not is_back and all(at < taken.at for at in decided)


def by(rotation: Rotation) -> str:
    """Say who ended a rotation, or that nobody approved in time."""
    return f"by <@{rotation.ended_by}>" if rotation.ended_by else "because nobody approved in time"


def over(rotation: Rotation) -> str:
    """Say in a line that a reminder is over, and why."""
    is_revoked = rotation.revocation is not None and not rotation.is_owed
    return f"{key_of(rotation)}: {revoking.task(rotation) if is_revoked else became(rotation)}"
