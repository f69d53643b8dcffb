"""What a finding comes to in a word: the verdict, or that the model failed before, was accepted or not asked. Pure.

One answer is judged in `bot.aisix.answers`, all that was seen together in `bot.rotation.evidence`; this adds what a
rotation knows besides. What is enough for the settings is decided from the verdict, by the steps.
"""

from enum import StrEnum

from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding, was_failing_before
from bot.rotation.record import Rotation


class Label(StrEnum):
    """What is known of a model; in this order, those that need a look come first."""

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
"""What an approver may accept: nothing is known of such a model, for or against."""

NEED = {label: place for place, label in enumerate(Label)}
"""How much a model needs a look: the lower, the more."""


def label_of(finding: Finding) -> Label:
    """Return what is known of a model."""
    if finding.current is None:
        return Label.MOVED if finding.moved_at else Label.NOT_MOVED
    if was_failing_before(finding):
        return Label.AS_BEFORE
    if finding.is_accepted:
        return Label.ACCEPTED
    known = finding.current.verdict
    return Label.NOT_PROBED if known is Verdict.SKIPPED else Label(known)


def failing_models(rotation: Rotation) -> int | None:
    """Count the moved models whose callers fail since the move; None where the key itself is refused: then all do."""
    known = (rotation.finding(model) for model in rotation.moved)
    seen = [finding.latest for finding in known if finding.latest and not was_failing_before(finding)]
    if any(answer.blames_credential for answer in seen):
        return None
    return sum(answer.verdict is Verdict.REJECTED for answer in seen)
