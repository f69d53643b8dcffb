"""Callers count what a rotation costs them."""

import time

import pytest

from sandbox.caller import Caller, Callers

RATE = 200


def caller(aisix, alias, **options):
    return Caller(aisix.gateway_url("production"), aisix.app_caller_key("production"), alias, rate=RATE, **options)


@pytest.fixture
def aisix(tenant):
    return tenant.aisix


async def test_failures_are_told_with_their_time_alias_status_and_type(aisix, tenant):
    async with Callers([caller(aisix, "chat-large")]) as callers:
        await aisix.until(lambda: callers.ok, what="an answer")
        start = time.time()
        aisix.upstream.refuse(tenant.key.secret)
        await aisix.until(lambda: callers.failed >= 5, what="five failures")
        aisix.upstream.accept(tenant.key.secret)
        end = time.time()
        before = callers.ok
        await aisix.until(lambda: callers.ok > before, what="an answer again")

    assert callers.sent == callers.ok + callers.failed
    assert {failure[1:] for failure in callers.failures} == {("chat-large", 401, "upstream_error")}
    assert callers.failed_between(start - 1, end) == callers.failed
    assert callers.failed_between(end, end + 60) == 0
    assert callers.failures_by_type() == {(401, "upstream_error"): callers.failed}


async def test_embeddings_are_asked_at_their_endpoint(aisix, tenant):
    aisix.add_model("production", "emb", key=tenant.key, kind="embedding")
    async with Callers([caller(aisix, "emb", endpoint="embeddings")]) as callers:
        await aisix.until(lambda: callers.ok >= 2, what="two answers")

    assert callers.failed == 0
