"""What a gateway answers, row by row of the fact sheet's table of errors."""

import json

import pytest

BEDROCK = json.dumps({"access_key_id": "a", "secret_access_key": "s", "region": "eu"})
VERTEX_ACCOUNT = json.dumps({"project": "p", "region": "eu", "service_account_json": {"client_email": "x"}})
VERTEX_TOKEN = json.dumps({"project": "p", "region": "eu", "access_token": "t"})
AZURE_AD = json.dumps({"tenant_id": "t", "client_id": "c", "client_secret": "s"})
AZURE_BASE = {"api_base": "https://x.openai.azure.com"}


def model_on(tenant, provider, secret, *, good=True, **settings):
    key = tenant.aisix.add_key(f"{provider} key", provider=provider, secret=secret, **settings)
    if not good:
        tenant.aisix.upstream.refuse(secret)
    upstream = {"amazon-bedrock": "amazon.nova-2", "google-vertex": "gemini-3"}.get(provider, "gpt-4o")
    return tenant.aisix.add_model("production", "subject", key=key, upstream=upstream)


async def test_every_answer_carries_a_request_id_and_the_gateways_name(tenant):
    own = await tenant.ask(headers={"x-aisix-request-id": "rot-1-a"})
    bad = await tenant.ask("nobody", headers={"x-aisix-request-id": "not visible"})

    assert own.headers["x-aisix-request-id"] == own.headers["x-aisix-call-id"] == "rot-1-a"
    assert bad.headers["x-aisix-request-id"] not in ("", "not visible")
    assert own.headers["Server"] == "AISIX/0.10.0"


async def test_a_refused_secret_is_an_upstream_error_that_shows_part_of_it(tenant):
    model_on(tenant, "openai", "sk-refused-0123456789", good=False)
    response = await tenant.ask("subject")

    assert await tenant.failure("subject") == (401, "upstream_error", "invalid_api_key")
    assert "sk-refu" in response.text
    assert "sk-refused-0123456789" not in response.text


@pytest.mark.parametrize(
    ("provider", "secret", "settings", "expected"),
    [
        ("amazon-bedrock", "{}", {}, (401, "authentication_error", None)),
        ("google-vertex", '{"project": "p", "region": "r"}', {}, (401, "authentication_error", None)),
        ("azure", "plain", {}, (400, "invalid_request_error", None)),
        ("my-llm", "plain", {"api_base": "https://x"}, (503, "provider_unavailable", None)),
    ],
)
async def test_a_key_that_does_not_fit_never_leaves_the_gateway(tenant, provider, secret, settings, expected):
    model_on(tenant, provider, secret, **settings)

    assert await tenant.failure("subject") == expected
    assert tenant.aisix.upstream.calls == []


@pytest.mark.parametrize(
    ("provider", "secret", "settings", "expected"),
    [
        ("azure", "plain", AZURE_BASE, (401, "upstream_error", "invalid_api_key")),
        ("azure", AZURE_AD, AZURE_BASE, (500, "config_error", None)),
        ("google-vertex", VERTEX_ACCOUNT, {}, (500, "config_error", None)),
        ("google-vertex", VERTEX_TOKEN, {}, (401, "upstream_error", "invalid_api_key")),
        ("amazon-bedrock", BEDROCK, {}, (403, "upstream_error", None)),
    ],
)
async def test_each_provider_refuses_a_wrong_credential_in_its_own_way(tenant, provider, secret, settings, expected):
    model_on(tenant, provider, secret, good=False, **settings)
    assert await tenant.failure("subject") == expected

    tenant.aisix.upstream.accept(secret)
    assert (await tenant.ask("subject")).status_code == 200


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (403, (403, "upstream_error", "permission_denied")),
        (429, (429, "upstream_error", "rate_limit_exceeded")),
        ("no_money", (429, "upstream_error", "insufficient_quota")),
        (418, (418, "upstream_error", None)),
        ("garbage", (502, "upstream_decode_error", None)),
    ],
)
async def test_a_provider_that_fails_is_translated(tenant, behaviour, expected):
    tenant.aisix.upstream.set(tenant.key.secret, behaviour)

    assert await tenant.failure() == expected


async def test_an_account_without_the_model_answers_404_of_the_upstream(tenant):
    tenant.aisix.upstream.models_for(tenant.key.secret, {"gpt-4o-mini"})

    assert await tenant.failure() == (404, "upstream_error", "model_not_found")


async def test_a_setting_that_was_not_cloned_is_a_bad_request(tenant):
    tenant.aisix.upstream.accept(tenant.key.secret, requires={"api_base": "https://eu.api.openai.com/v1"})
    assert await tenant.failure() == (400, "invalid_request_error", None)

    tenant.aisix.edit(tenant.key, api_base="https://eu.api.openai.com/v1", settled=True)
    assert (await tenant.ask()).status_code == 200


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("rate_limit", (429, "rate_limit_exceeded", None)),
        ("budget", (429, "billing_error", "budget_exceeded")),
        ("no_budget", (429, "billing_error", None)),
        ("guardrail", (422, "content_filter", None)),
        ("too_large", (413, "invalid_request_error", None)),
        ("ip", (403, "permission_denied", "ip_restricted")),
        ("server", (502, "upstream_error", None)),
    ],
)
async def test_a_gateway_refuses_for_reasons_of_its_own(tenant, word, expected):
    tenant.aisix.environment("production").refusals["chat-large"] = word

    assert await tenant.failure() == expected
    assert tenant.aisix.upstream.calls == []


async def test_a_build_that_was_not_stamped_tells_another_version(tenant):
    tenant.aisix.switches.stamped = False

    assert (await tenant.ask()).headers["Server"] == "AISIX/0.3.0"
    assert (await tenant.status("/status/models")).status_code == 200, "whatever it says"


async def test_an_endpoint_that_the_adapter_does_not_offer_is_501(tenant):
    model_on(tenant, "anthropic", "sk-ant")

    assert await tenant.failure("subject", "/v1/embeddings", input="x") == (501, "not_implemented", None)


async def test_a_rerank_model_answers_rerank_requests_only(tenant):
    tenant.aisix.add_model("production", "sorter", key=tenant.key, kind="rerank")

    assert (await tenant.ask("sorter")).status_code == 400
    assert (await tenant.ask("sorter", "/v1/rerank", query="q", documents=["a"])).status_code == 200
    assert json.loads(tenant.aisix.settings()["AISIX_GATEWAYS"])[tenant.environment]["probes"] == {"sorter": "rerank"}


async def test_an_embedding_model_answers_embedding_requests_only(tenant):
    tenant.aisix.add_model("production", "emb", key=tenant.key, kind="embedding")

    assert (await tenant.ask("emb")).status_code == 400
    assert (await tenant.ask("emb", "/v1/embeddings", input="x")).status_code == 200


async def test_a_wildcard_alias_answers_to_concrete_names(tenant):
    tenant.aisix.add_model("production", "openai/*", key=tenant.key)

    assert (await tenant.ask("openai/gpt-4o-mini")).status_code == 200
    assert tenant.aisix.upstream.calls[-1].model == "gpt-4o-mini"
    assert await tenant.failure("anthropic/claude") == (404, "model_not_found", None)


async def test_a_passthrough_route_passes_on_what_it_gets_and_what_comes_back(tenant):
    tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    named = await tenant.ask("text-embedding-3-small", "/passthrough/raw/embeddings", input="x")
    nameless = await tenant.ask(None, "/passthrough/raw/chat/completions")

    assert named.json()["data"][0]["object"] == "embedding"
    assert named.json()["model"] == "text-embedding-3-small"
    assert nameless.status_code == 200
    assert [call.endpoint for call in tenant.aisix.upstream.calls] == ["embeddings", "chat"]


async def test_gateway_calls_are_recorded(tenant):
    await tenant.ask(token=tenant.aisix.app_caller_key("production"))
    await tenant.ask("nobody")
    good, bad = tenant.aisix.gateway_calls

    assert (good.caller, good.alias, good.status, good.key_id) == ("app", "chat-large", 200, tenant.key.id)
    assert (bad.caller, bad.status, bad.type, bad.key_id) == ("probe", 404, "model_not_found", None)
