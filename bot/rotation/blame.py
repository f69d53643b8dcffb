"""Whose doing a refusal is: what a model answers now, beside what it answered on the old key. Pure."""

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.stops import Cause

CONFIG_ERROR = "500 config_error"
"""A refused exchange of the secret for a token, or a model that the gateway cannot serve: the words are the same."""

EXCHANGE_REFUSED = f"the provider refused to exchange the secret for a token ({CONFIG_ERROR})"


def fails_alike(before: Evidence | None, now: Evidence | None) -> bool:
    """Tell whether a model fails now just as it failed on the old key: not this rotation's doing.

    Only what is said of the model or of the request is excused. An answer that never came to that proves nothing
    either time, and a refused credential is no excuse: the new one has to work, also where the old one was refused.
    """
    if before is None or now is None or now.passed:
        return False
    return before.is_of_model and now.is_of_model and before.signature == now.signature


def held_against(before: Evidence | None, now: Evidence, *, exchanges: bool) -> Evidence:
    """Return *now* with what *before* makes of it; *exchanges* tells that the key's secrets are traded for tokens."""
    if now.passed or not now.is_of_model:
        return now
    if fails_alike(before, now):
        return _not_probed(now) if now.unfit else now
    if before is None:
        return _incomparable(now)
    if exchanges and now.signature == CONFIG_ERROR:
        return now.but(blames_credential=True, reason=EXCHANGE_REFUSED)
    return now


def _not_probed(now: Evidence) -> Evidence:
    reason = f"cannot be probed: name an endpoint in `probes` (the old key got the same answer: {now.signature})"
    return now.but(verdict=Verdict.INCONCLUSIVE, reason=reason)


def _incomparable(now: Evidence) -> Evidence:
    """Without a baseline only a refused credential speaks against the new key."""
    if now.blames_credential or now.verdict is not Verdict.REJECTED:
        return now
    return now.but(verdict=Verdict.INCONCLUSIVE, reason=f"{now.reason}; nobody knows how it answered on the old key")


def refusal(answer: Evidence) -> Cause:
    """Return why a rejected model stops the rotation: only a refusal of the credential is called one."""
    if answer.blames_credential:
        return Cause.SECRET_REFUSED
    return Cause.ACCOUNT_LACKS_MODEL if answer.signature.startswith("404") else Cause.MODEL_UNFIT
