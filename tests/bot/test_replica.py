"""What a replica's pages say, however they are written, and what changed between two looks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aisix.pages import is_foreign, read_config, read_models
from bot.rotation.replica import UNNAMED, Replica, Served, host_of, rise
from tests.bot.values import NOW, affected, later

CHAT, STAR = "m_chat", "m_star"
MODELS = (affected(CHAT, alias="chat"), affected(STAR, alias="openai/*"))
BARRIER = "keyturn-rabc123-7"


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
    ({MINE: "does not match the schema"}, (MINE,), False),
    (MINE, (MINE,), False),
    ([MINE, YOURS], (MINE, YOURS), False),
    ({"resource_kind": "models", "resource_id": THEIRS}, (), False),
    ({"resource_kind": "models", "name": "chat-large"}, (), True),
    ({"kind": "ProviderKey", "name": "x"}, (), True),
    ({"last_error": "does not match the schema"}, (), True),
    ("a row", (), True),
    (17, (), True),
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


def test_a_page_that_is_nested_without_end_does_not_end_us():
    deep = json.loads("[" * 900 + "]" * 900)

    assert config(rejected=[deep])["rejects_more"]


MARKED = "zqXkLeak"


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
    old = sum(s.old for s in served)
    made = {"old": old, "meters": {"llm": old} if old else {}, "total": sum(map(sum, served)), "counts": counts_}
    return Replica(url="http://r:9090", at=later(seconds), **made | told)


def test_what_was_counted_between_two_looks_is_the_difference():
    before = look({CHAT: Served(old=5, new=1, failed=1), STAR: Served(old=2)})
    since = rise(before, look({CHAT: Served(old=5, new=4, failed=2), STAR: Served(old=2)}))

    assert since.counts == {CHAT: Served(new=3, failed=1)}
    assert (since.old, since.total) == (0, 4)


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


all_served = st.builds(Served, *[st.integers(0, 5)] * 9)
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


OURS = {"callers": ("ck-1",), "own": {CHAT: Served(new=2)}}


def test_what_our_own_test_requests_counted_between_two_looks_is_the_difference():
    since = rise(
        look({CHAT: Served(new=7)}, **OURS), look({CHAT: Served(new=99)}, **OURS | {"own": {CHAT: Served(new=5)}})
    )

    assert since.asked(CHAT) == Served(new=3)
    assert since.asked(STAR) == Served()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, OURS),
        (OURS, {"callers": ("ck-1",), "own": None}),
        (OURS, OURS | {"callers": ("ck-2",)}),
    ],
    ids=["not told before", "not told now", "told by another caller key"],
)
def test_our_test_requests_are_not_told_where_one_look_does_not_tell_them_like_the_other(before, after):
    assert rise(look({}, **before), look({}, **after)).asked(CHAT) is None


def test_each_family_that_hears_the_old_key_is_listened_to_by_itself():
    before = look({}, meters={"llm": 100, "deployment": 90}, old=100, heard={"chat": 190})
    since = rise(before, look({}, meters={"llm": 100, "deployment": 95}, old=100, heard={"chat": 195}))

    assert (since.old, since.heard) == (5, {"chat": 5})


def test_a_family_that_has_vanished_is_a_beginning_and_hides_nothing():
    before = look({}, meters={"llm": 3, "deployment": 3}, old=3)

    assert look({}, meters={"llm": 3}, old=3).restarted_since(before)
    assert rise(before, look({}, meters={"llm": 3}, old=3)).old == 3


def test_a_look_of_a_version_that_read_one_family_only_is_no_beginning_to_count_from():
    assert rise(look({CHAT: Served(old=4)}, meters={}), look({CHAT: Served(old=4)})).counts is None


def test_a_look_is_the_same_after_it_was_stored():
    counted = {CHAT: Served(*range(1, 10)), BARRIER: Served(new=2**53 - 1)}
    stored = look(counted, started=1.5, apply_seq=3, connected=True, heard={"chat": 2}, **OURS)

    assert Replica.model_validate_json(stored.model_dump_json()) == stored


def test_a_look_that_an_earlier_version_stored_is_read():
    stored = '{"url":"http://r:9090","at":"2026-11-23T14:02:00Z","counts":{"m_chat":[1,2,3,4]},"old":1,"total":10}'

    assert Replica.model_validate_json(stored).served(CHAT) == Served(1, 2, 3, 4)


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
