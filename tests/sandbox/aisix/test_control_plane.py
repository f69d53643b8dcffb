"""The Cloud Admin API: what it takes, shows and refuses."""

import pytest

KEY = {"provider": "openai", "display_name": "replacement", "api_key": "sk-new-0123456789abcdef"}


def replacement(tenant, **fields):
    return KEY | {"allowed_environments": [tenant.environment]} | fields


async def create_key(tenant, **fields):
    response = await tenant.api.post("/provider_keys", json=replacement(tenant, **fields))
    assert response.status_code == 201
    return tenant.aisix.provider_keys[response.json()["id"]]


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


async def test_calls_are_recorded_without_secrets(tenant):
    await create_key(tenant)
    call = tenant.aisix.calls[-1]

    assert (call.method, call.path, call.status) == ("POST", "/api/provider_keys", 201)
    assert call.body["api_key"] == "***"
