"""The buttons of a stop in words: who presses which, and what each does."""

from collections.abc import Iterator

from bot.rotation.actions import Action
from bot.rotation.plan import plural
from bot.rotation.policy import acceptable, offered, takes_back
from bot.rotation.record import Rotation, Stop
from bot.rotation.states import State, StepName
from bot.rotation.stops import HELP, Cause, StopKind
from handlers.views.blocks import code


def first(rotation: Rotation) -> str:
    """Say who presses the first button of a stop, and what it does."""
    action = offered(rotation)[0]
    joint = " " if action is Action.TRY_AGAIN else f"{_when(action, rotation)}: it "
    return f"Next: {_who(action, rotation)} presses *{action.value}*{joint}{_does(action, rotation)}."


def _when(action: Action, rotation: Rotation) -> str:
    """Say that another secret helps only once AISIX creates keys."""
    headline = rotation.stop.headline if rotation.stop else ""
    waits = action is Action.ANOTHER_SECRET and headline == Cause.NOT_CREATED.headline
    return " once that is fixed" if waits else ""


def others(rotation: Rotation) -> list[str]:
    """Say what the other buttons of a stop do, one line each."""
    texts = list(_todo(rotation))[1:] if rotation.state is State.BLOCKED else []
    return [f"• {text}" for text in texts]


def other(rotation: Rotation) -> str:
    """Say that the requester is no approver of this rotation; empty if the settings let them be."""
    return "" if rotation.self_approval else f" other than <@{rotation.requested_by}>"


def advice(rotation: Rotation) -> str:
    """Say what each offered button does, and who can press it."""
    return "\n".join([_for_whom(rotation), *(f"• {text}" for text in _todo(rotation))])


def _for_whom(rotation: Rotation) -> str:
    return f"Next, for {either(rotation)}:"


def either(rotation: Rotation) -> str:
    """Mention the people who may steer this rotation."""
    return f"<@{rotation.requested_by}> or an approver"


def _who(action: Action, rotation: Rotation) -> str:
    match action:
        case Action.ANOTHER_SECRET if rotation.deleted_at:
            return "who may ask for a rotation"
        case Action.ANOTHER_SECRET:
            return f"<@{rotation.requested_by}>"
        case Action.ACCEPT_UNPROVED:
            return f"an approver{other(rotation)}"
        case _:
            return either(rotation)


def _todo(rotation: Rotation) -> Iterator[str]:
    for action in offered(rotation):
        if does := _does(action, rotation):
            who = f" ({ONLY[action]}{_who(action, rotation)})" if action in ONLY else ""
            yield f"*{action.value}*{who} {does}"


ONLY = {Action.ANOTHER_SECRET: "only ", Action.ACCEPT_UNPROVED: ""}
"""The buttons that not both the requester and every approver may press."""


def _does(action: Action, rotation: Rotation) -> str:
    """Say what *action* does to a stopped rotation; empty if it does nothing."""
    assert rotation.stop is not None
    match action:
        case Action.TRY_AGAIN:
            return _tries(rotation, rotation.stop)
        case Action.ACCEPT_UNPROVED:
            return f"goes on although nothing proves {_unproved(rotation)}, with a reason for the receipt"
        case Action.ANOTHER_SECRET:
            return _asks(rotation, rotation.stop.kind)
        case Action.ROLL_BACK if not rotation.plan.old_key_gone:
            models = "puts every model back on the old key and " if rotation.moved else ""
            return f"{models}ends this rotation"
        case _:
            return ALIKE.get(action, "")


ALIKE = {
    Action.CANCEL: "ends this rotation as it stands: no model is moved, no key is removed",
    Action.ON_IT: "says that you take care of it; then nobody is paged about this any more",
    Action.EXPOSED: "if the old key leaked, pages the approvers, and hurries",
    Action.REVIEW: "says what was found out about the leak",
}
"""What buttons do that do the same at every stop."""


def _tries(rotation: Rotation, stop: Stop) -> str:
    """Say when trying again helps, and that it may ask for the secret again: nobody has it after the creation."""
    if stop.kind is StopKind.UNVERIFIED and not rotation.plan.models:
        return "once a model uses this key"
    helps = HELP[stop.kind].try_again
    if stop.kind is StopKind.MINTING:
        return f"{helps}: another credential is made"
    if stop.step is StepName.REPLACE and not rotation.replacement_id:
        return f"{helps}; if AISIX made no new key, it asks for {AGAIN}"
    return helps


AGAIN = "the secret again, as Keyturn keeps no copy"
SECRETS = {StopKind.REFUSED: AGAIN, StopKind.MINTING: "a secret, which you can give yourself"}


def _asks(rotation: Rotation, kind: StopKind) -> str:
    """Say which secret is asked for: nothing speaks against the last one if only its key is missing."""
    if rotation.deleted_at:
        return "starts a rotation of the new key"
    back = "puts every model back on the old key, then " if takes_back(rotation) else ""
    which = SECRETS.get(kind, "a different secret")
    return f"{back}asks for {which}"


def _unproved(rotation: Rotation) -> str:
    """Name what may be accepted; if it is more than one model, only the form names them."""
    models = acceptable(rotation)
    if not models:
        return "the new secret"
    if len(models) > 1:
        return plural(len(models), "model")
    return f"{code(models[0].alias, 40)} in {code(models[0].environment_name, 40)}"
