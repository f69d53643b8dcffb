"""Reading answers whose shape no public text settles."""

import re
from datetime import UTC, datetime

import pytest

from bot.aisix.reading import (
    KeyNames,
    budgeted_keys,
    cache_policy,
    clone,
    identity,
    made_at,
    model,
    name_of,
    passthrough_route,
    provider_key,
    references,
    single,
)
from bot.rotation.likeness import difference
from tests.bot.values import key

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-11-23T13:00:00+01:00", NOON),
        ("2026-11-23T12:00:00", NOON),
        (NOON.timestamp(), NOON),
        ("yesterday", None),
        (None, None),
        (1e30, None),
    ],
)
def test_when_a_key_was_made_is_read_where_it_is_told_in_a_known_way(said, moment):
    assert made_at([{"id": "pk", "created_at": said}]) == ({"pk": moment} if moment else {})


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        ({"provider_key": {"id": "pk"}}, "pk"),
        ({"result": {"uuid": "pk"}}, "pk"),
        ({"payload": {"id": "pk"}, "status": {"code": 0, "message": "OK"}}, "pk"),
        ({"id": "pk", "data": {"id": "other"}}, "pk"),
        ([], None),
        ("text", None),
        ({"data": []}, None),
        ({"data": {}}, None),
    ],
)
def test_the_id_is_found_wherever_the_row_is_nested(body, id_):
    assert identity(single(body)) == id_


@pytest.mark.parametrize(
    ("row", "name"), [({"display_name": "a", "name": "b"}, "a"), ({"name": "b"}, "b"), ({"id": 7}, "7"), ({}, "")]
)
def test_a_row_is_called_by_its_best_name(row, name):
    assert name_of(row) == name


SHOWN = {
    "id": "pk_old",
    "display_name": "OpenAI production",
    "provider": "openai",
    "allowed_environments": ["prod"],
    "api_base": "https://x/v1",
    "adapter": "openai",
    "request": {"default_headers": {"x-a": "1"}},
    "strip_headers": ["cookie"],
    "tls": {"verify": False},
}


def test_every_setting_of_a_key_is_read_and_what_the_server_makes_is_not():
    made = {
        "created_at": "2026", "updated_by": "U", "telemetry_tags": {}, "cost": 1, "version": 3, "model_count": 2,
        "organization_id": "o", "status": "active", "key_fingerprint": "ab12", "secret_last4": "cdef",
        "api_key": "***", "credential": "x", "masked": "sk-…",
    }  # fmt: skip
    read = provider_key(SHOWN | made)

    assert set(read.settings) == {"api_base", "adapter", "request", "strip_headers", "tls"}
    assert (read.base_url, read.adapter) == ("https://x/v1", "openai")


@pytest.mark.parametrize(
    ("field", "allowed", "read"),
    [
        ("allowed_environments", ["prod"], ("prod",)),
        ("allowed_environment_ids", [{"id": "prod", "name": "production"}], ("prod",)),
        ("allowed_environments", True, ()),
        ("allowed_environments", "all", ()),
        ("allowed_environments", {"all": True}, ()),
    ],
)
def test_allowed_environments_are_read_however_they_are_written_and_none_is_invented(field, allowed, read):
    assert provider_key({"id": "pk", field: allowed}).allowed_environments == read


def test_a_clone_has_every_setting_and_is_allowed_where_it_is_needed():
    body = clone(provider_key(SHOWN), name="new", environments=["stag"])

    assert body == {
        **{name: SHOWN[name] for name in ("provider", "api_base", "adapter", "request", "strip_headers", "tls")},
        "display_name": "new",
        "allowed_environments": ["prod", "stag"],
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, None),
        ({"provider": "azure"}, "provider"),
        ({"api_base": None}, "api_base"),
        ({"tls": {"verify": False, "ca_cert": None}}, None),
        ({"tls": None}, "tls"),
        ({"request": {"default_headers": {"x-a": "2"}}}, "request"),
        ({"new_thing": 1}, "new_thing"),
        ({"id": "pk_new", "display_name": "other", "created_at": "2027", "allowed_environments": ["stag"]}, None),
    ],
)
def test_a_difference_is_named_and_what_has_to_differ_is_none(change, named):
    assert difference(provider_key(SHOWN), provider_key(SHOWN | change)) == named


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ({"provider_key": {"id": "pk", "display_name": "n"}}, "pk"),
        ({"provider_key": {"display_name": "n"}}, "n"),
        ({"provider_key_name": "n"}, "n"),
        ({"provider_key_id": None, "provider_key": "n"}, "n"),
        ({"provider_key_id": ""}, None),
    ],
)
def test_a_model_refers_to_its_key_however_it_is_written(row, reference):
    assert model({"id": "m"} | row, "prod").provider_key == reference


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"kind": "semantic"}, "semantic"),
        ({"routing": {"targets": [{}]}}, "routing"),
        ({"ensemble": {"panel": [{}]}}, "ensemble"),
        ({"embedding": None}, "direct"),
        ({"kind": "direct", "embedding": {"dimensions": 3}}, "embedding"),
        ({"kind": "routing", "embedding": {"dimensions": 3}}, "routing"),
    ],
)
def test_a_kind_is_read_or_seen_by_its_section(row, kind):
    assert model({"id": "m"} | row, "prod").kind == kind


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"routing": {"targets": [{"model": "a"}, {"model": "b"}]}}, {("target", "a"), ("target", "b")}),
        ({"routing": {"targets": ["a"]}}, {("target", "a")}),
        ({"routing": {"targets": [{"model": {"id": "a"}, "weight": 3, "tags": ["chat"]}]}}, {("target", "a")}),
        ({"semantic": {"routes": [{"name": "s", "target": "r", "examples": ["b"]}]}}, {("route", "r"), ("route", "s")}),
        ({"ensemble": {"panel": [{"model": "a"}], "judge": {"model": "b"}}}, {("panel", "a"), ("judge", "b")}),
        ({"semantic": {"embedding_model": "e"}}, {("embedding model", "e")}),
        ({"semantic": {"default": {"target": "d"}}}, {("default", "d")}),
        ({"semantic": {"on_embedding_failure": {"target": "f"}}}, {("default", "f")}),
        ({"semantic": {"on_embedding_failure": "fail", "match": {"threshold": 1}}}, set()),
        ({"targets": [{"model": "a"}]}, {("target", "a")}),
        ({"model_name": "gpt-4o", "provider_key_id": "pk", "display_name": "x"}, set()),
    ],
)  # fmt: skip
def test_references_are_read_with_their_role(row, expected):
    assert set(references(row)) == expected


def test_a_cache_policy_is_a_dependent_alias_and_holds_no_key():
    read = cache_policy({"id": "c", "display_name": "near", "semantic": {"embedding_model": "e"}}, "prod")

    assert (read.alias, read.kind, read.provider_key) == ("near", "semantic cache policy", None)
    assert read.refers_to == (("embedding model", "e"),)


@pytest.mark.parametrize("row", [{"provider_key_id": "pk"}, {"credential": {"provider_key_id": "pk"}}])
def test_a_route_holds_its_key_at_the_top_or_in_a_section(row):
    assert passthrough_route({"id": "r", "display_name": "raw"} | row, "prod").provider_key == "pk"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"scope_type": "provider_key", "target_id": "pk"}, ("pk",)),
        ({"provider_key_id": "pk"}, ("pk",)),
        ({"scope": "environment", "scope_id": "prod"}, ()),
        ({"scope": "provider_key"}, ()),
    ],
)
def test_a_budget_names_the_key_it_is_set_on(row, expected):
    assert budgeted_keys([row]) == expected


SEVEN, EIGHT = key("7", "OpenAI production"), key("8", "OpenAI staging")
LONG = key("3f0c9a3e-77aa-4be1-9d6a-0a4f2f6a7c11", "Batch")
NAMES = KeyNames([SEVEN, EIGHT, LONG])


@pytest.mark.parametrize(
    "row",
    [
        {"provider_key_id": 7},
        {"provider_key": {"id": 7}},
        {"provider_key_ids": "5, 7"},
        {"fallback": {"provider_key_id": "7"}},
        {"fallback": [{"provider": {"key": {"id": 7}}}]},
        {"fallback": 7},
        {"keys": {"7": {"weight": 50}}},
        {"auth": "provider_keys/7"},
        {"auth": "https://cp.example/api/provider_keys/7?expand=models"},
        {"template": "Bearer ${provider_key(7)}"},
        {"provider_key": " openai production"},
        {"fallback": {"credential": ["OpenAI production"]}},
        {"keys": {"OpenAI production": {"weight": 50}}},
        {"auth": "provider_keys/OpenAI%20production"},
        {"auth": "provider_keys/OpenAI production/secret"},
    ],
    ids=str,
)
def test_a_reference_to_a_key_is_seen_wherever_it_stands(row):
    for shown in (row, {"semantic": [row]}, {"id": "m", "display_name": "a", "provider_key_name": "other"} | row):
        assert NAMES.mentioned(shown) == ("7",)


@pytest.mark.parametrize(
    "row", [{"routing": {"credentials": [LONG.id.upper()]}}, {"extra": {LONG.id: True}}, {"note": f"to {LONG.id}."}]
)
def test_an_id_that_is_no_bare_number_is_seen_in_any_place(row):
    assert NAMES.mentioned(row) == (LONG.id,)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "7", "display_name": "OpenAI production", "environment_id": 7},
        {"model_name": "gpt-4/7", "upstream_model": "OpenAI production"},
        {"routing": {"targets": [{"model_id": 7, "weight": 7, "priority": 7}], "retries": 7}},
        {"timeout": 7, "max_tokens": 7, "rate_limit": {"rpm": 7}},
        {"provider_key_id": "77", "auth": "provider_keys/17"},
        {"provider_key": "OpenAI"},
    ],
    ids=str,
)
def test_what_only_looks_like_a_reference_is_none(row):
    assert NAMES.mentioned(row) == ()


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("OpenAI production", "OpenAI production"),
        ("openai production ", "7"),
        ("https://cp.example/api/provider_keys/8", "8"),
        (LONG.id.upper(), LONG.id),
        ("somebody else's", "somebody else's"),
        (None, None),
    ],
)
def test_the_own_key_of_a_model_is_known_by_other_words_too(reference, expected):
    assert NAMES.resolved(reference) == expected


def test_a_reference_that_could_mean_two_keys_means_none_of_them_for_sure():
    names = KeyNames([key("pk_1", "Case"), key("pk_2", "CASE")])

    assert names.resolved("case") == "case"
    assert names.resolved("CASE") == "CASE"
    assert names.mentioned({"provider_key": "case"}) == ("pk_1", "pk_2")


@pytest.mark.parametrize(
    "shown",
    [
        dict.fromkeys(
            ("api_key", "apiKey", "secret", "client_secret", "secret_hint", "credentials", "API_KEY_2"), "sk-…"
        ),
        {"auth": {"api_key": "sk-…abcd", "client_secret": "***"}},
    ],
)
def test_a_clone_never_holds_what_looks_like_a_secret_in_a_section_either(shown):
    body = clone(provider_key({"id": "pk"} | shown), name="n", environments=())

    assert not re.search("key|secret|cred", str(body), re.IGNORECASE)
