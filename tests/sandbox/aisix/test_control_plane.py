"""The Cloud Admin API: what it takes, shows and refuses."""

import pytest

KEY = {"provider": "openai", "display_name": "replacement", "api_key": "sk-new-0123456789abcdef"}


def replacement(tenant, **fields):
    return KEY | {"allowed_environments": [tenant.environment]} | fields


async def create_key(tenant, **fields):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, **fields))
    assert response.status_code == 201
    return tenant.aisix.provider_keys[response.json()["id"]]


async def test_environments_are_listed(tenant):
    response = await tenant.api.get("/environments")

    assert [row["name"] for row in response.json()["data"]] == ["production", "staging"]


async def test_a_bad_token_is_401_and_a_missing_scope_403(tenant, open_client):
    stranger = await open_client(tenant.aisix.api_url, "nonsense")
    reader = await open_client(tenant.aisix.api_url, tenant.aisix.read_token)

    assert (await stranger.get("/environments")).status_code == 401
    assert (await reader.get("/environments")).status_code == 200
    assert (await reader.delete(f"/provider_keys/{tenant.key.id}")).status_code == 403
    assert tenant.key.id in tenant.aisix.provider_keys


async def test_a_revoked_token_is_refused_at_once(tenant):
    tenant.aisix.revoke(tenant.aisix.admin_token)

    assert (await tenant.api.get("/environments")).status_code == 401


async def test_a_key_is_created_and_its_secret_is_never_shown_again(tenant):
    created = await tenant.api.post("/provider_keys", json=replacement(tenant))
    one = await tenant.api.get(f"/provider_keys/{created.json()['id']}")
    every = await tenant.api.get("/provider_keys")

    assert tenant.aisix.provider_keys[one.json()["id"]].secret == KEY["api_key"]
    for response in (created, one, every):
        assert KEY["api_key"] not in response.text
        assert "api_key" not in response.text


@pytest.mark.parametrize("field", ["id", "created_at", "telemetry_tags", "nickname"])
async def test_unknown_and_server_made_fields_are_refused_by_name(tenant, field):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, **{field: "x"}))

    assert response.status_code == 422
    assert f"'{field}'" in response.json()["error"]["message"]
    assert len(tenant.aisix.provider_keys) == 1


async def test_unknown_fields_are_refused_inside_a_block(tenant):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, request={"default_header": {}}))

    assert "'request.default_header'" in response.json()["error"]["message"]


@pytest.mark.parametrize("field", ["provider", "display_name", "api_key"])
async def test_a_key_needs_its_fields(tenant, field):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, **{field: ""}))

    assert response.status_code == 422


async def test_a_value_of_a_wrong_type_is_refused(tenant):
    for fields in ({"adapter": "soap"}, {"strip_headers": "cookie"}, {"tls": {"verify": "no"}}, {"request": []}):
        assert (await tenant.api.post("/provider_keys", json=replacement(tenant, **fields))).status_code == 422


async def test_a_body_that_is_no_object_is_refused(tenant):
    assert (await tenant.api.post("/provider_keys", content=b"{")).status_code == 422
    assert (await tenant.api.post("/provider_keys", json=[])).status_code == 422


async def test_a_provider_outside_the_catalog_needs_an_address_and_an_adapter(tenant):
    own = replacement(tenant, provider="my-llm")

    assert (await tenant.api.post("/provider_keys", json=own)).status_code == 422
    own |= {"adapter": "openai", "api_base": "https://llm.example/v1"}
    assert (await tenant.api.post("/provider_keys", json=own)).status_code == 201


async def test_an_unknown_environment_cannot_be_allowed(tenant):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, allowed_environments=["nowhere"]))

    assert response.status_code == 422


async def test_a_second_post_makes_a_second_key(tenant):
    first, second = await create_key(tenant), await create_key(tenant)

    assert first.id != second.id


async def test_a_patch_changes_settings_and_never_the_secret(tenant):
    path = f"/provider_keys/{tenant.key.id}"
    response = await tenant.api.patch(path, json={"display_name": "renamed", "api_key": "sk-other"})

    assert response.status_code == 200
    assert tenant.key.display_name == "renamed"
    assert tenant.key.secret != "sk-other"


async def test_a_key_in_use_is_deleted_and_a_second_delete_is_404(tenant):
    path = f"/provider_keys/{tenant.key.id}"

    assert (await tenant.api.delete(path)).status_code == 204
    assert (await tenant.api.delete(path)).status_code == 404


async def test_a_model_is_pointed_by_its_key_alone(tenant):
    new = await create_key(tenant)
    response = await tenant.point(new)

    assert response.json()["provider_key_id"] == new.id
    assert tenant.model.provider_key_id == new.id
    assert tenant.model.fields["model_name"] == "gpt-4o"


async def test_a_model_is_not_pointed_to_a_key_that_does_not_exist_or_is_not_allowed(tenant):
    elsewhere = tenant.aisix.add_key("staging", secret="sk-s", environments=["staging"])

    assert (await tenant.point("nobody")).status_code == 422
    assert (await tenant.point(elsewhere)).status_code == 422
    assert tenant.model.provider_key_id == tenant.key.id


async def test_a_model_is_not_patched_with_what_the_server_makes(tenant):
    shown = (await tenant.api.get(tenant.path())).json()

    assert (await tenant.api.patch(tenant.path(), json=shown)).status_code == 422


async def test_a_model_belongs_to_its_environment(tenant):
    staging = tenant.aisix.environment("staging").id

    assert (await tenant.api.get(f"/environments/{staging}/models/{tenant.model.id}")).status_code == 404
    assert (await tenant.api.get("/environments/nowhere/models")).status_code == 404


async def test_models_of_every_kind_are_created_and_deleted(tenant):
    models = f"/environments/{tenant.environment}/models"
    direct = {"provider": "openai", "model_name": "gpt-4o", "provider_key_id": tenant.key.id}
    bodies = [
        {"display_name": "keyturn-1", **direct},
        {"display_name": "emb", "kind": "embedding", "embedding": {"dimensions": 3}, **direct},
        {"display_name": "any", "kind": "routing", "routing": {"targets": [{"model": tenant.model.id}]}},
        {
            "display_name": "vote",
            "kind": "ensemble",
            "ensemble": {"panel": [{"model": "chat-large"}], "judge": {"model": "emb"}},
        },
        {"display_name": "smart", "kind": "semantic", "semantic": {"embedding_model": "emb", "default": "any"}},
    ]
    for body in bodies:
        created = await tenant.api.post(models, json=body)
        assert created.status_code == 201, created.text
    assert len((await tenant.api.get(models)).json()["data"]) == 6
    assert (await tenant.api.delete(f"{models}/{created.json()['id']}")).status_code == 204
    assert len((await tenant.api.get(models)).json()["data"]) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {"provider_key_id": "nobody"},
        {"provider_key_id": ""},
        {"cost": 1},
        {"routing": {}},
        {"model_name": ""},
    ],
)
async def test_a_model_that_does_not_fit_is_refused(tenant, wrong):
    direct = {"display_name": "x", "provider": "openai", "model_name": "gpt-4o", "provider_key_id": tenant.key.id}
    response = await tenant.api.post(f"/environments/{tenant.environment}/models", json=direct | wrong)

    assert response.status_code == 422


async def test_a_reference_to_an_unknown_model_is_refused(tenant):
    body = {"display_name": "any", "kind": "routing", "routing": {"targets": [{"model": "nobody"}]}}

    assert (await tenant.api.post(f"/environments/{tenant.environment}/models", json=body)).status_code == 422


async def test_an_alias_exists_once_in_an_environment(tenant):
    direct = {"display_name": "chat-large", "provider": "openai", "model_name": "m", "provider_key_id": tenant.key.id}

    assert (await tenant.api.post(f"/environments/{tenant.environment}/models", json=direct)).status_code == 409


async def test_passthrough_routes_cache_policies_and_budgets_are_listed_and_routes_patched(tenant):
    route = tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    tenant.aisix.add_cache_policy("production", "near", embedding_model=tenant.model)
    tenant.aisix.add_budget("cap", key=tenant.key)
    new = await create_key(tenant)
    here = f"/environments/{tenant.environment}"

    routes = (await tenant.api.get(f"{here}/passthrough_routes")).json()["data"]
    policies = (await tenant.api.get(f"{here}/cache_policies")).json()["data"]
    budgets = (await tenant.api.get("/budgets")).json()["data"]
    patched = await tenant.api.patch(f"{here}/passthrough_routes/{route.id}", json={"provider_key_id": new.id})
    read = await tenant.api.get(f"{here}/passthrough_routes/{route.id}")

    assert routes[0]["provider_key_id"] == tenant.key.id
    assert policies[0]["semantic"]["embedding_model"] == tenant.model.id
    assert budgets[0]["provider_key_id"] == tenant.key.id
    assert patched.status_code == 200
    assert read.json()["provider_key_id"] == new.id
    assert route.provider_key_id == new.id


async def test_an_unknown_path_or_method_is_refused_in_the_envelope_of_errors(tenant):
    for response in (await tenant.api.get("/nothing"), await tenant.api.put("/provider_keys")):
        assert response.status_code in (404, 405)
        assert response.json()["error"]["message"]


async def test_calls_are_recorded_without_secrets(tenant):
    await create_key(tenant)
    call = tenant.aisix.calls[-1]

    assert (call.method, call.path, call.status) == ("POST", "/api/provider_keys", 201)
    assert call.body["api_key"] == "***"


async def test_five_hundred_models_are_listed_in_one_page(tenant):
    for number in range(499):
        tenant.aisix.add_model("production", f"model-{number}", key=tenant.key)

    assert len((await tenant.api.get(f"/environments/{tenant.environment}/models")).json()["data"]) == 500
