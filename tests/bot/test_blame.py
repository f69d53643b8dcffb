"""Whose doing a refusal is: tables over what a model answered on the old key, and what it answers now."""

from typing import NamedTuple

import pytest

from bot.aisix.answers import Answer, evidence
from bot.rotation.blame import fails_alike, held_against, refusal, unrehearsed
from bot.rotation.errors import Blocked
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding, was_failing_before
from bot.rotation.stops import Cause, StopKind
from bot.steps.refusals import refuse_rejected
from tests.bot.values import NOW, affected, running

REJECTED, UNCLEAR = Verdict.REJECTED, Verdict.INCONCLUSIVE


def said(word: str, *, guessed: bool = True) -> Evidence | None:
    """Return what is seen of a model that answers so: `404 upstream_error model_not_found`; `-`: never asked."""
    if word == "-":
        return None
    status, type_, code = (*word.split(), "", "")[:3]
    return evidence(Answer(status=int(status), type=type_, code=code), alias="chat", at=NOW, guessed=guessed)


class Row(NamedTuple):
    before: str
    now: str
    verdict: Verdict
    blames: bool
    as_before: bool


SAME_AS_BEFORE = [
    # A model that fails for its callers as well: it is as before.
    Row("500 config_error", "500 config_error", REJECTED, False, True),
    Row("503 provider_unavailable", "503 provider_unavailable", REJECTED, False, True),
    Row("400 invalid_request_error", "400 invalid_request_error", REJECTED, False, True),
    Row("404 upstream_error model_not_found", "404 upstream_error model_not_found", REJECTED, False, True),
    Row("502 upstream_error", "502 upstream_error", UNCLEAR, False, True),
    # One that may answer at another endpoint than `chat`, which was a guess: nobody can tell.
    *(
        Row(f"{status} upstream_error", f"{status} upstream_error", UNCLEAR, status == 403, False)
        for status in (400, 403, 404, 422)
    ),
    Row("501 not_implemented", "501 not_implemented", UNCLEAR, False, False),
    # The new secret has to work, also where the old one was refused.
    Row("401 upstream_error", "401 upstream_error", REJECTED, True, False),
    Row("429 upstream_error insufficient_quota", "429 upstream_error insufficient_quota", REJECTED, True, False),
    # Nothing was said of the model, neither time.
    Row("429 upstream_error", "429 upstream_error", UNCLEAR, False, False),
    Row("504 timeout", "504 timeout", UNCLEAR, False, False),
    Row("422 content_filter", "422 content_filter", UNCLEAR, False, False),
    Row("404 model_not_found", "404 model_not_found", Verdict.PROJECTION, False, False),
]

NEW_SINCE = [
    Row("200", "401 upstream_error", REJECTED, True, False),
    Row("200", "403 upstream_error", REJECTED, True, False),
    Row("200", "404 upstream_error", REJECTED, False, False),
    Row("200", "400 invalid_request_error", REJECTED, False, False),
    Row("404 upstream_error", "400 upstream_error", REJECTED, False, False),
    Row("500 config_error", "401 upstream_error", REJECTED, True, False),
    Row("404 upstream_error", "404 upstream_error model_not_found", REJECTED, False, False),
]

NOT_ASKED_BEFORE = [
    Row("-", "401 upstream_error", REJECTED, True, False),
    Row("-", "404 upstream_error", UNCLEAR, False, False),
    Row("-", "500 config_error", UNCLEAR, False, False),
]


@pytest.mark.parametrize(
    "row", [*SAME_AS_BEFORE, *NEW_SINCE, *NOT_ASKED_BEFORE], ids=lambda row: f"{row[0]} → {row[1]}"
)
def test_an_answer_is_compared_with_the_one_on_the_old_key(row):
    before, now = said(row.before), said(row.now)
    held = held_against(before, now, exchanges=False)

    assert (held.verdict, held.blames_credential) == (row.verdict, row.blames)
    assert was_failing_before(Finding(baseline=before, latest=held)) is row.as_before
    assert held.signature == now.signature


@pytest.mark.parametrize("status", [403, 404])
def test_where_the_endpoint_is_named_the_upstreams_refusal_is_the_models(status):
    before, now = (said(f"{status} upstream_error", guessed=False) for _ in range(2))
    held = held_against(before, now, exchanges=False)

    assert held == now
    assert was_failing_before(Finding(baseline=before, latest=held))


@pytest.mark.parametrize(
    ("before", "exchanges", "blames"), [("200", True, True), ("200", False, False), ("500 config_error", True, False)]
)
def test_a_config_error_is_a_refused_exchange_only_where_tokens_are_and_the_old_key_had_none(before, exchanges, blames):
    held = held_against(said(before), said("500 config_error"), exchanges=exchanges)

    assert held.blames_credential is blames
    assert ("token" in held.reason) is blames


def test_a_good_answer_is_what_it_is_and_what_cannot_be_probed_says_what_to_do():
    gone, good = said("404 upstream_error"), said("200")

    assert held_against(gone, good, exchanges=True) == good
    assert not fails_alike(good, good)
    assert held_against(gone, gone, exchanges=False).reason == (
        "cannot be probed: name an endpoint in `probes` (the old key got the same answer: 404 upstream_error)"
    )


def finding(before: str, now: str) -> Finding:
    baseline = said(before)
    return Finding(baseline=baseline, moved_at=NOW, latest=held_against(baseline, said(now), exchanges=False))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("401 authentication_error", "the new secret was refused"),
        ("402 upstream_error", "the new secret was refused"),
        ("403 upstream_error", "the new secret was refused"),
        ("429 upstream_error insufficient_quota", "the new secret was refused"),
        ("404 upstream_error", "the new account lacks a model"),
        ("400 upstream_error", "a model does not work with the new key"),
        ("500 config_error", "a model does not work with the new key"),
    ],
)
def test_only_a_refusal_of_the_credential_is_called_one_and_it_is_named_first(now, words):
    rotation = running(findings={"m1": finding("200", "404 upstream_error"), "m2": finding("200", now)})

    with pytest.raises(Blocked) as stop:
        refuse_rejected(rotation, [affected("m2")])
    assert (stop.value.cause.kind, stop.value.cause.headline) == (StopKind.REJECTED, words)

    named = "alias-m2" if words == "the new secret was refused" else "alias-m1"
    with pytest.raises(Blocked, match=named):
        refuse_rejected(rotation, [affected("m1"), affected("m2")])


@pytest.mark.parametrize("row", [row for row in SAME_AS_BEFORE if not row.blames], ids=lambda row: row.now)
def test_a_failure_of_before_is_no_reason_for_another_secret(row):
    rotation = running(findings={"m1": finding(row.before, row.now)})

    refuse_rejected(rotation, rotation.plan.models)


def test_a_record_of_an_earlier_version_is_excused_as_it_was():
    old = {"verdict": "rejected", "reason": "r", "at": NOW, "signature": "404 upstream_error", "of_upstream": True}
    refused = old | {"signature": "401 upstream_error", "blames_credential": True}
    gone, no = Evidence.model_validate(old), Evidence.model_validate(refused)

    assert was_failing_before(Finding(baseline=gone, latest=gone))
    assert not was_failing_before(Finding(baseline=no, latest=no))
    assert refusal(no) is Cause.SECRET_REFUSED


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ("200", "403 upstream_error", "the new secret was refused"),
        ("403 upstream_error", "403 upstream_error", "the rehearsal came to no result"),
        ("401 upstream_error", "401 upstream_error", "the new secret was refused"),
        ("200", "404 model_not_found", "the gateway has not taken the change"),
        ("200", "504 timeout", "the rehearsal came to no result"),
    ],
)
def test_a_rehearsal_blames_the_new_secret_only_for_what_the_old_one_did_not_get(before, now, words):
    assert unrehearsed(held_against(said(before), said(now), exchanges=False)).headline == words
