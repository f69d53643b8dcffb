"""The buttons of a card: the advised one first and primary; whatever destroys something asks first."""

from collections.abc import Callable, Mapping, Sequence

from bot.rotation.actions import Action
from bot.rotation.attention import fails_callers, in_trouble, objections
from bot.rotation.flags import flags, shown_of
from bot.rotation.plan import plural
from bot.rotation.policy import BESIDE, offered
from bot.rotation.record import Rotation
from bot.rotation.revocation import left_too
from bot.rotation.starting import asked_at_start
from bot.rotation.states import State
from handlers.views import there
from handlers.views.blocks import Block, actions, button, confirm, visible
from handlers.views.callers import is_moving

SHOWN = "shown-"
"""The prefix of the block id of an approval's buttons, before the mark of what the card shows."""

ADVISED = frozenset({State.AWAITING_SECRET, State.AWAITING_START, State.BLOCKED})
"""States in which the first button is the one to press."""


def buttons(rotation: Rotation, links: Sequence[Block] = ()) -> list[Block]:
    """Build the row of buttons; its block id tells what an approver saw, to refuse a click on an older card."""
    mark = SEEN.get(rotation.state)
    shown = f"{SHOWN}{mark(rotation)}" if mark else ""
    return actions([*(press(action, rotation) for action in offered(rotation)), *links], shown)


SEEN: Mapping[State, Callable[[Rotation], str]] = {
    State.AWAITING_START: asked_at_start,
    State.AWAITING_APPROVAL: shown_of,
}
"""The marks of what an approver sees, in the states that ask one."""


def press(action: Action, rotation: Rotation) -> Block:
    """Build the button for *action*; it carries only the rotation's id."""
    ask = _confirm(action, rotation)
    label = there.label(rotation) if action is Action.REVOKE_THERE else action.value
    return button(label, action.name.lower(), rotation.id, style=_style(action, rotation), confirm=ask)


def _style(action: Action, rotation: Rotation) -> str | None:
    if action is Action.DELETE_OLD_KEY:
        return "danger"
    if action in BESIDE:
        return None
    is_first = action is offered(rotation)[0] and action is not Action.ACCEPT_UNPROVED
    if rotation.deleted_at and rotation.state is not State.BLOCKED and not in_trouble(rotation):
        return None
    return "primary" if is_first and (rotation.state in ADVISED or fails_callers(rotation)) else None


def _confirm(action: Action, rotation: Rotation) -> Block | None:
    if action is Action.DELETE_OLD_KEY and not flags(rotation):  # else the form asks
        return confirm("Delete the old key?", deletes(rotation), "Delete", "Not now", dangerous=True)
    if action is Action.START and not objections(rotation):  # else the form asks
        return confirm("Start?", starts(rotation), "Start", "Not now")
    if action is Action.ROLL_BACK:
        return confirm("Roll back?", _roll_back_text(rotation), "Roll back", "Not now")
    if action is Action.VERIFY_AGAIN:
        return confirm("Verify again?", _verify_again_text(rotation), "Verify again", "Not now")
    if action in ASKED:
        title, said, yes = ASKED[action]
        return confirm(title, said(rotation), yes, "Not now")
    return None


def _revoked_text(rotation: Rotation) -> str:
    what = "API keys that the card names work" if left_too(rotation) else "API key works"
    return f"Keyturn can't see it at the provider. It notes, with your name, that the {what} there no longer."


ENABLE_TEXT = "It works at its provider again, for whoever has it. The task to revoke it stays open."
ASKED: Mapping[Action, tuple[str, Callable[[Rotation], str], str]] = {
    Action.REVOKED: ("Revoked?", _revoked_text, "Yes, revoked"),
    Action.ENABLE_AGAIN: ("Enable again?", lambda _: ENABLE_TEXT, "Enable again"),
}
"""What is asked of a task before a press counts: the title, what it does, and the button."""


def _verify_again_text(rotation: Rotation) -> str:
    void = " Approvals given so far become void." if rotation.approvals else ""
    return f"Keyturn tests every model again, soaks again, and then asks an approver again.{void}"


def starts(rotation: Rotation) -> str:
    """Say what **Start** does, in plain text."""
    models = plural(len(rotation.plan.models), "model")
    moves = f"Keyturn moves {models} to the new key, wave by wave, and verifies each."
    opens = " The old key is exposed, so they move even while the change window is closed."
    is_waived = rotation.exposed and rotation.policy.move
    return f"{moves}{opens if is_waived else ''} The old key stays until the delete."


def deletes(rotation: Rotation) -> str:
    """Say what the approval does, in plain text."""
    name = visible(rotation.plan.old_key.display_name, 60)
    missing = rotation.approvals_missing - 1
    waits = (
        f" It happens when {plural(missing, 'more approver')} agree{'s' if missing == 1 else ''}." if missing else ""
    )
    gone = f"This deletes “{name}” for good: there is no way back to it."
    return f"{gone} Keyturn checks everything once more first.{waits}"


def _roll_back_text(rotation: Rotation) -> str:
    moved = len(rotation.moved)
    models = f"{plural(moved, 'model')} {'goes' if moved == 1 else 'go'} back to the old key" if moved else ""
    if not moved and is_moving(rotation):
        models = "Each model that was moved goes back to the old key"
    unless = " unless something may use it unseen" if rotation.plan.unlisted else ""
    removed = f"The new key is removed{unless}, and this rotation" if rotation.made else "This rotation"
    leaked = " The old key is exposed, and callers use it again." if rotation.exposed and models else ""
    return f"{models or 'No model has been moved'}.{leaked} {removed} ends."
