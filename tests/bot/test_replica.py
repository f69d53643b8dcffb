"""What a replica's pages say, however they are written, and what changed between two looks."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.replica import (
    MOST,
    UNNAMED,
    Keys,
    Replica,
    Served,
    host_of,
    is_foreign,
    read_config,
    read_counters,
    read_models,
    rise,
)
from tests.bot.values import NOW, affected, later

KEYS = Keys(frozenset({"pk_old", "OpenAI production"}), frozenset({"pk_new", "OpenAI production (rabc123)"}))
CHAT, STAR, OTHER = "m_chat", "m_star", "m_other"
MODELS = (affected(CHAT, alias="chat"), affected(STAR, alias="openai/*"))
OLD = {"provider_key_id": "pk_old", "status": "200", "outcome": "success"}
NEW = {"provider_key_id": "pk_new", "status": "200", "outcome": "success"}
BARRIER = "keyturn-rabc123-7"


def line(value=1, name="aisix_llm_requests_total", **labels):
    told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def escaped(text):
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def read(*lines, models=MODELS, keys=KEYS):
    return read_counters("\n".join(lines) + "\n", keys, models)


def counts(*lines, **given_):
    return read(*lines, **given_)["counts"]


# --- /metrics: which key, which model ---

KEY_LABELS = [
    # what the labels tell of the key, what the request counts as
    ({"provider_key_id": "pk_old"}, Served(old=2)),
    ({"provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "pk_old", "provider_key_name": "renamed"}, Served(old=2)),
    ({"provider_key_id": "row-7", "provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "pk_new", "provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "unknown", "provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "pk_new", "outcome": "success"}, Served(new=2)),
    ({"provider_key_id": "pk_new", "status": "200"}, Served(new=2)),
    ({"provider_key_id": "pk_new", "outcome": "success", "status": "0"}, Served(new=2)),
    ({"provider_key_name": "OpenAI production (rabc123)", "status": "204"}, Served(new=2)),
    ({"provider_key_id": "pk_new", "outcome": "upstream_error", "status": "502"}, Served(failed=2)),
    ({"provider_key_id": "pk_new", "status": "429"}, Served(failed=2)),
    ({"provider_key_id": "pk_new"}, Served(failed=2)),
    ({}, Served(blind=2)),
    ({"provider": "openai", "status": "200"}, Served(blind=2)),
    ({"provider_key_id": "", "status": "200"}, None),
    ({"provider_key_id": "unknown", "provider_key_name": "unknown"}, None),
    ({"provider_key_id": "pk_third", "status": "200"}, None),
    ({"provider_key_id": "pk_third", "provider_key_name": "OpenAI production (rabc123)"}, None),
]


@pytest.mark.parametrize(("labels", "served"), KEY_LABELS)
def test_a_request_counts_as_its_labels_tell_of_the_key(labels, served):
    assert counts(line(2, model="chat", **labels)).get(CHAT) == served


MODEL_LABELS = [
    # what the labels tell of the model, which one it is; None: surely none of ours
    ({"model_id": CHAT}, CHAT),
    ({"model_id": CHAT, "model": "elsewhere"}, CHAT),
    ({"model_id": OTHER, "model": "chat"}, None),
    ({"model_id": "", "model": "chat"}, CHAT),
    ({"model_id": "unknown", "model": "chat"}, CHAT),
    ({"model": "chat"}, CHAT),
    ({"requested_model": "chat"}, CHAT),
    ({"model": "chat", "requested_model": "any-router"}, CHAT),
    ({"model": "gpt-4o", "requested_model": "chat"}, CHAT),
    ({"model": "openai/*", "requested_model": "openai/gpt-4o"}, STAR),
    ({"model": "openai/*"}, STAR),
    ({"model": "openai/gpt-4o"}, STAR),
    ({"requested_model": "openai/gpt-4o"}, STAR),
    ({"model_id": STAR, "requested_model": "openai/gpt-4o"}, STAR),
    ({"model": "openai/x\ny"}, STAR),
    ({"model": "any-router"}, UNNAMED),
    ({"model": "unknown"}, UNNAMED),
    ({"model": "chat", "requested_model": "openai/gpt-4o"}, UNNAMED),
    ({}, UNNAMED),
    ({"model": BARRIER}, BARRIER),
    ({"model": BARRIER, "model_id": OTHER}, BARRIER),
    ({"requested_model": BARRIER}, BARRIER),
    ({"model": "openai/*", "requested_model": BARRIER}, STAR),
    ({"model": "keyturn-<script>"}, UNNAMED),
    ({"model": "keyturn-" + "a" * 100}, UNNAMED),
]


@pytest.mark.parametrize(("labels", "model"), MODEL_LABELS)
def test_a_request_is_of_the_model_that_its_labels_name(labels, model):
    assert counts(line(3, **OLD, **labels)) == ({model: Served(old=3)} if model is not None else {})


def test_an_old_count_is_never_let_fall_whatever_the_model():
    lines = [line(3, **OLD, **labels) for labels, _ in MODEL_LABELS]

    assert read(*lines)["old"] == 3 * len(MODEL_LABELS)


def test_an_alias_that_two_models_share_speaks_for_neither_of_them():
    twice = (affected("m1", alias="chat"), affected("m2", alias="chat"))

    assert counts(line(model="chat", **NEW), models=twice) == {UNNAMED: Served(new=1)}
    assert counts(line(model="chat", model_id="m2", **NEW), models=twice) == {"m2": Served(new=1)}


def test_a_name_that_two_wildcards_answer_for_speaks_for_neither_of_them():
    stars = (affected("m1", alias="openai/*"), affected("m2", alias="*"))

    assert counts(line(model="openai/gpt-4o", **NEW), models=stars) == {UNNAMED: Served(new=1)}
    assert counts(line(model="openai/*", **NEW), models=stars) == {"m1": Served(new=1)}


def test_only_the_star_of_an_alias_stands_for_other_characters():
    star = (affected("m1", alias="a[b].?*"),)

    assert counts(line(model="a[b].?c", **NEW), models=star) == {"m1": Served(new=1)}
    assert counts(line(model="ab.xc", **NEW), models=star) == {UNNAMED: Served(new=1)}


def test_an_alias_that_is_the_id_of_another_model_is_not_mistaken_for_it():
    crossed = (affected("m1", alias="m2"), affected("m2", alias="chat"))

    assert counts(line(model="m2", **OLD), models=crossed) == {"m1": Served(old=1)}


def test_what_differs_in_other_labels_is_added_up():
    found = read(
        line(2, model="chat", endpoint="/v1/chat", **OLD),
        line(3, model="chat", endpoint="/v1/messages", **NEW),
        line(4, model="chat", status="500", outcome="upstream_error", provider_key_id="pk_new"),
        line(5, model="chat", status="200"),
        line(6, model="chat", provider_key_id="unknown"),
    )

    assert found["counts"] == {CHAT: Served(old=2, new=3, failed=4, blind=5)}
    assert (found["old"], found["total"]) == (2, 20)


def test_label_values_are_read_as_they_were_meant():
    alias = 'a\\b"c\nd{e="f",g} 5'

    assert counts(line(7, model=alias, **OLD), models=(affected(CHAT, alias=alias),)) == {CHAT: Served(old=7)}


@pytest.mark.parametrize("space", ["\u2028", "\x85", "\x0b", "\x1c", "\r"])
def test_a_character_that_some_take_for_the_end_of_a_line_is_none(space):
    forged = f'{space}aisix_llm_requests_total{{model="chat",provider_key_id="pk_new",status="200"}} 9'

    assert CHAT not in counts(line(1, model="router" + forged, **OLD))


# --- /metrics: what it is, and what it is not ---


@pytest.mark.parametrize("page", ["", "\n", "<html>", "up 1\n", '{"a": 1}', "# HELP other Counters.\nother 1\n"])
def test_a_page_that_is_no_gateways_shows_no_counters(page):
    assert read_counters(page, KEYS, MODELS)["counts"] is None


@pytest.mark.parametrize(
    "page",
    [
        "aisix_config_applied_revision 5\n",
        "# TYPE aisix_llm_requests_total counter\n",
        "# HELP aisix_llm_requests_total Requests.\n",
        "other 1\naisix_proxy_in_flight_requests 0\n",
    ],
)
def test_a_gateway_that_nobody_has_asked_yet_has_counted_nothing(page):
    assert read_counters(page, KEYS, MODELS)["counts"] == {}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "0.5", "1e300", str(MOST), "many", "", "0x10"])
def test_a_value_that_is_no_count_makes_the_page_useless(value):
    with pytest.raises(ValueError, match=r"^th"):
        read(line(1, model="chat", **NEW), line(value, model="elsewhere", **OLD))


@pytest.mark.parametrize(("value", "count"), [("1.0", 1), ("1e3", 1000), ("0", 0), (str(MOST - 1), MOST - 1)])
def test_a_count_may_be_written_as_a_float(value, count):
    assert read(line(value, model="chat", **NEW))["total"] == count


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_start_that_is_no_time_is_not_told(value):
    assert read(line(value, name="process_start_time_seconds"))["started"] is None


def test_the_start_of_the_process_is_read():
    assert read("process_start_time_seconds 1.7e9", line())["started"] == 1.7e9


@pytest.mark.parametrize(
    "broken",
    [
        'aisix_llm_requests_total{model="chat',
        'aisix_llm_requests_total{model="chat"}',
        "aisix_llm_requests_total{",
        "aisix_llm_requests_total{model} 1",
        'aisix_llm_requests_total{="x"} 1',
    ],
)
def test_a_broken_line_of_ours_makes_the_page_useless_and_is_not_quoted(broken):
    with pytest.raises(ValueError, match=r"^these are no counters$"):
        read(line(1, model="chat", **NEW), broken)


def test_a_broken_line_of_others_does_no_harm():
    assert counts("other{", "}{", line(1, model="chat", **NEW)) == {CHAT: Served(new=1)}


@pytest.mark.parametrize("written", [" {}", "\t{}", "{} 1700000000000", "{}\r", "{} "])
def test_blanks_and_timestamps_do_not_hide_a_count(written):
    assert counts(written.format(line(4, model="chat", **OLD))) == {CHAT: Served(old=4)}


@pytest.mark.parametrize(
    "name", ["aisix_llm_requests_total_created", "aisix_llm_requests", "x_aisix_llm_requests_total"]
)
def test_a_counter_of_another_name_is_not_ours(name):
    assert read(line(9, name=name, model="chat", **OLD))["old"] == 0


def test_a_long_page_is_read_in_a_moment():
    others = [f'aisix_llm_request_duration_seconds_bucket{{model="m{n % 500}",le="{n}"}} {n}' for n in range(200_000)]
    ours = [line(n, model=f"alias-{n % 500}", api_key_id=f"k{n}", **NEW) for n in range(3_000)]
    models = [affected(f"m{n}", alias=f"alias-{n}") for n in range(500)]
    began = time.perf_counter()
    found = read(*others, *ours, models=models)

    assert len(found["counts"]) == 500
    assert time.perf_counter() - began < 5


samples = st.builds(
    lambda labels, value, name: line(value, name=name, **labels),
    st.dictionaries(
        st.sampled_from(
            ["model", "model_id", "requested_model", "provider_key_id", "provider_key_name", "status", "x"]
        ),
        st.sampled_from(["chat", "openai/x", "pk_old", "pk_new", "200", BARRIER, "unknown", ""]) | st.text(max_size=6),
    ),
    st.integers(0, 9) | st.floats() | st.text(max_size=4),
    st.sampled_from(["aisix_llm_requests_total", "aisix_llm_requests_total", "process_start_time_seconds", "up"]),
)


@given(st.lists(samples | st.text(max_size=30), max_size=5).map("\n".join) | st.text())
def test_reading_counters_raises_nothing_but_a_value_error(page):
    try:
        found = read_counters(page, KEYS, MODELS)
    except ValueError:
        return

    Replica(url="http://r:9090", at=NOW, **found)


MARKED = "zqXkLeak"


@given(st.lists(st.sampled_from(["model", "model_id", "requested_model", "provider_key_id", "endpoint"]), unique=True))
def test_no_text_of_the_metrics_is_kept(names):
    for prefix in ("", "keyturn-", "openai/", "chat"):
        found = read(line(2, **(OLD | dict.fromkeys(names, prefix + MARKED))))
        assert MARKED not in Replica(url="http://r:9090", at=NOW, **found).model_dump_json()


# --- /status/config ---

UUIDS = [f"{n}2345678-1234-1234-1234-123456789abc" for n in range(3)]
MINE, YOURS, THEIRS = UUIDS


def config(**fields):
    return read_config({"state": "synced", "source": {"connected": True}, "rejected": []} | fields, (MINE, YOURS))


def test_a_replica_that_is_well_says_so():
    found = config(
        source={"connected": True, "observed_revision": 13}, applied={"apply_seq": 7, "applied_revision": 12}
    )

    assert (found["state"], found["connected"], found["apply_seq"]) == ("synced", True, 7)
    assert (found["revision"], found["observed"]) == (12, 13)
    assert (found["rejects"], found["rejected"], found["rejects_more"]) == (0, (), False)


REJECTIONS = [
    # the row, which of ours it names, whether it may be about any
    ({"resource_kind": "models", "resource_id": MINE, "last_error": "no"}, (MINE,), False),
    ({"id": YOURS, "kind": "provider_key", "serving": "last_known_good"}, (YOURS,), False),
    ({"key": f"/aisix/{THEIRS}/models/{MINE}"}, (MINE,), False),
    ({"key": f"/aisix/{THEIRS}/models/{THEIRS}"}, (), False),
    ({"resource": {"at": [{"id": MINE}]}}, (MINE,), False),
    ({MINE: "does not match the schema"}, (MINE,), False),
    (MINE, (MINE,), False),
    ([MINE, YOURS], (MINE, YOURS), False),
    ({"resource_kind": "models", "resource_id": THEIRS}, (), False),
    ({"resource_kind": "guardrails", "resource_id": "no-pii"}, (), False),
    ({"resource_kind": "models", "name": "chat-large"}, (), True),
    ({"resource_kind": "provider_keys"}, (), True),
    ({"kind": "ProviderKey", "name": "x"}, (), True),
    ({"last_error": "does not match the schema"}, (), True),
    ("a row", (), True),
    (None, (), True),
    (17, (), True),
    ({}, (), True),
]


@pytest.mark.parametrize(("row", "named", "any_"), REJECTIONS)
def test_a_rejected_row_is_found_however_it_is_named(row, named, any_):
    found = config(rejected=[row])

    assert (found["rejects"], found["rejected"], found["rejects_more"]) == (1, named, any_)


def test_rejected_rows_may_stand_by_their_id():
    found = config(rejected={MINE: {"reason": "x"}, THEIRS: "y"})

    assert (found["rejects"], found["rejected"]) == (2, (MINE,))


def test_a_list_that_is_as_long_as_it_gets_may_leave_out_any_row():
    assert config(rejected=[{"resource_id": THEIRS}] * 256)["rejects_more"]
    assert not config(rejected=[{"resource_id": THEIRS}] * 255)["rejects_more"]


@pytest.mark.parametrize("rejected", ["all of them", 3, True, {"": None}])
def test_a_word_of_rejections_that_nobody_understands_is_not_passed_over(rejected):
    assert config(rejected=rejected)["rejects"] == 1


@pytest.mark.parametrize("rejected", [None, [], {}, "", 0, False])
def test_nothing_rejected_is_nothing_rejected(rejected):
    assert config(rejected=rejected)["rejects"] == 0


@pytest.mark.parametrize("state", [None, "", 7, [], {"a": 1}, "<b>", "SYNCED", "synced!", "x" * 21, "synced\n"])
def test_a_state_that_is_no_word_is_not_told(state):
    assert config(state=state)["state"] == ""


@pytest.mark.parametrize("source", [None, "etcd", [], {}, {"connected": None}, {"connected": "no"}, {"connected": 0}])
def test_a_connection_that_is_not_told_is_not_guessed(source):
    assert config(source=source)["connected"] is None


@pytest.mark.parametrize("applied", [None, 7, {}, {"apply_seq": "7"}, {"apply_seq": -1}, {"apply_seq": True}])
def test_a_sequence_that_is_no_number_is_not_told(applied):
    assert config(applied=applied)["apply_seq"] is None


@pytest.mark.parametrize(
    ("revision", "observed", "behind"), [(11, 12, True), (12, 12, False), (13, 12, False), (None, 12, False)]
)
def test_a_replica_that_has_heard_of_more_than_it_has_applied_is_behind(revision, observed, behind):
    assert look({}, revision=revision, observed=observed).is_behind is behind


def test_a_page_that_is_no_document_says_nothing():
    assert read_config(None, (MINE,)) == read_config([], (MINE,)) == read_config("x", (MINE,)) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(UUIDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["state", "source", "applied", "rejected", "connected", "apply_seq", "kind", "display_name", "id"]
)
pages = json_values | st.dictionaries(fields, json_values | st.dictionaries(fields, json_values))


@given(pages)
def test_reading_a_status_page_never_raises(body):
    found = read_config(body, (MINE, YOURS))

    assert set(found.get("rejected", ())) <= {MINE, YOURS}
    read_models(body, "keyturn-")
    read_models([body], "keyturn-")
    is_foreign(body, MODELS)
    is_foreign([body], MODELS)
    Replica(url="http://r:9090", at=NOW, **found)


def test_a_page_that_is_nested_without_end_does_not_end_us():
    deep = json.loads("[" * 900 + "]" * 900)

    assert config(rejected=[deep])["rejects_more"]


@given(st.dictionaries(st.sampled_from(["state", "source", "rejected", "last_failure"]), st.just(MARKED)))
def test_no_text_of_a_status_page_is_kept(body):
    row = {"resource_kind": MARKED, "resource_id": MARKED, "last_error": MARKED, "display_name": f"keyturn-{MARKED}"}
    found = read_config({"rejected": [row, MINE]} | body, (MINE,)) | {"throwaways": read_models([row], "keyturn-")}

    assert MARKED not in Replica(url="http://r:9090", at=NOW, **found).model_dump_json()


# --- /status/models ---


def rows(*names):
    return [{"id": f"id-{name}", "display_name": name} for name in names]


def test_the_throw_away_models_of_the_rotation_are_found():
    listed = rows("chat", "keyturn-rabc123-2", "keyturn-rabc123-10", "keyturn-rother-1")

    assert read_models(listed, "keyturn-rabc123-") == ("keyturn-rabc123-10", "keyturn-rabc123-2")


@pytest.mark.parametrize("body", [None, {}, {"data": []}, "x", 3])
def test_what_is_no_list_lists_nothing(body):
    assert read_models(body, "keyturn-") is None


@pytest.mark.parametrize("body", [[], [None, 3, "x", {}], [{"display_name": 3}], [{"display_name": ["keyturn-1"]}]])
def test_a_list_without_throw_away_models_has_none(body):
    assert read_models(body, "keyturn-") == ()


@pytest.mark.parametrize("name", ["keyturn-<b>", "keyturn-A", "keyturn-", "keyturn-1 2", "keyturn-1\n"])
def test_a_name_that_no_rotation_gave_is_not_kept(name):
    assert read_models(rows(name), "keyturn-") == ()


@pytest.mark.parametrize(
    ("listed", "foreign"),
    [
        ([{"id": CHAT, "display_name": "chat"}], False),
        ([{"id": "m_elsewhere", "display_name": "chat"}], True),
        ([{"id": "m_elsewhere", "display_name": "another"}], False),
        ([{"id": CHAT, "display_name": "renamed"}], False),
        ([{"display_name": "chat"}], False),
        ([], False),
        (None, False),
    ],
)
def test_a_list_with_our_alias_under_another_id_is_of_another_environment(listed, foreign):
    assert is_foreign(listed, MODELS) is foreign


# --- two looks ---


def look(counts_=None, *, seconds=0, **told):
    served = (counts_ or {}).values()
    made = {"old": sum(s.old for s in served), "total": sum(map(sum, served)), "counts": counts_}
    return Replica(url="http://r:9090", at=later(seconds), **made | told)


def test_what_was_counted_between_two_looks_is_the_difference():
    before = look({CHAT: Served(old=5, new=1, failed=1), STAR: Served(old=2)})
    since = rise(before, look({CHAT: Served(old=5, new=4, failed=2), STAR: Served(old=2)}))

    assert since.counts == {CHAT: Served(new=3, failed=1)}
    assert (since.old, since.total) == (0, 4)


def test_a_model_that_was_not_counted_before_counts_in_full():
    assert rise(look({}), look({CHAT: Served(old=2)})).served(CHAT) == Served(old=2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, look({CHAT: Served(new=1)})),
        (look(None), look({CHAT: Served(new=1)})),
        (look({CHAT: Served(new=1)}), look(None)),
    ],
)
def test_with_no_counters_in_either_look_nothing_is_known(before, after):
    since = rise(before, after)

    assert since.counts is None
    assert since.served(CHAT) == Served()
    assert (since.old, since.total) == (0, 0)


RESTARTS = {
    "fewer requests": (look({CHAT: Served(old=9)}), look({CHAT: Served(old=2, new=3)})),
    "fewer on the old key, more in all": (look({CHAT: Served(old=9)}), look({CHAT: Served(old=2, new=30)})),
    "fewer with the replacement": (look({CHAT: Served(new=2)}), look({CHAT: Served(old=1), STAR: Served(new=9)})),
    "a model less": (look({STAR: Served(old=1)}), look({CHAT: Served(old=5, new=1)})),
    "another start": (look({}, started=1.0), look({CHAT: Served(old=1)}, started=2.0)),
    "fewer configurations": (look({}, apply_seq=9), look({CHAT: Served(old=1)}, apply_seq=1)),
    "an older configuration": (look({}, revision=9), look({CHAT: Served(old=1)}, revision=8)),
}


@pytest.mark.parametrize(("before", "after"), RESTARTS.values(), ids=RESTARTS)
def test_counters_that_began_anew_count_in_full(before, after):
    assert after.restarted_since(before)
    assert rise(before, after) == after


def test_counters_that_went_on_did_not_begin_anew():
    before = look({CHAT: Served(old=9)}, started=1.0, apply_seq=3)

    assert not look({CHAT: Served(old=9, new=1)}, started=1.0, apply_seq=4).restarted_since(before)
    assert not look({CHAT: Served(old=9, new=1)}).restarted_since(before)
    assert not before.restarted_since(before)


all_served = st.builds(Served, *[st.integers(0, 5)] * 4)
looks = st.builds(look, st.none() | st.dictionaries(st.sampled_from([CHAT, STAR, UNNAMED]), all_served))


@given(looks, looks)
def test_a_rise_is_never_negative_and_never_more_than_what_is_shown(before, after):
    since = rise(before, after)

    assert since.total >= since.old >= 0
    for model, served in (since.counts or {}).items():
        assert all(0 <= rose <= shown for rose, shown in zip(served, after.served(model), strict=True))


@given(looks, looks)
def test_old_counts_that_rose_are_in_the_rise(before, after):
    if None not in (before.counts, after.counts):
        more = after.served(CHAT).old - before.served(CHAT).old
        assert rise(before, after).served(CHAT).old >= more


def test_a_look_is_the_same_after_it_was_stored():
    stored = look({CHAT: Served(1, 2, 3, 4), BARRIER: Served(new=MOST - 1)}, started=1.5, apply_seq=3, connected=True)

    assert Replica.model_validate_json(stored.model_dump_json()) == stored


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://replica-1:9090", "replica-1:9090"),
        ("https://user:hunter2@replica-1:9090/a/b?token=hunter3#hunter4", "replica-1:9090"),
        ("http://a@hunter2@replica-1", "replica-1"),
        ("http://[::1]:9090", "[::1]:9090"),
        ("http://[hunter2", "a status address"),
        ("hunter2", "a status address"),
        ("", "a status address"),
    ],
)
def test_a_replica_is_named_by_its_host_and_nothing_else(url, name):
    assert host_of(url) == Replica(url=url, at=NOW).name == name
