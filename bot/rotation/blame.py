"""What caused a refusal: compares a model's answer now with its answer on the old key. Pure."""

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.stops import Cause


def fails_alike(before: Evidence | None, now: Evidence | None) -> bool:
    """Return whether a model fails now exactly as it failed on the old key, so this rotation did not cause it.

    It excuses only an answer about the model or the request. A request that never got that far proves nothing. A
    refused credential is never excused: the new one has to work, even where the old one was refused.
    """
    if before is None or now is None or now.passed:
        return False
    return before.is_of_model and now.is_of_model and before.signature == now.signature


def held_against(before: Evidence | None, now: Evidence, *, exchanges: bool) -> Evidence:
    """Judge *now* by *before*; *exchanges* says whether AISIX exchanges the key's secrets for tokens."""
    if now.passed or not now.is_of_model:
        return now
    if fails_alike(before, now):
        return _not_probed(now) if now.unfit else now
    if before is None:
        return _incomparable(now)
    if exchanges and now.key_unusable:
        reason = f"the provider refused to exchange the secret for a token ({now.signature})"
        return now.but(blames_credential=True, reason=reason)
    return now


def _not_probed(now: Evidence) -> Evidence:
    reason = f"cannot be probed: name an endpoint in `probes` (the old key got the same answer: {now.signature})"
    return now.but(verdict=Verdict.INCONCLUSIVE, reason=reason)


def _incomparable(now: Evidence) -> Evidence:
    """Without a baseline, only a refused credential counts against the new key."""
    if now.blames_credential or now.verdict is not Verdict.REJECTED:
        return now
    return now.but(verdict=Verdict.INCONCLUSIVE, reason=f"{now.reason}; nobody knows how it answered on the old key")


def refusal(answer: Evidence) -> Cause:
    """Return the cause of a stop for a rejected model; only a refused credential is reported as a refused secret."""
    if answer.blames_credential:
        return Cause.SECRET_REFUSED
    return Cause.ACCOUNT_LACKS_MODEL if answer.lacks_model else Cause.MODEL_UNFIT


def unrehearsed(answer: Evidence | None) -> Cause:
    """Return the cause of a stop for a rehearsal; the old key's own refusal is not held against the new secret."""
    if answer and answer.verdict is Verdict.REJECTED:
        return refusal(answer)
    return Cause.NOT_TAKEN if answer and answer.verdict is Verdict.PROJECTION else Cause.NOT_REHEARSED
