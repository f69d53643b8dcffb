"""What a rotation waits for, and which of it this person may do now. Pure."""

from collections.abc import Callable, Mapping

from bot.rotation.actions import Action
from bot.rotation.errors import NotAllowed, WrongState
from bot.rotation.exposure import needing
from bot.rotation.policy import (
    Permissions,
    check_may_accept,
    check_may_answer,
    check_may_approve,
    check_may_ask,
    check_may_give_secret,
    check_may_replace,
    check_may_steer,
    check_may_take,
    offered,
)
from bot.rotation.record import Rotation
from bot.rotation.states import State

Check = Callable[[Rotation, Permissions], None]


def _accepts(rotation: Rotation, permissions: Permissions) -> None:
    check_may_accept(rotation, permissions, self_approval=rotation.self_approval)


def _approves(rotation: Rotation, permissions: Permissions) -> None:
    check_may_approve(rotation, permissions, self_approval=rotation.self_approval)


CHECKS: Mapping[Action, Check] = {
    Action.ENTER_SECRET: check_may_give_secret,
    Action.MINT: check_may_give_secret,
    Action.CANCEL: check_may_steer,
    Action.START: _accepts,
    Action.TRY_AGAIN: check_may_steer,
    Action.ANOTHER_SECRET: check_may_replace,
    Action.VERIFY_AGAIN: check_may_steer,
    Action.ROLL_BACK: check_may_steer,
    Action.ACCEPT_UNPROVED: _accepts,
    Action.DELETE_OLD_KEY: _approves,
    Action.ON_IT: check_may_take,
    Action.NOT_YET: _accepts,
    Action.ASK: check_may_ask,
    Action.ANSWER: check_may_answer,
    Action.EXPOSED: check_may_steer,
    Action.REVIEW: check_may_steer,
    Action.REVOKED: check_may_steer,
    Action.NOT_NEEDED: _accepts,
    Action.REVOKE_THERE: _accepts,
    Action.CHOOSE_ROW: _accepts,
    Action.ENABLE_AGAIN: check_may_steer,
}
"""Who may press each button, as a click on the card would check it; a test checks that none is missing."""

AT_WILL = frozenset({Action.CANCEL, Action.ROLL_BACK, Action.VERIFY_AGAIN, Action.EXPOSED, Action.ENABLE_AGAIN})
"""The buttons that nobody has to press, unless the rotation is stopped, or offers nothing else before an approval."""

TALK = frozenset({Action.NOT_YET, Action.ASK})
"""The buttons that are never what a rotation waits for."""

OF_A_TASK = frozenset({Action.REVOKED, Action.NOT_NEEDED})
"""The buttons that only the owner of a task has to press."""


def waited_for(rotation: Rotation, permissions: Permissions) -> tuple[Action, ...]:
    """Return what *rotation* waits for and this person may do now, in the order of its buttons."""
    of_others = rotation.revocation is None or rotation.revocation.owner != permissions.person.id
    of_others = of_others or (rotation.exposed is not None and needing(rotation) > 0)  # not yet: callers would fail
    acts = [act for act in offered(rotation) if act not in TALK and not (of_others and act in OF_A_TASK)]
    asked = [act for act in acts if act not in AT_WILL]
    stuck = rotation.state is State.BLOCKED or (rotation.state is State.AWAITING_APPROVAL and not asked)
    return tuple(act for act in (acts if stuck else asked) if may_press(act, rotation, permissions))


def may_press(action: Action, rotation: Rotation, permissions: Permissions) -> bool:
    """Return whether this person may press a button of *rotation* now."""
    check = CHECKS.get(action)
    if check is None:
        return False
    try:
        check(rotation, permissions)
    except (NotAllowed, WrongState):
        return False
    return True
