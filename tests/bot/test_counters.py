"""What a gateway's `/metrics` page says: which key, which model, whose request, in each family that counts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aisix.counters import (
    ATTEMPTS,
    EVENTS,
    FAILURES,
    METERS,
    MOST,
    PROXY,
    REQUESTS,
    SUCCESSES,
    Page,
    read_counters,
)
from bot.rotation.ports import Keys
from bot.rotation.replica import OTHERS, PASSTHROUGH, UNNAMED, Replica, Served
from tests.bot.values import NOW, affected

KEYS = Keys(frozenset({"pk_old", "OpenAI production"}), frozenset({"pk_new", "OpenAI production (rabc123)"}))
CHAT, STAR, OTHER = "m_chat", "m_star", "m_other"
MODELS = (affected(CHAT, alias="chat"), affected(STAR, alias="openai/*"))
OLD = {"provider_key_id": "pk_old", "status": "200", "outcome": "success"}
NEW = {"provider_key_id": "pk_new", "status": "200", "outcome": "success"}
BARRIER = "keyturn-rabc123-7"
PREFIX = "keyturn-rabc123-"


def line(value=1, name="aisix_llm_requests_total", **labels):
    told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def escaped(text):
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def read(*lines, models=MODELS, keys=KEYS, **more):
    return read_counters(Page("\n".join(lines) + "\n"), keys, models, **more)


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
    ({"provider_key_id": "pk_new", "status": "429"}, Served(limited=2)),
    ({"provider_key_id": "pk_new", "outcome": "success", "is_fallback": "true"}, None),
    ({"provider_key_id": "pk_old", "outcome": "success", "is_fallback": "true"}, Served(old=2)),
    ({"provider_key_id": "pk_new"}, Served(failed=2)),
    ({}, Served(blind=2)),
    ({"provider": "openai", "status": "200"}, Served(blind=2)),
    ({"provider_key_id": "", "status": "200"}, None),
    ({"provider_key_id": "unknown", "provider_key_name": "unknown"}, None),
    ({"provider_key_id": "pk_third", "status": "200"}, Served(third=2)),
    ({"provider_key_id": "pk_third", "provider_key_name": "OpenAI production (rabc123)"}, Served(third=2)),
    ({"provider_key_id": "PK_OLD"}, Served(third=2)),
    ({"provider_key_name": "OpenAI production, renamed"}, Served(third=2)),
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
]


LIVE = [
    # the concrete names that lines tell, and which of them a wildcard alias was answered under with the old key
    (["openai/gpt-4o"], ("openai/gpt-4o",)),
    (["openai/gpt-4o", "openai/gpt-4o"], ("openai/gpt-4o",)),
    (["openai/gpt-4o", "openai/o3", "openai/o4"], ("openai/gpt-4o", "openai/o3")),
    (["openai/*"], None),
    (["openai/<script>"], None),
    (["chat"], None),
]


@pytest.mark.parametrize("label", ["requested_model", "model"])
@pytest.mark.parametrize(("names", "live"), LIVE)
def test_a_wildcard_is_in_use_under_the_names_that_are_told(label, names, live):
    lines = [line(1, **(OLD | {label: name, "status": str(200 + place)})) for place, name in enumerate(names)]

    assert read(*lines)["live"].get(STAR) == live


def test_only_what_the_old_key_answered_is_in_use():
    name = {"model": "openai/*", "requested_model": "openai/gpt-4o"}
    failed = OLD | {"status": "404", "outcome": "client_error"}

    assert read(line(3, **NEW, **name), line(3, **failed, **name), line(0, **OLD, **name))["live"] == {}
    assert read(line(3, **OLD, model=BARRIER), models=(affected(STAR, alias="*"),))["live"] == {}


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


# --- /metrics: each family ---

FAMILIES = [
    # the family, the key, what a line of it is to the model
    (REQUESTS, OLD, Served(old=2)),
    (PROXY, OLD, None),
    (ATTEMPTS, OLD, Served(hidden=2)),
    (EVENTS, OLD, Served(hidden=2)),
    (SUCCESSES, OLD, None),
    (FAILURES, OLD, None),
    (REQUESTS, NEW, Served(new=2)),
    (PROXY, NEW, None),
    (ATTEMPTS, NEW, None),
    (EVENTS, NEW, None),
    (SUCCESSES, NEW, Served(reached=2)),
    (FAILURES, NEW, Served(refused=2)),
    (REQUESTS, {"provider_key_id": "pk_third"}, Served(third=2)),
    (ATTEMPTS, {"provider_key_id": "pk_third"}, Served(third=2)),
    (PROXY, {"provider_key_id": "pk_third"}, None),
]


@pytest.mark.parametrize(("family", "key", "served"), FAMILIES)
def test_each_family_counts_what_it_counts(family, key, served):
    assert counts(line(2, name=family, model="chat", **key)).get(CHAT) == served


@pytest.mark.parametrize(
    ("endpoint", "served"),
    [
        ("/v1/chat/completions", Served(new=2)),
        ("/v1/responses", Served(new=2)),
        ("/v1/embeddings", Served(new=2, reached=2)),
        ("chat", Served(new=2)),
    ],
)
def test_an_answer_reached_the_upstream_for_sure_where_no_cache_can_have_given_it(endpoint, served):
    assert counts(line(2, model="chat", endpoint=endpoint, **NEW)).get(CHAT) == served


FAMILIES_THAT_HEAR = (
    "aisix_llm_requests_total", "aisix_proxy_requests_total", "aisix_deployment_requests_total",
    "aisix_usage_events_emitted_total",
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES_THAT_HEAR)
def test_no_family_that_hears_the_old_key_is_left_out(family):
    found = read(line(2, name=family, model="chat", **OLD))

    assert (found["old"], found["meters"], found["heard"]) == (2, {family: 2}, {CHAT: 2})


def test_the_old_key_was_used_as_often_as_the_family_says_that_counted_most():
    found = read(line(2, model="chat", **OLD), line(5, name=ATTEMPTS, model="chat", **OLD))

    assert (found["old"], found["heard"]) == (5, {CHAT: 7})


PASSED_THROUGH = {"endpoint": "/passthrough_route", "inbound_protocol": "passthrough", "model": "passthrough"}


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"model": "chat"}, CHAT),
        (PASSED_THROUGH | {"upstream_model": "unknown"}, PASSTHROUGH),
        ({"model": "chat-any"}, "chat-any"),
        ({"model": "somebody-elses"}, OTHERS),
        ({}, OTHERS),
    ],
)
def test_a_use_of_the_old_key_is_named_by_what_we_know_and_nothing_else(labels, name):
    assert read(line(3, name=PROXY, **OLD, **labels), aliases=("chat-any",))["heard"] == {name: 3}


GONE = {"provider_key_id": "unknown", "provider_key_name": "unknown", "status": "400"}


@pytest.mark.parametrize(
    ("family", "labels", "orphaned"),
    [
        (PROXY, GONE | PASSED_THROUGH, {PASSTHROUGH: 3}),
        (PROXY, GONE | {"model": "chat"}, {CHAT: 3}),
        (PROXY, GONE | {"model": "chat-any"}, {"chat-any": 3}),
        (PROXY, GONE | {"model": "unresolved", "status": "404"}, {}),
        (PROXY, GONE | {"model": "somebody-elses"}, {}),
        (PROXY, OLD | {"model": "chat", "status": "400"}, {}),
        (REQUESTS, GONE | {"model": "chat"}, {}),
    ],
)
def test_a_request_that_is_refused_for_want_of_its_key_is_told_by_its_status_and_a_name_we_know(
    family, labels, orphaned
):
    assert read(line(3, name=family, **labels), aliases=("chat-any",))["orphaned"] == orphaned


def test_a_page_tells_what_reached_the_upstream_only_where_it_has_such_a_family():
    assert not read(line(model="chat", **NEW))["hears_upstream"]
    assert read(line(name=SUCCESSES, model="chat", **NEW))["hears_upstream"]


# --- /metrics: whose request ---


def test_whoever_asks_for_our_throw_away_models_is_us():
    rows = [
        line(model=BARRIER, api_key_id="ck-probe", **NEW),
        line(model="chat", api_key_id="ck-app", **NEW),
        line(model="keyturn-rother1-2", api_key_id="ck-other", **NEW),
        line(model=BARRIER, api_key_id="unknown", **NEW),
        line(model=BARRIER, api_key_id="<b>", **NEW),
    ]

    assert Page("\n".join(rows) + "\n").callers(PREFIX) == {"ck-probe"}


def test_our_own_test_requests_are_counted_apart_from_those_of_callers():
    rows = [line(5, model="chat", api_key_id="ck-app", **NEW), line(2, model="chat", api_key_id="ck-probe", **NEW)]
    found = read(*rows, callers={"ck-probe"})

    assert (found["counts"], found["own"]) == ({CHAT: Served(new=7)}, {CHAT: Served(new=2)})


@pytest.mark.parametrize("callers", [(), ("ck-probe", "ck-app")])
def test_our_own_test_requests_are_not_told_without_one_caller_key_that_is_ours(callers):
    assert read(line(model="chat", api_key_id="ck-probe", **NEW), callers=callers)["own"] is None


def test_a_page_put_together_from_several_replicas_shows_no_counters():
    rows = [line(model="chat", instance=name, **NEW) for name in ("a:9090", "b:9090")]

    with pytest.raises(ValueError, match=r"^these are the counters of several replicas$"):
        Page("\n".join(rows) + "\n")


# --- /metrics: what it is, and what it is not ---


@pytest.mark.parametrize("page", ["", "\n", "<html>", "up 1\n", '{"a": 1}', "# HELP other Counters.\nother 1\n"])
def test_a_page_that_is_no_gateways_shows_no_counters(page):
    assert read_counters(Page(page), KEYS, MODELS)["counts"] is None


@pytest.mark.parametrize(
    "page",
    [
        "aisix_config_applied_revision 5\n",
        "# TYPE aisix_llm_requests_total counter\n",
        "other 1\naisix_proxy_in_flight_requests 0\n",
    ],
)
def test_a_gateway_that_nobody_has_asked_yet_has_counted_nothing(page):
    assert read_counters(Page(page), KEYS, MODELS)["counts"] == {}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "0.5", "1e300", str(MOST), "many", "", "0x10"])
def test_a_value_that_is_no_count_makes_the_page_useless(value):
    with pytest.raises(ValueError, match=r"^th"):
        read(line(1, model="chat", **NEW), line(value, model="elsewhere", **OLD))


@pytest.mark.parametrize(("value", "count"), [("1.0", 1), ("1e3", 1000), ("0", 0), (str(MOST - 1), MOST - 1)])
def test_a_count_may_be_written_as_a_float(value, count):
    assert read(line(value, model="chat", **NEW))["total"] == count


@pytest.mark.parametrize(("value", "started"), [("NaN", None), ("+Inf", None), ("1.7e9", 1.7e9)])
def test_the_start_of_the_process_is_read_if_it_is_a_time(value, started):
    assert read(line(value, name="process_start_time_seconds"), line())["started"] == started


@pytest.mark.parametrize(
    "broken",
    [
        'aisix_llm_requests_total{model="chat',
        'aisix_llm_requests_total{model="chat"}',
        "aisix_llm_requests_total{model} 1",
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
    began = time.process_time()
    found = read(*others, *ours, models=models)

    assert len(found["counts"]) == 500
    assert time.process_time() - began < 5


LABELS = ["model", "model_id", "requested_model", "provider_key_id", "provider_key_name", "status", "api_key_id", "pod"]
samples = st.builds(
    lambda labels, value, name: line(value, name=name, **labels),
    st.dictionaries(
        st.sampled_from(LABELS),
        st.sampled_from(["chat", "openai/x", "pk_old", "pk_new", "200", BARRIER, "unknown", ""]) | st.text(max_size=6),
    ),
    st.integers(0, 9) | st.floats() | st.text(max_size=4),
    st.sampled_from([REQUESTS, *METERS, SUCCESSES, FAILURES, "process_start_time_seconds", "up"]),
)


@given(st.lists(samples | st.text(max_size=30), max_size=5).map("\n".join) | st.text())
def test_reading_counters_raises_nothing_but_a_value_error(page):
    try:
        found = read_counters(Page(page), KEYS, MODELS)
    except ValueError:
        return

    Replica(url="http://r:9090", at=NOW, **found)


MARKED = "zqXkLeak"


@given(st.lists(st.sampled_from(["model", "model_id", "requested_model", "provider_key_id", "endpoint"]), unique=True))
def test_no_text_of_the_metrics_is_kept_but_the_name_of_a_model_that_answered(names):
    for prefix in ("", "keyturn-", "openai/", "chat"):
        found = read(line(2, **(OLD | dict.fromkeys(names, prefix + MARKED))))
        assert found.pop("live") in ({}, {STAR: (f"openai/{MARKED}",)})
        assert MARKED not in Replica(url="http://r:9090", at=NOW, **found).model_dump_json()
