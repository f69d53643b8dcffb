"""A caller key that may send so many requests, as a real gateway limits it."""

import pytest


@pytest.fixture
def caller(tenant):
    """The applications' key, which may send one request an hour to each replica."""
    tenant.aisix.switches.limit_window = 3600.0
    caller = tenant.aisix.caller("production", "app")
    caller.limit = 1
    return caller


async def ask(tenant, caller, replica=0, alias="chat-large"):
    return await tenant.ask(alias, token=caller.token, url=tenant.aisix.replicas("production")[replica].url)


async def test_a_request_too_many_is_the_gateways_own_429_and_reaches_nobody(tenant, caller):
    assert (await ask(tenant, caller, alias="nothing")).status_code == 404, "which uses up nothing"
    last = await ask(tenant, caller)
    refused = await ask(tenant, caller)

    assert last.headers["x-ratelimit-limit-requests"] == "1"
    assert last.headers["x-ratelimit-remaining-requests"] == "0"
    assert last.headers["x-ratelimit-reset-requests"].endswith("s")
    assert refused.status_code == 429
    assert refused.json() == {"error": {"message": "request limit exceeded (requests)", "type": "rate_limit_exceeded"}}
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert tenant.aisix.upstream.answered(tenant.key.secret) == 1


async def test_each_replica_each_caller_and_each_window_counts_for_itself(tenant, caller):
    await ask(tenant, caller)

    assert (await ask(tenant, caller, replica=1)).status_code == 200
    assert (await tenant.ask()).status_code == 200
    assert not any(name.startswith("x-ratelimit") for name in (await tenant.ask()).headers)
    tenant.aisix.switches.limit_window = 1e-9
    assert (await ask(tenant, caller)).status_code == 200
