"""Traps: green lights that say nothing about the key behind a model."""

import asyncio
import json

import pytest

REFUSED = (401, "upstream_error", "invalid_api_key")


@pytest.fixture
def bad_key(tenant):
    key = tenant.aisix.add_key("bad", secret="sk-bad")
    tenant.aisix.upstream.refuse("sk-bad")
    return key


@pytest.fixture
def bad(tenant, bad_key):
    return tenant.aisix.add_model("production", "broken", key=bad_key)


@pytest.fixture
def alone(tenant):
    """The only replica that is up."""
    replica, other = tenant.aisix.replicas("production")
    other.down = True
    return replica


def add(tenant, name, kind="direct", **settings):
    return tenant.aisix.add_model("production", name, kind=kind, **settings)


async def served_by(tenant, alias):
    return (await tenant.ask(alias)).headers["x-aisix-served-by"]


async def test_routing_shows_a_refused_key_once_and_then_avoids_it_beyond_its_repair(tenant, bad, alone):
    add(tenant, "any", "routing", targets=[bad, tenant.model], strategy="failover")

    assert await tenant.failure("any") == REFUSED
    assert await served_by(tenant, "any") == "chat-large"
    assert await tenant.failure("broken") == REFUSED
    tenant.aisix.edit(bad, key=tenant.key, settled=True)
    assert await served_by(tenant, "any") == "chat-large"
    assert (await tenant.ask("broken")).status_code == 200, "which ends the cooldown"
    assert await served_by(tenant, "any") == "broken"


async def test_routing_hides_a_refused_key_at_once_if_it_falls_back_from_401(tenant, bad, alone):
    add(tenant, "any", "routing", targets=[bad, tenant.model], strategy="failover", fallback_on_statuses=[401])

    assert await served_by(tenant, "any") == "chat-large"
    assert 'is_fallback="true"' in (await tenant.status("/metrics")).text


@pytest.mark.parametrize(("behaviour", "attempts"), [(500, 3), ("unreachable", 3), (401, 1), (429, 1)])
async def test_a_provider_that_fails_is_retried_and_one_that_refuses_is_not(tenant, behaviour, attempts):
    tenant.aisix.upstream.set(tenant.key.secret, behaviour)
    await tenant.ask()

    assert tenant.aisix.upstream.answered(tenant.key.secret) == attempts


@pytest.mark.parametrize(("policy", "status"), [(None, 200), ("target", 200), ("fail", 502)])
async def test_a_semantic_router_with_a_broken_embedding_model_answers_elsewhere(tenant, bad_key, policy, status):
    embedding = add(tenant, "emb", "embedding", key=bad_key)
    law = add(tenant, "law", key=tenant.key)
    parts = {"embedding_model": embedding, "routes": [law], "default": tenant.model}
    if policy:
        parts["on_embedding_failure"] = law if policy == "target" else policy
    add(tenant, "smart", "semantic", **parts)
    broken = await tenant.ask("smart", prompt="a question of law")

    assert (broken.status_code, "x-aisix-route" in broken.headers) == (status, False)
    tenant.aisix.edit(embedding, key=tenant.key, settled=True)
    assert (await tenant.ask("smart", prompt="a question of law")).headers["x-aisix-route"] == "law"
    assert "x-aisix-route" not in (await tenant.ask("smart", prompt="the weather")).headers


async def test_an_ensemble_hides_failures_up_to_its_minimum(tenant, bad):
    add(tenant, "vote", "ensemble", panel=[tenant.model, tenant.model, bad], judge=tenant.model)
    add(tenant, "strict", "ensemble", panel=[tenant.model, bad], judge=tenant.model, min_responses=2)
    add(tenant, "empty", "ensemble", panel=[], judge=tenant.model, min_responses=1)

    assert [(await tenant.ask(alias)).status_code for alias in ("vote", "strict", "empty")] == [200, 401, 503]


async def test_an_old_gateway_uses_a_minted_token_on_with_the_new_key(tenant, alone):
    tenant.aisix.switches.token_cache_bug = True
    secrets = [json.dumps({"project": p, "region": "eu", "service_account_json": {}}) for p in ("old", "new")]
    old, new = (tenant.aisix.add_key(secret, provider="google-vertex", secret=secret) for secret in secrets)
    model = add(tenant, "gemini", key=old, upstream="gemini-3")
    await tenant.ask("gemini")
    tenant.aisix.upstream.refuse(secrets[1])
    tenant.aisix.edit(model, key=new, settled=True)
    green = await tenant.ask("gemini")

    assert (green.status_code, green.headers["Server"]) == (200, "AISIX/0.4.2")
    tenant.aisix.switches.token_cache_bug = False
    assert await tenant.failure("gemini") == (500, "config_error", None)


async def test_a_request_under_way_finishes_with_the_configuration_it_began_with(tenant):
    tenant.aisix.upstream.slow_seconds = 0.2
    tenant.aisix.upstream.set(tenant.key.secret, "slow")
    under_way = asyncio.create_task(tenant.ask(replica=0))
    await tenant.aisix.until(lambda: tenant.aisix.upstream.calls, what="the request at the provider")
    tenant.aisix.remove(tenant.key, settled=True)

    assert (await under_way).status_code == 200
    assert (await tenant.failure(replica=0))[0] == 400
