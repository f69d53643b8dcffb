"""The Cloud Admin API: what it takes, shows and refuses, and each shape of it that is plausible."""

import pytest

from sandbox.aisix import Switches

KEY = {"provider": "openai", "display_name": "new", "api_key": "sk-new-0123456789abcdef"}
KEYS, THE_KEY, MODELS, THE_MODEL = "/provider_keys", "/provider_keys/{key}", "{here}/models", "{here}/models/{model}"
DIRECT = {"display_name": "keyturn-1", "provider": "openai", "model_name": "gpt-4o"}


def turn(tenant, **switches):
    for name, value in switches.items():
        assert hasattr(Switches(), name)
        setattr(tenant.aisix.switches, name, value)


async def create(tenant, **fields):
    return await tenant.api.post("/provider_keys", json=KEY | {"allowed_environments": [tenant.environment]} | fields)


def inside(body, *names):
    for name in names:
        body = body[name]
    return body


async def test_a_key_is_created_and_its_secret_is_never_shown_again(tenant):
    created = await create(tenant)
    path = f"/provider_keys/{created.json()['id']}"
    shown = [created, await tenant.api.get(path), await tenant.api.get("/provider_keys")]

    assert tenant.aisix.provider_keys[created.json()["id"]].secret == KEY["api_key"]
    assert not any("api_key" in response.text or KEY["api_key"] in response.text for response in shown)
    call = tenant.aisix.calls[0]
    assert (call.method, call.path, call.status, call.body["api_key"]) == ("POST", "/api/provider_keys", 201, "***")
    turn(tenant, raw_bodies=True)
    await create(tenant)
    assert tenant.aisix.calls[-1].body["api_key"] == KEY["api_key"]


async def test_a_patch_changes_what_it_names_and_never_a_secret(tenant):
    key, new = tenant.key, (await create(tenant)).json()["id"]
    renamed = await tenant.api.patch(f"/provider_keys/{key.id}", json={"display_name": "x", "api_key": "sk-other"})
    pointed = await tenant.point(new)

    assert (renamed.status_code, key.display_name) == (200, "x")
    assert key.secret != "sk-other"
    assert pointed.json()["provider_key_id"] == tenant.model.provider_key_id == new
    assert tenant.model.fields["model_name"] == "gpt-4o"


@pytest.mark.parametrize(
    ("switches", "method", "path", "body", "status"),
    [
        ({}, "POST", KEYS, KEY | {"id": "x"}, 422),
        ({}, "POST", KEYS, KEY | {"telemetry_tags": {}}, 422),
        ({"base_url_field": "base_url"}, "POST", KEYS, KEY | {"api_base": "https://x"}, 422),
        ({"extra_key_fields": True}, "POST", KEYS, KEY | {"quota_tier": "gold"}, 422),
        ({"duplicate_display_name": "409"}, "POST", KEYS, KEY | {"display_name": "OpenAI production"}, 409),
        ({"delete_referenced": "409"}, "DELETE", THE_KEY, None, 409),
        ({}, "DELETE", "/provider_keys/nobody", None, 404),
        ({"single_get": 404}, "GET", THE_KEY, None, 404),
        ({"single_get": 405}, "GET", THE_MODEL, None, 405),
        ({}, "PATCH", THE_MODEL, {"provider_key_id": "nobody"}, 422),
        ({}, "PATCH", THE_MODEL, {"provider_key_id": "{elsewhere}"}, 422),
        ({}, "PATCH", THE_MODEL, {"id": "x", "display_name": "x"}, 422),
        ({}, "POST", MODELS, DIRECT | {"display_name": "chat-large", "provider_key_id": "{key}"}, 409),
        ({"model_create": False}, "POST", MODELS, DIRECT | {"provider_key_id": "{key}"}, 403),
        ({"has_passthrough_routes": False}, "GET", "{here}/passthrough_routes", None, 404),
        ({"has_cache_policies": False}, "GET", "{here}/cache_policies", None, 404),
        ({"has_budgets": False}, "GET", "/budgets", None, 404),
    ],
)
async def test_what_the_control_plane_refuses_has_no_effect(tenant, switches, method, path, body, status):
    turn(tenant, **switches)
    elsewhere = tenant.aisix.add_key("staging", secret="sk-s", environments=["staging"])
    known = {"here": f"/environments/{tenant.environment}", "key": tenant.key.id, "model": tenant.model.id}
    known["elsewhere"] = elsewhere.id
    body = body and {name: value.format(**known) if isinstance(value, str) else value for name, value in body.items()}
    before = dict(tenant.model.fields)

    assert (await tenant.api.request(method, path.format(**known), json=body)).status_code == status
    assert tenant.aisix.provider_keys.keys() == {tenant.key.id, elsewhere.id}
    assert (list(tenant.aisix.models), tenant.model.fields) == ([tenant.model.id], before)


LIST, CREATE, NOTHING = ("GET", KEYS), ("POST", KEYS), ("PUT", KEYS)
READ, EDIT, DELETE = ("GET", THE_KEY), ("PATCH", THE_KEY), ("DELETE", THE_KEY)
LIST_MODELS, READ_MODEL = ("GET", MODELS), ("GET", THE_MODEL)


@pytest.mark.parametrize(
    ("switches", "call", "status", "place", "found"),
    [
        ({"list_envelope": "array"}, LIST, 200, (0, "display_name"), "OpenAI production"),
        ({"list_envelope": "data"}, LIST, 200, ("data", 0, "display_name"), "OpenAI production"),
        ({"list_envelope": "items"}, LIST, 200, ("items", 0, "display_name"), "OpenAI production"),
        ({"list_envelope": "list"}, LIST, 200, ("list", 0, "display_name"), "OpenAI production"),
        ({"list_envelope": "payload"}, LIST, 200, ("payload", "list", 0, "display_name"), "OpenAI production"),
        ({"create_answer": "top"}, CREATE, 201, ("display_name",), "new"),
        ({"create_answer": "data", "create_status": 200}, CREATE, 200, ("data", "display_name"), "new"),
        ({"create_answer": "provider_key"}, CREATE, 201, ("provider_key", "display_name"), "new"),
        ({"create_answer": "value"}, CREATE, 201, ("value", "display_name"), "new"),
        ({"create_answer": "payload"}, CREATE, 201, ("payload", "display_name"), "new"),
        ({"error_envelope": "error"}, NOTHING, 405, ("error", "message"), "Method Not Allowed"),
        ({"error_envelope": "error_msg"}, NOTHING, 405, ("error_msg",), "Method Not Allowed"),
        ({"error_envelope": "message"}, NOTHING, 405, ("message",), "Method Not Allowed"),
        ({"delete_status": 200}, DELETE, 200, (), {}),
        ({"validation_status": 400}, EDIT, 400, ("error", "message"), "unknown field 'colour'"),
        ({"base_url_field": "base_url"}, READ, 200, ("base_url",), "https://api.openai.com/v1"),
        ({"extra_key_fields": True}, READ, 200, ("quota_tier",), "gold"),
        ({"references": "name"}, LIST_MODELS, 200, ("data", 1, "routing", "targets", 0, "model"), "chat-large"),
        ({"model_key_reference": "provider_key"}, READ_MODEL, 200, ("provider_key",), "OpenAI production"),
    ],
)
async def test_an_answer_comes_in_each_shape(tenant, switches, call, status, place, found):
    turn(tenant, **switches)
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    places = {"here": f"/environments/{tenant.environment}", "key": tenant.key.id, "model": tenant.model.id}
    body = {CREATE: KEY, EDIT: {"colour": "red"}}.get(call)
    response = await tenant.api.request(call[0], call[1].format(**places), json=body)

    assert response.status_code == status
    assert inside(response.json(), *place) == found


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
    first = await tenant.api.get(KEYS)
    second = await tenant.api.get(KEYS, params=query.format(**first.json()))

    names = [[row["display_name"] for row in page.json()["data"]] for page in (first, second)]
    assert names == [["OpenAI production"], ["second"]]
    assert first.json().keys() == {"data"} | told
    assert first.headers.get("X-Total-Count") == ("2" if paging == "headers" else None)
    assert first.headers.get("Content-Range") == ("items 0-0/2" if paging == "range" else None)
    turn(tenant, list_envelope="array")
    links = [(await tenant.api.get(KEYS, params=asked)).links for asked in ({}, query.format(**first.json()))]
    assert ["next" in each for each in links] == [paging in ("cursor", "page"), False]
