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
        f"moves only {times(policy.move)}": policy.move,
        f"a delete only {times(policy.delete)}": policy.delete,
    }
    return (part for part, is_asked in parts.items() if is_asked)


def times(windows: tuple[Windows, ...]) -> str:
    """Write windows as the settings have them."""
    return visible("; ".join(map(str, windows)), WINDOWS_MOST)


def delete_times(rotation: Rotation) -> str:
    """Say when the old key may be deleted; empty if at any time."""
    return f"The old key is deleted only {times(rotation.policy.delete)}." if rotation.policy.delete else ""
