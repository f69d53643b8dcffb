"""What the policies ask of a rotation, in words."""

from collections.abc import Iterator

from bot.rotation.phrases import said
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.rotation.windows import Windows
from handlers.views.blocks import visible

WINDOWS_MOST = 200


def asked(rotation: Rotation) -> str:
    """Name the policies that apply and what they ask for; empty if none does."""
    if not rotation.policy.names:
        return ""
    title = rotation.policy.title
    asks = "ask" if len(rotation.policy.names) > 1 else "asks"
    return f"{title[:1].upper()}{title[1:]} {asks} for {', '.join(_parts(rotation)) or 'nothing more'}."


def _parts(rotation: Rotation) -> Iterator[str]:
    policy = rotation.policy
    parts = {
        "other approvers": policy.approvers,
        plural(policy.approvals, "approval"): policy.approvals > 1,
        "a start approval": policy.start,
        f"a soak of {said(policy.soak)}": policy.soak,
        "a proof": policy.require_proof,
        "a reason": policy.require_reason,
        _hours("moves", policy.move): policy.move,
        _hours("a delete", policy.delete): policy.delete,
    }
    return (part for part, is_asked in parts.items() if is_asked)


def _hours(what: str, windows: tuple[Windows, ...]) -> str:
    """Say when something may happen, or only when it may not."""
    if any(each.openings for each in windows):
        return f"{what} only {times(windows)}"
    return f"no {what.removeprefix('a ')} in {_frozen(windows)}"


def _frozen(windows: tuple[Windows, ...]) -> str:
    return visible("; ".join(str(freeze) for each in windows for freeze in each.freezes), WINDOWS_MOST)


def times(windows: tuple[Windows, ...]) -> str:
    """Write windows as the settings have them."""
    return visible("; ".join(map(str, windows)), WINDOWS_MOST)


def delete_times(rotation: Rotation) -> str:
    """Say when the old key may be deleted; empty if at any time."""
    windows = rotation.policy.delete
    if any(each.openings for each in windows):
        return f"The old key is deleted only {times(windows)}."
    return f"The old key is not deleted in {_frozen(windows)}." if windows else ""
