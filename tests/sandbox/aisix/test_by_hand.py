"""The documented procedure, done by hand, with callers at work."""

import asyncio

import pytest

from sandbox.caller import Caller, Callers

NEW = "sk-new-0123456789abcdef"
RATE = 100


@pytest.fixture
async def callers(tenant):
    aisix = tenant.aisix
    url, token = aisix.gateway_url("production"), aisix.app_caller_key("production")
    async with Callers([Caller(url, token, "chat-large", rate=RATE)]) as callers:
        await aisix.until(lambda: callers.ok, what="the first answer")
        yield callers


async def replace(tenant, callers):
    """Steps one to three; returns the replacement's id once callers have had answers since."""
    body = {"provider": "openai", "display_name": "new", "api_key": NEW, "allowed_environments": [tenant.environment]}
    new = (await tenant.api.post("/provider_keys", json=body)).json()["id"]
    await tenant.point(new)
    await tenant.aisix.until(tenant.aisix.projected, what="the change at the gateways")
    sent = callers.sent
    await tenant.aisix.until(lambda: callers.ok + callers.failed > sent + 5, what="answers since")
    return new


async def test_with_a_good_secret_no_caller_notices(tenant, callers):
    tenant.aisix.upstream.accept(NEW)
    new = await replace(tenant, callers)
    await tenant.api.delete(f"/provider_keys/{tenant.key.id}")
    await tenant.aisix.until(tenant.aisix.projected, what="the deletion at the gateways")
    served = tenant.aisix.served_with(new)
    await tenant.aisix.until(lambda: tenant.aisix.served_with(new) > served + 5, what="answers since")

    assert callers.failures == []


async def test_with_a_wrong_secret_every_caller_fails_until_the_way_back(tenant, callers):
    await replace(tenant, callers)
    assert callers.failed > 0
    await tenant.point(tenant.key)
    ok = callers.ok
    await tenant.aisix.until(lambda: callers.ok > ok, what="answers again")

    assert {failure.type for failure in callers.failures} == {"upstream_error"}


async def test_deleting_while_a_replica_serves_the_last_good_row_is_an_outage(tenant, callers):
    tenant.aisix.upstream.accept(NEW)
    tenant.aisix.replicas("production")[0].reject_rows = {tenant.model.id}
    await replace(tenant, callers)
    assert callers.failures == []

    await tenant.api.delete(f"/provider_keys/{tenant.key.id}")
    await tenant.aisix.until(lambda: callers.failed, what="the outage")
    assert callers.failures[0][2:] == (400, "invalid_request_error")


async def test_the_record_tells_how_many_calls_were_under_way_at_once(tenant):
    tenant.aisix.switches.latency = 0.02
    await asyncio.gather(*(tenant.api.get("/environments") for _ in range(4)))

    assert tenant.aisix.most_calls_at_once == 4
    assert [call.path for call in tenant.aisix.calls] == ["/api/environments"] * 4
