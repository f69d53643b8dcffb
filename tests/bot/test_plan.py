"""What uses a key, what reaches that, and what has changed since it was shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rotation.drift import drift
from bot.rotation.inventory import Model, PassthroughRoute
from bot.rotation.plan import SHOWN as IN_SENTENCES
from bot.rotation.plan import AffectedModel, make_plan, users_of
from tests.bot.values import inventory, key, model

OLD = key(allowed_environments=("prod", "stag"))
OTHER = key("pk_other", "Another key")
NEW = key("pk_new", "OpenAI production (2026-11-23 rabc123)")
BOTH = ("prod", "stag")


def direct(id_: str, environment: str = "prod", on: str | None = "pk_old", **fields) -> Model:
    return model(id_, environment, provider_key=on, **fields)


def virtual(id_: str, role: str, of: str, environment: str = "prod", kind: str = "routing") -> Model:
    return model(id_, environment, kind=kind, refers_to=((role, of),))


def plan_of(*models: Model, old=OLD, gateways=BOTH, **fields):
    return make_plan(inventory(models, [old, OTHER], **fields), old, gateways)


def test_the_replacement_is_needed_where_a_model_or_a_route_uses_the_key():
    assert plan_of(direct("a"), routes=(RAW,)).needed_in == {"prod", "stag"}
    assert plan_of(direct("a")).needed_in == {"prod"}


def test_models_are_shown_in_the_order_of_environment_and_alias():
    plan = plan_of(direct("3", "stag", alias="a"), direct("2", alias="b"), direct("1", alias="a"), direct("4", "env-4"))

    labels = ["`alias-4` in env-4", "`a` in production", "`b` in production", "`a` in staging"]
    assert [m.label for m in plan.models] == labels


@pytest.mark.parametrize(
    ("kind", "role", "words"),
    [
        ("routing", "target", "routing"),
        ("ensemble", "judge", "ensemble, as its judge"),
        ("semantic", "route", "semantic router, by a route"),
        ("semantic", "default", "semantic router, by its default"),
        ("semantic", "embedding model", "semantic router, by its embedding model"),
        ("semantic cache policy", "embedding model", "semantic cache policy, by its embedding model"),
    ],
)
def test_an_alias_that_names_an_affected_model_depends_on_it(kind, role, words):
    plan = plan_of(direct("a"), virtual("v", role, "a", kind=kind))

    assert [(d.alias, d.environment_name, d.role) for d in plan.dependents] == [("alias-v", "production", words)]


def test_dependence_is_followed_through_routers_of_routers_in_one_environment():
    routers = (virtual("x", "panel", "y"), virtual("y", "route", "alias-z"), virtual("z", "target", "a"))
    plan = plan_of(*routers, direct("a"), virtual("elsewhere", "target", "alias-a", environment="stag"))

    assert [d.alias for d in plan.dependents] == ["alias-x", "alias-y", "alias-z"]


RAW = PassthroughRoute(id="r", environment="stag", name="raw", provider_key="pk_old")
ELSEWHERE = (
    model("own", provider_key="pk_old", mentions=("pk_old",)),
    model("fallback", provider_key="pk_other", mentions=("pk_old", "pk_other")),
    model("router", kind="routing", mentions=("pk_old",)),
    model("policy", kind="semantic cache policy", mentions=("pk_old",)),
    model("pool", mentions=("pk_old", "pk_other")),
    model("stranger", mentions=("pk_old",)),
)
MANY = [model(f"m{n}", provider_key="pk_other", mentions=("pk_old",)) for n in range(7)]
WARNED = [
    ([], {}, ["Nothing here can prove the new secret, as no model uses this key"]),
    ([direct("a")], {}, []),
    (
        [direct("a"), direct("b")],
        {"gateways": ("stag",)},
        ["`production` has no gateway in the settings: its 2 models"],
    ),
    ([direct("a", "stag")], {"old": key(allowed_environments=("prod",))}, ["not allowed in `staging`, but 1 model"]),
    ([direct("a", "stag")], {"old": key(allowed_environments=())}, []),
    ([direct("a")], {"budgeted_keys": ("OpenAI production",)}, ["A budget is set on this key."]),
    ([direct("a")], {"budgeted_keys": ("pk_other",)}, []),
    ([direct("a")], {"routes": (RAW,)}, ["The passthrough route `raw` in staging holds this key."]),
    ([direct("a")], {"routes": (RAW.but(provider_key="pk_other"),)}, []),
    ([direct("a"), *MANY], {}, ["`alias-m4` in production and 2 more."]),
]


@pytest.mark.parametrize(("models", "fields", "expected"), WARNED)
def test_g15_what_a_person_should_know_first_is_said_in_words(models, fields, expected):
    warnings = plan_of(*models, **fields).warnings

    assert len(warnings) == len(expected)
    assert all(sentence in warning for sentence, warning in zip(expected, warnings, strict=True))


SHOWN = (direct("a"), direct("b", "stag"))


def drift_to(*models: Model, keys=(OLD, NEW, OTHER), ours=("pk_new",), **fields):
    return drift(plan_of(*SHOWN), inventory(models, keys, **fields), ours, BOTH)


FOREIGN = "`alias-a` in production uses a key that this rotation does not know: someone changed it."
JOINED = "Someone bound `alias-c` in production to the old key."
RENAMED = (OLD.but(display_name="Renamed"), NEW)
DRIFTED = {
    "nothing": (SHOWN, {}, (), ["a", "b"]),
    "on the new key": ((direct("a", on="pk_new"), SHOWN[1]), {}, (), ["a", "b"]),
    "on the new key, by its name": ((direct("a", on=NEW.display_name), SHOWN[1]), {}, (), ["a", "b"]),
    "the old key has another name": ((direct("a", on="Renamed"), SHOWN[1]), {"keys": RENAMED}, (), ["a", "b"]),
    "one more": ((*SHOWN, direct("c")), {}, (JOINED,), ["a", "c", "b"]),
    "one less": (SHOWN[:1], {}, ("`alias-b` in staging no longer exists.",), ["a"]),
    "on another key": ((direct("a", on="pk_other"), SHOWN[1]), {}, (FOREIGN,), ["b"]),
    "on no key": ((direct("a", on=None), SHOWN[1]), {}, (FOREIGN,), ["b"]),
    "on a new key that is gone": ((direct("a", on="pk_new"), SHOWN[1]), {"keys": (OLD, OTHER)}, (FOREIGN,), ["b"]),
}


@pytest.mark.parametrize(("models", "fields", "said", "left"), DRIFTED.values(), ids=DRIFTED)
def test_a_model_that_joins_the_old_key_or_leaves_this_rotations_keys_is_named(models, fields, said, left):
    changes = drift_to(*models, **fields)

    assert changes.sentences == said
    assert [m.id for m in changes.plan.models] == left
    assert {*changes.plan.environments} == {m.environment for m in changes.plan.models}


ALTERED = {
    "alias": ({"alias": "alias-b"}, "its alias is `alias-b` now"),
    "kind": ({"kind": "embedding"}, "its kind is `embedding` now"),
    "upstream": ({"upstream": "gpt-5"}, "its upstream model is `gpt-5` now"),
    "provider": ({"settings": {"provider": "azure"}}, "its provider is `azure` now"),
    "environment": (
        {"environment": "stag"},
        "the id of its environment is `stag` now, the name of its environment is `staging` now",
    ),
    "hidden": ({"upstream": ""}, "its upstream model is not shown any more"),
    "two": ({"alias": "x", "kind": "rerank"}, "its alias is `x` now, its kind is `rerank` now"),
}


def noted(id_: str, **fields) -> Model:
    return direct(id_).but(**{"upstream": "gpt-4o", "settings": {"provider": "openai"}} | fields)


@pytest.mark.parametrize(("fields", "said"), ALTERED.values(), ids=ALTERED)
def test_whatever_the_approver_saw_of_a_model_and_is_something_else_now_is_named(fields, said):
    world = inventory([noted("a", **fields)], [OLD, NEW])
    changes = drift(plan_of(noted("a")), world, ("pk_new",), BOTH)

    assert changes.sentences == (f"`alias-a` in production was changed by someone: {said}.",)
    assert changes.plan.models == plan_of(noted("a", **fields)).models
    assert drift(changes.plan, world, ("pk_new",), BOTH).sentences == ()


def test_every_field_of_a_model_that_an_approver_is_shown_is_compared():
    assert {*AffectedModel.model_fields} - {"id", "live"} == {*IN_SENTENCES}


def test_the_name_that_a_wildcard_is_in_use_under_is_remembered_as_long_as_its_alias_stays():
    star = noted("a", alias="openai/*")
    seen = plan_of(star)
    seen = seen.but(models=(seen.models[0].but(live="openai/gpt-4o"),))
    same, other = (drift(seen, inventory([row], [OLD]), (), BOTH) for row in (star, noted("a", alias="azure/*")))

    assert (same.sentences, same.plan.models) == ((), seen.models)
    assert other.plan.models[0].live == ""


def test_a_model_of_which_an_older_record_did_not_note_the_provider_has_not_changed():
    older = plan_of(noted("a")).but(models=(plan_of(noted("a")).models[0].but(provider=""),))
    changes = drift(older, inventory([noted("a")], [OLD, NEW]), ("pk_new",), BOTH)

    assert changes.sentences == ()
    assert changes.plan.models[0].provider == "openai"


def test_an_old_key_that_is_gone_is_said_once():
    first = drift_to(*SHOWN, keys=(NEW, OTHER))
    second = drift(first.plan, inventory(SHOWN, [NEW, OTHER]), ("pk_new",), BOTH)

    assert first.sentences == ("The old key no longer exists: someone deleted it.",)
    assert first.plan.old_key_gone
    assert second.sentences == ()


def test_routes_and_unverifiable_environments_are_those_of_now():
    changes = drift(plan_of(*SHOWN), inventory(SHOWN, [OLD], routes=(RAW,)), (), ("prod",))

    assert changes.plan.routes == ("`raw` in staging",)
    assert changes.plan.unverifiable == ("stag",)


def test_everything_that_refers_to_a_key_is_named():
    route = RAW.but(provider_key=OLD.display_name)
    seen = inventory((*SHOWN, direct("c", on="pk_other"), virtual("v", "target", "a")), [OLD], routes=(route,))

    named = ("`alias-a` in production", "`alias-b` in staging", "passthrough route `raw` in staging")
    assert users_of(seen, OLD) == named


def test_what_names_the_key_in_another_place_is_warned_of_at_once_and_counts_as_a_user():
    route = RAW.but(provider_key="pk_other", mentions=("pk_old",))
    seen = inventory(ELSEWHERE, [OLD], routes=(route,))
    named = [f"`alias-{name}` in production" for name in ("fallback", "router", "policy", "pool")]

    assert len(users_of(seen, OLD)) == len(ELSEWHERE) + 1
    plan = make_plan(seen, OLD, BOTH)
    (warning,) = plan.warnings
    assert ", ".join([*named, "passthrough route `raw` in staging"]) in warning
    assert [m.id for m in plan.models] == ["own", "stranger"], "only those are moved"


environments = st.sampled_from(["prod", "stag", "third"])
ids = st.sampled_from([f"m{n}" for n in range(8)])
keys = st.sampled_from([None, "", "pk_old", OLD.display_name, "pk_ol", "openai production", "pk_other"])


@st.composite
def worlds(draw):
    chosen = draw(st.lists(ids, unique=True, max_size=8))
    return [
        Model(
            id=id_,
            environment=draw(environments),
            alias=draw(st.sampled_from(["x", "y", id_])),
            provider_key=draw(keys),
        )
        for id_ in chosen
    ]


@given(worlds(), st.sets(environments))
def test_every_model_that_refers_to_the_key_is_affected_and_no_other(models, gateways):
    plan = plan_of(*models, gateways=gateways)

    assert {m.id for m in plan.models} == {m.id for m in models if m.provider_key in ("pk_old", OLD.display_name)}
    assert set(plan.environments) == {m.environment for m in plan.models}
    assert set(plan.unverifiable) == set(plan.environments) - gateways


@given(worlds(), worlds())
def test_drift_taken_as_it_is_shown_settles_at_once(before, after):
    world = inventory(after, [OLD, NEW])
    once = drift(plan_of(*before), world, ("pk_new",), BOTH)

    assert drift(once.plan, world, ("pk_new",), BOTH).sentences == ()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://user:pass@word@proxy.internal:8443/v1", "https://proxy.internal:8443/v1"),
        ("https://proxy.internal/v1?api-key=CANARY#CANARY", "https://proxy.internal/v1"),
        ("https://proxy.internal/v1/accounts/@me", "https://proxy.internal/v1/accounts/@me"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("field", ["api_base", "base_url"])
def test_an_address_is_shown_without_the_secrets_that_it_may_hold(field, address, shown):
    assert key(settings={field: address}).base_url == shown
