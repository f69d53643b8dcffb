"""What a rotation costs callers, and the documented procedure, done by hand, that it is measured against."""

import time

from sandbox.by_hand import ByHand
from sandbox.caller import Caller, Callers


async def test_callers_count_their_failures_with_time_alias_status_and_type(tenant):
    aisix, key = tenant.aisix, tenant.key
    aisix.add_model("production", "emb", key=aisix.add_key("other", secret="sk-other"), kind="embedding")
    url, token = aisix.gateway_url("production"), aisix.app_caller_key("production")
    chat, embeddings = Caller(url, token, "chat-large", 200), Caller(url, token, "emb", 200, "embeddings")
    async with Callers([chat, embeddings]) as callers:
        await aisix.until(lambda: chat.ok and embeddings.ok, what="answers")
        start = time.time()
        aisix.upstream.refuse(key.secret)
        await aisix.until(lambda: callers.failed >= 5, what="five failures")
        aisix.upstream.accept(key.secret)
        end, before = time.time(), chat.ok
        await aisix.until(lambda: chat.ok > before, what="an answer again")

    assert callers.sent == callers.ok + callers.failed
    assert {failure[1:] for failure in callers.failures} == {("chat-large", 401, "upstream_error")}
    assert (callers.failed_between(start - 1, end), callers.failed_between(end, end + 60)) == (callers.failed, 0)


async def test_a_person_makes_the_calls_of_the_documented_loop(tenant):
    second = tenant.aisix.add_model("staging", "chat-large", key=tenant.key)
    tenant.aisix.upstream.accept("sk-new")
    await ByHand(tenant.aisix, tenant.key, [tenant.model, second], projection=0.2).rotate("sk-new")

    assert [(call.method, call.path.removeprefix("/api")) for call in tenant.aisix.calls] == [
        ("POST", "/provider_keys"),
        ("PATCH", f"/environments/{tenant.environment}/models/{tenant.model.id}"),
        ("PATCH", f"/environments/{second.environment_id}/models/{second.id}"),
        ("DELETE", f"/provider_keys/{tenant.key.id}"),
    ]
    assert tenant.aisix.calls[0].body["api_base"] == "https://api.openai.com/v1"
