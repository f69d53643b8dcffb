"""What a rotation did to one model and learned about it. Pure."""

from datetime import datetime, timedelta

from bot.rotation.blame import fails_alike
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.frozen import Frozen

SAYS_NOTHING = frozenset({Verdict.INCONCLUSIVE, Verdict.SKIPPED})
"""Verdicts that an approver may accept: they say nothing for or against the model."""


class Acceptance(Frozen):
    """An approver's decision that a model may stay unproved: for a *reason*, and only for the answer in *of*."""

    by: str
    at: datetime
    reason: str
    of: str = ""
    signed_in: str = ""
    """Where they signed in for it, and how, as an approval has it."""


ADRIFT = timedelta(minutes=10)
"""How long a gateway may still count a request that got no answer. All machines use the clock of Redis."""


class Finding(Frozen):
    """What this rotation did to one model and learned about it."""

    baseline: Evidence | None = None
    traffic: int | None = None
    """Callers' requests that the gateways had counted before the move; None if no counters show them."""

    moved_at: datetime | None = None
    latest: Evidence | None = None
    """The newest answer."""

    look: str = ""
    """The mark of the last look that sent it a test request; empty if none did."""

    passes: int = 0
    """Good answers in a row since the move, or since the proof restarted."""

    asked: int = 0
    """Test requests in that time."""

    answered: int = 0
    """Good answers since Keyturn reset the counts; the counters must hold each of them."""

    lost: int = 0
    """Test requests since then without an answer; the counters may hold them or not."""

    reached: int = 0
    """Test requests since then for which a provider key was chosen; the counters hold each of them."""

    turned_away: int = 0
    """How many test requests since then the gateway's own rate limit refused; the counters may have them."""

    unclear: int = 0
    """Answers in this look that no counter has, and that were not lost: a refused caller key, a rate limit, a cache."""

    adrift: int = 0
    """Test requests without an answer from before the reset: a gateway may still count them."""

    adrift_at: datetime | None = None
    """When the newest of them was lost."""

    pending: int = 0
    """Test requests since the reset that may still be under way."""

    pending_at: datetime | None = None
    """When the newest of them was given up."""

    malformed: int = 0
    """Answers since the reset that a gateway counts as good ones and Keyturn does not."""

    failing_since: datetime | None = None
    verdict: Evidence | None = None
    """The verdict on all the evidence."""

    accepted: Acceptance | None = None

    @property
    def unproved(self) -> "Finding":
        """Return the finding without the model's answers since the move."""
        return self.but(latest=None, look="", passes=0, asked=0, failing_since=None, verdict=None)

    @property
    def uncounted(self) -> "Finding":
        """Return the finding as counters see it that count from now on."""
        reset = self.but(answered=0, lost=0, pending=0, reached=0, turned_away=0, malformed=0)
        at = self.pending_at if self.pending else None
        return reset.but(adrift=self.pending + self.adrift_still(at), adrift_at=at) if at else reset

    def adrift_still(self, now: datetime) -> int:
        """Return how many requests from before the reset a gateway may still count."""
        return self.adrift if self.adrift_at and self.adrift_at > now - ADRIFT else 0

    @property
    def current(self) -> Evidence | None:
        """Return the newest judgement: the verdict, or else the newest answer."""
        return self.verdict or self.latest

    @property
    def is_proved(self) -> bool:
        """Return whether counters have proved the model, whatever it answered since."""
        return self.verdict is not None and self.verdict.verdict is Verdict.PROVED

    @property
    def is_accepted(self) -> bool:
        """Return whether an approver has accepted the present unproved answer."""
        known = self.current
        if self.accepted is None or known is None:
            return False
        return known.verdict in SAYS_NOTHING and known.signature == self.accepted.of

    @property
    def shown(self) -> tuple[str, bool, str]:
        """Return what an approver sees of it: the verdict, whether that is accepted, and what was accepted."""
        said = self.current.signature if self.current and self.is_accepted else ""
        return self.current.verdict if self.current else "", self.is_accepted, said


UNKNOWN = Finding()
"""The finding for a model that was never looked at."""


class Throwaway(Frozen):
    """A model closed to callers that represents the affected model *sample*; the name is recorded before use."""

    name: str
    environment: str
    sample: str
    created: bool = False

    finding: Finding = Finding()
    answered: int = 0
    """How many good answers it gave."""

    everywhere: bool = False
    """Every replica was seen to have it."""


def was_failing_before(finding: Finding) -> bool:
    """Return whether a model fails now exactly as on the old key, so its callers failed before too.

    A model that may answer at another endpoint than the tested one is not one of them: nobody knows whether it fails.
    """
    latest = finding.latest
    return fails_alike(finding.baseline, latest) and latest is not None and not latest.unfit


def is_excused(finding: Finding) -> bool:
    """Return whether a model was failing before and no replica shows more: its callers' own requests may well pass."""
    latest, verdict = finding.latest, finding.verdict
    is_of_answer = latest is None or verdict is None or verdict.verdict is latest.verdict
    return is_of_answer and was_failing_before(finding)
