"""Traps: green lights that say nothing about the key behind a model."""

import json

import pytest

BAD = "sk-bad-0123456789"
NO_CACHE = {"Cache-Control": "no-cache, no-store"}


@pytest.fixture
def bad_key(tenant):
    key = tenant.aisix.add_key("bad", secret=BAD)
    tenant.aisix.upstream.refuse(BAD)
    return key


@pytest.fixture
def bad(tenant, bad_key):
    return tenant.aisix.add_model("production", "broken", key=bad_key)


def add(tenant, name, kind, **settings):
    return tenant.aisix.add_model("production", name, kind=kind, **settings)


def one_replica(tenant):
    tenant.aisix.replicas("production")[1].down = True


async def test_routing_shows_a_refused_key_once_and_then_avoids_it(tenant, bad):
    one_replica(tenant)
    add(tenant, "any", "routing", targets=[bad, tenant.model], strategy="failover")

    assert await tenant.failure("any") == (401, "upstream_error", "invalid_api_key")
    hidden = await tenant.ask("any")
    assert hidden.status_code == 200
    assert hidden.headers["x-aisix-served-by"] == "chat-large"
    assert (await tenant.failure("broken"))[0] == 401


async def test_routing_hides_a_refused_key_at_once_if_it_falls_back_from_401(tenant, bad):
    add(tenant, "any", "routing", targets=[bad, tenant.model], strategy="failover", fallback_on_statuses=[401])

    assert (await tenant.ask("any")).headers["x-aisix-served-by"] == "chat-large"
    metrics = (await tenant.status("/metrics")).text + (await tenant.status("/metrics", 1)).text
    assert 'is_fallback="true"' in metrics


async def test_routing_is_503_where_the_background_check_has_found_every_target_down(tenant, bad):
    one_replica(tenant)
    add(tenant, "any", "routing", targets=[bad])
    tenant.aisix.replicas("production")[0].unhealthy.add(bad.id)

    assert await tenant.failure("any") == (503, "all_candidates_unavailable", None)
    assert "Retry-After" in (await tenant.ask("any")).headers
    assert (await tenant.failure("broken"))[0] == 401, "it is asked by its own name"


async def test_a_cooldown_outlives_the_repair_and_ends_with_a_direct_success(tenant, bad):
    one_replica(tenant)
    add(tenant, "any", "routing", targets=[bad, tenant.model], strategy="failover")
    await tenant.ask("any")
    tenant.aisix.edit(bad, key=tenant.key, settled=True)

    assert (await tenant.ask("any")).headers["x-aisix-served-by"] == "chat-large"
    assert (await tenant.ask("broken")).status_code == 200
    assert (await tenant.ask("any")).headers["x-aisix-served-by"] == "broken"


async def test_a_provider_that_fails_is_asked_again_and_one_that_refuses_is_not(tenant):
    for behaviour, attempts in ((500, 3), ("unreachable", 3), (401, 1), (429, 1)):
        before = tenant.aisix.upstream.answered(tenant.key.secret)
        tenant.aisix.upstream.set(tenant.key.secret, behaviour)
        await tenant.ask()

        assert tenant.aisix.upstream.answered(tenant.key.secret) - before == attempts, behaviour


async def test_a_semantic_router_with_a_broken_embedding_model_answers_by_its_default(tenant, bad_key):
    embedding = add(tenant, "emb", "embedding", key=bad_key)
    route = add(tenant, "law", "direct", key=tenant.key)
    router = add(tenant, "smart", "semantic", embedding_model=embedding, routes=[route], default=tenant.model)

    broken = await tenant.ask("smart", prompt="a question of law")
    assert broken.status_code == 200
    assert "x-aisix-route" not in broken.headers

    tenant.aisix.edit(embedding, key=tenant.key, settled=True)
    assert (await tenant.ask("smart", prompt="a question of law")).headers["x-aisix-route"] == "law"
    assert "x-aisix-route" not in (await tenant.ask("smart", prompt="the weather")).headers
    assert router.kind == "semantic"


@pytest.mark.parametrize("policy", ["fail", "target"])
async def test_a_semantic_router_may_fail_or_go_elsewhere(tenant, bad_key, policy):
    embedding = add(tenant, "emb", "embedding", key=bad_key)
    other = add(tenant, "other", "direct", key=tenant.key)
    choice = other if policy == "target" else policy
    add(
        tenant,
        "smart",
        "semantic",
        embedding_model=embedding,
        routes=[],
        default=tenant.model,
        on_embedding_failure=choice,
    )

    assert (await tenant.ask("smart")).status_code == (200 if policy == "target" else 502)


async def test_an_ensemble_hides_failures_up_to_its_minimum(tenant, bad):
    second = add(tenant, "chat-small", "direct", key=tenant.key)
    add(tenant, "vote", "ensemble", panel=[tenant.model, second, bad], judge=tenant.model)
    add(tenant, "strict", "ensemble", panel=[tenant.model, bad], judge=tenant.model, min_responses=2)
    add(tenant, "empty", "ensemble", panel=[], judge=tenant.model, min_responses=1)

    assert (await tenant.ask("vote")).status_code == 200
    assert (await tenant.failure("strict"))[0] == 401
    assert (await tenant.failure("empty"))[0] == 503
    for path in ("/v1/responses", "/v1/embeddings"):
        assert await tenant.failure("vote", path) == (400, "invalid_request_error", None)


async def test_a_cache_may_ignore_no_cache(tenant):
    tenant.aisix.environment("production").cache = True
    tenant.aisix.switches.cache_ignores_no_cache = True
    await tenant.ask()

    assert (await tenant.ask(headers=NO_CACHE)).headers["x-aisix-cache"] == "hit"


async def test_a_semantic_cache_does_not_see_a_nonce(tenant):
    tenant.aisix.environment("production").cache = "semantic"
    await tenant.ask(prompt="Reply with OK. (a1b2)")
    similar = await tenant.ask(prompt="Reply with OK. (c3d4)")

    assert similar.headers["x-aisix-cache"] == "hit"
    assert similar.headers["x-aisix-cache-layer"] == "semantic"


async def test_an_old_gateway_uses_a_minted_token_on_with_the_new_key(tenant):
    one_replica(tenant)
    tenant.aisix.switches.token_cache_bug = True
    old, new = (json.dumps({"project": p, "region": "eu", "service_account_json": {}}) for p in ("old", "new"))
    old_key, new_key = (tenant.aisix.add_key(s, provider="google-vertex", secret=s) for s in (old, new))
    model = add(tenant, "gemini", "direct", key=old_key, upstream="gemini-3")
    await tenant.ask("gemini")
    tenant.aisix.upstream.refuse(new)
    tenant.aisix.edit(model, key=new_key, settled=True)

    green = await tenant.ask("gemini")
    assert green.status_code == 200
    assert green.headers["Server"] == "AISIX/0.4.2"
    assert tenant.aisix.served_with(new_key) == 1
    tenant.aisix.switches.token_cache_bug = False
    assert await tenant.failure("gemini") == (500, "config_error", None)
