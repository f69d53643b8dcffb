"""Evidence: what one answer, or all that is known of a model, says. Pure."""

from datetime import datetime
from enum import StrEnum

from bot.rotation.frozen import Frozen


class Verdict(StrEnum):
    """What the evidence says about one model on the replacement key."""

    PROVED = "proved"
    LIKELY = "likely"
    INVALID = "invalid"
    INCONCLUSIVE = "inconclusive"
    PROJECTION = "projection"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Evidence(Frozen):
    """A verdict with its reason and time."""

    verdict: Verdict
    reason: str
    at: datetime
    signature: str = ""
    blames_credential: bool = False
    of_upstream: bool = False
    """The answer came from the upstream itself."""

    of_model: bool = False
    """The answer is about the model or the request, so the secret need not be at fault."""

    unfit: bool = False
    """The refusal may concern only the endpoint: nothing names the one that callers of this model use."""

    lacks_model: bool = False
    """The provider does not offer this model to the credential."""

    key_unusable: bool = False
    """The gateway could not use the key; where it exchanges secrets for tokens, the provider refused this secret."""

    of_request: bool = False
    """The request itself was refused, so another one may pass."""

    reached: bool = False
    """The gateway had chosen a provider key for the request, so its counters have it."""

    turned_away: bool = False
    """The gateway's own rate limit refused the request, so no provider key was chosen."""

    lost: bool = False
    """No answer came, so the counters may or may not have the request."""

    pending: bool = False
    """The request may still be under way, so the counters may show it later."""

    cached: bool = False
    """A cache answered, so nobody knows how the model would have."""

    malformed: bool = False
    """The status says success and the body is no answer of a model: the counters have it as a good one."""

    gateway: str = ""
    """The name and version that the answering gateway gives of itself."""

    @property
    def passed(self) -> bool:
        """Return whether this answer counts in the model's favour."""
        return self.verdict in (Verdict.PROVED, Verdict.LIKELY)

    @property
    def is_shown(self) -> bool:
        """Return whether counters show this as our test request; they don't if a fallback or a cache answered."""
        return self.reached and self.verdict is not Verdict.INVALID

    @property
    def is_of_model(self) -> bool:
        """Return whether the answer is about the model or the request: only then could the old key have met it too."""
        return self.of_model or (self.of_upstream and not self.blames_credential)

    @property
    def skipped(self) -> bool:
        """Return whether the settings exclude this model from test requests."""
        return self.verdict is Verdict.SKIPPED


Judgement = tuple[Verdict, str]
"""A verdict and the reason for it."""
