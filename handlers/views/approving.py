"""What a card says while it waits for an approver: who presses what."""

from bot.rotation.actions import Action
from bot.rotation.flags import flags
from bot.rotation.plan import plural
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from handlers.views import choices
from handlers.views.blocks import when


def awaiting_approval(rotation: Rotation) -> str:
    """Say who decides, and how."""
    if rotation.stale_at or rotation.parked_at:
        return _too_late(rotation)
    given = f"Approved by {approvers(rotation)} so far. " if rotation.approvals else ""
    why = ", with a reason" if flags(rotation) else ""
    deletes = f"{_wanted(rotation)} *{Action.DELETE_OLD_KEY.value}*{why}"
    first = "look into the ▲ above. Then " if why else ""
    back = f"{choices.either(rotation)} presses *{Action.ROLL_BACK.value}*"
    match offered(rotation):
        case (Action.ROLL_BACK, *_):
            moves = f"Next: {back}. Or, once you know why callers failed, {deletes}."
        case actions if Action.ROLL_BACK in actions:
            moves = f"Next: {first}{deletes}. Or {back}."
        case _:
            moves = f"Next: {first}{deletes}."
    return f"{given}{_no_way_back(rotation)} {moves}"


def _too_late(rotation: Rotation) -> str:
    """Say that nobody can approve on this evidence, and who can have it gathered again."""
    who = choices.either(rotation)
    back = f" Or *{Action.ROLL_BACK.value}*." if Action.ROLL_BACK in offered(rotation) else ""
    then = f"Next: {who} presses *{Action.VERIFY_AGAIN.value}*; then an approver is asked again.{back}"
    if rotation.parked_at:
        return f"Nobody approved in time, so Keyturn waits and reminds nobody any more. {then}"
    since = when(rotation.asked_at) if rotation.asked_at else "long ago"
    return f"The evidence is of {since}: too old to approve the delete on. {then}"


def _no_way_back(rotation: Rotation) -> str:
    """Say that a delete is final, or that AISIX was already asked for it, so nothing can roll back."""
    if rotation.delete_asked_at:
        return (
            "AISIX has already been asked to delete the old key: it may be gone at any moment, so there is no way back."
        )
    return "Deleting the old key can't be undone."


def _wanted(rotation: Rotation) -> str:
    """Say who must press: "an approver other than @requester presses"."""
    missing = rotation.approvals_missing
    other = choices.other(rotation)
    if rotation.approvals:
        return f"{plural(missing, 'more approver')}{other} {'presses' if missing == 1 else 'press'}"
    return f"an approver{other} presses" if missing == 1 else f"{missing} approvers{other} press"


def approvers(rotation: Rotation) -> str:
    """Mention the people who approved."""
    return ", ".join(f"<@{approval.by}>" for approval in rotation.approvals)
