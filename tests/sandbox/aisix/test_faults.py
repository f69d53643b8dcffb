"""What can go wrong between a client and the control plane."""

import httpx
import pytest

KEY = {"provider": "openai", "display_name": "n", "api_key": "sk-n", "allowed_environments": []}


async def create(tenant):
    return await tenant.api.post("/provider_keys", json=KEY, timeout=1)


@pytest.mark.parametrize(
    ("fault", "options", "outcome", "keys"),
    [
        ("fail", {"status": 502}, 502, 0),
        ("fail", {"status": 502, "after_effect": True}, 502, 1),
        ("rate_limit", {"retry_after": 0.5}, 429, 0),
        ("garbage", {}, 200, 1),
        ("garbage", {"after_effect": False}, 200, 0),
        ("drop", {}, httpx.RemoteProtocolError, 0),
        ("drop", {"after_effect": True}, httpx.RemoteProtocolError, 1),
        ("hang", {}, httpx.ReadTimeout, 0),
        ("hang", {"after_effect": True}, httpx.ReadTimeout, 1),
    ],
)
async def test_a_fault_hits_once_before_or_after_the_effect(tenant, fault, options, outcome, keys):
    getattr(tenant.aisix.faults, fault)("POST", "/provider_keys", **options)
    assert (await tenant.api.get("/provider_keys")).status_code == 200
    if isinstance(outcome, int):
        response = await create(tenant)
        assert response.status_code == outcome
        assert response.headers.get("Retry-After") == ("0.5" if fault == "rate_limit" else None)
        assert response.text.startswith("<html>") is (fault == "garbage")
    else:
        with pytest.raises(outcome):
            await create(tenant)
    there = len(tenant.aisix.provider_keys)
    tenant.aisix.faults.release()
    await tenant.aisix.until(lambda: fault != "hang" or len(tenant.aisix.provider_keys) == 2, what="the late key")

    assert there == 1 + keys
    assert (await create(tenant)).status_code == 201
    assert fault != "drop" or tenant.aisix.calls[1].status is None
