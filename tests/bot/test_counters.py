"""What a gateway's `/metrics` page says: which key, which model, whose request, in each family that counts."""

import pytest

from bot.aisix.counters import (
    ATTEMPTS,
    EVENTS,
    FAILURES,
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
CHAT, STAR = "m_chat", "m_star"
ALIASES = {CHAT: "chat", STAR: "openai/*"}
MODELS = tuple(affected(id_, alias=alias) for id_, alias in ALIASES.items())
OLD = {"provider_key_id": "pk_old", "status": "200", "outcome": "success"}
NEW = {"provider_key_id": "pk_new", "status": "200", "outcome": "success"}
BARRIER = "keyturn-rabc123-7"


def line(value=1, name="aisix_llm_requests_total", **labels):
    told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def escaped(text):
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def read(*lines, models=MODELS, keys=KEYS, **more):
    return read_counters(Page("\n".join(lines) + "\n"), keys, models, **more)


def counts(*lines, **given_):
    return read(*lines, **given_)["counts"]


KEY_LABELS = [
    # what the labels tell of the key, what the request counts as
    ({"provider_key_id": "pk_old"}, Served(old=2)),
    ({"provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "pk_new", "provider_key_name": "OpenAI production"}, Served(old=2)),
    ({"provider_key_id": "pk_old", "outcome": "success", "is_fallback": "true"}, Served(old=2)),
    ({"provider_key_id": "pk_new", "outcome": "success", "status": "0"}, Served(new=2)),
    ({"provider_key_name": "OpenAI production (rabc123)", "status": "204"}, Served(new=2)),
    ({"provider_key_id": "pk_new", "outcome": "upstream_error", "status": "200"}, Served(failed=2)),
    ({"provider_key_id": "pk_new"}, Served(failed=2)),
    ({"provider_key_id": "pk_new", "status": "429"}, Served(limited=2)),
    ({"provider_key_id": "pk_new", "outcome": "success", "is_fallback": "true"}, None),
    ({"provider": "openai", "status": "200"}, Served(blind=2)),
    ({"provider_key_id": "", "status": "200"}, None),
    ({"provider_key_id": "unknown", "provider_key_name": "unknown"}, None),
    ({"provider_key_id": "pk_third", "provider_key_name": "OpenAI production (rabc123)"}, Served(third=2)),
    ({"provider_key_id": "PK_OLD"}, Served(third=2)),
]


@pytest.mark.parametrize(("labels", "served"), KEY_LABELS)
def test_the_labels_of_a_request_tell_which_key_served_it(labels, served):
    assert counts(line(2, model="chat", **labels)).get(CHAT) == served


MODEL_LABELS = [
    # the aliases of the models, what the labels tell of the model, which one it is; None: surely none of ours
    (ALIASES, {"model_id": CHAT, "model": "elsewhere"}, CHAT),
    (ALIASES, {"model_id": "m_other", "model": "chat"}, None),
    (ALIASES, {"model_id": "unknown", "model": "chat"}, CHAT),
    (ALIASES, {"requested_model": "chat"}, CHAT),
    (ALIASES, {"model": "chat", "requested_model": "any-router"}, CHAT),
    (ALIASES, {"model": "gpt-4o", "requested_model": "chat"}, CHAT),
    (ALIASES, {"model": "openai/*", "requested_model": "openai/gpt-4o"}, STAR),
    (ALIASES, {"requested_model": "openai/x\ny"}, STAR),
    (ALIASES, {"model": "any-router"}, UNNAMED),
    (ALIASES, {"model": "unknown"}, UNNAMED),
    (ALIASES, {"model": "chat", "requested_model": "openai/gpt-4o"}, UNNAMED),
    (ALIASES, {}, UNNAMED),
    (ALIASES, {"model": BARRIER, "model_id": "m_other"}, BARRIER),
    (ALIASES, {"requested_model": BARRIER}, BARRIER),
    (ALIASES, {"model": "openai/*", "requested_model": BARRIER}, STAR),
    (ALIASES, {"model": "keyturn-<script>"}, UNNAMED),
    ({CHAT: "openai/*", STAR: "*"}, {"model": "openai/gpt-4o"}, UNNAMED),
    ({CHAT: "openai/*", STAR: "*"}, {"model": "openai/*"}, CHAT),
    ({CHAT: "a[b].?*"}, {"model": "a[b].?c"}, CHAT),
    ({CHAT: "a[b].?*"}, {"model": "ab.xc"}, UNNAMED),
    ({CHAT: 'a\\b"c\nd{e="f",g} 5'}, {"model": 'a\\b"c\nd{e="f",g} 5'}, CHAT),
]


@pytest.mark.parametrize(("aliases", "labels", "model"), MODEL_LABELS)
def test_a_request_is_of_the_model_that_its_labels_name_and_no_use_of_the_old_key_is_let_fall(aliases, labels, model):
    found = read(line(3, **OLD, **labels), models=[affected(id_, alias=alias) for id_, alias in aliases.items()])

    assert found["counts"] == ({model: Served(old=3)} if model is not None else {})
    assert found["old"] == 3


def test_a_count_of_an_alias_that_two_models_share_counts_for_neither():
    twice = (affected("m1", alias="chat"), affected("m2", alias="chat"))

    assert counts(line(model="chat", **NEW), models=twice) == {UNNAMED: Served(new=1)}
    assert counts(line(model="chat", model_id="m2", **NEW), models=twice) == {"m2": Served(new=1)}


LIVE = [
    # the concrete names that lines tell, and which of them a wildcard alias was answered under with the old key
    (["openai/gpt-4o", "openai/gpt-4o"], ("openai/gpt-4o",)),
    (["openai/gpt-4o", "openai/o3", "openai/o4"], ("openai/gpt-4o", "openai/o3")),
    (["openai/*", "openai/<script>", "chat"], None),
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


@pytest.mark.parametrize("space", ["\u2028", "\x85", "\r"])
def test_an_unusual_line_separator_ends_no_line(space):
    forged = f'{space}aisix_llm_requests_total{{model="chat",provider_key_id="pk_new",status="200"}} 9'

    assert CHAT not in counts(line(1, model="router" + forged, **OLD))


FAMILIES = [
    # the family, what a line of it is to the model with the old key, and with the new one
    (REQUESTS, Served(old=2), Served(new=2)),
    (PROXY, None, None),
    (ATTEMPTS, Served(hidden=2), None),
    (EVENTS, Served(hidden=2), None),
    (SUCCESSES, None, Served(reached=2)),
    (FAILURES, None, Served(refused=2)),
    ("aisix_llm_requests_total_created", None, None),
    ("x_aisix_llm_requests_total", None, None),
]


@pytest.mark.parametrize(("family", "old", "new"), FAMILIES)
def test_each_family_counts_for_the_old_or_the_new_key_as_the_table_says(family, old, new):
    third = Served(third=2) if family in (REQUESTS, ATTEMPTS) else None

    for key, served in ((OLD, old), (NEW, new), ({"provider_key_id": "pk_third"}, third)):
        found = read("aisix_up 1", line(2, name=family, model="chat", **key))
        assert found["counts"].get(CHAT) == served
        assert found["hears_upstream"] is (family in (ATTEMPTS, SUCCESSES, FAILURES))


@pytest.mark.parametrize(("endpoint", "reached"), [("/v1/chat/completions", 0), ("/v1/embeddings", 2), ("chat", 0)])
def test_an_answer_reached_the_upstream_for_sure_where_no_cache_can_have_given_it(endpoint, reached):
    assert counts(line(2, model="chat", endpoint=endpoint, **NEW)).get(CHAT) == Served(new=2, reached=reached)


@pytest.mark.parametrize("kind", ["llm_requests", "proxy_requests", "deployment_requests", "usage_events_emitted"])
def test_no_family_that_hears_the_old_key_is_left_out(kind):
    found = read(line(2, name=f"aisix_{kind}_total", model="chat", **OLD))

    assert (found["old"], found["meters"], found["heard"]) == (2, {f"aisix_{kind}_total": 2}, {CHAT: 2})


def test_the_highest_family_count_is_the_usage_of_the_old_key():
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
def test_a_use_of_the_old_key_is_named_only_by_names_we_know(labels, name):
    assert read(line(3, name=PROXY, **OLD, **labels), aliases=("chat-any",))["heard"] == {name: 3}


GONE = {"provider_key_id": "unknown", "provider_key_name": "unknown", "status": "400"}


@pytest.mark.parametrize(
    ("family", "labels", "orphaned"),
    [
        (PROXY, GONE | PASSED_THROUGH, {PASSTHROUGH: 3}),
        (PROXY, GONE | {"model": "chat"}, {CHAT: 3}),
        (PROXY, GONE | {"model": "chat", "status": "404"}, {}),
        (PROXY, GONE | {"model": "somebody-elses"}, {}),
        (PROXY, OLD | {"model": "chat", "status": "400"}, {}),
        (REQUESTS, GONE | {"model": "chat"}, {}),
    ],
)
def test_a_request_that_is_refused_for_want_of_its_key_is_told_by_its_status_and_a_name_we_know(
    family, labels, orphaned
):
    assert read(line(3, name=family, **labels), aliases=("chat-any",))["orphaned"] == orphaned


def test_requests_to_throw_away_models_are_counted_apart_as_ours():
    rows = [
        line(2, model=BARRIER, api_key_id="ck-probe", **NEW),
        line(5, model="chat", api_key_id="ck-app", **NEW),
        line(2, model="chat", api_key_id="ck-probe", **NEW),
        line(model="keyturn-rother1-2", api_key_id="ck-other", **NEW),
        line(model=BARRIER, api_key_id="unknown", **OLD),
        line(model=BARRIER, api_key_id="<b>", **OLD),
    ]
    callers = Page("\n".join(rows) + "\n").callers("keyturn-rabc123-")
    found = read(*rows, callers=callers)

    assert callers == {"ck-probe"}
    assert read(*rows, callers=())["own"] is read(*rows, callers=("ck-probe", "ck-app"))["own"] is None
    assert (found["old"], found["total"]) == (2, 12)
    assert (found["counts"][CHAT], found["own"]) == (Served(new=7), {CHAT: Served(new=2), BARRIER: Served(new=2)})


def test_a_page_put_together_from_several_replicas_shows_no_counters():
    rows = [line(model="chat", instance=name, **NEW) for name in ("a:9090", "b:9090")]

    with pytest.raises(ValueError, match=r"^these are the counters of several replicas$"):
        Page("\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", None),
        ("<html>", None),
        ("# HELP other Counters.\nother 1\n", None),
        ("aisix_config_applied_revision 5\n", {}),
        ("# TYPE aisix_llm_requests_total counter\n", {}),
        ("other 1\naisix_proxy_in_flight_requests 0\n", {}),
    ],
)
def test_only_the_page_of_a_gateway_shows_counters_also_before_the_first_request(page, found):
    assert read_counters(Page(page), KEYS, MODELS)["counts"] == found


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "0.5", str(MOST), "many", ""])
def test_a_value_that_is_no_count_makes_the_page_useless(value):
    with pytest.raises(ValueError, match=r"^th"):
        read(line(1, model="chat", **NEW), line(value, model="elsewhere", **OLD))


@pytest.mark.parametrize(("value", "started"), [("NaN", None), ("1.7e9", 1.7e9)])
def test_the_start_of_the_process_is_read_if_it_is_a_time(value, started):
    assert read(line(value, name="process_start_time_seconds"), line())["started"] == started


@pytest.mark.parametrize("broken", ['{model="chat', '{model="chat"}', "{model} 1"])
def test_a_broken_line_of_ours_makes_the_page_useless_and_is_not_quoted(broken):
    with pytest.raises(ValueError, match=r"^these are no counters$"):
        read(line(1, model="chat", **NEW), REQUESTS + broken)


@pytest.mark.parametrize("written", ["}}other{{\n{}", "\t{}", "{} 1700000000000", "{}\r", "{}.0", "{}e0"])
def test_a_count_is_read_however_it_is_written_and_whatever_is_beside_it(written):
    assert counts(written.format(line(4, model="chat", **OLD))) == {CHAT: Served(old=4)}


@pytest.mark.parametrize("prefix", ["", "keyturn-", "openai/", "chat"])
@pytest.mark.parametrize(
    "labels", [["model"], ["model_id", "requested_model"], ["provider_key_id", "endpoint", "model"]]
)
def test_no_text_of_the_metrics_is_kept_but_the_name_of_a_model_that_answered(labels, prefix):
    found = read(line(2, **(OLD | dict.fromkeys(labels, prefix + "zqXkLeak"))))

    assert found.pop("live") in ({}, {STAR: ("openai/zqXkLeak",)})
    assert "zqXkLeak" not in Replica(url="http://r:9090", at=NOW, **found).model_dump_json()
