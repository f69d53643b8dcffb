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


def id_in(body):
    return identity(single(body))


def made(said):
    return made_at([{"id": "pk", "created_at": said}]).get("pk")


def allowed(row):
    return provider_key({"id": "pk"} | row).allowed_environments


def key_of(row):
    return model({"id": "m"} | row, "prod").provider_key


def kind_of(row):
    return model({"id": "m"} | row, "prod").kind


def key_of_route(row):
    return passthrough_route({"id": "r"} | row, "prod").provider_key


def budgeted(row):
    return budgeted_keys([row])


def roles(row):
    return set(references(row))


FIELDS = [
    # what is read, the answer or the row, what it says
    (made, "2026-11-23T13:00:00+01:00", NOON),
    (made, "2026-11-23T12:00:00", NOON),
    (made, NOON.timestamp(), NOON),
    (made, "yesterday", None),
    (made, None, None),
    (made, 1e30, None),
    (id_in, {"data": {"id": "pk"}}, "pk"),
    (id_in, {"provider_key": {"id": "pk"}}, "pk"),
    (id_in, {"result": {"uuid": "pk"}}, "pk"),
    (id_in, {"payload": {"id": "pk"}, "status": {"code": 0, "message": "OK"}}, "pk"),
    (id_in, {"id": "pk", "data": {"id": "other"}}, "pk"),
    (id_in, "text", None),
    (id_in, {"data": []}, None),
    (id_in, {"data": {}}, None),
    (name_of, {"display_name": "a", "name": "b"}, "a"),
    (name_of, {"name": "b"}, "b"),
    (name_of, {"id": 7}, "7"),
    (name_of, {}, ""),
    (allowed, {"allowed_environments": ["prod"]}, ("prod",)),
    (allowed, {"allowed_environment_ids": [{"id": "prod", "name": "production"}]}, ("prod",)),
    (allowed, {"allowed_environments": True}, ()),
    (allowed, {"allowed_environments": "all"}, ()),
    (allowed, {"allowed_environments": {"all": True}}, ()),
    (key_of, {"provider_key": {"id": "pk", "display_name": "n"}}, "pk"),
    (key_of, {"provider_key": {"display_name": "n"}}, "n"),
    (key_of, {"provider_key_name": "n"}, "n"),
    (key_of, {"provider_key_id": None, "provider_key": "n"}, "n"),
    (key_of, {"provider_key_id": ""}, None),
    (kind_of, {"kind": "semantic"}, "semantic"),
    (kind_of, {"routing": {"targets": [{}]}}, "routing"),
    (kind_of, {"ensemble": {"panel": [{}]}}, "ensemble"),
    (kind_of, {"embedding": None}, "direct"),
    (kind_of, {"embedding": {"dimensions": 3}}, "embedding"),
    (kind_of, {"kind": "direct", "embedding": {"dimensions": 3}}, "embedding"),
    (kind_of, {"kind": "routing", "embedding": {"dimensions": 3}}, "routing"),
    (key_of_route, {"provider_key_id": "pk"}, "pk"),
    (key_of_route, {"credential": {"provider_key_id": "pk"}}, "pk"),
    (budgeted, {"scope_type": "provider_key", "target_id": "pk"}, ("pk",)),
    (budgeted, {"provider_key_id": "pk"}, ("pk",)),
    (budgeted, {"scope": "environment", "scope_id": "prod"}, ()),
    (budgeted, {"scope": "provider_key"}, ()),
    (roles, {"routing": {"targets": [{"model": "a"}, "b"]}}, {("target", "a"), ("target", "b")}),
    (roles, {"routing": {"targets": [{"model": {"id": "a"}, "weight": 3, "tags": ["chat"]}]}}, {("target", "a")}),
    (roles, {"semantic": {"routes": [{"name": "s", "target": "r"}]}}, {("route", "r"), ("route", "s")}),
    (roles, {"ensemble": {"panel": [{"model": "a"}], "judge": {"model": "b"}}}, {("panel", "a"), ("judge", "b")}),
    (roles, {"semantic": {"embedding_model": "e"}}, {("embedding model", "e")}),
    (roles, {"semantic": {"default": {"target": "d"}}}, {("default", "d")}),
    (roles, {"semantic": {"on_embedding_failure": {"target": "f"}}}, {("default", "f")}),
    (roles, {"semantic": {"on_embedding_failure": "fail", "match": {"threshold": 1}}}, set()),
    (roles, {"targets": [{"model": "a"}]}, {("target", "a")}),
    (roles, {"model_name": "gpt-4o", "provider_key_id": "pk", "display_name": "x"}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("read", "shown", "said"), FIELDS)
def test_a_field_is_read_wherever_and_however_it_is_written(read, shown, said):
    assert read(shown) == said


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


def test_a_cache_policy_is_a_dependent_alias_and_holds_no_key():
    read = cache_policy({"id": "c", "display_name": "near", "semantic": {"embedding_model": "e"}}, "prod")

    assert (read.alias, read.kind, read.provider_key) == ("near", "semantic cache policy", None)
    assert read.refers_to == (("embedding model", "e"),)


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
