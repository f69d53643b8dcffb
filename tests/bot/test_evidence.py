"""What an answer proves, row by row of the fact sheet's table (6.3)."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evidence import BY_TYPE, Answer, Verdict, evidence, judge, skipped
from bot.gateway import KNOWN_CODES, KNOWN_TYPES, read_answer
from tests.bot.values import NOW

UNCLEAR, REFUSED, PENDING = Verdict.INCONCLUSIVE, Verdict.REJECTED, Verdict.PROJECTION

TABLE = [
    # status, type, code, verdict, blames the credential
    (401, "invalid_api_key", "", UNCLEAR, False),
    (401, "invalid_api_key", "api_key_expired", UNCLEAR, False),
    (401, "invalid_api_key", "api_key_disabled", UNCLEAR, False),
    (403, "permission_denied", "", UNCLEAR, False),
    (403, "permission_denied", "ip_restricted", UNCLEAR, False),
    (404, "model_not_found", "", PENDING, False),
    (400, "invalid_request_error", "", REFUSED, False),
    (401, "authentication_error", "", REFUSED, True),
    (401, "upstream_error", "invalid_api_key", REFUSED, True),
    (401, "upstream_error", "", REFUSED, True),
    (403, "upstream_error", "permission_denied", REFUSED, True),
    (403, "upstream_error", "", REFUSED, True),
    (500, "config_error", "", REFUSED, True),
    (404, "upstream_error", "model_not_found", REFUSED, False),
    (429, "upstream_error", "rate_limit_exceeded", UNCLEAR, False),
    (429, "upstream_error", "", UNCLEAR, False),
    (429, "upstream_error", "insufficient_quota", REFUSED, True),
    (429, "rate_limit_exceeded", "", UNCLEAR, False),
    (429, "billing_error", "budget_exceeded", UNCLEAR, False),
    (408, "upstream_error", "", UNCLEAR, False),
    (502, "upstream_error", "", UNCLEAR, False),
    (502, "transport_error", "", UNCLEAR, False),
    (502, "upstream_decode_error", "", UNCLEAR, False),
    (504, "timeout", "", UNCLEAR, False),
    (503, "all_candidates_unavailable", "", UNCLEAR, False),
    (503, "provider_unavailable", "", REFUSED, False),
    (422, "content_filter", "", UNCLEAR, False),
    (413, "invalid_request_error", "", UNCLEAR, False),
    (501, "not_implemented", "", UNCLEAR, False),
]
"""Every row of the table, as the gateway says it on OpenAI's wire."""

BARE = [
    (401, REFUSED),
    (403, REFUSED),
    (404, PENDING),
    (408, UNCLEAR),
    (413, UNCLEAR),
    (418, UNCLEAR),
    (422, UNCLEAR),
    (429, UNCLEAR),
    (500, UNCLEAR),
    (501, UNCLEAR),
    (502, UNCLEAR),
    (503, UNCLEAR),
    (504, UNCLEAR),
    (302, UNCLEAR),
]
"""What a status alone is worth, where the type is one that nobody knows."""


def seen(**fields):
    return evidence(Answer(**fields), alias="chat", at=NOW)


@pytest.mark.parametrize(("status", "type_", "code", "verdict", "blames"), TABLE)
def test_each_row_of_the_table_has_its_verdict(status, type_, code, verdict, blames):
    found = seen(status=status, type=type_, code=code)

    assert (found.verdict, found.blames_credential) == (verdict, blames)
    assert not found.passed
    assert found.reason
    assert found.signature == " ".join(str(part) for part in (status, type_, code) if part)


@pytest.mark.parametrize(("status", "verdict"), BARE)
def test_a_status_alone_has_a_verdict_too(status, verdict):
    assert judge(Answer(status=status), alias="chat")[0] is verdict


def test_every_answer_that_has_a_reason_of_its_own_is_a_row_of_the_table():
    assert set(BY_TYPE) == {(status, type_) for status, type_, *_ in TABLE} & set(BY_TYPE)
    assert all(judge(Answer(status=s, type=t), alias="chat") == own for (s, t), own in BY_TYPE.items())


def test_the_three_401s_are_told_apart():
    kinds = ("invalid_api_key", "authentication_error", "upstream_error")

    assert len({judge(Answer(status=401, type=kind), alias="chat") for kind in kinds}) == 3


@pytest.mark.parametrize("status", [400, 404, 500, 502])
def test_an_unknown_provider_key_is_a_change_that_has_not_come(status):
    assert seen(status=status, type="invalid_request_error", names_unknown_key=True).verdict is PENDING


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_answer_makes_it_likely(status):
    found = seen(status=status)

    assert (found.verdict, found.reason, found.passed) == (Verdict.LIKELY, "answered", True)


@pytest.mark.parametrize("cache", ["miss", "bypass", ""])
def test_an_answer_past_the_cache_counts(cache):
    assert seen(status=200, cache=cache).passed


def test_a_cache_hit_proves_nothing():
    found = seen(status=200, cache="hit")

    assert found.verdict is Verdict.INVALID
    assert "cache" in found.reason


def test_an_answer_of_another_target_proves_nothing():
    assert seen(status=200, served_by="chat-backup").verdict is Verdict.INVALID
    assert seen(status=200, served_by="chat").passed


def test_a_200_that_is_no_answer_is_inconclusive():
    assert seen(status=200, malformed=True).verdict is UNCLEAR


@pytest.mark.parametrize("trouble", ["time-out", "no connection"])
def test_no_answer_says_why_and_blames_nobody(trouble):
    found = seen(trouble=trouble)

    assert (found.verdict, found.blames_credential, found.signature) == (UNCLEAR, False, trouble)
    assert trouble in found.reason


def test_a_model_that_is_not_probed_has_not_passed():
    found = skipped(NOW)

    assert found.skipped
    assert not found.passed
    assert not found.blames_credential


# --- reading an answer ---


def response(status: int, body: object = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers=named)


@pytest.mark.parametrize(
    ("body", "malformed"),
    [
        *(({name: [{}]}, False) for name in ("choices", "data", "results", "output", "content")),
        ({"choices": []}, True),
        ({"data": None, "code": 401}, True),
        ({"object": "error", "data": [{}]}, True),
        ({"model": "gpt-4o"}, True),
        ({"error": {"message": "but 200"}}, True),
        ({}, True),
        ([], True),
        (None, True),
        (b"<html>", True),
        (b"", True),
        (b"\xff\xfe", True),
    ],
)
def test_an_answer_is_malformed_unless_it_has_what_models_give(body, malformed):
    assert read_answer(response(200, body)).malformed is malformed


@pytest.mark.parametrize("header", ["hit", "HIT", "hit-semantic", " hit "])
def test_a_cache_hit_is_seen_however_it_is_written(header):
    assert read_answer(response(200, {"choices": []}, x_aisix_cache=header)).cache == "hit"


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None), ("", None)])
def test_retry_after_is_read_in_seconds(header, seconds):
    assert read_answer(response(429, {}, Retry_After=header)).retry_after == seconds


def test_an_unknown_key_is_known_by_the_gateways_sentence():
    body = {"error": {"message": 'model "x" references unknown provider_key_id "y"', "type": "invalid_request_error"}}

    assert read_answer(response(400, body)).names_unknown_key


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(200, 599), json_values)
def test_reading_an_answer_never_raises(status, body):
    assert judge(read_answer(response(status, body)), alias="chat")
    assert judge(read_answer(response(status, {"error": body})), alias="chat")


MARKED = "zqXkLeak"


@given(st.integers(200, 599), st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_no_text_of_the_upstream_gets_into_evidence(status, message, type_, code):
    error = {"message": MARKED + message, "type": MARKED + type_, "code": code + MARKED, "param": MARKED}
    found = evidence(read_answer(response(status, {"error": error, MARKED: MARKED})), alias="chat", at=NOW)

    assert MARKED not in found.model_dump_json()


@given(st.integers(100, 599), st.text(max_size=30), st.text(max_size=30))
def test_only_known_words_are_kept_of_an_answer(status, type_, code):
    answer = read_answer(response(status, {"error": {"type": type_, "code": code, "message": ""}}))

    assert answer.type in KNOWN_TYPES | {""}
    assert answer.code in KNOWN_CODES | {""}


@given(st.integers(100, 599), st.sampled_from(sorted(KNOWN_TYPES)) | st.just(""), st.text(min_size=1, max_size=8))
def test_a_cache_hit_or_an_answer_of_another_target_never_passes(status, type_, target):
    assert not seen(status=status, type=type_, cache="hit").passed
    assert target == "chat" or not seen(status=status, type=type_, served_by=target).passed


@given(st.none() | st.integers(100, 599), st.sampled_from(sorted(KNOWN_TYPES)) | st.just(""), st.booleans())
def test_only_a_2xx_passes_and_only_a_rejection_blames_the_credential(status, type_, malformed):
    found = seen(status=status, type=type_, malformed=malformed)

    assert not found.passed or status in range(200, 300)
    assert not found.blames_credential or found.verdict is REFUSED
