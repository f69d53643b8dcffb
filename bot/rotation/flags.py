"""What speaks against the delete although an approver may allow it: they must give a reason then. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum

from bot.rotation.attention import objections
from bot.rotation.counted import most_fail
from bot.rotation.labels import Label, label_of
from bot.rotation.old_key import usage_of
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Approval, Rotation


class Flag(StrEnum):
    """Something that an approver must weigh before the delete."""

    IN_USE = "in use"
    FAILED = "failed"
    UNSEEN = "unseen"
    UNPROVED = "unproved"
    PUT_OFF = "not yet"


PROVES_NOTHING = frozenset({Label.ACCEPTED, Label.AS_BEFORE, Label.NOT_PROBED})
"""Labels of models that may be deleted on although nothing proves that they work on the new key."""


def flags(rotation: Rotation) -> tuple[Flag, ...]:
    """Return what speaks against the delete, the worst first."""
    return tuple(_flags(rotation))


def _flags(rotation: Rotation) -> Iterator[Flag]:
    usage = usage_of(rotation)
    if usage.is_in_use:
        yield Flag.IN_USE
    if rotation.tally and rotation.tally.failed:
        yield Flag.FAILED
    if (rotation.silences or _had_counters(rotation)) and usage.deaf:
        yield Flag.UNSEEN
    if unproved_models(rotation):
        yield Flag.UNPROVED
    if objections(rotation):
        yield Flag.PUT_OFF


def _had_counters(rotation: Rotation) -> bool:
    """Return whether counters told of callers since the move, at addresses that all may show none by now."""
    return bool(rotation.looks) and rotation.tally is not None


SAID: Mapping[Flag, str] = {
    Flag.IN_USE: "The old key is still in use.",
    Flag.FAILED: "Caller requests have failed since the change.",
    Flag.UNSEEN: "Keyturn can't tell everywhere whether the old key is still used.",
    Flag.UNPROVED: "Nothing proves that every model works on the new key.",
    Flag.PUT_OFF: "An approver has said “not yet” since the approval.",
}
"""What each flag says to somebody who approved before it came."""

FAILING = "Most caller requests have failed since the approval."


def not_weighed(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each flag that an approver of *rotation* was not shown, or not as bad as it is now."""
    for flag in flags(rotation):
        if any(flag not in approval.flags for approval in rotation.approvals):
            yield SAID[flag]
        elif flag is Flag.FAILED and any(_is_worse(rotation, approval) for approval in rotation.approvals):
            yield FAILING
        elif flag is Flag.PUT_OFF and any(_is_later(rotation, approval) for approval in rotation.approvals):
            yield SAID[flag]


def _is_later(rotation: Rotation, approval: Approval) -> bool:
    """Return whether somebody said "not yet" after this approval."""
    return any(said.at > approval.at for said in objections(rotation))


def _is_worse(rotation: Rotation, approval: Approval) -> bool:
    """Return whether most requests of callers failed since this approval, of which its giver was not told."""
    then, now = approval.tally, rotation.tally
    if then is None or now is None or most_fail(then.answered, then.failed):
        return False
    return most_fail(now.answered - then.answered, now.failed - then.failed)


def shown_of(rotation: Rotation) -> str:
    """Return a mark of what an approver is shown: of the models, and of what speaks against the delete, if anything."""
    found = flags(rotation)
    if not found:
        return rotation.seen
    said = [(one.by, one.at.isoformat()) for one in objections(rotation)]
    about = (found, rotation.tally and rotation.tally.failed, usage_of(rotation).deaf, *said)
    return f"{rotation.seen}{SEPARATOR}{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}"


SEPARATOR = "-"
"""Stands in such a mark before what speaks against the delete."""


def unproved_models(rotation: Rotation) -> tuple[AffectedModel, ...]:
    """Return the moved models that nothing proves, which the settings or an approver let pass."""
    return tuple(model for model in rotation.moved if label_of(rotation.finding(model)) in PROVES_NOTHING)
