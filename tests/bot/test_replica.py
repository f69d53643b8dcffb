"""What a replica's pages say, however they are written, and what changed between two looks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aisix.pages import is_foreign, read_config, read_models
from bot.rotation.replica import UNNAMED, Replica, Served, host_of, rise
from tests.bot.values import NOW, affected

CHAT, STAR = "m_chat", "m_star"
MODELS = (affected(CHAT, alias="chat"), affected(STAR, alias="openai/*"))


# --- /status/config ---

MINE, YOURS, THEIRS = [f"{n}2345678-1234-1234-1234-123456789abc" for n in range(3)]


def config(**fields):
    return read_config({"state": "synced", "source": {"connected": True}, "rejected": []} | fields, (MINE, YOURS))


def test_a_replica_that_is_well_says_so():
    source, applied = {"connected": True, "observed_revision": 13}, {"apply_seq": 7, "applied_revision": 12}
    said = {"state": "synced", "connected": True, "apply_seq": 7, "revision": 12, "observed": 13}

    assert config(source=source, applied=applied) == said | {"rejects": 0, "rejected": (), "rejects_more": False}


@pytest.mark.parametrize(
    ("row", "named", "any_"),
    [
        # the row, which of ours it names, whether it may be about any
        ({"resource_kind": "models", "resource_id": MINE, "last_error": "no"}, (MINE,), False),
        ({"key": f"/aisix/{THEIRS}/models/{MINE}"}, (MINE,), False),
        ({MINE: "does not match the schema"}, (MINE,), False),
        ([MINE, YOURS], (MINE, YOURS), False),
        ({"resource_kind": "models", "resource_id": THEIRS}, (), False),
        ({"resource_kind": "models", "name": "chat-large"}, (), True),
        ({"resource_kind": "guardrails", "name": "chat-large"}, (), False),
        ({"kind": "ProviderKey", "name": "x"}, (), True),
        ({"last_error": "does not match the schema"}, (), True),
        (17, (), True),
        (json.loads("[" * 900 + "]" * 900), (), True),
    ],
)
def test_a_rejected_row_is_found_however_it_is_named(row, named, any_):
    found = config(rejected=[row])

    assert (found["rejects"], found["rejected"], found["rejects_more"]) == (1, named, any_)


@pytest.mark.parametrize(
    ("rejected", "count", "more"),
    [
        ({MINE: {"reason": "x"}, THEIRS: "y"}, 2, False),
        ([{"resource_id": THEIRS}] * 255, 255, False),
        ([{"resource_id": THEIRS}] * 256, 256, True),
        ("all of them", 1, True),
        (None, 0, False),
        ([], 0, False),
    ],
    ids=["by their ids", "a list", "a list as long as it gets", "a word that nobody understands", "none", "empty"],
)
def test_no_rejected_row_is_passed_over(rejected, count, more):
    found = config(rejected=rejected)

    assert (found["rejects"], found["rejects_more"]) == (count, more)


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        *(("state", value, "state") for value in (None, 7, "<b>", "SYNCED", "x" * 21, "synced\n")),
        *(("source", value, "connected") for value in (None, "etcd", {}, {"connected": "no"}, {"connected": 0})),
        *(("applied", value, "apply_seq") for value in (7, {"apply_seq": "7"}, {"apply_seq": -1}, {"apply_seq": True})),
    ],
)
def test_a_value_of_the_wrong_type_is_not_shown(field, value, part):
    assert config(**{field: value})[part] in ("", None)


@pytest.mark.parametrize(
    ("revision", "observed", "behind"), [(11, 12, True), (12, 12, False), (13, 12, False), (None, 12, False)]
)
def test_a_replica_that_has_heard_of_more_than_it_has_applied_is_behind(revision, observed, behind):
    assert look({}, revision=revision, observed=observed).is_behind is behind


MARKED = "zqXkLeak"


@given(st.dictionaries(st.sampled_from(["state", "source", "rejected", "last_failure"]), st.just(MARKED)))
def test_no_text_of_a_status_page_is_kept(body):
    row = {"resource_kind": MARKED, "resource_id": MARKED, "last_error": MARKED, "display_name": f"keyturn-{MARKED}"}
    found = read_config({"rejected": [row, MINE]} | body, (MINE,)) | {"throwaways": read_models([row], "keyturn-")}

    assert MARKED not in Replica(url="http://r:9090", at=NOW, **found).model_dump_json()


# --- /status/models ---


def rows(*names):
    return [{"id": f"id-{name}", "display_name": name} for name in names]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (rows("chat", "keyturn-a-2", "keyturn-a-10", "keyturn-b-1"), ("keyturn-a-10", "keyturn-a-2")),
        (rows("keyturn-a-<b>", "keyturn-a-A", "keyturn-a-1\n"), ()),
        ([None, 3, {}, {"display_name": 3}, {"display_name": ["keyturn-a-1"]}], ()),
        ({"data": []}, None),
        (None, None),
    ],
    ids=["the rotation's own", "no name that a rotation gave", "no names", "no list", "nothing"],
)
def test_the_throw_away_models_of_the_rotation_are_found(body, found):
    assert read_models(body, "keyturn-a-") == found


@pytest.mark.parametrize(
    ("listed", "foreign"),
    [
        ([{"id": CHAT, "display_name": "chat"}], False),
        ([{"id": "m_elsewhere", "display_name": "chat"}], True),
        ([{"id": "m_elsewhere", "display_name": "another"}], False),
        ([{"id": CHAT, "display_name": "renamed"}], False),
        ([{"display_name": "chat"}], False),
        (None, False),
    ],
)
def test_a_list_with_our_alias_under_another_id_is_of_another_environment(listed, foreign):
    assert is_foreign(listed, MODELS) is foreign


# --- two looks ---


def look(counts_=None, **told):
    served = (counts_ or {}).values()
    old = sum(s.old for s in served)
    made = {"old": old, "meters": {"llm": old} if old else {}, "total": sum(map(sum, served)), "counts": counts_}
    return Replica(url="http://r:9090", at=NOW, **made | told)


OURS = {"callers": ("ck-1",), "own": {CHAT: Served(new=2)}}


def test_what_was_counted_between_two_looks_is_the_difference():
    before = look({CHAT: Served(old=5, new=1, failed=1), STAR: Served(old=2)}, **OURS)
    counts, own = {CHAT: Served(old=5, new=4, failed=2), STAR: Served(old=2)}, {CHAT: Served(new=5)}
    since = rise(before, look(counts, **OURS | {"own": own}))

    assert since.counts == {CHAT: Served(new=3, failed=1)}
    assert (since.old, since.total) == (0, 4)
    assert (since.asked(CHAT), since.asked(STAR)) == (Served(new=3), Served())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, look({CHAT: Served(new=1)})),
        (look(None), look({CHAT: Served(new=1)})),
        (look({CHAT: Served(new=1)}), look(None)),
        (look({CHAT: Served(old=4)}, meters={}), look({CHAT: Served(old=4)})),
    ],
    ids=["no look", "no counters before", "no counters now", "one family only, by an earlier version"],
)
def test_with_no_counters_in_either_look_nothing_is_known(before, after):
    since = rise(before, after)

    assert (since.counts, since.served(CHAT), since.old, since.total) == (None, Served(), 0, 0)


RESTARTS = {
    "fewer requests": (look({CHAT: Served(old=9)}), look({CHAT: Served(old=2, new=3)})),
    "fewer on the old key, more in all": (look({CHAT: Served(old=9)}), look({CHAT: Served(old=2, new=30)})),
    "fewer with the replacement": (look({CHAT: Served(new=2)}), look({CHAT: Served(old=1), STAR: Served(new=9)})),
    "a model less": (look({STAR: Served(old=1)}), look({CHAT: Served(old=5, new=1)})),
    "a family less": (look({}, meters={"llm": 3, "deployment": 3}, old=3), look({}, meters={"llm": 3}, old=3)),
    "another start": (look({}, started=1.0), look({CHAT: Served(old=1)}, started=2.0)),
    "fewer configurations": (look({}, apply_seq=9), look({CHAT: Served(old=1)}, apply_seq=1)),
    "an older configuration": (look({}, revision=9), look({CHAT: Served(old=1)}, revision=8)),
}


@pytest.mark.parametrize(("before", "after"), RESTARTS.values(), ids=RESTARTS)
def test_counters_that_were_reset_count_in_full(before, after):
    assert after.restarted_since(before)
    assert rise(before, after) == after


def test_counters_that_went_on_were_not_reset():
    before = look({CHAT: Served(old=9)}, started=1.0, apply_seq=3)

    assert not look({CHAT: Served(old=9, new=1)}, started=1.0, apply_seq=4).restarted_since(before)
    assert not look({CHAT: Served(old=9, new=1)}).restarted_since(before)
    assert not before.restarted_since(before)


all_served = st.builds(Served, *[st.integers(0, 5)] * 9)
looks = st.builds(look, st.none() | st.dictionaries(st.sampled_from([CHAT, STAR, UNNAMED]), all_served))


@given(looks, looks)
def test_a_rise_is_never_negative_never_more_than_what_is_shown_and_hides_no_use_of_the_old_key(before, after):
    since = rise(before, after)

    assert since.total >= since.old >= 0
    for model, served in (since.counts or {}).items():
        assert all(0 <= rose <= shown for rose, shown in zip(served, after.served(model), strict=True))
    if None not in (before.counts, after.counts):
        assert since.served(CHAT).old >= after.served(CHAT).old - before.served(CHAT).old


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, OURS), (OURS, {"callers": ("ck-1",), "own": None}), (OURS, OURS | {"callers": ("ck-2",)})],
    ids=["not told before", "not told now", "told by another caller key"],
)
def test_our_test_requests_are_not_told_where_one_look_does_not_tell_them_like_the_other(before, after):
    assert rise(look({}, **before), look({}, **after)).asked(CHAT) is None


def test_each_family_that_hears_the_old_key_is_listened_to_by_itself():
    before = look({}, meters={"llm": 100, "deployment": 90}, old=100, heard={"chat": 190})
    since = rise(before, look({}, meters={"llm": 100, "deployment": 95}, old=100, heard={"chat": 195}))

    assert (since.old, since.heard) == (5, {"chat": 5})


def test_a_look_is_the_same_after_it_was_stored_and_one_of_an_earlier_version_is_read():
    stored = look({CHAT: Served(*range(1, 10))}, started=1.5, apply_seq=3, connected=True, heard={"chat": 2}, **OURS)
    earlier = '{"url":"http://r:9090","at":"2026-11-23T14:02:00Z","counts":{"m_chat":[1,2,3,4]},"old":1,"total":10}'

    assert Replica.model_validate_json(stored.model_dump_json()) == stored
    assert Replica.model_validate_json(earlier).served(CHAT) == Served(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://user:hunter2@replica-1:9090/a/b?token=hunter3#hunter4", "replica-1:9090"),
        ("http://a@hunter2@replica-1", "replica-1"),
        ("http://[::1]:9090", "[::1]:9090"),
        ("http://[hunter2", "a status address"),
        ("hunter2", "a status address"),
    ],
)
def test_a_replica_is_named_by_its_host_and_nothing_else(url, name):
    assert host_of(url) == Replica(url=url, at=NOW).name == name
