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


@pytest.mark.parametrize(("provider", "secret"), [("amazon-bedrock", "plain"), ("google-vertex", "plain")])
async def test_a_model_whose_maker_is_unknown_is_refused_before_the_secret_is_looked_at(tenant, provider, secret):
    model_on(tenant, provider, secret)
    key = next(key for key in tenant.aisix.provider_keys.values() if key.secret == secret)
    tenant.aisix.add_model("production", "strange", key=key, upstream="gpt-4o")

    assert await tenant.failure("strange") == (500, "config_error", None)
    assert await tenant.failure("subject") == (401, "authentication_error", None)


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/chat/completions", {}, "chat-large"),
        ("/v1/messages", {}, "chat-large"),
        ("/v1/responses", {"input": "hi"}, "gpt-4o"),
        ("/v1/embeddings", {"input": "hi"}, "gpt-4o"),
    ],
)
async def test_a_good_key_is_answered_under_the_callers_alias_or_the_upstreams_name(tenant, path, body, model):
    response = await tenant.ask(path=path, **body)

    assert response.status_code == 200
    assert response.json()["model"] == model


async def test_every_answer_carries_a_request_id_and_the_gateways_name(tenant):
    own = await tenant.ask(headers={"x-aisix-request-id": "rot-1-a"})
    bad = await tenant.ask("nobody", headers={"x-aisix-request-id": "not visible"})

    assert own.headers["x-aisix-request-id"] == own.headers["x-aisix-call-id"] == "rot-1-a"
    assert bad.headers["x-aisix-request-id"] not in ("", "not visible")
    assert own.headers["Server"] == "AISIX/0.10.0"


async def test_a_wrong_caller_key_is_401_of_its_own_type(tenant):
    assert await tenant.failure(token="nonsense") == (401, "invalid_api_key", None)


@pytest.mark.parametrize("state", ["expired", "disabled"])
async def test_a_caller_key_that_is_no_longer_valid_says_so(tenant, state):
    token = tenant.aisix.caller_key("production")
    tenant.aisix.environment("production").callers[token].state = state

    assert await tenant.failure() == (401, "invalid_api_key", f"api_key_{state}")


async def test_applications_may_not_use_throw_away_models(tenant):
    app = tenant.aisix.app_caller_key("production")
    assert await tenant.failure("keyturn-1", token=app) == (404, "model_not_found", None), "as long as there is none"
    tenant.aisix.add_model("production", "keyturn-1", key=tenant.key)

    assert await tenant.failure("keyturn-1", token=app) == (403, "permission_denied", None)
    assert (await tenant.ask("keyturn-1")).status_code == 200
    assert (await tenant.ask(token=app)).status_code == 200


async def test_an_unknown_alias_is_404(tenant):
    assert await tenant.failure("nobody") == (404, "model_not_found", None)


async def test_a_deleted_key_breaks_its_models(tenant):
    tenant.aisix.remove(tenant.key, settled=True)
    response = await tenant.ask()

    assert await tenant.failure() == (400, "invalid_request_error", None)
    assert (
        f'model "chat-large" references unknown provider_key_id "{tenant.key.id}"'
        in response.json()["error"]["message"]
    )


async def test_a_refused_secret_is_an_upstream_error_that_shows_part_of_it(tenant):
    model_on(tenant, "openai", "sk-refused-0123456789", good=False)
    response = await tenant.ask("subject")

    assert await tenant.failure("subject") == (401, "upstream_error", "invalid_api_key")
    assert "sk-refu" in response.text
    assert "sk-refused-0123456789" not in response.text


@pytest.mark.parametrize(
    ("provider", "secret", "settings", "expected"),
    [
        ("openai", "sk-new\n", {}, (401, "authentication_error", None)),
        ("amazon-bedrock", "plain", {}, (401, "authentication_error", None)),
        ("amazon-bedrock", "{}", {}, (401, "authentication_error", None)),
        ("google-vertex", '{"project": "p", "region": "r"}', {}, (401, "authentication_error", None)),
        ("azure", '{"tenant_id": "t"}', AZURE_BASE, (401, "authentication_error", None)),
        ("azure", "plain", {}, (400, "invalid_request_error", None)),
        ("my-llm", "plain", {"api_base": "https://x"}, (503, "provider_unavailable", None)),
        ("my-llm", "plain", {"adapter": "openai"}, (503, "provider_unavailable", None)),
    ],
)
async def test_a_key_that_does_not_fit_never_leaves_the_gateway(tenant, provider, secret, settings, expected):
    model_on(tenant, provider, secret, **settings)

    assert await tenant.failure("subject") == expected
    assert tenant.aisix.upstream.calls == []


@pytest.mark.parametrize(
    ("provider", "secret", "settings", "expected"),
    [
        ("anthropic", "sk-ant", {}, (401, "upstream_error", "invalid_api_key")),
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
        (500, (502, "upstream_error", None)),
        (418, (418, "upstream_error", None)),
        ("unreachable", (502, "transport_error", None)),
        ("garbage", (502, "upstream_decode_error", None)),
    ],
)
async def test_a_provider_that_fails_is_translated(tenant, behaviour, expected):
    tenant.aisix.upstream.set(tenant.key.secret, behaviour)

    assert await tenant.failure() == expected


async def test_a_provider_that_hangs_is_a_timeout_and_a_slow_one_is_waited_for(tenant):
    tenant.aisix.switches.upstream_timeout = 0.05
    tenant.aisix.upstream.slow_seconds = 0.01
    tenant.aisix.upstream.set(tenant.key.secret, "hang")
    assert await tenant.failure() == (504, "timeout", None)

    tenant.aisix.upstream.set(tenant.key.secret, "slow")
    assert (await tenant.ask()).status_code == 200


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


async def test_a_gateways_rate_limit_says_when_to_come_back(tenant):
    tenant.aisix.environment("production").refusals["*"] = "rate_limit"

    assert (await tenant.ask()).headers["Retry-After"] == "1"


@pytest.mark.parametrize(("provider", "secret"), [("amazon-bedrock", BEDROCK), ("google-vertex", VERTEX_TOKEN)])
async def test_a_model_that_is_misconfigured_looks_like_a_token_exchange_that_was_refused(tenant, provider, secret):
    model = model_on(tenant, provider, secret)
    assert (await tenant.ask("subject")).status_code == 200
    tenant.aisix.edit(model, model_name="gpt-4o", settled=True)

    assert await tenant.failure("subject") == (500, "config_error", None)
    assert "publisher unknown" in (await tenant.ask("subject")).json()["error"]["message"]
    assert len(tenant.aisix.upstream.calls) == 1


async def test_rerank_of_a_chat_model_is_forwarded_and_not_found(tenant):
    assert await tenant.failure(path="/v1/rerank", query="q", documents=["a"]) == (404, "upstream_error", None)
    assert len(tenant.aisix.upstream.calls) == 1


async def test_a_refusal_on_the_responses_endpoint_has_no_code_and_the_providers_own_words(tenant):
    tenant.aisix.upstream.refuse(tenant.key.secret)
    error = (await tenant.ask(path="/v1/responses", input="hi")).json()["error"]

    assert set(error) == {"message", "type"}
    assert json.loads(error["message"])["error"]["code"] == "invalid_api_key"


async def test_a_semantic_router_says_who_served(tenant):
    embedding = tenant.aisix.add_model("production", "embed", kind="embedding", key=tenant.key)
    parts = {"embedding_model": embedding, "routes": [], "default": tenant.model}
    tenant.aisix.add_model("production", "support", kind="semantic", **parts)

    assert (await tenant.ask("support")).headers["x-aisix-served-by"] == "chat-large"


async def test_a_stream_comes_as_events(tenant):
    response = await tenant.ask(stream=True)
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    pieces = [json.loads(event)["choices"][0]["delta"]["content"] for event in events[:-1]]

    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert ("".join(pieces), events[-1]) == ("OK", "[DONE]")


async def test_a_build_that_was_not_stamped_tells_another_version(tenant):
    tenant.aisix.switches.stamped = False

    assert (await tenant.ask()).headers["Server"] == "AISIX/0.3.0"
    assert (await tenant.status("/status/models")).status_code == 200, "whatever it says"


async def test_an_endpoint_that_the_adapter_does_not_offer_is_501(tenant):
    model_on(tenant, "anthropic", "sk-ant")

    assert await tenant.failure("subject", "/v1/embeddings", input="x") == (501, "not_implemented", None)


async def test_messages_answer_in_the_envelope_of_anthropic_where_every_401_looks_alike(tenant):
    wrong_caller = await tenant.ask(path="/v1/messages", token="nonsense")
    tenant.aisix.upstream.refuse(tenant.key.secret)
    wrong_secret = await tenant.ask(path="/v1/messages")

    for response in (wrong_caller, wrong_secret):
        assert response.json()["type"] == "error"
        assert response.json()["error"]["type"] == "authentication_error"


async def test_only_anthropic_models_count_tokens(tenant):
    model_on(tenant, "anthropic", "sk-ant")

    assert (await tenant.ask("subject", "/v1/messages/count_tokens")).status_code == 200
    assert (await tenant.ask(path="/v1/messages/count_tokens")).status_code == 400


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


async def test_the_list_of_models_hides_wildcards_and_what_the_caller_may_not_use(tenant, open_client):
    for alias in ("openai/*", "keyturn-1"):
        tenant.aisix.add_model("production", alias, key=tenant.key)
    tokens = tenant.aisix.caller_key("production"), tenant.aisix.app_caller_key("production")
    clients = [await open_client(tenant.aisix.gateway_url("production"), token) for token in tokens]
    listed = [[m["id"] for m in (await client.get("/v1/models")).json()["data"]] for client in clients]

    assert listed == [["chat-large", "keyturn-1"], ["chat-large"]]


async def test_a_body_without_a_model_and_an_unknown_path_are_refused(tenant):
    assert await tenant.failure(path="/v1/images/generations") == (404, "invalid_request_error", None)
    assert await tenant.failure(alias=None) == (400, "invalid_request_error", None)


async def test_a_passthrough_route_sends_its_key(tenant):
    tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    assert (await tenant.ask(path="/passthrough/raw/v1/chat/completions")).status_code == 200
    assert tenant.aisix.upstream.answered(tenant.key.secret) == 1

    tenant.aisix.remove(tenant.key, settled=True)
    response = await tenant.ask(path="/passthrough/raw/v1")
    assert response.status_code == 400
    assert 'passthrough route "raw" references an unknown provider key' in response.json()["error"]["message"]


async def test_a_passthrough_route_passes_on_what_it_gets_and_what_comes_back(tenant):
    tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    named = await tenant.ask("text-embedding-3-small", "/passthrough/raw/embeddings", input="x")
    nameless = await tenant.ask(None, "/passthrough/raw/chat/completions")

    assert named.json()["data"][0]["object"] == "embedding"
    assert named.json()["model"] == "text-embedding-3-small"
    assert nameless.status_code == 200
    assert [call.endpoint for call in tenant.aisix.upstream.calls] == ["embeddings", "chat"]


async def test_gateways_say_that_they_live(tenant):
    await tenant.ask()
    client = tenant.gateways[tenant.aisix.gateway_url("production")]

    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_gateway_calls_are_recorded(tenant):
    await tenant.ask(token=tenant.aisix.app_caller_key("production"))
    await tenant.ask("nobody")
    good, bad = tenant.aisix.gateway_calls

    assert (good.caller, good.alias, good.status, good.key_id) == ("app", "chat-large", 200, tenant.key.id)
    assert (bad.caller, bad.status, bad.type, bad.key_id) == ("probe", 404, "model_not_found", None)
