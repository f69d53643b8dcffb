"""What the audit trail says of a move that Keyturn makes by itself. Pure."""

from collections.abc import Callable

from bot.rotation import chores, minting, revoking
from bot.rotation.nudges import pushes
from bot.rotation.parts import Chore
from bot.rotation.record import Rotation

EXPIRED = "nobody approved in time"

SAID: dict[Chore, Callable[[Rotation, Rotation], str]] = {
    Chore.REVOKE: revoking.said,
    Chore.CLEAR: minting.cleared,
}
"""For each chore, what it has done between two versions of a record; empty if nothing."""


def told(before: Rotation, after: Rotation) -> dict[str, str]:
    """Describe a move for the audit trail."""
    if new := [nudge for nudge in pushes(after) if nudge not in before.nudges]:
        return {"by": "keyturn", "what": "reminded", "why": ", ".join(f"{n.about} ({n.number})" for n in new)}
    what, why = chores.said(before, after, SAID)
    if what:
        return {"by": "keyturn", "what": what, "why": why}
    if after.parked_at and not before.parked_at:
        return {"by": "keyturn", "what": "parked" if after.state is before.state else "rolled back", "why": EXPIRED}
    if after.stale_at and not before.stale_at:
        return {"by": "keyturn", "what": "evidence too old", "why": ""}
    if after.state is not before.state:
        return {"by": "keyturn", "what": f"{before.state} -> {after.state}", "why": _why(after)}
    return {
        "by": "keyturn",
        "what": "step",
        "why": after.done[-1] if len(after.done) > len(before.done) else after.note or "",
    }


def _why(rotation: Rotation) -> str:
    return rotation.stop.headline if rotation.stop else rotation.note or ""
