"""Judge one answer of a gateway. Pure; the table is from facts/aisix.md 6.3."""

from collections.abc import Mapping
from datetime import datetime

from bot.rotation.evidence import Evidence, Judgement, Verdict
from bot.rotation.frozen import Frozen
from bot.rotation.wildcards import matches

HTTP_OK = range(200, 300)


class Answer(Frozen):
    """The answer to one probe, without the upstream's message: that can contain part of a key."""

    status: int | None = None
    type: str = ""
    code: str = ""
    names_unknown_key: bool = False
    cache: str = ""
    served_by: str = ""
    retry_after: float | None = None
    trouble: str = ""
    """Why there is no status: "time-out", "no connection", "answer was not JSON"."""

    malformed: bool = False
    gateway: str = ""
    """The gateway's product and version: `AISIX/0.10.0`."""

    @property
    def signature(self) -> str:
        """Summarize the answer without the upstream's text: `401 upstream_error invalid_api_key`."""
        return " ".join(str(part) for part in (self.status, self.type, self.code) if part) or self.trouble


BY_TYPE: Mapping[tuple[int, str], Judgement] = {
    (401, "invalid_api_key"): (Verdict.INCONCLUSIVE, "the gateway refused the probe's own caller key"),
    (403, "permission_denied"): (Verdict.INCONCLUSIVE, "the probe's caller key may not use this alias"),
    (404, "model_not_found"): (Verdict.PROJECTION, "the gateway does not know the alias"),
    (401, "authentication_error"): (Verdict.REJECTED, "the secret is malformed; it never left the gateway"),
    (401, "upstream_error"): (Verdict.REJECTED, "the upstream refused the credential"),
    (403, "upstream_error"): (Verdict.REJECTED, "the upstream refused the credential's permission"),
    (402, "upstream_error"): (Verdict.REJECTED, "the account behind the credential has no credit left"),
    (404, "upstream_error"): (Verdict.REJECTED, "the upstream does not offer this model to the credential"),
    (500, "config_error"): (Verdict.REJECTED, "the gateway cannot use the key for this model"),
    (503, "provider_unavailable"): (Verdict.REJECTED, "the key lacks the adapter or provider that it needs"),
    (400, "invalid_request_error"): (Verdict.REJECTED, "the gateway refused the request's settings"),
    (429, "upstream_error"): (Verdict.INCONCLUSIVE, "the upstream limits the rate"),
    (429, "rate_limit_exceeded"): (Verdict.INCONCLUSIVE, "the gateway limits the rate of the probe"),
    (429, "billing_error"): (Verdict.INCONCLUSIVE, "the gateway's budget is used up"),
    (422, "content_filter"): (Verdict.INCONCLUSIVE, "a guardrail stopped the probe"),
    (501, "not_implemented"): (
        Verdict.INCONCLUSIVE,
        "cannot be probed: the model does not offer this endpoint; name one in `probes`",
    ),
    (503, "all_candidates_unavailable"): (Verdict.INCONCLUSIVE, "no target of the alias is available"),
}

BY_STATUS: Mapping[int, Judgement] = {
    401: (Verdict.REJECTED, "the credential was refused"),
    403: (Verdict.REJECTED, "permission was refused"),
    404: (Verdict.PROJECTION, "the gateway does not know the alias"),
    408: (Verdict.INCONCLUSIVE, "the upstream did not answer in time"),
    413: (Verdict.INCONCLUSIVE, "the probe was too large"),
    422: (Verdict.INCONCLUSIVE, "a rule stopped the probe"),
    429: (Verdict.INCONCLUSIVE, "the rate is limited"),
    501: (Verdict.INCONCLUSIVE, "cannot be probed: the model does not offer this endpoint; name one in `probes`"),
    504: (Verdict.INCONCLUSIVE, "the upstream did not answer in time"),
}

UPSTREAM = "upstream_error"
NOT_FOUND, TOO_MANY = 404, 429
REFUSED = range(400, 500)
KEY_UNUSABLE = (500, "config_error")
NOT_OFFERED = 501

COUNTED = frozenset(
    {
        "authentication_error", "config_error", "provider_unavailable", "timeout", "transport_error",
        "upstream_decode_error", "upstream_error",
    }
)  # fmt: skip
"""Error types that a gateway gives only after it has chosen the provider key."""

CREDENTIAL_STATUSES = frozenset({401, 402, 403})
REFUSED_AS_SUCH = frozenset({400, 405, 406, 410, 413, 415, 422})
"""Statuses with which an upstream refuses the request itself, whatever the credential."""

OF_MODEL = frozenset(
    {
        (400, "invalid_request_error"), (403, "upstream_error"), (500, "config_error"), (501, "not_implemented"),
        (503, "provider_unavailable"),
    }
)  # fmt: skip
"""Errors about the model or the request; an upstream's 403 is among them, as it may be about this model only."""

LIMITS = frozenset({408, 429})
OWN_LIMITS = frozenset({"billing_error", "rate_limit_exceeded"})
GIVEN_UP = frozenset({408, 499, 502, 503, 504, 524})
"""Statuses by which a balancer gives up, if no type says that the gateway did: it may still finish the request."""

SPOILT = frozenset({*GIVEN_UP, *range(500, 600)} - {NOT_OFFERED})
"""Statuses that a balancer or proxy may put in place of the gateway's answer, if no type says whose they are."""

NO_CREDIT = "insufficient_quota"
NO_HIT = ("", "miss", "bypass")
"""`x-aisix-cache` values of an answer that did not come from the cache; any other value may mean that it did."""


def judge(answer: Answer, *, alias: str, asked: str = "") -> Judgement:
    """Say what *answer* proves about the model called *alias*, if the request *asked* for another name than that."""
    if answer.status is None:
        return Verdict.INCONCLUSIVE, f"no answer ({answer.trouble})"
    if answer.status in HTTP_OK:
        return _judge_success(answer, alias, asked or alias)
    if answer.code == NO_CREDIT:
        return Verdict.REJECTED, "the account behind the credential has no credit left"
    if answer.names_unknown_key:
        return Verdict.PROJECTION, "the gateway does not have the provider key"
    return BY_TYPE.get((answer.status, answer.type)) or _judge_status(answer.status, answer.type)


def _judge_success(answer: Answer, alias: str, asked: str) -> Judgement:
    """Believe an answer under another name only if it says that this model gave it; an ensemble says nothing."""
    is_own = answer.served_by == alias if answer.served_by else matches(alias, asked)
    if answer.cache not in NO_HIT:
        return Verdict.INVALID, "answered from a cache, so the credential was not used"
    if not is_own:
        return Verdict.INVALID, "answered by another target, so the credential was not used"
    if answer.malformed:
        return Verdict.INCONCLUSIVE, "the answer was not one that a model gives"
    return Verdict.LIKELY, "answered"


def _judge_status(status: int, type_: str) -> Judgement:
    if type_ == UPSTREAM and status in REFUSED_AS_SUCH:
        return Verdict.REJECTED, "the upstream refused the request"
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:  # noqa: PLR2004 - HTTP's own boundary
        return Verdict.INCONCLUSIVE, "the upstream or the gateway had an error"
    return Verdict.INCONCLUSIVE, "the gateway refused the request"


def evidence(answer: Answer, *, alias: str, at: datetime, asked: str = "", guessed: bool = False) -> Evidence:
    """Turn *answer* into evidence; *guessed* means that the endpoint was a guess."""
    verdict, reason = judge(answer, alias=alias, asked=asked)
    rejected = verdict is Verdict.REJECTED
    return Evidence(
        verdict=verdict,
        reason=reason if verdict is Verdict.LIKELY or answer.trouble else f"{reason} ({answer.signature})",
        at=at,
        signature=answer.signature,
        gateway=answer.gateway,
        lacks_model=rejected and answer.status == NOT_FOUND,
        key_unusable=(answer.status, answer.type) == KEY_UNUSABLE,
        of_request=answer.status in REFUSED,
        reached=answer.status in HTTP_OK or answer.type in COUNTED,
        of_upstream=answer.type == UPSTREAM and answer.status not in LIMITS,
        of_model=verdict is not Verdict.PROJECTION and (answer.status, answer.type) in OF_MODEL,
        turned_away=answer.status == TOO_MANY and answer.type in OWN_LIMITS,
        unfit=_is_unfit(answer, guessed=guessed),
        cached=verdict is Verdict.INVALID and answer.cache not in NO_HIT,
        malformed=answer.status in HTTP_OK and verdict is Verdict.INCONCLUSIVE,
        lost=answer.status is None or (answer.status in SPOILT and not answer.type),
        pending=answer.status is None or (answer.status in GIVEN_UP and not answer.type),
        blames_credential=rejected and (answer.status in CREDENTIAL_STATUSES or answer.code == NO_CREDIT),
    )


def _is_unfit(answer: Answer, *, guessed: bool) -> bool:
    """Tell whether the model may work at another endpoint than the one that was probed."""
    if answer.status == NOT_OFFERED:
        return True
    refused = answer.type == UPSTREAM and answer.status in (*REFUSED_AS_SUCH, 403, 404)
    return guessed and refused and answer.code != "model_not_found"


def skipped(at: datetime) -> Evidence:
    """Return the evidence for a model that the settings exempt from probes."""
    return Evidence(verdict=Verdict.SKIPPED, reason="not probed: the settings say skip", at=at)
