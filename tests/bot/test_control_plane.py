"""The client of the control plane, against one that answers in every way the real one might."""

import json
from contextlib import asynccontextmanager, nullcontext

import pytest
import stamina
from aiohttp import web
from pydantic import SecretStr

from bot.aisix import control_plane
from bot.aisix.control_plane import ControlPlane
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.rotation.inventory import BUDGETS, POLICIES, ROUTES, ProviderKey
from bot.rotation.plan import make_plan
from sandbox.aisix import Switches
from tests.bot.conftest import answering
from tests.bot.values import SECRET

CANARY = SecretStr(SECRET)
WAITS = {"rate_limit": {"retry_after": 0.01}}


@pytest.fixture(autouse=True)
def no_backoff():
    """Repeat at once, as often as the client would."""
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


def old_key(seen):
    return next(key for key in seen.keys if key.display_name == "OpenAI production")


def populate(tenant):
    """A model of every kind over two environments, and all else that can hold a key."""
    aisix = tenant.aisix
    embed = aisix.add_model("production", "embed", key=tenant.key, kind="embedding")
    aisix.add_model("staging", "chat-large", key=tenant.key)
    router = aisix.add_model("production", "any", kind="routing", targets=[tenant.chat])
    aisix.add_model("production", "vote", kind="ensemble", panel=[tenant.chat], judge=router)
    aisix.add_model("production", "smart", kind="semantic", embedding_model=embed, routes=[router], default=router)
    aisix.add_passthrough("staging", "raw", key=tenant.key)
    aisix.add_cache_policy("production", "near", embedding_model=embed)
    aisix.add_budget("cap", key=tenant.key)


async def plan_seen(tenant, **options):
    seen = await (await tenant.control_plane(**options)).inventory()
    return make_plan(seen, old_key(seen), [e.id for e in seen.environments])


SHAPES = [
    # how the control plane answers, and what it does not list
    (Switches(list_envelope="array"), None),
    (Switches(list_envelope="payload", single_get=405), None),
    (Switches(paging="headers", page_size=2), None),
    (Switches(paging="cursor", page_size=2), None),
    (Switches(paging="from zero", page_size=2), None),
    (Switches(references="name", single_get=404), None),
    (Switches(base_url_field="base_url", error_envelope="message"), None),
    (Switches(has_passthrough_routes=False), ROUTES),
    (Switches(has_cache_policies=False), POLICIES),
    (Switches(has_budgets=False), BUDGETS),
]


@pytest.mark.parametrize(("switches", "missing"), SHAPES, ids=range(len(SHAPES)))
async def test_the_same_world_is_read_whatever_its_shape_and_a_list_that_is_not_there_is_no_empty_one(tenant, missing):
    populate(tenant)
    plan = await plan_seen(tenant)

    assert [(m.alias, m.environment_name, m.kind) for m in plan.models] == [
        ("chat-large", "production", "direct"),
        ("embed", "production", "embedding"),
        ("chat-large", "staging", "direct"),
    ]
    assert [d.alias for d in plan.dependents] == ["any", *(["near"] if missing != POLICIES else []), "smart", "vote"]
    assert plan.routes == (() if missing == ROUTES else ("`raw` in staging",))
    assert plan.old_key.base_url == "https://api.openai.com/v1"
    assert any("A budget is set" in warning for warning in plan.warnings) == (missing != BUDGETS)
    assert len(plan.warnings) == 2 or missing
    where = {None: [], BUDGETS: [""]}.get(missing, plan.tenant)
    assert {(one.kind, one.environment) for one in plan.unlisted} == {(missing, environment) for environment in where}


LISTS = ["/environments", "/provider_keys", "/models", "/passthrough_routes", "/cache_policies", "/budgets"]


@pytest.mark.parametrize("part", LISTS)
@pytest.mark.parametrize("status", [403, 500])
async def test_a_list_that_could_hide_a_reference_may_not_fail(tenant, part, status):
    populate(tenant)
    tenant.aisix.faults.fail("GET", part, status=status, times=None)

    with pytest.raises(BaseException) as failure:
        await plan_seen(tenant, attempts=1)

    assert isinstance(failure.value, ApiError)
    assert isinstance(failure.value, Uncertain) == (status == 500)


async def created(tenant, environment="", **options):
    client = await tenant.control_plane(**options)
    old, where = old_key(await client.inventory()), environment or tenant.environment
    return await client.create_key(old, "new", [where], CANARY)


@pytest.mark.parametrize(
    "switches",
    [
        Switches(create_status=200, create_answer="provider_key"),
        Switches(base_url_field="base_url", create_answer="top"),
    ],
    ids=["provider_key", "top"],
)
async def test_a_replacement_has_every_setting_of_the_old_key_and_its_id_is_found_wherever_it_is(tenant):
    settings = {"request": {"default_headers": {"x-team": "a"}}, "tls": {"verify": False}, "adapter": "openai"}
    tenant.aisix.edit(tenant.key, **settings, settled=True)
    made = tenant.aisix.provider_keys[await created(tenant)]

    assert made.secret == SECRET
    assert {name: made.fields[name] for name in settings} == settings
    assert made.fields["api_base"] == "https://api.openai.com/v1"
    assert made.fields["strip_headers"] == ["cookie"]
    assert set(made.fields["allowed_environments"]) == {e.id for e in tenant.aisix.store.environments.values()}


@pytest.mark.parametrize("switches", [Switches(extra_key_fields=True, validation_status=s) for s in (400, 422)])
async def test_a_setting_that_the_api_does_not_take_is_left_out_once_and_then_a_refusal_is_for_good(tenant):
    assert await created(tenant) in tenant.aisix.provider_keys
    assert len(tenant.calls("POST")) == 2

    with pytest.raises(ApiError) as refusal:
        await created(tenant, "nowhere")
    assert not isinstance(refusal.value, Uncertain)
    assert len(tenant.calls("POST")) == 4


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("fault", ["drop", "fail", "hang"])
async def test_a_key_is_asked_for_once_when_the_answer_is_lost(tenant, fault, after_effect):
    getattr(tenant.aisix.faults, fault)("POST", "/provider_keys", after_effect=after_effect, times=None)

    with pytest.raises(Uncertain) as trouble:
        await created(tenant, timeout=1)

    assert trouble.value.arrived
    tenant.aisix.faults.clear()
    await tenant.aisix.until(lambda: tenant.calls("POST"), what="the call to end")
    assert len(tenant.calls("POST")) == 1


@pytest.mark.parametrize(
    ("retry_after", "options", "statuses"),
    [(0.01, {}, [429, 429, 201]), (600, {}, [429]), (1, {"timeout": 1, "grace": 2.5}, [429])],
    ids=["at once", "longer than a call waits", "so that it might be under way when it is taken not to have happened"],
)
async def test_a_key_is_asked_for_again_when_the_rate_was_limited_but_not_too_late(
    tenant, retry_after, options, statuses
):
    tenant.aisix.faults.rate_limit("POST", "/provider_keys", retry_after=retry_after, times=2)

    if 201 in statuses:
        assert await created(tenant, **options) in tenant.aisix.provider_keys
    else:
        with pytest.raises(Uncertain) as trouble:
            await created(tenant, **options)
        assert (trouble.value.retry_after, trouble.value.arrived) == (retry_after, False)
    assert [call.status for call in tenant.calls("POST")] == statuses


async def test_an_answer_without_json_leaves_the_id_of_a_new_key_unknown(tenant):
    tenant.aisix.faults.garbage("POST", "/provider_keys")

    assert await created(tenant) is None
    assert len(tenant.aisix.provider_keys) == 2


@pytest.mark.parametrize("fault", ["drop", "fail", "garbage", "rate_limit"])
async def test_pointing_is_repeated_until_it_is_done(tenant, fault):
    getattr(tenant.aisix.faults, fault)("PATCH", "/models/", **WAITS.get(fault, {}))
    new = tenant.aisix.add_key("new", secret=SECRET)
    await (await tenant.control_plane()).point(tenant.chat.id, tenant.environment, new.id)

    assert tenant.chat.provider_key_id == new.id


async def test_a_model_that_may_not_be_pointed_there_or_is_gone_is_refused(tenant):
    elsewhere = tenant.aisix.add_key("staging only", secret=SECRET, environments=["staging"])
    client = await tenant.control_plane()

    for model, error in ((tenant.chat.id, ApiError), ("nobody", NotFound)):
        with pytest.raises(ApiError) as refusal:
            await client.point(model, tenant.environment, elsewhere.id)
        assert type(refusal.value) is error
    assert len(tenant.calls("PATCH")) == 2


async def test_allowing_a_key_keeps_what_it_was_allowed(tenant):
    narrow = tenant.aisix.add_key("narrow", secret=SECRET, environments=["staging"])
    client = await tenant.control_plane()
    seen = next(key for key in await client.keys() if key.id == narrow.id)
    await client.allow_key(seen, [tenant.environment])

    assert set(narrow.allowed_environments) == {tenant.environment, tenant.aisix.environment("staging").id}


@pytest.mark.parametrize("switches", [Switches(delete_status=status) for status in (200, 204)])
@pytest.mark.parametrize("fault", ["drop", "fail"])
async def test_g23_a_delete_is_asked_for_once_and_a_lost_answer_is_no_error_the_next_time(tenant, fault):
    """Who asks again has to have looked again: something may use the key by now."""
    lost, spare = (tenant.aisix.add_key(name, secret=SECRET) for name in ("lost", "spare"))
    client = await tenant.control_plane()
    getattr(tenant.aisix.faults, fault)("DELETE", "/provider_keys", after_effect=True)
    with pytest.raises(Uncertain):
        await client.delete_key(lost.id)
    assert [call.method for call in tenant.aisix.calls].count("DELETE") == 1

    assert [await client.delete_key(key.id) for key in (lost, spare, spare)] == [False, True, False]
    assert not {lost.id, spare.id} & tenant.aisix.provider_keys.keys()


@pytest.mark.parametrize("fault", ["drop", "fail", "garbage", "rate_limit"])
async def test_a_list_is_retried_a_limited_number_of_times(tenant, fault):
    happen, options = getattr(tenant.aisix.faults, fault), WAITS.get(fault, {})
    happen("GET", "/provider_keys", times=2, **options)
    client = await tenant.control_plane(attempts=3)
    assert len(await client.keys()) == 1
    asked = len(tenant.calls("GET", "/provider_keys"))
    assert asked == 3 + 2, "two that failed, the list, and two ways to ask for more of it"

    happen("GET", "/provider_keys", times=None, **options)
    with pytest.raises(Uncertain):
        await client.keys()
    assert len(tenant.calls("GET", "/provider_keys")) == asked + 3


async def test_a_retry_waits_as_long_as_the_server_asks(tenant):
    tenant.aisix.faults.rate_limit("GET", "/provider_keys", retry_after=0.3)
    with stamina.set_testing(False):
        await (await tenant.control_plane()).keys()
    first, second = tenant.calls("GET", "/provider_keys")[:2]

    assert second.at - first.at >= 0.29


async def test_a_call_that_takes_too_long_may_have_arrived_and_one_that_meets_nobody_has_not(tenant):
    tenant.aisix.faults.hang("GET", "/provider_keys")

    for options, said in (({"timeout": 0.1}, "time-out"), ({"url": "http://127.0.0.1:9/api"}, "no connection")):
        with pytest.raises(Uncertain, match=said) as trouble:
            await (await tenant.control_plane(attempts=1, **options)).keys()
        assert trouble.value.arrived is (said == "time-out")


async def test_a_wrong_token_names_its_setting_and_one_that_may_only_read_its_scope(tenant):
    with pytest.raises(ApiError, match="AISIX_ADMIN_TOKEN") as refusal:
        await (await tenant.control_plane(token="nonsense")).keys()
    assert refusal.value.status == 401
    assert len(tenant.aisix.calls) == 1

    client = await tenant.control_plane(token=tenant.aisix.read_token)
    assert len(await client.keys()) == 1
    with pytest.raises(ApiError, match="read and the write scope") as refusal:
        await client.delete_key(tenant.key.id)
    assert refusal.value.status == 403


@pytest.mark.parametrize("switches", [Switches(latency=0.02)])
@pytest.mark.parametrize("width", [1, 3])
async def test_the_inventory_is_read_side_by_side_by_no_more_calls_than_the_settings_say(tenant, width):
    populate(tenant)
    await (await tenant.control_plane(concurrency=width)).inventory()

    assert tenant.aisix.most_calls_at_once == width


async def test_environments_that_come_and_go_between_two_inventories_are_read_and_no_trouble(tenant):
    staging = tenant.aisix.environment("staging")
    tenant.aisix.add_model("staging", "late", key=tenant.key)
    client, seen = await tenant.control_plane(), []
    for staging.is_visible in (False, True, False):
        seen.append(await client.inventory())

    here, both = ({"production"}, {"chat-large"}), ({"production", "staging"}, {"chat-large", "late"})
    assert [({e.name for e in one.environments}, {m.alias for m in one.models}) for one in seen] == [here, both, here]


async def test_an_environment_that_is_listed_and_cannot_be_read_is_trouble_the_second_time_too(tenant):
    client = await tenant.control_plane()
    await client.inventory()
    tenant.aisix.faults.fail("GET", "/cache_policies", status=403, times=2)

    with pytest.raises(ApiError, match="does not show the cache policies of `"):
        await client.inventory()


@asynccontextmanager
async def client_of(handle):
    """A client for a control plane that answers like this."""
    settings = {"timeout": 2, "concurrency": 2, "attempts": 1, "grace": 30}
    async with answering(handle) as url, ControlPlane(f"{url}/api/", SecretStr("t"), **settings) as made:
        yield made


@asynccontextmanager
async def answered(text, status=200):
    """A client for a control plane that answers everything with this."""

    async def handle(_):
        return web.Response(text=text, status=status, content_type="application/json")

    async with client_of(handle) as made:
        yield made


ERRORS = {NotFound: (404,), Unsupported: (405, 501), ApiError: (400, 401, 403, 422, 451), Uncertain: (408, 429, 500)}


@pytest.mark.parametrize(("status", "kind"), [(status, kind) for kind, all_ in ERRORS.items() for status in all_])
async def test_each_status_has_the_error_that_says_how_to_react_without_a_word_of_the_answer(status, kind):
    old, text = ProviderKey(id="pk", display_name="old", provider="openai"), f"bad key {SECRET} in parrot"
    async with answered(json.dumps({"error": {"message": text}}), status) as client:
        with pytest.raises(ApiError) as failure:
            await client.create_key(old, "new", [], CANARY)
    told = f"{failure.value!r} {failure.value} {vars(failure.value)} {failure.value.__cause__!r}"

    assert (type(failure.value), failure.value.status) == (kind, status)
    assert SECRET not in told
    assert "parrot" not in told


@pytest.mark.parametrize(
    ("by_id", "listed", "is_gone"),
    [
        ({"beside": 200}, ["beside"], True),
        ({"beside": 200}, [], False),
        ({"beside": 200}, ["beside", "old"], False),
        ({"beside": 200, "old": 200}, ["beside"], False),
        ({"beside": 200, "old": 500}, ["beside"], None),
        ({}, [], True),
        ({}, ["old"], False),
    ],
)
async def test_a_key_is_gone_if_only_the_key_beside_it_is_found(monkeypatch, by_id, listed, is_gone):
    async def handle(request):
        *_, name = request.path.split("/")
        rows = [{"id": id_, "display_name": id_} for id_ in listed]
        return web.json_response({"data": rows}, status=200 if name == "provider_keys" else by_id.get(name, 404))

    monkeypatch.setattr(control_plane, "BETWEEN_LISTS", 0)
    async with client_of(handle) as client:
        with pytest.raises(Uncertain) if is_gone is None else nullcontext():
            assert await client.is_gone("old", "beside") is is_gone


@pytest.mark.parametrize("body", ['{"error": "no"}', "null", ""])
async def test_an_answer_that_is_no_list_is_not_an_empty_one(body):
    async with answered(body) as client:
        with pytest.raises(Uncertain):
            await client.keys()
