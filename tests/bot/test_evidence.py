"""What an answer proves, row by row of the fact sheet's table (6.3), and what everything seen of a model does (9)."""

import json
from pathlib import Path

import httpx
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aisix.answers import BY_TYPE, Answer, evidence, skipped
from bot.aisix.probes import KNOWN_TYPES, read_answer
from bot.rotation.evidence import Verdict
from bot.rotation.replica import UNNAMED, Replica, Served
from bot.rotation.weighing import Observation, Window, doubt, weigh
from tests.bot.values import NOW, later

TESTS = Path(__file__).parent.parent
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
    (500, "config_error", "", REFUSED, False),
    (402, "upstream_error", "", REFUSED, True),
    (400, "upstream_error", "", REFUSED, False),
    (405, "upstream_error", "", REFUSED, False),
    (415, "upstream_error", "", REFUSED, False),
    (422, "upstream_error", "", REFUSED, False),
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

BY_STATUS = [
    # status, its type on the wire of `/v1/messages`, verdict
    (302, "", UNCLEAR),
    (400, "invalid_request_error", REFUSED),
    (401, "", REFUSED),
    (403, "permission_error", REFUSED),
    (404, "not_found_error", PENDING),
    (408, "", UNCLEAR),
    (413, "request_too_large", UNCLEAR),
    (418, "", UNCLEAR),
    (422, "invalid_request_error", UNCLEAR),
    (429, "rate_limit_error", UNCLEAR),
    (500, "api_error", UNCLEAR),
    (501, "", UNCLEAR),
    (503, "overloaded_error", UNCLEAR),
    (504, "api_error", UNCLEAR),
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


@pytest.mark.parametrize(("status", "type_", "verdict"), BY_STATUS)
def test_a_status_alone_has_a_verdict_too(status, type_, verdict):
    assert seen(status=status, type=type_).verdict is verdict


def test_every_answer_that_has_a_reason_of_its_own_is_a_row_of_the_table():
    assert set(BY_TYPE) <= {(status, type_) for status, type_, *_ in TABLE}


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


@pytest.mark.parametrize("cache", ["hit", "HIT", "stale", "revalidated", "hit, miss"])
def test_a_cache_hit_proves_nothing(cache):
    found = seen(status=200, cache=cache)

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


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"error": {"message": "no money", "code": "insufficient_quota"}}', "insufficient_quota"),
        ('{"error": {"code": "sk-CANARY"}}', ""),
        ('{"error": {"code": 3}}', ""),
        ('{"error": "insufficient_quota"}', ""),
        ('{"error": {"code": "insufficient_quota"', ""),
        ('{"error": "\ud800"}', ""),
        ("insufficient_quota", ""),
        ("[1]", ""),
    ],
)
def test_a_code_that_stands_in_the_upstreams_raw_words_only_is_read_from_there(message, code):
    body = {"error": {"message": message, "type": "upstream_error"}}

    assert read_answer(response(429, body)).code == code
    assert (
        read_answer(response(429, {"error": body["error"] | {"code": "rate_limit_exceeded"}})).code != code or not code
    )


MARKED = "zqXkLeak"


@given(st.integers(200, 599), st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_no_text_of_the_upstream_gets_into_evidence(status, message, type_, code):
    error = {"message": MARKED + message, "type": MARKED + type_, "code": code + MARKED, "param": MARKED}
    found = evidence(read_answer(response(status, {"error": error, MARKED: MARKED})), alias="chat", at=NOW)

    assert MARKED not in found.model_dump_json()


def test_a_word_that_is_not_known_to_be_harmless_is_not_kept_of_an_answer():
    answer = read_answer(response(401, {"error": {"type": "sk-CANARY", "code": "sk-CANARY", "message": "sk-CANARY"}}))

    assert (answer.type, answer.code) == ("", "")
    assert "CANARY" not in answer.model_dump_json()


@given(st.none() | st.integers(100, 599), st.sampled_from(sorted(KNOWN_TYPES)) | st.just(""), st.booleans())
def test_only_a_2xx_passes_and_only_a_rejection_blames_the_credential(status, type_, malformed):
    found = seen(status=status, type=type_, malformed=malformed)

    assert not found.passed or status in range(200, 300)
    assert not found.blames_credential or found.verdict is REFUSED


# --- everything that was seen of a model ---

MODEL, NEW, BARRIER = "m1", "pk_new", "keyturn-rabc123-7"
PROVED, LIKELY, INVALID = Verdict.PROVED, Verdict.LIKELY, Verdict.INVALID


def replica(**fields):
    """One that is well: it has the barrier, and has answered three times with the replacement by 14:03."""
    well = {
        "url": "http://replica-1:9090",
        "at": later(60),
        "state": "synced",
        "connected": True,
        "throwaways": (BARRIER,),
        "counts": {MODEL: Served(new=3)},
        "own": {MODEL: Served(new=3)},
        "callers": ("ck-probe",),
        "total": 3,
    }
    made = well | fields
    return Replica(**{"meters": {"llm": made["old"]} if made.get("old") else {}} | made)


def began(**fields):
    """The same one when the proof began, at 14:02."""
    return replica(**{"at": NOW, "counts": {}, "own": {}, "total": 0} | fields)


def window(before=None, **now):
    return Window(before=began(**before or {}), now=replica(**now))


def observed(*windows, **fields):
    """A model that has answered three times of three, seen on one replica that is well."""
    well = {
        "model_id": MODEL,
        "replacement_id": NEW,
        "answer": seen(status=200),
        "passes": 3,
        "answered": 3 * len(windows or (0,)),
        "wanted": 3,
        "windows": windows or (window(),),
        "barrier": BARRIER,
    }
    return Observation(**well | fields)


def two(**second):
    return (window(), window({"url": "http://replica-2:9090"}, **{"url": "http://replica-2:9090"} | second))


def old(count=1, **fields):
    return {"counts": {MODEL: Served(old=count, new=3)}, "old": count, "total": 3 + count} | fields


BLIND = {"counts": None, "own": None, "total": 0}
SILENT = {"state": "", "connected": None, "throwaways": None, **BLIND}
MUTE = Window(before=None, now=replica(url="http://replica-1:9090", trouble="does not answer in time", **SILENT))

EVERYTHING = {
    # all is well
    "one replica": (observed(), PROVED, "served 3 test requests on the one replica; old key 0 since 14:02"),
    "two replicas": (observed(*two(), passes=6), PROVED, "served 3 + 3 test requests on 2 replicas"),
    "no barrier, but counters": (observed(window(throwaways=()), barrier=""), PROVED, "old key 0"),
    "old counts from before": (
        observed(window(old(900), counts={MODEL: Served(old=900, new=6)}, old=900, total=906)),
        PROVED,
        "served 3 test requests on the one replica; old key 0",
    ),
    "callers ask as well": (observed(window(counts={MODEL: Served(new=5000)}, total=5000)), PROVED, "3 test requests"),
    "another model on the old key": (
        observed(window(counts={MODEL: Served(new=3), "m2": Served(old=9)}, old=9, total=12)),
        PROVED,
        "old key 0",
    ),
    # the answer
    "cache hit (G5)": (observed(answer=seen(status=200, cache="hit")), INVALID, "from a cache"),
    "fallback (G2)": (observed(answer=seen(status=200, served_by="chat-backup")), INVALID, "another target"),
    "refused": (observed(answer=seen(status=401, type="upstream_error")), REFUSED, "refused the credential"),
    "skipped": (observed(answer=skipped(NOW)), Verdict.SKIPPED, "settings say skip"),
    "too few answers": (observed(passes=2), UNCLEAR, "answered 2 of 3 times"),
    "no answer wanted": (observed(passes=0, wanted=0), UNCLEAR, "answered 0 of 0"),
    "token of the old secret (G6)": (
        observed(old_token_until=later(3600), answer=seen(status=200, gateway="AISIX/0.4.2")),
        INVALID,
        "AISIX/0.4.2 may use a token of the old secret until 15:02 UTC",
    ),
    "a gateway that hides its version, and tokens": (
        observed(hides_tokens=True),
        LIKELY,
        "for an hour after the change a gateway may use a token of the old secret",
    ),
    # what a replica shows against the model
    "old key still counted (G1)": (observed(window(**old(3))), INVALID, "served it 3 times with the old key"),
    "old key once, on the second": (observed(*two(**old())), INVALID, "replica-2:9090 served it once with the old key"),
    "old key, though projected": (observed(window(**old()), projected="everywhere"), INVALID, "once with the old key"),
    "model's row rejected": (observed(window(state="degraded", rejects=1, rejected=(MODEL,))), INVALID, "has rejected"),
    "replacement rejected": (observed(window(state="degraded", rejects=1, rejected=(NEW,))), INVALID, "last good"),
    "a row that is not named": (observed(window(rejects=1, rejects_more=True)), INVALID, "does not name"),
    "lagging replica (G1)": (observed(*two(throwaways=())), PENDING, "replica-2:9090 is not synced yet"),
    "lagging, with an older barrier": (observed(window(throwaways=("keyturn-rabc123-1",))), PENDING, "is not synced"),
    "cut off (G18)": (observed(window(connected=False, throwaways=None)), PENDING, "cut off from the control plane"),
    "cut off, no barrier": (observed(window(connected=False), barrier=""), PENDING, "(not connected)"),
    "out of sync": (observed(window(state="out_of_sync", throwaways=None)), PENDING, "(out_of_sync)"),
    "never loaded": (observed(window(state="never_loaded", connected=None, throwaways=None)), PENDING, "never_loaded"),
    "graver on the second": (
        observed(window(throwaways=()), *two(**old())[1:]),
        INVALID,
        "replica-2:9090 served it once with the old key",
    ),
    # an answer that says nothing, where a replica says something: it could be accepted
    "unclear, on the old key": (observed(window(**old()), answer=seen(status=429)), INVALID, "with the old key"),
    "skipped, on the old key": (observed(window(**old()), answer=skipped(NOW)), INVALID, "with the old key"),
    "unclear, with an old token": (observed(answer=seen(status=429), old_token_until=NOW), INVALID, "old secret until"),
    "refused, and lagging": (
        observed(window(throwaways=()), answer=seen(status=401, type="upstream_error")),
        REFUSED,
        "refused",
    ),
    # what is lacking for a proof
    "another row rejected": (observed(window(rejects=1)), LIKELY, "rejects rows of its configuration"),
    "degraded": (observed(window(state="degraded")), LIKELY, "calls itself degraded"),
    "no /status/config": (observed(window(state="", connected=None)), LIKELY, "does not tell its state"),
    "cut off, with the barrier": (observed(window(connected=False)), LIKELY, "not connected to the control plane"),
    "behind by its own word": (observed(window(revision=11, observed=12)), LIKELY, "has not applied all that it has"),
    "counters missing": (observed(window(BLIND, **BLIND)), LIKELY, "shows no counters"),
    "no look at the beginning": (observed(Window(before=None, now=replica())), LIKELY, "showed no counters before"),
    "not reached": (
        observed(*two(counts={}, own={}, total=0), answered=3),
        LIKELY,
        "replica-2:9090 was not reached by a test request",
    ),
    "not reached, no barrier": (
        observed(*two(counts={}, own={}, total=0), barrier="", answered=3),
        UNCLEAR,
        "which key is unknown",
    ),
    "restart": (
        observed(window({"counts": {MODEL: Served(old=90)}, "old": 90, "total": 90})),
        LIKELY,
        "started to count again",
    ),
    "restart, then the old key": (
        observed(window({"counts": {MODEL: Served(old=90)}, "old": 90, "total": 90}, **old(50))),
        INVALID,
        "served it 50 times with the old key",
    ),
    "started again since the proof": (
        observed(window({"revision": 9}, revision=8, throwaways=()), had_change=True, barrier=""),
        PENDING,
        "replica-1:9090 started again since the proof, and may not have the change any more",
    ),
    "started again since the proof, shows no counters": (
        observed(window(BLIND | {"apply_seq": 9}, **BLIND, apply_seq=1), had_change=True, barrier=""),
        PENDING,
        "started again since the proof",
    ),
    "started again since the proof, and has the barrier": (
        observed(window({"revision": 9}, revision=8), had_change=True),
        LIKELY,
        "started to count again",
    ),
    "not seen by the proof": (
        observed(window(), Window(before=None, now=replica(throwaways=())), had_change=True, barrier=""),
        PENDING,
        "replica-1:9090 was not seen when the proof began, and may not have the change",
    ),
    "not seen by the proof, cut off now": (
        observed(window({"trouble": "does not answer"} | SILENT, connected=False), had_change=True, barrier=""),
        PENDING,
        "replica-1:9090 was not seen when the proof began, and may not have the change",
    ),
    "not seen by the proof, nor now": (
        observed(
            window({"trouble": "does not answer"} | SILENT, trouble="does not answer", **SILENT),
            had_change=True,
            projected="everywhere",
        ),
        LIKELY,
        "does not answer",
    ),
    "cut off since the proof": (
        observed(window(connected=False, throwaways=()), had_change=True, barrier=""),
        LIKELY,
        "is not connected to the control plane",
    ),
    "counters without the key": (
        observed(window(counts={MODEL: Served(new=3, blind=4)}, total=7)),
        LIKELY,
        "does not say with which key it served it 4 times",
    ),
    "only counters without the key": (observed(window(counts={MODEL: Served(blind=3)})), LIKELY, "which key"),
    "old key through a router": (
        observed(window(counts={MODEL: Served(new=3), UNNAMED: Served(old=2)}, old=2, total=5)),
        LIKELY,
        "used the old key 2 times for a model that it does not name",
    ),
    "looked at before the answer": (observed(window(at=later(-1))), LIKELY, "not looked at since the newest answer"),
    # our own test requests
    "a test request that no replica counted": (
        observed(answered=4),
        PENDING,
        "a replica that is not in `status_urls` answered 1 of 4 test requests",
    ),
    "callers' requests do not stand in for one": (
        observed(window(counts={MODEL: Served(new=5000)}, total=5000), answered=4),
        PENDING,
        "answered 1 of 4 test requests",
    ),
    "a gateway that has no counter for the endpoint": (
        observed(window(counts={}, own={}, total=0), is_counted=False),
        LIKELY,
        "was not reached by a test request",
    ),
    "a gateway that has a counter for the endpoint after all": (
        observed(answered=4, is_counted=False),
        PENDING,
        "answered 1 of 4 test requests",
    ),
    "a test request that failed on a replica that nobody listed": (
        observed(answered=3, reached=4),
        PENDING,
        "a replica that is not in `status_urls` answered 1 of",
    ),
    "test requests that failed on listed replicas": (
        observed(window(own={MODEL: Served(new=3, failed=1, limited=1)}), answered=3, reached=5),
        PROVED,
        "old key 0",
    ),
    "a request that the gateway's own limit refused may stand for one that failed elsewhere": (
        observed(window(own={MODEL: Served(new=3, limited=1)}), answered=3, reached=4, turned_away=1),
        LIKELY,
        "a rate limit of the gateway may stand for an answer that no listed replica counted",
    ),
    "counted before it was ours": (
        observed(window(own=None, callers=())),
        LIKELY,
        "does not tell our test requests from callers' (no `api_key_id`)",
    ),
    "not told when the proof began": (observed(window({"own": None, "callers": ()})), LIKELY, "does not tell our test"),
    "asked with two caller keys": (
        observed(window(own=None, callers=("ck-app", "ck-probe"))),
        LIKELY,
        "asked with several caller keys",
    ),
    "reached by callers only": (
        observed(*two(own={}), answered=3),
        LIKELY,
        "replica-2:9090 was not reached by a test request",
    ),
    "more of ours than were answered": (observed(answered=2), LIKELY, "someone else uses the caller key"),
    "an answer that never came": (observed(lost=1), LIKELY, "a test request had no answer"),
    # a third key
    "a key that is neither": (
        observed(window(counts={MODEL: Served(new=3, third=1)}, total=4)),
        INVALID,
        "replica-1:9090 served it with a key that is neither the old nor the new one",
    ),
    "a key that is neither, long before": (
        observed(
            window({"counts": {MODEL: Served(third=9)}, "total": 9}, counts={MODEL: Served(new=3, third=9)}, total=12)
        ),
        PROVED,
        "old key 0",
    ),
    # what only some families hear
    "the old key behind a fallback": (
        observed(window(counts={MODEL: Served(new=3, hidden=1)})),
        INVALID,
        "replica-1:9090 tried the old key for it, behind a fallback, a router or an ensemble",
    ),
    "the old key, hidden, of a model that is not named": (
        observed(window(counts={MODEL: Served(new=3), UNNAMED: Served(hidden=2)})),
        LIKELY,
        "used the old key once for a model that it does not name",
    ),
    # how many replicas there are
    "nobody says how many replicas": (
        observed(barrier="", too_few="nothing says how many replicas there are: put `replicas` into the settings"),
        UNCLEAR,
        "put `replicas` into the settings",
    ),
    "fewer addresses, and one that is not listed answered": (
        observed(answered=4, projected="everywhere", too_few="the settings list 1 status address for 2 replicas"),
        UNCLEAR,
        "list 1 status address for 2 replicas",
    ),
    # status addresses that tell nothing
    "status address dead": (observed(MUTE), UNCLEAR, "replica-1:9090 does not answer in time"),
    "status address dead, projected": (observed(MUTE, projected="everywhere"), LIKELY, "does not answer in time"),
    "one of two dead": (observed(window(), MUTE), UNCLEAR, "does not answer in time"),
    "one of two dead stands first in the reason": (
        observed(window(state="degraded"), MUTE, projected="everywhere"),
        LIKELY,
        "not proved: replica-1:9090 does not answer in time",
    ),
    "no addresses, projected": (
        observed(windows=(), projected="a model made after the change answered everywhere"),
        LIKELY,
        "not proved: no status address in the settings; answered 3 times in a row; a model made after the change",
    ),
    "no addresses, no barrier": (observed(windows=(), barrier=""), UNCLEAR, "no status address in the settings"),
}


@pytest.mark.parametrize(("everything", "verdict", "word"), EVERYTHING.values(), ids=EVERYTHING)
def test_everything_that_was_seen_has_its_verdict_and_reason(everything, verdict, word):
    found, reason = weigh(everything)

    assert found is verdict
    assert word in reason
    doubted = doubt(everything)
    assert doubted == (found, reason) if doubted else verdict in (PROVED, LIKELY, UNCLEAR)


def test_the_table_knows_every_verdict():
    assert {verdict for _, verdict, _ in EVERYTHING.values()} == set(Verdict)


TRAPS = {
    # where in tests/ each is set; its verdict is a row of the tables
    "G1": ("stories/test_traps.py::test_g1_a_lagging_replica", "bot/test_traps.py::g1 rejects the row"),
    "G2": ("bot/test_traps.py::g2 a fallback answers",),
    "G3": ("bot/test_traps.py::g3 a default route hides a dead embedder",),
    "G4": ("bot/test_traps.py::g4 an ensemble hides a dead member",),
    "G5": ("bot/test_traps.py::g5 a cache answers",),
    "G6": ("stories/test_traps.py::test_g6_an_old_gateway",),
    "G7": ("bot/test_traps.py::g2 and g8 a cooldown hides a refusal",),
    "G8": ("bot/test_traps.py::g2 and g8 a router avoids the model by its cooldown",),
    "G9": ("stories/test_shapes.py::test_g9_a_shared_key_is_moved_environment_by_environment",),
    "G10": ("bot/test_attacks.py::test_a_model_bound_between_two_deletes_is_seen",),
    "G11": ("stories/test_restart.py::test_killed_whatever_it_is_at_it_goes_on_from_there",),
    "G12": ("stories/test_restart.py::test_killed_whatever_it_is_at_it_goes_on_from_there",),
    "G13": ("stories/test_same_secret.py::test_the_secret_in_use_is_refused_at_the_field",),
    "G14": ("bot/test_traps.py::g3 a default route hides a dead embedder",),
    "G15": ("bot/test_plan.py::test_what_a_person_should_know_first_is_said_in_words",),
    "G16": ("stories/test_shapes.py::test_g16_a_key_behind_every_kind_of_alias",),
    "G17": ("bot/test_taken_out.py::test_a_request_on_the_old_key_since_the_approval_is_named",),
    "G18": ("bot/test_traps.py::g18 is cut off",),
    "G19": ("bot/test_traps.py::g19 no replica takes the replacement",),
    "G20": ("bot/test_wildcards.py::test_a_wildcard_is_rehearsed_and_verified_under_one_name",),
    "G21": ("stories/test_rotation.py::test_a_rotation_goes_from_the_command_to_the_deleted_key",),
    "G22": ("bot/test_taken_out.py::test_a_replacement_with_another_setting_is_named",),
    "G23": ("bot/test_control_plane.py::test_a_key_is_deleted_and_deleting_it_twice_is_no_error",),
}


@pytest.mark.parametrize("test", [test for tests in TRAPS.values() for test in tests])
def test_each_trap_has_its_test(test):
    file, _, name = test.partition("::")
    text = (TESTS / file).read_text()

    assert f"def {name}" in text or f'"{name}": ' in text, "a test, or a case of one"


def test_no_trap_of_the_fact_sheet_is_left_out():
    assert set(TRAPS) == {f"G{number}" for number in range(1, 24)}


def test_a_proof_counts_from_the_latest_of_the_first_looks():
    later_one = {"url": "http://replica-2:9090", "at": later(600)}
    proof = weigh(observed(window(), window(later_one, url="http://replica-2:9090", at=later(660)), passes=6))

    assert proof == (PROVED, "replacement served 3 + 3 test requests on 2 replicas; old key 0 since 14:12 UTC")


def test_no_part_of_a_status_address_but_its_host_gets_into_a_reason():
    url = "http://admin:hunter2@replica-1:9090/inner?token=hunter3#hunter4"
    for fields in ({"throwaways": ()}, {"rejected": (MODEL,)}, {"trouble": "does not answer", **BLIND}, old()):
        reason = weigh(observed(window(**{"url": url} | fields), projected="yes"))[1]
        assert "replica-1:9090" in reason
        assert "hunter" not in reason


# --- any observation ---

rows = hypothesis.settings(max_examples=20)
quick = hypothesis.settings(max_examples=3000, database=None, phases=[hypothesis.Phase.generate])
NAMES = (MODEL, UNNAMED, BARRIER)
few = st.sampled_from([0, 0, 0, 1, 3])
rarely = st.sampled_from([0] * 7 + [1])
serveds = st.builds(
    Served, old=few, new=st.sampled_from([0, 1, 3, 3]), failed=few, blind=few, third=rarely, hidden=rarely
)
clean = st.integers(3, 9).map(lambda count: Served(new=count))
countings = st.dictionaries(st.sampled_from(NAMES), serveds, max_size=3) | st.fixed_dictionaries({MODEL: clean})


@st.composite
def replicas(draw, at=None):
    counts = draw(st.none() | countings | countings)
    values = (counts or {}).values()
    old = sum(served.old for served in values)
    own = {MODEL: Served(new=counts.get(MODEL, Served()).new)} if counts is not None else None
    return Replica(
        own=draw(st.just(own) | st.just(own) | st.none()),
        callers=("ck-probe",),
        meters={"llm": old} if old else {},
        url=draw(st.sampled_from(["http://a:9090", "http://b:9090"])),
        at=at or later(60),
        trouble=draw(st.sampled_from(["", "", "", "does not answer"])),
        state=draw(st.sampled_from(["synced"] * 6 + ["degraded", "out_of_sync", "empty", "never_loaded", ""])),
        connected=draw(st.sampled_from([True, True, None, False])),
        apply_seq=draw(st.sampled_from([None, 3, 3, 2])),
        rejects=draw(st.sampled_from([0, 0, 0, 1])),
        rejected=draw(st.sampled_from([(), (), (), (MODEL,), (NEW,), ("other",)])),
        rejects_more=draw(st.sampled_from([False] * 5 + [True])),
        throwaways=draw(st.sampled_from([(BARRIER,), (BARRIER,), (), None])),
        counts=counts,
        old=old,
        total=sum(map(sum, values)) + draw(few),
        started=draw(st.sampled_from([None, None, 1.0, 2.0])),
    )


@st.composite
def windows(draw):
    """Most of the time a replica that counted on since the first look; else any two looks."""
    now = draw(replicas())
    begun = now.but(at=NOW, counts={}, own={}, meters={}, old=0, total=0)
    return Window(before=draw(st.just(begun) | st.just(begun) | st.none() | replicas(NOW)), now=now)


answers = st.builds(
    Answer,
    status=st.sampled_from([200] * 6 + [None, 401, 404, 429, 502]),
    cache=st.sampled_from(["", "", "miss", "hit"]),
    served_by=st.sampled_from(["", "", "chat", "chat-backup"]),
    malformed=st.sampled_from([False, False, False, True]),
)
sighted = st.lists(windows(), max_size=2)
well = st.lists(st.just(window()), min_size=1, max_size=2)


@st.composite
def observations(draw):
    answer = draw(answers | st.just(Answer(status=200)))
    looks = tuple(draw(sighted | well))
    found = Observation(
        answered=sum(served.new for one in looks if (served := one.since.asked(MODEL))) + draw(rarely),
        lost=draw(rarely),
        model_id=MODEL,
        replacement_id=NEW,
        answer=evidence(answer, alias="chat", at=NOW),
        passes=draw(st.integers(0, 4)),
        wanted=draw(st.integers(0, 3)),
        windows=looks,
        barrier=draw(st.sampled_from([BARRIER, BARRIER, ""])),
        projected=draw(st.sampled_from(["", "", "everywhere"])),
        too_few=draw(st.sampled_from(["", "", "too few are listed"])),
        old_token_until=draw(st.sampled_from([None, None, None, later(600)])),
    )
    return answer, found


def has_passed(everything):
    return weigh(everything)[0] in (PROVED, LIKELY)


def counted_on_the_old_key(one):
    """Whether the model's own count rose, or started again and shows any: said without the code under test."""
    if one.before is None or one.before.counts is None or one.now.counts is None:
        return False
    before, now = one.before.served(MODEL), one.now.served(MODEL)
    more = now.old > before.old or now.hidden > before.hidden or now.third > before.third
    return more or (one.now.total < one.before.total and now.old > 0)


def has_not_taken_the_change(one, barrier):
    listed = one.now.throwaways
    has_barrier = bool(barrier) and listed is not None and barrier in listed
    lags = bool(barrier) and listed is not None and barrier not in listed
    cut_off = one.now.connected is False or one.now.state in ("out_of_sync", "never_loaded", "empty")
    return lags or (cut_off and not has_barrier) or bool({MODEL, NEW} & set(one.now.rejected)) or one.now.rejects_more


@given(observations())
def test_no_green_light_that_proves_nothing_passes(case):
    answer, everything = case
    nothing = (
        answer.status != 200
        or answer.cache == "hit"
        or answer.served_by not in ("", "chat")
        or answer.malformed
        or everything.old_token_until is not None
        or any(has_not_taken_the_change(one, everything.barrier) for one in everything.windows)
        or any(map(counted_on_the_old_key, everything.windows))
        or everything.passes < everything.wanted
    )

    assert not (nothing and has_passed(everything))


@st.composite
def good_observations(draw):
    """One that passes, of one to three replicas with callers of their own."""
    counts = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    urls = [f"http://replica-{number}:9090" for number in range(len(counts))]
    looks = [
        window({"url": url, "counts": {MODEL: Served(old=7)}, "old": 7, "total": 7}, url=url, old=7, total=8 + count,
              counts={MODEL: Served(old=7, new=count + 1)}, own={MODEL: Served(new=count)})
        for url, count in zip(urls, counts, strict=True)
    ]  # fmt: skip
    passes = draw(st.integers(1, sum(counts)))
    projected = draw(st.sampled_from(["", "everywhere"]))
    wanted = draw(st.integers(0, passes))
    return observed(*looks, passes=passes, answered=sum(counts), wanted=wanted, projected=projected)


def unlike(answer):
    return lambda everything, _: everything.but(answer=seen(status=200, **answer))


def shown(change):
    """Have one replica show something else."""

    def flawed(everything, place):
        looks = list(everything.windows)
        one = looks[place % len(looks)]
        looks[place % len(looks)] = one.but(now=change(one.now))
        return everything.but(windows=tuple(looks))

    return flawed


def with_old(one):
    more = one.served(MODEL)._replace(old=one.served(MODEL).old + 5)
    meters = {"llm": one.meters.get("llm", 0) + 5}
    return one.but(counts={**(one.counts or {}), MODEL: more}, old=one.old + 5, total=one.total + 5, meters=meters)


def with_more(one, **served):
    more = one.served(MODEL)._replace(**served)
    return one.but(counts={**(one.counts or {}), MODEL: more})


FLAWS = {
    "a cache hit": unlike({"cache": "hit"}),
    "an unexpected served-by": unlike({"served_by": "chat-backup"}),
    "a replica that rejected the model": shown(lambda r: r.but(rejected=(MODEL,), rejects=1)),
    "a replica that rejected the key": shown(lambda r: r.but(rejected=(NEW,), rejects=1)),
    "a replica that rejected it knows not what": shown(lambda r: r.but(rejects_more=True)),
    "a replica that lags": shown(lambda r: r.but(throwaways=())),
    "a replica that is cut off": shown(lambda r: r.but(connected=False, throwaways=None)),
    "a replica that is out of sync": shown(lambda r: r.but(state="out_of_sync", throwaways=None)),
    "a count on the old key": shown(with_old),
    "a hidden attempt with the old key": shown(lambda r: with_more(r, hidden=1)),
    "a request with a third key": shown(lambda r: with_more(r, third=1)),
    "a test request that no replica counted": lambda everything, _: everything.but(answered=everything.answered + 1),
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
@rows
@given(good=good_observations(), place=st.integers(0, 2))
def test_no_observation_with_one_of_these_flaws_passes_however_good_the_rest_is(flaw, good, place):
    assert has_passed(good)
    assert not has_passed(flaw(good, place))


@given(observations())
def test_a_proof_needs_the_counters_of_every_replica_there_is(case):
    everything = case[1]
    if weigh(everything)[0] is not PROVED:
        return

    assert everything.windows
    assert not everything.too_few
    assert not everything.lost
    for one in everything.windows:
        assert one.before is not None
        assert one.before.counts is not None
        assert one.now.own[MODEL].new > one.before.own.get(MODEL, Served()).new
        assert one.now.served(MODEL).old == one.before.served(MODEL).old
        assert one.now.served(MODEL).hidden == one.before.served(MODEL).hidden
        assert one.now.served(MODEL).third == one.before.served(MODEL).third
        assert one.now.served(MODEL).blind == one.before.served(MODEL).blind
        assert one.now.served(UNNAMED).old == one.before.served(UNNAMED).old
        assert (one.now.trouble, one.now.state, one.now.rejects) == ("", "synced", 0)
        assert one.now.connected is not False
        assert one.now.total >= one.before.total
    rises = [one.now.own[MODEL].new - one.before.own.get(MODEL, Served()).new for one in everything.windows]
    assert sum(rises) == everything.answered >= 1


@given(observations())
def test_likely_needs_the_change_to_have_been_seen_everywhere(case):
    everything = case[1]
    if weigh(everything)[0] is not LIKELY:
        return

    has = [BARRIER in (one.now.throwaways or ()) and bool(everything.barrier) for one in everything.windows]
    rose = [one.since.served(MODEL).new > 0 for one in everything.windows]
    seen_everywhere = bool(has) and all(a or b for a, b in zip(has, rose, strict=True))
    assert not everything.too_few
    assert everything.projected or seen_everywhere


@given(observations(), windows(), st.integers(0, 2))
def test_one_replica_more_never_makes_good_what_one_shows_against_a_model(case, one, place):
    everything = case[1].but(answered=0)  # of a test request that none has counted, one more may tell that it has
    order = [*everything.windows[:place], one, *everything.windows[place:]]
    more = everything.but(windows=tuple(order))
    alone = everything.but(windows=(one,))

    assert not (has_passed(more) and doubt(everything))
    assert not (has_passed(more) and doubt(alone))
    assert not (weigh(more)[0] is PROVED and everything.windows and sum(map(rise_of, everything.windows)) == 0)


def rise_of(one):
    return one.since.served(MODEL).new


RANK = {PROVED: 2, LIKELY: 1}


AGAINST = {
    "old key": with_old,
    "rejected": lambda r: r.but(rejected=(MODEL,)),
    "rejects": lambda r: r.but(rejects=1),
    "rejects more": lambda r: r.but(rejects_more=True),
    "lags": lambda r: r.but(throwaways=()),
    "not connected": lambda r: r.but(connected=False),
    "older": lambda r: r.but(at=later(-60)),
}
"""What says more against a replica."""

SILENCE = {
    "degraded": lambda r: r.but(state="degraded"),
    "no state": lambda r: r.but(state=""),
    "lists nothing": lambda r: r.but(throwaways=None),
    "no counters": lambda r: r.but(**BLIND),
    "no answer": lambda r: r.but(trouble="does not answer", **SILENT),
}
"""What says less for it; it may say less against it, too."""


def worsened(everything, worsen):
    first, *others = everything.windows
    return everything.but(windows=(Window(before=first.before, now=worsen(first.now)), *others))


def rank(everything):
    return RANK.get(weigh(everything)[0], 0)


@pytest.mark.parametrize("worsen", AGAINST.values(), ids=AGAINST)
@rows
@given(case=observations())
def test_more_against_a_replica_never_makes_a_verdict_better(worsen, case):
    everything = case[1]

    assert not everything.windows or rank(worsened(everything, worsen)) <= rank(everything)


@pytest.mark.parametrize("worsen", SILENCE.values(), ids=SILENCE)
@rows
@given(case=observations())
def test_less_from_a_replica_never_makes_a_verdict_better_unless_it_hides_a_doubt(worsen, case):
    everything = case[1]

    assert not everything.windows or doubt(everything) or rank(worsened(everything, worsen)) <= rank(everything)


@pytest.mark.parametrize("verdict", [PROVED, LIKELY])
def test_the_observations_of_these_tests_pass_with_two_replicas_too(verdict):
    hypothesis.find(
        observations(), lambda case: len(case[1].windows) == 2 and weigh(case[1])[0] is verdict, settings=quick
    )


@pytest.mark.parametrize(("answered", "lost", "surplus"), [(3, 0, False), (2, 0, True), (2, 1, False), (1, 1, True)])
def test_counters_that_show_more_than_came_or_was_lost_may_hide_an_answer_that_is_missing(answered, lost, surplus):
    assert observed(answered=answered, lost=lost).has_surplus is surplus
