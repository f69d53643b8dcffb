"""What speaks against the delete although an approver may allow it: they must give a reason then. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum

from bot.rotation.labels import Label, label_of
from bot.rotation.old_key import usage_of
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation


class Flag(StrEnum):
    """Something that an approver must weigh before the delete."""

    IN_USE = "in use"
    FAILED = "failed"
    UNSEEN = "unseen"
    UNPROVED = "unproved"


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
    if rotation.silences and usage.deaf:
        yield Flag.UNSEEN
    if unproved_models(rotation):
        yield Flag.UNPROVED


SAID: Mapping[Flag, str] = {
    Flag.IN_USE: "The old key is still in use.",
    Flag.FAILED: "Caller requests have failed since the change.",
    Flag.UNSEEN: "Keyturn can't tell everywhere whether the old key is still used.",
    Flag.UNPROVED: "Nothing proves that every model works on the new key.",
}
"""What each flag says to somebody who approved before it came."""


def not_weighed(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each flag that an approver of *rotation* was not shown."""
    for flag in flags(rotation):
        if any(flag not in approval.flags for approval in rotation.approvals):
            yield SAID[flag]


def shown_of(rotation: Rotation) -> str:
    """Return a mark of what an approver is shown: of the models, and of what speaks against the delete, if anything."""
    found = flags(rotation)
    if not found:
        return rotation.seen
    about = (found, rotation.tally and rotation.tally.failed, usage_of(rotation).deaf)
    return f"{rotation.seen}{SEPARATOR}{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}"


SEPARATOR = "-"
"""Stands in such a mark before what speaks against the delete."""


def unproved_models(rotation: Rotation) -> tuple[AffectedModel, ...]:
    """Return the moved models that nothing proves, which the settings or an approver let pass."""
    return tuple(model for model in rotation.moved if label_of(rotation.finding(model)) in PROVES_NOTHING)
