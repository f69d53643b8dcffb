"""The documented procedure, done by hand, with callers at work."""

import asyncio

import pytest

from sandbox.by_hand import ByHand
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


def by_hand(tenant, **waits):
    return ByHand(tenant.aisix, tenant.key, [tenant.model], **{"projection": 0.2, "reading": 0.05} | waits)


async def more_answers(tenant, callers, count=5):
    """Wait until callers have had answers since the last change."""
    await tenant.aisix.until(tenant.aisix.projected, what="the last change at the gateways")
    sent = callers.sent
    await tenant.aisix.until(lambda: callers.ok + callers.failed > sent + count, what="answers since")


async def test_who_does_not_wait_for_projection_takes_the_old_keys_answer_for_the_new_ones(tenant, callers):
    for replica in tenant.aisix.replicas("production"):
        replica.lag = 0.5
    assert await by_hand(tenant, projection=0).rotate(NEW)
    await tenant.aisix.until(lambda: callers.failed, what="the outage")

    assert tenant.key.id not in tenant.aisix.provider_keys


async def test_deleting_while_a_replica_serves_the_last_good_row_is_an_outage(tenant, callers):
    tenant.aisix.upstream.accept(NEW)
    tenant.aisix.replicas("production")[0].reject_rows = {tenant.model.id}
    assert await by_hand(tenant).rotate(NEW)
    await tenant.aisix.until(lambda: callers.failed, what="the outage")

    assert callers.failures[0][2:] == (400, "invalid_request_error")


async def test_the_calls_are_those_of_the_documented_loop(tenant):
    second = tenant.aisix.add_model("staging", "chat-large", key=tenant.key)
    person = ByHand(tenant.aisix, tenant.key, [tenant.model, second], projection=0.2)
    tenant.aisix.upstream.accept(NEW)
    await person.rotate(NEW)

    assert [(call.method, call.path.removeprefix("/api")) for call in tenant.aisix.calls] == [
        ("POST", "/provider_keys"),
        ("PATCH", tenant.path()),
        ("PATCH", tenant.path(second)),
        ("DELETE", f"/provider_keys/{tenant.key.id}"),
    ]
    assert tenant.aisix.calls[0].body["api_base"] == "https://api.openai.com/v1"


async def test_the_record_tells_how_many_calls_were_under_way_at_once(tenant):
    tenant.aisix.switches.latency = 0.02
    await asyncio.gather(*(tenant.api.get("/environments") for _ in range(4)))

    assert tenant.aisix.most_calls_at_once == 4
    assert [call.path for call in tenant.aisix.calls] == ["/api/environments"] * 4
