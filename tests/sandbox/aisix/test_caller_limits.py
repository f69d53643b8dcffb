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


async def test_an_answer_tells_what_is_left(tenant, caller):
    headers = (await ask(tenant, caller)).headers

    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_request_too_many_is_the_gateways_own_429_and_reaches_nobody(tenant, caller):
    await ask(tenant, caller)
    refused = await ask(tenant, caller)

    assert refused.status_code == 429
    assert refused.json() == {"error": {"message": "request limit exceeded (requests)", "type": "rate_limit_exceeded"}}
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert tenant.aisix.upstream.answered(tenant.key.secret) == 1


async def test_each_replica_counts_for_itself_and_each_caller_too(tenant, caller):
    await ask(tenant, caller)

    assert (await ask(tenant, caller, replica=1)).status_code == 200
    assert (await tenant.ask()).status_code == 200
    assert not any(name.startswith("x-ratelimit") for name in (await tenant.ask()).headers)


async def test_the_next_window_begins_at_nothing(tenant, caller):
    await ask(tenant, caller)
    tenant.aisix.switches.limit_window = 1e-9

    assert (await ask(tenant, caller)).status_code == 200


async def test_what_the_gateway_does_not_serve_uses_up_nothing(tenant, caller):
    assert (await ask(tenant, caller, alias="nothing")).status_code == 404
    assert (await ask(tenant, caller)).status_code == 200
