"""What speaks against the delete although an approver may allow it: they must give a reason then. Pure."""

from collections.abc import Iterator
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


def unproved_models(rotation: Rotation) -> tuple[AffectedModel, ...]:
    """Return the moved models that nothing proves, which the settings or an approver let pass."""
    return tuple(model for model in rotation.moved if label_of(rotation.finding(model)) in PROVES_NOTHING)
