"""The label of a finding: the verdict, or that the model failed before, was accepted or not probed. Pure.

`bot.aisix.answers` judges one answer and `bot.rotation.weighing` all of them; a label adds what the rotation knows.
Whether a verdict satisfies the settings is decided from the verdict, by the steps.
"""

from enum import StrEnum

from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding, is_excused, was_failing_before
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation


class Label(StrEnum):
    """What is known about a model, the most urgent first."""

    REJECTED = "rejected"
    INVALID = "invalid"
    PROJECTION = "projection"
    INCONCLUSIVE = "inconclusive"
    ACCEPTED = "accepted"
    AS_BEFORE = "as before"
    NOT_PROBED = "not probed"
    MOVED = "moved"
    NOT_MOVED = "not moved"
    LIKELY = "likely"
    PROVED = "proved"


UNPROVED = frozenset({Label.INCONCLUSIVE, Label.NOT_PROBED})
"""Labels that an approver may accept: nothing speaks for or against such a model."""

WORKS = frozenset({Label.LIKELY, Label.PROVED})
"""Labels of models that answer on the new key."""

NEED = {label: place for place, label in enumerate(Label)}
"""How urgent a model is: the lower, the more."""


def label_of(finding: Finding) -> Label:
    """Return the label of a finding."""
    if finding.current is None:
        return Label.MOVED if finding.moved_at else Label.NOT_MOVED
    if is_excused(finding):
        return Label.AS_BEFORE
    if finding.is_accepted:
        return Label.ACCEPTED
    known = finding.current.verdict
    return Label.NOT_PROBED if known is Verdict.SKIPPED else Label(known)


def failing_models(rotation: Rotation) -> tuple[AffectedModel, ...] | None:
    """Return the moved models whose callers fail since the move; None if the key is refused, as then all fail."""
    seen = [
        (model, finding.latest)
        for model in rotation.moved
        if (finding := rotation.finding(model)).latest and not was_failing_before(finding)
    ]
    if any(answer and answer.blames_credential for _, answer in seen):
        return None
    return tuple(model for model, answer in seen if answer and answer.verdict is Verdict.REJECTED)
