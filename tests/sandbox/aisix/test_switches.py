"""Where the real answer is unknown, each plausible one can be had."""

import pytest

from sandbox.aisix import Switches


def turn(tenant, **switches):
    for name, value in switches.items():
        assert hasattr(Switches(), name)
        setattr(tenant.aisix.switches, name, value)


def new_key(tenant, **fields):
    return {
        "provider": "openai",
        "display_name": "new",
        "api_key": "sk-new",
        "allowed_environments": [tenant.environment],
        **fields,
    }


async def create(tenant, **fields):
    return await tenant.api.post("/provider_keys", json=new_key(tenant, **fields))


def inside(body, *names):
    for name in names:
        body = body[name]
    return body


# --- lists ---


@pytest.mark.parametrize(
    ("envelope", "place"),
    [("array", ()), *((name, (name,)) for name in ("data", "items", "list")), ("payload", ("payload", "list"))],
)
async def test_a_list_comes_in_each_envelope(tenant, envelope, place):
    turn(tenant, list_envelope=envelope)
    body = (await tenant.api.get("/provider_keys")).json()

    assert [row["id"] for row in inside(body, *place)] == [tenant.key.id]


@pytest.mark.parametrize(
    ("paging", "query", "told"),
    [
        ("cursor", "cursor={next_cursor}", {"next_cursor", "has_more"}),
        ("page", "page=2", {"page", "page_size", "total"}),
        ("after", "after={last_id}", {"last_id", "has_more"}),
        ("headers", "page=2", set()),
        ("range", "page=2", set()),
        ("offset", "offset=1", set()),
        ("silent", "page=2", set()),
        ("from zero", "page=1", set()),
    ],
)
async def test_a_long_list_comes_in_pages_and_says_more_or_less_beside_its_rows(tenant, paging, query, told):
    turn(tenant, paging=paging, page_size=1)
    tenant.aisix.add_key("second", secret="sk-2")
    first = await tenant.api.get("/provider_keys")
    second = await tenant.api.get("/provider_keys", params=query.format(**first.json()))

    names = [[row["display_name"] for row in page.json()["data"]] for page in (first, second)]
    assert names == [["OpenAI production"], ["second"]]
    assert first.json().keys() == {"data"} | told
    assert first.headers.get("X-Total-Count") == ("2" if paging == "headers" else None)
    assert first.headers.get("Content-Range") == ("items 0-0/2" if paging == "range" else None)


@pytest.mark.parametrize("paging", ["cursor", "page"])
async def test_a_bare_array_links_to_its_next_page(tenant, paging):
    turn(tenant, paging=paging, page_size=1, list_envelope="array")
    tenant.aisix.add_key("second", secret="sk-2")
    first = await tenant.api.get("/provider_keys")
    second = await tenant.api.get(first.links["next"]["url"])

    assert [row["display_name"] for row in second.json()] == ["second"]
    assert "next" not in second.links


# --- answers to a write ---


@pytest.mark.parametrize("shape", ["top", "data", "provider_key", "value", "payload"])
async def test_a_created_key_is_found_in_each_place(tenant, shape):
    turn(tenant, create_answer=shape, create_status=200)
    response = await create(tenant)

    assert response.status_code == 200
    assert inside(response.json(), *(() if shape == "top" else (shape,)))["id"] in tenant.aisix.provider_keys


@pytest.mark.parametrize(
    ("envelope", "place"), [("error", ("error", "message")), ("error_msg", ("error_msg",)), ("message", ("message",))]
)
async def test_an_error_comes_in_each_envelope(tenant, envelope, place):
    turn(tenant, error_envelope=envelope, validation_status=400)
    response = await create(tenant, colour="red")

    assert response.status_code == 400
    assert "colour" in inside(response.json(), *place)


@pytest.mark.parametrize(
    ("switches", "method", "path", "body", "status"),
    [
        ({"delete_status": 200}, "DELETE", "{key}", None, 200),
        ({"delete_referenced": "409"}, "DELETE", "{key}", None, 409),
        ({"patch_api_key": "reject"}, "PATCH", "{key}", {"api_key": "x"}, 422),
        ({"single_get": 404}, "GET", "{key}", None, 404),
        ({"single_get": 405}, "GET", "{model}", None, 405),
        ({"has_passthrough_routes": False}, "GET", "{here}/passthrough_routes", None, 404),
        ({"has_cache_policies": False}, "GET", "{here}/cache_policies", None, 404),
        ({"has_budgets": False}, "GET", "/budgets", None, 404),
        ({"provider_mismatch": "accept"}, "PATCH", "{model}", {"provider_key_id": "other"}, 200),
        ({"provider_mismatch": "refuse"}, "PATCH", "{model}", {"provider_key_id": "other"}, 422),
    ],
)
async def test_a_call_may_have_another_answer(tenant, switches, method, path, body, status):
    turn(tenant, **switches)
    other = tenant.aisix.add_key("Anthropic", provider="anthropic", secret="sk-ant")
    places = {
        "key": f"/provider_keys/{tenant.key.id}",
        "model": tenant.path(),
        "here": f"/environments/{tenant.environment}",
    }
    if body and "provider_key_id" in body:
        body = {"provider_key_id": other.id}

    assert (await tenant.api.request(method, path.format(**places), json=body)).status_code == status


async def test_a_duplicate_name_may_be_a_conflict_and_models_may_not_be_creatable(tenant):
    turn(tenant, duplicate_display_name="409", model_create=False)
    body = {"display_name": "x", "provider": "openai", "model_name": "m", "provider_key_id": tenant.key.id}

    assert (await create(tenant, display_name="OpenAI production")).status_code == 409
    assert (await tenant.api.post(f"/environments/{tenant.environment}/models", json=body)).status_code == 403


async def test_a_key_that_is_not_allowed_may_be_accepted_and_then_breaks_the_model(tenant):
    turn(tenant, key_not_allowed="accept")
    elsewhere = tenant.aisix.add_key("staging", secret="sk-s", environments=["staging"])

    assert (await tenant.point(elsewhere)).status_code == 200
    await tenant.aisix.until(tenant.aisix.projected, what="the change at the gateways")
    assert await tenant.failure() == (400, "invalid_request_error", None)


# --- what is shown ---


async def test_the_base_url_may_have_another_name_and_a_setting_may_be_shown_that_cannot_be_sent(tenant):
    turn(tenant, base_url_field="base_url", extra_key_fields=True)
    shown = (await tenant.api.get(f"/provider_keys/{tenant.key.id}")).json()
    right = await create(tenant, base_url="https://x")

    assert (shown["base_url"], shown["quota_tier"]) == ("https://api.openai.com/v1", "gold")
    assert (await create(tenant, api_base="https://x")).status_code == 422
    assert (await create(tenant, quota_tier="gold")).status_code == 422
    assert tenant.aisix.provider_keys[right.json()["id"]].fields["api_base"] == "https://x"


async def test_references_may_be_names(tenant):
    turn(tenant, references="name", model_key_reference="provider_key")
    routing = tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    shown = (await tenant.api.get(tenant.path(routing))).json()
    direct = (await tenant.api.get(tenant.path())).json()

    assert shown["routing"]["targets"] == [{"model": "chat-large"}]
    assert direct["provider_key"] == "OpenAI production"
    assert "provider_key_id" not in direct


@pytest.mark.parametrize("kind", ["embedding", "direct"])
async def test_an_embedding_model_may_call_itself_direct(tenant, kind):
    turn(tenant, embedding_kind=kind)
    model = tenant.aisix.add_model("production", "embed", kind="embedding", key=tenant.key)
    shown = (await tenant.api.get(tenant.path(model))).json()

    assert (shown["kind"], "dimensions" in shown["embedding"]) == (kind, True)


async def test_an_environment_may_disappear_while_its_gateways_go_on(tenant):
    tenant.aisix.environment("production").is_visible = False
    listed = (await tenant.api.get("/environments")).json()["data"]

    assert [row["name"] for row in listed] == ["staging"]
    assert (await tenant.api.get(f"/environments/{tenant.environment}/models")).status_code == 404
    assert (await tenant.ask()).status_code == 200


async def test_recorded_bodies_may_be_raw_and_calls_may_take_long(tenant):
    turn(tenant, raw_bodies=True, latency=0.05)
    await create(tenant)

    assert tenant.aisix.calls[-1].body["api_key"] == "sk-new"
    assert tenant.aisix.calls[-1].took >= 0.05
