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


@pytest.mark.parametrize(
    ("envelope", "read"),
    [
        ("array", lambda b: b),
        ("data", lambda b: b["data"]),
        ("items", lambda b: b["items"]),
        ("list", lambda b: b["list"]),
        ("payload", lambda b: b["payload"]["list"]),
    ],
)
async def test_a_list_comes_in_each_envelope(tenant, envelope, read):
    turn(tenant, list_envelope=envelope)

    assert [row["id"] for row in read((await tenant.api.get("/provider_keys")).json())] == [tenant.key.id]


@pytest.mark.parametrize("paging", ["cursor", "page"])
async def test_a_long_list_comes_in_pages(tenant, paging):
    turn(tenant, paging=paging, page_size=2)
    for number in range(4):
        tenant.aisix.add_key(f"key {number}", secret=f"sk-{number}")
    names, query = [], {}
    while query is not None:
        body = (await tenant.api.get("/provider_keys", params=query)).json()
        names += [row["display_name"] for row in body["data"]]
        query = following(body)

    assert names == ["OpenAI production", "key 0", "key 1", "key 2", "key 3"]


def following(body):
    if "next_cursor" in body:
        return {"cursor": body["next_cursor"]} if body["has_more"] else None
    return {"page": body["page"] + 1} if body["page"] * body["page_size"] < body["total"] else None


@pytest.mark.parametrize("paging", ["cursor", "page"])
async def test_a_bare_array_links_to_its_next_page(tenant, paging):
    turn(tenant, paging=paging, page_size=1, list_envelope="array")
    tenant.aisix.add_key("second", secret="sk-2")
    first = await tenant.api.get("/provider_keys")
    second = await tenant.api.get(first.links["next"]["url"])

    assert [row["display_name"] for row in second.json()] == ["second"]
    assert "next" not in second.links


async def names_on(tenant, query):
    response = await tenant.api.get("/provider_keys", params=query)
    return [row["display_name"] for row in response.json()["data"]], response


@pytest.mark.parametrize(
    ("paging", "query"),
    [("headers", "page=2"), ("range", "page=2"), ("offset", "offset=1"), ("silent", "page=2"), ("from zero", "page=1")],
)
async def test_a_long_list_may_say_nothing_beside_its_rows(tenant, paging, query):
    turn(tenant, paging=paging, page_size=1)
    tenant.aisix.add_key("second", secret="sk-2")
    first, response = await names_on(tenant, "")
    second, _ = await names_on(tenant, query)

    assert (first, second) == (["OpenAI production"], ["second"])
    assert set(response.json()) == {"data"}
    assert response.headers.get("X-Total-Count") == ("2" if paging == "headers" else None)
    assert response.headers.get("Content-Range") == ("items 0-0/2" if paging == "range" else None)


async def test_a_long_list_may_go_on_after_the_id_of_its_last_row(tenant):
    turn(tenant, paging="after", page_size=1)
    tenant.aisix.add_key("second", secret="sk-2")
    _, response = await names_on(tenant, "")

    assert response.json()["has_more"] is True
    assert (await names_on(tenant, f"after={response.json()['last_id']}"))[0] == ["second"]


@pytest.mark.parametrize(
    ("shape", "place"),
    [("top", None), *((shape, shape) for shape in ("data", "provider_key", "value", "payload"))],
)
async def test_a_created_key_is_found_in_each_place(tenant, shape, place):
    turn(tenant, create_answer=shape, create_status=200)
    response = await tenant.api.post("/provider_keys", json=new_key(tenant))
    row = response.json()[place] if place else response.json()

    assert response.status_code == 200
    assert row["id"] in tenant.aisix.provider_keys


async def test_a_delete_may_answer_200(tenant):
    turn(tenant, delete_status=200)

    assert (await tenant.api.delete(f"/provider_keys/{tenant.key.id}")).status_code == 200


@pytest.mark.parametrize(
    ("envelope", "read"),
    [
        ("error", lambda b: b["error"]["message"]),
        ("error_msg", lambda b: b["error_msg"]),
        ("message", lambda b: b["message"]),
    ],
)
async def test_an_error_comes_in_each_envelope(tenant, envelope, read):
    turn(tenant, error_envelope=envelope, validation_status=400)
    response = await tenant.api.post("/provider_keys", json={"colour": "red"})

    assert response.status_code == 400
    assert "colour" in read(response.json())


@pytest.mark.parametrize("status", [404, 405])
async def test_single_gets_may_be_missing(tenant, status):
    turn(tenant, single_get=status)

    assert (await tenant.api.get(tenant.path())).status_code == status
    assert (await tenant.api.get(f"/provider_keys/{tenant.key.id}")).status_code == status


async def test_a_duplicate_name_may_be_a_conflict(tenant):
    turn(tenant, duplicate_display_name="409")

    response = await tenant.api.post("/provider_keys", json=new_key(tenant, display_name="OpenAI production"))
    assert response.status_code == 409


async def test_a_secret_in_a_patch_may_be_refused(tenant):
    turn(tenant, patch_api_key="reject")

    assert (await tenant.api.patch(f"/provider_keys/{tenant.key.id}", json={"api_key": "x"})).status_code == 422


async def test_deleting_a_key_in_use_may_be_a_conflict(tenant):
    turn(tenant, delete_referenced="409")

    assert (await tenant.api.delete(f"/provider_keys/{tenant.key.id}")).status_code == 409
    tenant.aisix.remove(tenant.model)
    assert (await tenant.api.delete(f"/provider_keys/{tenant.key.id}")).status_code == 204


async def test_parts_of_the_api_may_be_missing(tenant):
    turn(tenant, has_passthrough_routes=False, has_cache_policies=False, has_budgets=False)
    here = f"/environments/{tenant.environment}"

    for path in (f"{here}/passthrough_routes", f"{here}/cache_policies", "/budgets"):
        assert (await tenant.api.get(path)).status_code == 404


async def test_the_base_url_may_have_another_name(tenant):
    turn(tenant, base_url_field="base_url")
    shown = (await tenant.api.get(f"/provider_keys/{tenant.key.id}")).json()
    wrong = await tenant.api.post("/provider_keys", json=new_key(tenant, api_base="https://x"))
    right = await tenant.api.post("/provider_keys", json=new_key(tenant, base_url="https://x"))

    assert shown["base_url"] == "https://api.openai.com/v1"
    assert wrong.status_code == 422
    assert tenant.aisix.provider_keys[right.json()["id"]].fields["api_base"] == "https://x"


async def test_references_may_be_names(tenant):
    turn(tenant, references="name", model_key_reference="provider_key")
    routing = tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    shown = (await tenant.api.get(tenant.path(routing))).json()
    direct = (await tenant.api.get(tenant.path())).json()

    assert shown["routing"]["targets"] == [{"model": "chat-large"}]
    assert direct["provider_key"] == "OpenAI production"
    assert "provider_key_id" not in direct


async def test_models_may_not_be_creatable(tenant):
    turn(tenant, model_create=False)
    body = {"display_name": "x", "provider": "openai", "model_name": "m", "provider_key_id": tenant.key.id}

    assert (await tenant.api.post(f"/environments/{tenant.environment}/models", json=body)).status_code == 403


async def test_a_key_that_is_not_allowed_may_be_accepted_and_then_breaks_the_model(tenant):
    turn(tenant, key_not_allowed="accept")
    elsewhere = tenant.aisix.add_key("staging", secret="sk-s", environments=["staging"])

    assert (await tenant.point(elsewhere)).status_code == 200
    await tenant.aisix.until(tenant.aisix.projected, what="the change at the gateways")
    assert await tenant.failure() == (400, "invalid_request_error", None)


async def test_another_provider_may_be_refused(tenant):
    other = tenant.aisix.add_key("Anthropic", provider="anthropic", secret="sk-ant")
    assert (await tenant.point(other)).status_code == 200
    turn(tenant, provider_mismatch="refuse")
    assert (await tenant.point(other)).status_code == 422


async def test_an_unknown_setting_shows_and_cannot_be_sent(tenant):
    turn(tenant, extra_key_fields=True)
    shown = (await tenant.api.get(f"/provider_keys/{tenant.key.id}")).json()

    assert shown["quota_tier"] == "gold"
    assert (await tenant.api.post("/provider_keys", json=new_key(tenant, quota_tier="gold"))).status_code == 422


async def test_recorded_bodies_may_be_raw(tenant):
    turn(tenant, raw_bodies=True)
    await tenant.api.post("/provider_keys", json=new_key(tenant))

    assert tenant.aisix.calls[-1].body["api_key"] == "sk-new"


async def test_latency_is_added_to_every_call(tenant):
    turn(tenant, latency=0.05)
    await tenant.api.get("/environments")

    assert tenant.aisix.calls[-1].took >= 0.05


def test_the_settings_may_hide_the_status_addresses(tenant):
    assert "status_urls" in tenant.aisix.settings()["AISIX_GATEWAYS"]
    turn(tenant, status_urls=False)
    assert "status_urls" not in tenant.aisix.settings()["AISIX_GATEWAYS"]


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


@pytest.mark.parametrize("status", [404, 500])
async def test_one_environments_list_may_fail_while_the_others_answer(tenant, status):
    tenant.aisix.faults.fail("GET", f"{tenant.environment}/passthrough_routes", status, times=None)
    staging = tenant.aisix.environment("staging").id

    assert (await tenant.api.get(f"/environments/{tenant.environment}/passthrough_routes")).status_code == status
    assert (await tenant.api.get(f"/environments/{staging}/passthrough_routes")).status_code == 200
