"""What an answer proves, row by row of the fact sheet's table (6.3), and what everything seen of a model does (9)."""

import json
import re
from itertools import product
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aisix.answers import BY_TYPE, Answer, evidence, skipped
from bot.aisix.probes import read_answer
from bot.rotation.evidence import Verdict
from bot.rotation.replica import UNNAMED, Replica, Served
from bot.rotation.weighing import Observation, Window, doubt, weigh
from tests.bot.values import NOW, later

TESTS = Path(__file__).parent.parent
NAMED = re.compile(r'def test_((?:g\d+_)+)|^    "((?:g\d+ (?:and )?)+)', re.MULTILINE)
"""Traps in the name of a test, or of a row."""

UNCLEAR, REFUSED, PENDING = Verdict.INCONCLUSIVE, Verdict.REJECTED, Verdict.PROJECTION
PROVED, LIKELY, INVALID, SKIPPED = Verdict.PROVED, Verdict.LIKELY, Verdict.INVALID, Verdict.SKIPPED

TABLE = [
    # status, type, code, verdict, blames the credential: each row, as the gateway says it on OpenAI's wire
    (401, "invalid_api_key", "", UNCLEAR, False),
    (403, "permission_denied", "", UNCLEAR, False),
    (404, "model_not_found", "", PENDING, False),
    (400, "invalid_request_error", "", REFUSED, False),
    (401, "authentication_error", "", REFUSED, True),
    (401, "upstream_error", "", REFUSED, True),
    (403, "upstream_error", "", REFUSED, True),
    (500, "config_error", "", REFUSED, False),
    (402, "upstream_error", "", REFUSED, True),
    (400, "upstream_error", "", REFUSED, False),
    (405, "upstream_error", "", REFUSED, False),
    (415, "upstream_error", "", REFUSED, False),
    (422, "upstream_error", "", REFUSED, False),
    (404, "upstream_error", "model_not_found", REFUSED, False),
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
    # the status alone, where the type is one that nobody knows
    (302, "", "", UNCLEAR, False),
    (401, "", "", REFUSED, True),
    (403, "permission_error", "", REFUSED, True),
    (404, "not_found_error", "", PENDING, False),
    (418, "", "", UNCLEAR, False),
    (500, "api_error", "", UNCLEAR, False),
]


def seen(**fields):
    return evidence(Answer(**fields), alias="chat", at=NOW)


@pytest.mark.parametrize(("status", "type_", "code", "verdict", "blames"), TABLE)
def test_each_row_of_the_table_has_its_verdict(status, type_, code, verdict, blames):
    found = seen(status=status, type=type_, code=code)

    assert (found.verdict, found.blames_credential, found.passed) == (verdict, blames, False)
    assert found.reason
    assert found.signature == " ".join(str(part) for part in (status, type_, code) if part)


def test_every_answer_that_has_a_reason_of_its_own_is_a_row_of_the_table():
    assert set(BY_TYPE) <= {(status, type_) for status, type_, *_ in TABLE}


@pytest.mark.parametrize(
    ("answer", "verdict", "word"),
    [
        ({"status": 200}, LIKELY, "answered"),
        ({"status": 204}, LIKELY, "answered"),
        ({"status": 200, "cache": "bypass"}, LIKELY, "answered"),
        ({"status": 200, "served_by": "chat"}, LIKELY, "answered"),
        ({"status": 200, "cache": "hit"}, INVALID, "from a cache"),
        ({"status": 200, "cache": "hit, miss"}, INVALID, "from a cache"),
        ({"status": 200, "served_by": "chat-backup"}, INVALID, "another target"),
        ({"status": 200, "malformed": True}, UNCLEAR, "not one that a model gives"),
        ({"status": 400, "type": "invalid_request_error", "names_unknown_key": True}, PENDING, "the provider key"),
        ({"status": 502, "names_unknown_key": True}, PENDING, "the provider key"),
        ({"trouble": "time-out"}, UNCLEAR, "no answer (time-out)"),
    ],
)
def test_what_else_an_answer_shows_decides_before_its_status(answer, verdict, word):
    found = seen(**answer)

    assert (found.verdict, found.passed, found.blames_credential) == (verdict, verdict is LIKELY, False)
    assert word in found.reason


# --- reading an answer ---


def response(status: int, body: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("body", "malformed"),
    [
        *(({name: [{}]}, False) for name in ("choices", "data", "results", "output", "content")),
        ({"choices": []}, True),
        ({"data": None, "code": 401}, True),
        ({"object": "error", "data": [{}]}, True),
        ({"choices": [{}], "error": {"message": "but 200"}}, True),
        ([], True),
        (b"<html>", True),
        (b"\xff\xfe", True),
    ],
)
def test_an_answer_is_malformed_unless_it_has_what_models_give(body, malformed):
    assert read_answer(response(200, body)).malformed is malformed


UNKNOWN = {"error": {"message": 'model "x" references unknown provider_key_id "y"', "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("body", "headers", "field", "value"),
    [
        *(({}, {"x-aisix-cache": header}, "cache", "hit") for header in ("HIT", "hit-semantic", " hit ")),
        ({}, {"Retry-After": "0.5"}, "retry_after", 0.5),
        ({}, {"Retry-After": "-1"}, "retry_after", 0.0),
        ({}, {"Retry-After": "soon"}, "retry_after", None),
        (UNKNOWN, {}, "names_unknown_key", True),
    ],
)
def test_what_an_answer_says_is_read_however_it_is_written(body, headers, field, value):
    assert getattr(read_answer(response(400, body, headers)), field) == value


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
    ],
)
def test_a_code_that_stands_in_the_upstreams_raw_words_only_is_read_from_there(message, code):
    error = {"message": message, "type": "upstream_error"}

    assert read_answer(response(429, {"error": error})).code == code
    known = read_answer(response(429, {"error": error | {"code": "rate_limit_exceeded"}})).code
    assert known == "rate_limit_exceeded"


MARKED = "zqXkLeak"


@given(st.integers(200, 599), st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_no_text_of_the_upstream_gets_into_evidence(status, message, type_, code):
    error = {"message": MARKED + message, "type": MARKED + type_, "code": code + MARKED, "param": MARKED}
    found = evidence(read_answer(response(status, {"error": error, MARKED: MARKED})), alias="chat", at=NOW)

    assert MARKED not in found.model_dump_json()


# --- everything that was seen of a model ---

MODEL, NEW, BARRIER = "m1", "pk_new", "keyturn-rabc123-7"
TWO = "http://replica-2:9090"


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


def window(before=None, **now):
    """The same one when the proof began, at 14:02, and now."""
    began = {"at": NOW, "counts": {}, "own": {}, "total": 0} | (before or {})
    return Window(before=replica(**began), now=replica(**now))


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


def two(before=None, **second):
    """One that is well, and a second one that shows something else."""
    return (window(), window({"url": TWO} | (before or {}), **{"url": TWO} | second))


def counted(new=3, **served):
    """Counters of the model itself that show so much."""
    shown = Served(new=new, **served)
    return {"counts": {MODEL: shown}, "old": shown.old, "total": sum(shown)}


def unclear(**fields):
    return observed(answer=seen(status=429), **fields)


BLIND = {"counts": None, "own": None, "total": 0}
SILENT = {"state": "", "connected": None, "throwaways": None, **BLIND}
AWAY = {"trouble": "does not answer"} | SILENT
MUTE = Window(before=None, now=replica(**AWAY))
UNSEEN = Window(before=None, now=replica(throwaways=()))
NAMELESS = {"counts": {MODEL: Served(new=3), UNNAMED: Served(old=2)}, "old": 2, "total": 5}
ONCE, BEFORE = counted(old=1), counted(new=0, old=90)
REFUSAL = seen(status=401, type="upstream_error")
SINCE = {"had_change": True, "barrier": ""}
"""What had the change before need not list the barrier of now."""

EVERYTHING = [
    # all is well
    (PROVED, "served 3 test requests on the one replica; old key 0 since 14:02", observed()),
    (PROVED, "served 3 + 3 test requests on 2 replicas", observed(*two(), passes=6)),
    (PROVED, "old key 0 since 14:12", observed(*two({"at": later(600)}, at=later(660)), passes=6)),
    (PROVED, "old key 0", observed(window(throwaways=()), barrier="")),
    (PROVED, "old key 0", observed(window(BEFORE, **counted(old=90)))),
    (PROVED, "3 test requests", observed(window(**counted(new=5000)))),
    (PROVED, "old key 0", observed(window(counts={MODEL: Served(new=3), "m2": Served(old=9)}, old=9, total=12))),
    # the answer
    (REFUSED, "refused the credential", observed(answer=REFUSAL)),
    (REFUSED, "refused the credential", observed(window(throwaways=()), answer=REFUSAL)),
    (INVALID, "has rejected", observed(window(rejected=(MODEL,)), answer=REFUSAL, as_before=True)),
    (SKIPPED, "settings say skip", observed(answer=skipped(NOW))),
    (UNCLEAR, "answered 2 of 3 times", observed(passes=2)),
    (UNCLEAR, "answered 0 of 0", observed(passes=0, wanted=0)),
    (
        INVALID,
        "AISIX/0.4.2 may use a token of the old secret until 15:02 UTC",
        observed(old_token_until=later(3600), answer=seen(status=200, gateway="AISIX/0.4.2")),
    ),
    (INVALID, "old secret until", unclear(old_token_until=NOW)),
    (LIKELY, "for an hour after the change a gateway may use a token", observed(hides_tokens=True)),
    # what a replica shows against the model, also where the answer says nothing: that could be accepted
    (INVALID, "served it 3 times with the old key", observed(window(**counted(old=3)))),
    (INVALID, "replica-2:9090 served it once with the old key", observed(*two(**ONCE), projected="everywhere")),
    (INVALID, "with the old key", unclear(windows=(window(**ONCE),))),
    (INVALID, "replica-2:9090 served it once", observed(window(throwaways=()), two(**ONCE)[1])),
    (INVALID, "tried the old key for it, behind a fallback", observed(window(**counted(hidden=1)))),
    (INVALID, "a key that is neither the old nor the new one", observed(window(**counted(third=1)))),
    (PROVED, "old key 0", observed(window(counted(new=0, third=9), **counted(third=9)))),
    (INVALID, "has rejected the change", observed(window(rejects=1, rejected=(MODEL,)))),
    (INVALID, "last good configuration", observed(window(rejects=1, rejected=(NEW,)))),
    (INVALID, "does not name", observed(window(rejects=1, rejects_more=True))),
    (PENDING, "replica-2:9090 is not synced yet", observed(*two(throwaways=("keyturn-rabc123-1",)))),
    (PENDING, "cut off from the control plane", observed(window(connected=False, throwaways=None))),
    (PENDING, "(not connected)", observed(window(connected=False), barrier="")),
    (PENDING, "(out_of_sync)", observed(window(state="out_of_sync", throwaways=None))),
    # what is lacking for a proof
    (LIKELY, "rejects rows of its configuration", observed(window(rejects=1))),
    (LIKELY, "calls itself degraded", observed(window(state="degraded"))),
    (LIKELY, "does not tell its state", observed(window(state="", connected=None))),
    (LIKELY, "not connected to the control plane", observed(window(connected=False))),
    (LIKELY, "has not applied all that it has heard of", observed(window(revision=11, observed=12))),
    (LIKELY, "shows no counters", observed(window(BLIND, **BLIND))),
    (LIKELY, "showed no counters before", observed(Window(before=None, now=replica()))),
    (UNCLEAR, "showed no counters before", observed(Window(before=None, now=replica()), barrier="")),
    (LIKELY, "replica-2:9090 was not reached by a test request", observed(*two(own={}), answered=3)),
    (UNCLEAR, "which key is unknown", observed(*two(counts={}, own={}, total=0), barrier="", answered=3)),
    (LIKELY, "does not say with which key it served it 4 times", observed(window(**counted(blind=4)))),
    (LIKELY, "used the old key 2 times", observed(window(**NAMELESS))),
    (PROVED, "old key 0", observed(window(**NAMELESS), others_remain=True)),
    (LIKELY, "used the old key once for a model", observed(window(counts={UNNAMED: Served(hidden=2)}))),
    (LIKELY, "not looked at since the newest answer", observed(window(at=later(-1)))),
    # a replica that began again, or was not seen, since the proof
    (LIKELY, "started to count again", observed(window(BEFORE))),
    (INVALID, "served it 50 times with the old key", observed(window(BEFORE, **counted(old=50)))),
    (PENDING, "started again since the proof", observed(window({"revision": 9}, revision=8, throwaways=()), **SINCE)),
    (PENDING, "started again", observed(window(BLIND | {"apply_seq": 9}, **BLIND, apply_seq=1), **SINCE)),
    (LIKELY, "started to count again", observed(window({"revision": 9}, revision=8), had_change=True)),
    (PENDING, "was not seen when the proof began", observed(window(), UNSEEN, **SINCE)),
    (PENDING, "was not seen when the proof began", observed(window(AWAY, connected=False), **SINCE)),
    (LIKELY, "does not answer", observed(window(AWAY, **AWAY), had_change=True, projected="everywhere")),
    (LIKELY, "is not connected", observed(window(connected=False, throwaways=()), **SINCE)),
    # our own test requests
    (PENDING, "not in `status_urls` answered 1 of 4 test requests", observed(answered=4)),
    (PENDING, "answered 1 of 4 test requests", observed(window(**counted(new=5000)), answered=4)),
    (PENDING, "answered 1 of 4 test requests", observed(answered=4, is_counted=False)),
    (LIKELY, "not reached by a test request", observed(window(counts={}, own={}, total=0), is_counted=False)),
    (PENDING, "a replica that is not in `status_urls` answered 1 of", observed(answered=3, reached=4)),
    (PROVED, "old key 0", observed(window(own={MODEL: Served(new=3, failed=1, limited=1)}), reached=5)),
    (
        LIKELY,
        "a rate limit of the gateway may stand for an answer that no listed replica counted",
        observed(window(own={MODEL: Served(new=3, limited=1)}), reached=4, turned_away=1),
    ),
    (LIKELY, "tell our test requests from callers' (no `api_key_id`)", observed(window(own=None, callers=()))),
    (LIKELY, "does not tell our test", observed(window({"own": None, "callers": ()}))),
    (LIKELY, "asked with several caller keys", observed(window(own=None, callers=("ck-app", "ck-probe")))),
    (LIKELY, "someone else uses the caller key", observed(answered=2)),
    (LIKELY, "a test request had no answer", observed(lost=1)),
    # how many replicas there are
    (UNCLEAR, "put `replicas` into the settings", observed(barrier="", too_few="put `replicas` into the settings")),
    (UNCLEAR, "1 address for 2", observed(answered=4, projected="everywhere", too_few="1 address for 2 replicas")),
    # status addresses that tell nothing
    (UNCLEAR, "replica-1:9090 does not answer", observed(MUTE)),
    (LIKELY, "does not answer", observed(MUTE, projected="everywhere")),
    (UNCLEAR, "does not answer", observed(window(), MUTE)),
    (LIKELY, "not proved: replica-1:9090 does not", observed(window(state="degraded"), MUTE, projected="everywhere")),
    (
        LIKELY,
        "not proved: no status address in the settings; answered 3 times in a row; a model made after the change",
        observed(windows=(), projected="a model made after the change answered everywhere"),
    ),
    (UNCLEAR, "no status address in the settings", observed(windows=(), barrier="")),
]


@pytest.mark.parametrize(("verdict", "word", "everything"), EVERYTHING)
def test_everything_that_was_seen_has_its_verdict_and_reason(verdict, word, everything):
    found, reason = weigh(everything)

    assert found is verdict
    assert word in reason
    doubted = doubt(everything)
    assert doubted == (found, reason) if doubted else verdict in (PROVED, LIKELY, UNCLEAR)


def test_each_trap_of_the_fact_sheet_has_its_test_or_a_row_of_one():
    files = (file.read_text() for file in TESTS.rglob("test_*.py"))
    named = {trap for text in files for name in NAMED.findall(text) for trap in re.findall(r"g\d+", "".join(name))}

    assert named == {f"g{number}" for number in range(1, 24)}


def test_no_part_of_a_status_address_but_its_host_gets_into_a_reason():
    url = "http://admin:hunter2@replica-1:9090/inner?token=hunter3#hunter4"
    for fields in ({"throwaways": ()}, {"rejected": (MODEL,)}, AWAY, ONCE):
        reason = weigh(observed(window(**{"url": url} | fields), projected="yes"))[1]
        assert "replica-1:9090" in reason
        assert "hunter" not in reason


@pytest.mark.parametrize(("answered", "lost", "surplus"), [(3, 0, False), (2, 0, True), (2, 1, False), (1, 1, True)])
def test_counters_that_show_more_than_came_or_was_lost_may_hide_an_answer_that_is_missing(answered, lost, surplus):
    assert observed(answered=answered, lost=lost).has_surplus is surplus


# --- any two of these replicas, beside each other ---


def with_one_more():
    """Each observation of the table with each replica of it beside or before its own; ours are all counted."""
    every_window = [one for *_, everything in EVERYTHING for one in everything.windows]
    for (*_, everything), one in product(EVERYTHING, every_window):
        for looks in ((*everything.windows, one), (one, *everything.windows)):
            asked = (each.since.asked(MODEL) for each in looks)
            answered = sum(ours.new + ours.old + ours.third + ours.blind for ours in asked if ours)
            yield everything.but(windows=looks, answered=max(1, answered))


@pytest.fixture(scope="module")
def passed():
    """Those that pass, by their verdict."""
    weighed = [(weigh(everything)[0], everything) for everything in with_one_more()]
    return {verdict: [seen for found, seen in weighed if found is verdict] for verdict in (PROVED, LIKELY)}


def counted_on_the_old_key(one):
    """Whether the model's own count rose, or started again and shows any: said without the code under test."""
    if one.before is None or one.before.counts is None or one.now.counts is None:
        return False
    before, now = one.before.served(MODEL), one.now.served(MODEL)
    more = now.old > before.old or now.hidden > before.hidden or now.third > before.third
    return more or (one.now.total < one.before.total and now.old > 0)


def has_not_taken_the_change(one, seen):
    listed, is_known = one.now.throwaways, seen.had_change and one.before and not one.before.trouble
    has_barrier = bool(seen.barrier) and listed is not None and seen.barrier in listed
    lags = bool(seen.barrier) and listed is not None and seen.barrier not in listed
    cut_off = one.now.connected is False or one.now.state in ("out_of_sync", "never_loaded", "empty")
    is_behind = lags or (cut_off and not has_barrier and not is_known)
    return is_behind or bool({MODEL, NEW} & set(one.now.rejected)) or one.now.rejects_more


def test_no_green_light_that_proves_nothing_passes(passed):
    assert all(any(len(everything.windows) > 2 for everything in seen) for seen in passed.values())
    for everything in passed[PROVED] + passed[LIKELY]:
        assert everything.answer.passed
        assert everything.old_token_until is None
        assert everything.passes >= everything.wanted
        assert not any(has_not_taken_the_change(one, everything) for one in everything.windows)
        assert not any(map(counted_on_the_old_key, everything.windows))


def test_a_proof_needs_the_counters_of_every_replica_there_is(passed):
    for everything in passed[PROVED]:
        assert (bool(everything.windows), everything.too_few, everything.lost) == (True, "", 0)
        rises = [one.now.own[MODEL].new - one.before.own.get(MODEL, Served()).new for one in everything.windows]
        assert all(rises)
        assert sum(rises) == everything.answered
        for before, now in ((one.before, one.now) for one in everything.windows):
            assert now.served(MODEL).blind == before.served(MODEL).blind
            assert everything.others_remain or not now.served(UNNAMED).uses_old
            assert (now.trouble, now.state, now.rejects) == ("", "synced", 0)
            assert now.connected is not False
            assert now.total >= before.total


def test_likely_needs_the_change_to_have_been_seen_everywhere(passed):
    for everything in passed[LIKELY]:
        has = [bool(everything.barrier) and BARRIER in (one.now.throwaways or ()) for one in everything.windows]
        rose = [one.since.served(MODEL).new > 0 for one in everything.windows]
        assert not everything.too_few
        assert everything.projected or all(a or b for a, b in zip(has, rose, strict=True))
