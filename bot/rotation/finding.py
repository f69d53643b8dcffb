"""What a rotation did to one model and saw of it. Pure."""

from datetime import datetime

from bot.rotation.blame import fails_alike
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.frozen import Frozen

SAYS_NOTHING = frozenset({Verdict.INCONCLUSIVE, Verdict.SKIPPED})
"""Verdicts that an approver may let stand: of such a model nothing is known, for or against."""


class Acceptance(Frozen):
    """An approver's word that a model may stay unproved: for a *reason*, and *of* an answer like this one only."""

    by: str
    at: datetime
    reason: str
    of: str = ""


class Finding(Frozen):
    """What this rotation did to one model and saw of it."""

    baseline: Evidence | None = None
    traffic: int | None = None
    """Requests of callers that the gateways had counted for it before; None where no counters tell."""

    moved_at: datetime | None = None
    latest: Evidence | None = None
    """The newest answer."""

    look: str = ""
    """The look in which it was asked last; empty where no look has asked it."""

    passes: int = 0
    """Good answers in a row since the model was moved, or since its proof started again."""

    asked: int = 0
    """Probes in that time."""

    answered: int = 0
    """Good answers since the looks from which the counters count: each has to be in them."""

    lost: int = 0
    """Probes since then whose answer never came: they may be in the counters or not."""

    reached: int = 0
    """Probes since then that a provider key was chosen for, whatever came back: the counters have each of them."""

    failing_since: datetime | None = None
    verdict: Evidence | None = None
    """What everything that was seen of it together proves."""

    accepted: Acceptance | None = None

    @property
    def unproved(self) -> "Finding":
        """Return it without what the model answered since it was moved."""
        return self.but(latest=None, look="", passes=0, asked=0, failing_since=None, verdict=None)

    @property
    def current(self) -> Evidence | None:
        """Return what is known of it now: the verdict on everything, or else on the newest answer."""
        return self.verdict or self.latest

    @property
    def is_proved(self) -> bool:
        """Tell whether counters have proved it, whatever it answered since."""
        return self.verdict is not None and self.verdict.verdict is Verdict.PROVED

    @property
    def is_accepted(self) -> bool:
        """Tell whether an approver has accepted that what is known of it now proves nothing."""
        known = self.current
        if self.accepted is None or known is None:
            return False
        return known.verdict in SAYS_NOTHING and known.signature == self.accepted.of


UNKNOWN = Finding()
"""What is known of a model of which nothing is."""


class Throwaway(Frozen):
    """A model that no caller may use, standing for the affected one *sample*; its name is recorded before use."""

    name: str
    environment: str
    sample: str
    created: bool = False

    finding: Finding = Finding()
    answered: int = 0
    """How often it gave a good answer."""

    everywhere: bool = False
    """Every replica has been seen to have it."""


def was_failing_before(finding: Finding) -> bool:
    """Tell whether a model fails now just as it failed on the old key, and so for its callers as well.

    One that may answer at another endpoint than it was asked at is not excused: nobody knows whether it fails.
    """
    latest = finding.latest
    return fails_alike(finding.baseline, latest) and latest is not None and not latest.unfit
