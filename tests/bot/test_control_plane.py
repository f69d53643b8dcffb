"""The client of the control plane, against one that answers in every way the real one might."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import stamina
from aiohttp import web
from pydantic import SecretStr

from bot.aisix.control_plane import ControlPlane
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.rotation.inventory import BUDGETS, POLICIES, ROUTES, ProviderKey
from bot.rotation.plan import make_plan
from sandbox.aisix import Switches
from tests.bot.conftest import answering
from tests.bot.values import SECRET

CANARY = SecretStr(SECRET)


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    """Repeat at once, as often as the client would."""
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


def old_key(seen) -> ProviderKey:
    return next(key for key in seen.keys if key.display_name == "OpenAI production")


def populate(tenant) -> None:
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


DEPENDENT = ["any", "near", "smart", "vote"]


async def plan_seen(tenant, **options):
    seen = await (await tenant.control_plane(**options)).inventory()
    return make_plan(seen, old_key(seen), [e.id for e in seen.environments])


# --- one world, however it is told ---


PAGING = ("none", "cursor", "page", "headers", "range", "after", "offset", "silent", "from zero")
SHAPES = [
    *(Switches(list_envelope=envelope) for envelope in ("array", "data", "items", "list", "payload")),
    *(Switches(paging=paging, page_size=2) for paging in PAGING),
    Switches(references="name"),
    Switches(base_url_field="base_url"),
    Switches(single_get=404),
    Switches(single_get=405),
    Switches(error_envelope="message"),
    Switches(error_envelope="error_msg"),
]  # fmt: skip


@pytest.mark.parametrize("switches", SHAPES, ids=range(len(SHAPES)))
async def test_the_same_world_is_read_whatever_its_shape(tenant):
    populate(tenant)
    plan = await plan_seen(tenant)

    assert [(m.alias, m.environment_name, m.kind) for m in plan.models] == [
        ("chat-large", "production", "direct"),
        ("embed", "production", "embedding"),
        ("chat-large", "staging", "direct"),
    ]
    assert [d.alias for d in plan.dependents] == DEPENDENT
    assert plan.routes == ("`raw` in staging",)
    assert plan.old_key.base_url == "https://api.openai.com/v1"
    assert len(plan.warnings) == 2


@pytest.mark.parametrize(
    ("switches", "missing"),
    [
        (Switches(has_passthrough_routes=False), ROUTES),
        (Switches(has_cache_policies=False), POLICIES),
        (Switches(has_budgets=False), BUDGETS),
    ],
)
async def test_a_list_that_a_tenant_does_not_have_is_told_from_an_empty_one(tenant, missing):
    populate(tenant)
    seen = await (await tenant.control_plane()).inventory()
    plan = make_plan(seen, old_key(seen), [e.id for e in seen.environments])

    assert {one.kind for one in plan.unlisted} == {missing}
    assert {one.environment for one in plan.unlisted} == ({""} if missing == BUDGETS else {*plan.tenant})
    assert (plan.routes == ()) == (missing == ROUTES)
    assert ("near" in [d.alias for d in plan.dependents]) == (missing != POLICIES)
    assert any("A budget is set" in w for w in plan.warnings) == (missing != BUDGETS)
    assert len(plan.models) == 3


async def test_an_empty_list_is_one_that_was_read(tenant):
    assert (await (await tenant.control_plane()).inventory()).unlisted == ()


LISTS = ["/environments", "/provider_keys", "/models", "/passthrough_routes", "/cache_policies", "/budgets"]


@pytest.mark.parametrize("part", LISTS)
@pytest.mark.parametrize("status", [403, 500])
async def test_what_could_hide_a_reference_may_not_fail(tenant, part, status):
    populate(tenant)
    tenant.aisix.faults.fail("GET", part, status=status, times=None)

    with pytest.raises(BaseException) as failure:
        await plan_seen(tenant, attempts=1)

    assert isinstance(failure.value, ApiError)
    assert isinstance(failure.value, Uncertain) == (status == 500)


# --- creating ---


CREATES = [Switches(create_status=200, create_answer="provider_key"), Switches(create_status=201, create_answer="top")]


@pytest.mark.parametrize("switches", CREATES, ids=range(len(CREATES)))
async def test_the_id_of_a_created_key_is_found_wherever_it_is(tenant):
    client = await tenant.control_plane()
    made = await client.create_key(old_key(await client.inventory()), "new", [tenant.environment], CANARY)

    assert tenant.aisix.provider_keys[made].secret == SECRET


@pytest.mark.parametrize("switches", [Switches(), Switches(base_url_field="base_url")], ids=["api_base", "base_url"])
async def test_a_replacement_has_every_setting_of_the_old_key(tenant):
    settings = {"request": {"default_headers": {"x-team": "a"}}, "tls": {"verify": False}, "adapter": "openai"}
    tenant.aisix.edit(tenant.key, **settings, settled=True)
    client = await tenant.control_plane()
    made = await client.create_key(old_key(await client.inventory()), "new", [tenant.environment], CANARY)
    fields = tenant.aisix.provider_keys[made].fields

    assert {name: fields[name] for name in settings} == settings
    assert fields["api_base"] == "https://api.openai.com/v1"
    assert fields["strip_headers"] == ["cookie"]
    assert set(fields["allowed_environments"]) == {e.id for e in tenant.aisix.store.environments.values()}


@pytest.mark.parametrize("switches", [Switches(extra_key_fields=True, validation_status=s) for s in (400, 422)])
async def test_a_setting_that_the_api_does_not_take_is_left_out(tenant):
    client = await tenant.control_plane()
    made = await client.create_key(old_key(await client.inventory()), "new", [tenant.environment], CANARY)

    assert made in tenant.aisix.provider_keys
    assert len(tenant.calls("POST")) == 2
    assert len(tenant.aisix.provider_keys) == 2


@pytest.mark.parametrize("switches", [Switches(validation_status=s) for s in (400, 422)])
async def test_a_refused_key_is_tried_once_more_without_what_may_be_unknown_and_then_refused_for_good(tenant):
    client = await tenant.control_plane()
    with pytest.raises(ApiError) as refusal:
        await client.create_key(old_key(await client.inventory()), "new", ["nowhere"], CANARY)

    assert not isinstance(refusal.value, Uncertain)
    assert len(tenant.calls("POST")) == 2


async def created(tenant, **options):
    client = await tenant.control_plane(**options)
    old = old_key(await client.inventory())
    return await client.create_key(old, "new", [tenant.environment], CANARY)


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("fault", ["drop", "fail", "hang"])
async def test_a_key_is_asked_for_once_when_the_answer_is_lost(tenant, fault, after_effect):
    getattr(tenant.aisix.faults, fault)("POST", "/provider_keys", after_effect=after_effect, times=None)

    with pytest.raises(Uncertain) as trouble:
        await created(tenant, timeout=0.2)

    assert trouble.value.arrived
    tenant.aisix.faults.clear()
    await tenant.aisix.until(lambda: tenant.calls("POST"), what="the call to end")
    assert len(tenant.calls("POST")) == 1


async def test_a_key_is_asked_for_again_when_the_rate_was_limited(tenant):
    tenant.aisix.faults.rate_limit("POST", "/provider_keys", retry_after=0.01, times=2)

    assert await created(tenant) in tenant.aisix.provider_keys
    assert [call.status for call in tenant.calls("POST")] == [429, 429, 201]


async def test_a_rate_limit_that_asks_for_too_long_is_handed_on(tenant):
    tenant.aisix.faults.rate_limit("POST", "/provider_keys", retry_after=600)

    with pytest.raises(Uncertain) as trouble:
        await created(tenant)
    assert trouble.value.retry_after == 600
    assert not trouble.value.arrived


async def test_no_creation_is_sent_that_might_be_under_way_when_it_is_taken_not_to_have_happened(tenant):
    tenant.aisix.faults.rate_limit("POST", "/provider_keys", retry_after=1, times=None)

    with pytest.raises(Uncertain) as trouble:
        await created(tenant, timeout=1, grace=2.5)  # what is sent may take two seconds
    assert not trouble.value.arrived
    assert len(tenant.calls("POST")) == 1


async def test_an_answer_that_is_no_json_is_a_key_without_a_known_id(tenant):
    tenant.aisix.faults.garbage("POST", "/provider_keys")

    assert await created(tenant) is None
    assert len(tenant.aisix.provider_keys) == 2


# --- pointing, allowing, deleting ---


@pytest.mark.parametrize("fault", ["drop", "fail", "garbage", "rate_limit"])
async def test_pointing_is_repeated_until_it_is_done(tenant, fault):
    options = {"retry_after": 0.01} if fault == "rate_limit" else {}
    getattr(tenant.aisix.faults, fault)("PATCH", "/models/", **options)
    new = tenant.aisix.add_key("new", secret=SECRET)
    await (await tenant.control_plane()).point(tenant.chat.id, tenant.environment, new.id)

    assert tenant.chat.provider_key_id == new.id


async def test_a_model_that_may_not_be_pointed_there_is_refused(tenant):
    elsewhere = tenant.aisix.add_key("staging only", secret=SECRET, environments=["staging"])
    client = await tenant.control_plane()

    with pytest.raises(ApiError) as refusal:
        await client.point(tenant.chat.id, tenant.environment, elsewhere.id)
    assert not isinstance(refusal.value, Uncertain)
    assert len(tenant.calls("PATCH")) == 1


async def test_a_model_that_is_gone_is_not_found(tenant):
    with pytest.raises(NotFound):
        await (await tenant.control_plane()).point("nobody", tenant.environment, tenant.key.id)


async def test_allowing_a_key_keeps_what_it_was_allowed(tenant):
    narrow = tenant.aisix.add_key("narrow", secret=SECRET, environments=["staging"])
    client = await tenant.control_plane()
    seen = next(key for key in await client.keys() if key.id == narrow.id)
    await client.allow_key(seen, [tenant.environment])

    assert set(narrow.allowed_environments) == {tenant.environment, tenant.aisix.environment("staging").id}


@pytest.mark.parametrize("switches", [Switches(delete_status=status) for status in (200, 204)])
async def test_a_key_is_deleted_and_deleting_it_twice_is_no_error(tenant):
    spare = tenant.aisix.add_key("spare", secret=SECRET)
    client = await tenant.control_plane()
    await client.delete_key(spare.id)
    await client.delete_key(spare.id)

    assert spare.id not in tenant.aisix.provider_keys


@pytest.mark.parametrize("fault", ["drop", "fail"])
async def test_a_delete_is_asked_for_once_and_a_lost_answer_is_no_error_the_next_time(tenant, fault):
    """Who asks again has to have looked again: something may use the key by now."""
    spare = tenant.aisix.add_key("spare", secret=SECRET)
    client = await tenant.control_plane()
    getattr(tenant.aisix.faults, fault)("DELETE", "/provider_keys", after_effect=True)
    with pytest.raises(Uncertain):
        await client.delete_key(spare.id)
    assert [call.method for call in tenant.aisix.calls].count("DELETE") == 1

    await client.delete_key(spare.id)

    assert spare.id not in tenant.aisix.provider_keys


# --- trouble ---


@pytest.mark.parametrize("fault", ["drop", "fail", "garbage", "rate_limit"])
async def test_a_list_is_asked_for_again_and_only_so_often(tenant, fault):
    options = {"retry_after": 0.01} if fault == "rate_limit" else {}
    getattr(tenant.aisix.faults, fault)("GET", "/provider_keys", times=2, **options)
    client = await tenant.control_plane(attempts=3)
    assert len(await client.keys()) == 1
    asked = len(tenant.calls("GET", "/provider_keys"))
    assert asked == 3 + 2, "two that failed, the list, and two ways to ask for more of it"

    getattr(tenant.aisix.faults, fault)("GET", "/provider_keys", times=None, **options)
    with pytest.raises(Uncertain):
        await client.keys()
    assert len(tenant.calls("GET", "/provider_keys")) == asked + 3


async def test_a_wait_that_the_server_asks_for_is_waited(tenant):
    tenant.aisix.faults.rate_limit("GET", "/provider_keys", retry_after=0.3)
    with stamina.set_testing(False):
        await (await tenant.control_plane()).keys()
    first, second = tenant.calls("GET", "/provider_keys")[:2]

    assert second.at - first.at >= 0.29


async def test_a_call_that_takes_too_long_is_given_up(tenant):
    tenant.aisix.faults.hang("GET", "/provider_keys")

    with pytest.raises(Uncertain, match="time-out"):
        await (await tenant.control_plane(timeout=0.1, attempts=1)).keys()


async def test_a_control_plane_that_is_not_there_had_no_effect(tenant):
    client = await tenant.control_plane(url="http://127.0.0.1:9/api", attempts=1)

    with pytest.raises(Uncertain, match="no connection") as trouble:
        await client.keys()
    assert not trouble.value.arrived


async def test_a_wrong_token_names_its_setting(tenant):
    with pytest.raises(ApiError, match="AISIX_ADMIN_TOKEN") as refusal:
        await (await tenant.control_plane(token="nonsense")).keys()
    assert refusal.value.status == 401
    assert len(tenant.aisix.calls) == 1


async def test_a_token_that_may_only_read_is_told_so(tenant):
    client = await tenant.control_plane(token=tenant.aisix.read_token)
    assert len(await client.keys()) == 1

    with pytest.raises(ApiError, match="read and the write scope") as refusal:
        await client.delete_key(tenant.key.id)
    assert refusal.value.status == 403


@pytest.mark.parametrize("switches", [Switches(latency=0.02)])
@pytest.mark.parametrize("width", [1, 3])
async def test_no_more_calls_are_under_way_than_the_settings_say(tenant, width):
    populate(tenant)
    await (await tenant.control_plane(concurrency=width)).inventory()

    assert tenant.aisix.most_calls_at_once <= width


@pytest.mark.parametrize("switches", [Switches(latency=0.02)])
async def test_the_inventory_is_read_side_by_side(tenant):
    await (await tenant.control_plane(concurrency=8)).inventory()

    assert tenant.aisix.most_calls_at_once > 2


async def test_an_environment_that_is_new_since_the_inventory_before_is_read_as_well(tenant):
    staging = tenant.aisix.environment("staging")
    tenant.aisix.add_model("staging", "late", key=tenant.key)
    staging.is_visible = False
    client = await tenant.control_plane()
    before = await client.inventory()
    staging.is_visible = True
    after = await client.inventory()

    assert {model.alias for model in after.models} - {model.alias for model in before.models} == {"late"}


async def test_an_environment_that_is_gone_since_the_inventory_before_is_no_trouble(tenant):
    client = await tenant.control_plane()
    await client.inventory()
    tenant.aisix.environment("staging").is_visible = False
    seen = await client.inventory()

    assert [environment.name for environment in seen.environments] == ["production"]


async def test_an_environment_that_is_listed_and_cannot_be_read_is_trouble_the_second_time_too(tenant):
    client = await tenant.control_plane()
    await client.inventory()
    tenant.aisix.faults.fail("GET", "/cache_policies", status=403, times=2)

    with pytest.raises(ApiError, match="does not show the cache policies of `"):
        await client.inventory()


async def test_no_module_is_looked_for_while_a_request_is_sent(tenant, monkeypatch):
    looked_for = []

    class Noting:
        def find_spec(self, name, *_):
            looked_for.append(name)

    client = await tenant.control_plane()
    await client.keys()
    monkeypatch.setattr(sys, "meta_path", [Noting(), *sys.meta_path])
    await client.keys()

    assert looked_for == []


# --- servers that only a test would write ---


@asynccontextmanager
async def serving(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[ControlPlane]:
    """A control plane that gives *answer* to everything, and a client for it."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    settings = {"timeout": 2, "concurrency": 2, "attempts": 1, "grace": 30}
    async with answering(handle) as url, ControlPlane(f"{url}/api/", SecretStr("t"), **settings) as made:
        yield made


@pytest.mark.parametrize("status", [400, 401, 403, 422, 429, 500])
async def test_no_error_holds_the_secret_or_a_word_of_the_answer(status):
    def echo(request: web.Request) -> web.Response:
        text = json.dumps({"error": {"message": f"bad key {SECRET} in parrot"}})
        return web.Response(text=text, status=status, content_type="application/json")

    old = ProviderKey(id="pk", display_name="old", provider="openai")
    async with serving(echo) as client:
        with pytest.raises(ApiError) as failure:
            await client.create_key(old, "new", [], CANARY)
    told = f"{failure.value!r} {failure.value} {vars(failure.value)} {failure.value.__cause__!r}"

    assert failure.value.status == status
    assert SECRET not in told
    assert "parrot" not in told


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NotFound),
        (405, Unsupported),
        (501, Unsupported),
        (400, ApiError),
        (409, ApiError),
        (408, Uncertain),
        (429, Uncertain),
        (500, Uncertain),
        (503, Uncertain),
    ],
)
async def test_each_status_has_the_error_that_says_how_to_react(status, kind):
    async with serving(lambda _: web.Response(status=status)) as client:
        with pytest.raises(ApiError) as failure:
            await client.keys()

    assert type(failure.value) is kind


@pytest.mark.parametrize("body", ["{}", '{"error": "no"}', "null", ""])
async def test_an_answer_that_is_no_list_is_not_an_empty_one(body):
    async with serving(lambda _: web.Response(text=body, content_type="application/json")) as client:
        with pytest.raises(Uncertain):
            await client.keys()


async def test_the_token_is_sent_and_nothing_is_cached_between_calls():
    seen = []

    def note(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response([])

    async with serving(note) as client:
        await client.keys()
        await client.keys()
    assert seen == ["Bearer t", "Bearer t"]
