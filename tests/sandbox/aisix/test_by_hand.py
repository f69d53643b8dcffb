"""The documented procedure, done by hand, and the record of its calls."""

import asyncio

from sandbox.by_hand import ByHand

NEW = "sk-new-0123456789abcdef"


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
