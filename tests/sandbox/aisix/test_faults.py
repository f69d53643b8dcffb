"""What can go wrong between a client and the control plane."""

import httpx
import pytest

KEY = {"provider": "openai", "display_name": "n", "api_key": "sk-n", "allowed_environments": []}


@pytest.fixture
def faults(tenant):
    return tenant.aisix.faults


async def create(tenant):
    return await tenant.api.post("/provider_keys", json=KEY)


async def test_a_fault_hits_as_often_as_planned_and_only_what_matches(tenant, faults):
    faults.fail("PATCH", "/models/", status=500, times=2)

    assert (await tenant.api.get(tenant.path())).status_code == 200
    assert [(await tenant.point(tenant.key)).status_code for _ in range(3)] == [500, 500, 200]


async def test_a_failure_may_come_after_the_effect(tenant, faults):
    faults.fail("POST", "/provider_keys", status=502, after_effect=True)

    assert (await create(tenant)).status_code == 502
    assert len(tenant.aisix.provider_keys) == 2


async def test_a_rate_limit_says_when_to_come_back(tenant, faults):
    faults.rate_limit("GET", "/environments", retry_after=0.5)
    refused = await tenant.api.get("/environments")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "0.5")
    assert (await tenant.api.get("/environments")).status_code == 200


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_connection_is_lost_before_or_after_the_effect(tenant, faults, after_effect):
    faults.drop("POST", "/provider_keys", after_effect=after_effect)
    with pytest.raises(httpx.TransportError):
        await create(tenant)

    assert len(tenant.aisix.provider_keys) == (2 if after_effect else 1)
    assert tenant.aisix.calls[-1].status is None


@pytest.mark.parametrize("after_effect", [False, True])
async def test_an_answer_that_never_comes(tenant, faults, after_effect):
    faults.hang("POST", "/provider_keys", after_effect=after_effect)
    with pytest.raises(httpx.ReadTimeout):
        await tenant.api.post("/provider_keys", json=KEY, timeout=0.05)

    assert len(tenant.aisix.provider_keys) == (2 if after_effect else 1)


async def test_a_hanging_call_takes_effect_late_once_released(tenant, faults):
    faults.hang("POST", "/provider_keys")
    with pytest.raises(httpx.ReadTimeout):
        await tenant.api.post("/provider_keys", json=KEY, timeout=0.05)
    faults.release()

    await tenant.aisix.until(lambda: len(tenant.aisix.provider_keys) == 2, what="the late key")


async def test_garbage_is_no_json(tenant, faults):
    faults.garbage("POST", "/provider_keys")
    response = await create(tenant)

    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()
    assert len(tenant.aisix.provider_keys) == 2


async def test_a_person_acts_just_before_a_call(tenant, faults):
    other = tenant.aisix.add_key("other", secret="sk-o")
    faults.before("GET", f"/models/{tenant.model.id}", lambda: tenant.aisix.edit(tenant.model, key=other))

    assert (await tenant.api.get(tenant.path())).json()["provider_key_id"] == other.id


async def test_a_person_binds_a_new_model_to_a_key_at_the_worst_moment(tenant):
    tenant.aisix.bind_before("DELETE", "/provider_keys", key=tenant.key)
    before = {model.display_name for model in tenant.aisix.models.values()}
    await tenant.api.delete(f"/provider_keys/{tenant.key.id}")
    await tenant.aisix.until(tenant.aisix.projected, what="both changes at the gateways")

    assert before == {"chat-large"}
    assert await tenant.failure("latecomer") == (400, "invalid_request_error", None)


async def test_it_comes_back_at_the_same_address_after_a_restart(tenant, open_client):
    url = tenant.aisix.api_url
    await tenant.aisix.stop()
    await tenant.aisix.start()
    client = await open_client(url, tenant.aisix.admin_token)

    assert (await client.get("/environments")).status_code == 200
