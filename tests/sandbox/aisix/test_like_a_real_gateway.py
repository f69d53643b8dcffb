"""The sandbox's pages, bodies, headers and errors held against what real gateways were seen to answer.

The tables are facts taken from samples of two and three real replicas on an etcd, and of a managed one.
"""

import json
import re
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

OF_A_REQUEST = {
    "endpoint", "inbound_protocol", "provider", "model", "upstream_model", "provider_key_id", "provider_key_name",
    "api_key_id", "team_id", "user_id", "user_name", "stream", "is_fallback", "status", "outcome",
}  # fmt: skip
OF_AN_EVENT = {"handler", "status_code", "inbound_protocol", "model", "provider_key_id", "provider_key_name"}
OF_A_DEPLOYMENT = {"provider", "model", "upstream_model", "provider_key_id"}

FAMILIES: dict[str, tuple[str, set[str]]] = {
    "aisix_llm_requests_total": ("counter", OF_A_REQUEST),
    "aisix_proxy_requests_total": ("counter", OF_A_REQUEST),
    "aisix_deployment_requests_total": ("counter", OF_A_DEPLOYMENT),
    "aisix_deployment_success_responses_total": ("counter", OF_A_DEPLOYMENT),
    "aisix_deployment_failure_responses_total": ("counter", OF_A_DEPLOYMENT),
    "aisix_deployment_cooled_down_total": ("counter", OF_A_DEPLOYMENT),
    "aisix_usage_events_emitted_total": ("counter", OF_AN_EVENT),
    "aisix_cache_requests_total": ("counter", {"policy", "outcome"}),
    "aisix_config_reloads_total": ("counter", set()),
    "aisix_config_source_connected": ("gauge", set()),
    "aisix_config_hash_info": ("gauge", {"hash"}),
    "aisix_config_observed_revision": ("gauge", set()),
    "aisix_config_applied_revision": ("gauge", set()),
    "aisix_config_last_reload_successful": ("gauge", set()),
    "aisix_config_last_reload_success_timestamp_seconds": ("gauge", set()),
    "aisix_config_rejected_resources": ("gauge", {"kind"}),
    "aisix_config_stale_served_resources": ("gauge", {"kind"}),
    "aisix_config_partially_compatible_resources": ("gauge", {"kind"}),
}
"""Each family of a page with its type and its labels."""

AT_BOOT = {name for name in FAMILIES if name.startswith("aisix_config") and not name.endswith("resources")}
"""What is on a page before the first request."""

HASH = re.compile("[0-9a-f]{64}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

COUNTS = {"api_keys": int, "models": int, "provider_keys": int}
APPLIED = {"applied_revision": int, "config_hash": HASH, "apply_seq": int, "applied_at": MOMENT} | {
    "resource_counts": COUNTS
}
SOURCE = {"type": str, "connected": bool, "observed_revision": int, "source_hash": HASH, "observed_at": MOMENT}
ERROR = {"last_error_kind": str, "last_error": str}
FAILURE = ERROR | {"at": MOMENT}
REJECTED = ERROR | {"resource_kind": str, "resource_id": str, "first_seen_at": MOMENT, "last_seen_at": MOMENT}
STALE = REJECTED | {"serving_stale_since": MOMENT, "serving_stale_age_seconds": int}
RELOAD = {"successful": bool, "at": MOMENT}
PARTS = {"rejected": [], "partially_compatible": []}
CONFIG = {"state": str, "source": SOURCE, "applied": APPLIED, "last_reload": RELOAD, "last_failure": None} | PARTS
"""`/status/config` of a gateway that is well."""

CHOICE = {"index": int, "message": {"role": str, "content": str}, "finish_reason": "stop"}
COST = {"prompt_tokens": int, "total_tokens": int}
CHAT = {"id": str, "object": "chat.completion", "created": int, "model": str, "choices": [CHOICE]}
CHAT |= {"usage": COST | {"completion_tokens": int}}
VECTOR = {"index": int, "object": "embedding", "embedding": [float]}
VECTORS = {"object": "list", "model": "gpt-4o", "data": [VECTOR], "usage": COST}
TOKENS = {"input_tokens": int, "output_tokens": int}
OUTPUT = {"type": "message", "id": str, "role": "assistant", "status": "completed"}
OUTPUT |= {"content": [{"annotations": [], "text": str, "type": "output_text"}]}
RESPONSE = {"id": str, "model": "gpt-4o", "object": "response", "created_at": int, "status": "completed"}
RESPONSE |= {"output": [OUTPUT], "usage": TOKENS | {"total_tokens": int}}
MESSAGE = {"id": str, "model": "chat-large", "type": "message", "role": "assistant", "usage": TOKENS}
MESSAGE |= {"content": [{"text": str, "type": "text"}], "stop_reason": "end_turn", "stop_sequence": None}
ERROR_OF_ANTHROPIC = {"type": "error", "error": {"type": "authentication_error", "message": str}}
CALL, SERVED = {"x-aisix-call-id"}, {"x-aisix-call-id", "x-aisix-served-by"}
ANSWERS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "a direct model": ("chat-large", CHAT | {"model": "chat-large"}, CALL),
    "a router": ("chat-any", CHAT | {"model": "chat-any"}, SERVED),
    "a semantic router, by default": ("support", CHAT, SERVED),
    "an ensemble": ("board", CHAT, CALL),
    "a wildcard": ("wild/gpt-4o-mini", CHAT, CALL),
    "an embedding": ("chat-large /v1/embeddings", VECTORS, set()),
    "a response": ("chat-large /v1/responses", RESPONSE, set()),
    "a message": ("chat-large /v1/messages", MESSAGE, set()),
    "an error": ("nothing", {"error": {"message": str, "type": str}}, set()),
    "an error of messages": ("refused /v1/messages", ERROR_OF_ANTHROPIC, set()),
}
"""The body of each kind of answer, and its headers besides those of every answer."""

PAYLOAD, INVALID = "request payload is invalid: ", "invalid upstream credentials: "
BRIDGE, NO_BRIDGE = "bridge is misconfigured: ", "no bridge registered for provider"
ONLY_CHAT = f"{PAYLOAD}model `board` is an ensemble model; only /v1/chat/completions is supported"
Error = tuple[str, int, str, str | None, str]
ERRORS: dict[str, Error] = {
    "no caller key": ("chat-large", 401, "invalid_api_key", None, "missing or malformed Authorization header"),
    "wrong caller key": ("chat-large", 401, "invalid_api_key", None, "invalid API key"),
    "disabled caller key": ("chat-large", 401, "invalid_api_key", "api_key_disabled", "API key has been disabled"),
    "expired caller key": ("chat-large", 401, "invalid_api_key", "api_key_expired", "API key has expired"),
    "not allowed": ("keyturn-1", 403, "permission_denied", None, 'API key is not allowed to use model "keyturn-1"'),
    "not allowed, unknown": ("keyturn-2", 404, "model_not_found", None, 'model "keyturn-2" not found'),
    "outside a wildcard": ("other/gpt-4o", 404, "model_not_found", None, 'model "other/gpt-4o" not found'),
    "not JSON": ("", 400, "invalid_request_error", None, f"{PAYLOAD}invalid JSON request body"),
    "missing key": ("nokey", 400, "invalid_request_error", None, f'{PAYLOAD}model "nokey" references'),
    "missing key of a route": ("x /passthrough/raw/chat", 400, "invalid_request_error", None, f"{PAYLOAD}passthroug"),
    "refused": ("refused", 401, "upstream_error", "invalid_api_key", "Incorrect API key provided: sk-refus***0000."),
    "refused, responses": ("refused /v1/responses", 401, "upstream_error", None, '{"error": {"message": "Incorrect'),
    "refused by Anthropic": ("claude", 401, "upstream_error", "invalid_api_key", "invalid x-api-key"),
    "refused by Azure's directory": ("azure-ad", 500, "config_error", None, f"{BRIDGE}the token exchange"),
    "refused by Vertex": ("vertex", 401, "upstream_error", "invalid_api_key", "Incorrect API key"),
    "refused by Vertex's directory": ("vertex-account", 500, "config_error", None, f"{BRIDGE}the token exchange"),
    "refused by Bedrock": ("bedrock", 403, "upstream_error", None, "upstream authentication failed"),
    "newline": ("newline", 401, "authentication_error", None, f"{INVALID}provider_key.api_key contains invalid head"),
    "Bedrock, no document": ("odd-bedrock", 401, "authentication_error", None, f"{INVALID}bedrock provider_key.api"),
    "Vertex, no document": ("odd-vertex", 401, "authentication_error", None, f"{INVALID}vertex provider_key.api_k"),
    "Azure, broken document": ("odd-azure", 401, "authentication_error", None, f"{INVALID}azure provider_key.api_"),
    "no publisher, Bedrock": ("gpt-bedrock", 500, "config_error", None, f"{BRIDGE}bedrock publisher unknown for model"),
    "no publisher, Vertex": ("gpt-vertex", 500, "config_error", None, f"{BRIDGE}vertex publisher unknown for upstream"),
    "no bridge": ("weird", 503, "provider_unavailable", None, NO_BRIDGE),
    "no base URL, Azure": ("baseless-azure", 400, "invalid_request_error", None, "the provider key needs an api_base"),
    "another base URL": ("elsewhere", 400, "invalid_request_error", None, "the upstream expects another base URL"),
    "not offered": ("claude /v1/embeddings", 501, "not_implemented", None, "anthropic does not offer embeddings"),
    "cannot be reached": ("closed", 502, "transport_error", None, "transport error: error sending request"),
    "times out": ("slow", 504, "timeout", None, "upstream request timed out"),
    "garbage": ("garbage", 502, "upstream_decode_error", None, "the answer of the upstream cannot be read"),
    "no money": ("poor", 429, "upstream_error", "insufficient_quota", "You exceeded your current quota"),
    "no such model": ("modelless", 404, "upstream_error", "model_not_found", "The model `gpt-4o` does not exist"),
    "upstream 403": ("s403", 403, "upstream_error", "permission_denied", ""),
    "upstream 408": ("s408", 408, "upstream_error", None, ""),
    "upstream 429": ("s429", 429, "upstream_error", "rate_limit_exceeded", ""),
    "upstream 500": ("s500", 502, "upstream_error", None, "upstream returned 500"),
    "rerank on a chat model": ("chat-large /v1/rerank", 404, "upstream_error", None, "404: Not Found"),
    "chat with a rerank model": ("sorter", 400, "upstream_error", "unsupported_endpoint", "rerank-1 does not support"),
    "embeddings of an ensemble": ("board /v1/embeddings", 400, "invalid_request_error", None, ONLY_CHAT),
    "too many requests": ("rate_limit", 429, "rate_limit_exceeded", None, "request limit exceeded (requests)"),
    "no budget answer": ("no_budget", 429, "billing_error", None, ""),
    "budget used up": ("budget", 429, "billing_error", "budget_exceeded", ""),
    "guardrail": ("guardrail", 422, "content_filter", None, ""),
    "too large": ("too_large", 413, "invalid_request_error", None, ""),
    "address": ("ip", 403, "permission_denied", "ip_restricted", ""),
}
"""What is asked, and the status, type, code and beginning of the message of its error."""

BEDROCK = json.dumps({"access_key_id": "a", "secret_access_key": "s", "region": "eu"})
VERTEX_ACCOUNT = json.dumps({"project": "p", "region": "eu", "service_account_json": {"client_email": "x"}})
VERTEX_TOKEN = json.dumps({"project": "p", "region": "eu", "access_token": "t"})
AZURE_AD = json.dumps({"tenant_id": "t", "client_id": "c", "client_secret": "s"})
AT_AZURE = {"api_base": "https://x.openai.azure.com"}
Way = tuple[str, str, dict[str, str], Any]
BROKEN: dict[str, Way] = {
    "refused": ("openai", "sk-refused-00000000000000000", {}, 401),
    "claude": ("anthropic", "sk-ant-refused", {}, 401),
    "azure": ("azure", "plain", AT_AZURE, 401),
    "azure-ad": ("azure", AZURE_AD, AT_AZURE, 401),
    "vertex": ("google-vertex", VERTEX_TOKEN, {}, 401),
    "vertex-account": ("google-vertex", VERTEX_ACCOUNT, {}, 401),
    "bedrock": ("amazon-bedrock", BEDROCK, {}, 401),
    "newline": ("openai", "sk-newline\n", {}, "ok"),
    "odd-bedrock": ("amazon-bedrock", "{}", {}, "ok"),
    "odd-vertex": ("google-vertex", '{"project": "p", "region": "r"}', {}, "ok"),
    "odd-azure": ("azure", '{"tenant_id": "t"}', AT_AZURE, "ok"),
    "gpt-bedrock": ("amazon-bedrock", BEDROCK, {}, 401),
    "gpt-vertex": ("google-vertex", VERTEX_TOKEN, {}, 401),
    "weird": ("weird", "sk-weird", {"api_base": "https://weird.example"}, "ok"),
    "baseless-azure": ("azure", "sk-weird", {}, "ok"),
    "elsewhere": ("openai", "sk-elsewhere", {}, "ok"),
    "modelless": ("openai", "sk-modelless", {}, "ok"),
    "closed": ("openai", "sk-closed", {}, "unreachable"),
    "slow": ("openai", "sk-slow", {}, "hang"),
    "garbage": ("openai", "sk-garbage", {}, "garbage"),
    "poor": ("openai", "sk-poor", {}, "no_money"),
    "nokey": ("openai", "sk-gone", {}, "ok"),
    **{f"s{status}": ("openai", f"sk-s{status}", {}, status) for status in (403, 408, 429, 500)},
}
"""What is the matter with each model: the provider, the secret and the settings of its key, and how it is answered."""

REFUSED_BY_THE_GATEWAY = ("rate_limit", "no_budget", "budget", "guardrail", "too_large", "ip")


@pytest.fixture
def full(tenant):
    """A tenant with a model for each way to be answered."""
    aisix, add = tenant.aisix, partial(tenant.aisix.add_model, "production")
    embedding = add("support-embed", kind="embedding", key=tenant.key)
    add("chat-any", kind="routing", targets=[tenant.model])
    add("support", kind="semantic", embedding_model=embedding, routes=[], default=tenant.model)
    add("board", kind="ensemble", panel=[tenant.model, tenant.model], judge=tenant.model)
    add("sorter", kind="rerank", key=tenant.key)
    for alias in ("wild/*", "keyturn-1", *REFUSED_BY_THE_GATEWAY):
        add(alias, key=tenant.key)
    for alias, (provider, secret, settings, behaviour) in BROKEN.items():
        own = aisix.add_key(alias, provider=provider, secret=secret, **settings)
        add(alias, key=own, **({"upstream": "gpt-4o"} if alias.startswith("gpt") else {}))
        aisix.upstream.set(secret, behaviour)
    aisix.upstream.accept("sk-elsewhere", requires={"api_base": "https://eu.api.openai.com/v1"})
    aisix.upstream.models_for("sk-modelless", {"gpt-4o-mini"})
    gone = next(each for each in aisix.provider_keys.values() if each.display_name == "nokey")
    aisix.add_passthrough("production", "raw", key=gone)
    aisix.remove(gone, settled=True)
    aisix.environment("production").refusals |= {word: word for word in REFUSED_BY_THE_GATEWAY}
    aisix.switches.upstream_timeout = 0.05
    return tenant


def fits(value: Any, fact: Any) -> bool:
    """Tell whether a value has the shape and the types of a fact: no field is missing, and none is there besides."""
    if isinstance(fact, dict):
        return value.keys() == fact.keys() and all(fits(value[name], fact[name]) for name in fact)
    if isinstance(fact, list):
        return isinstance(value, list) and bool(value) is bool(fact) and all(fits(each, fact[0]) for each in value)
    if isinstance(fact, re.Pattern):
        return isinstance(value, str) and fact.fullmatch(value) is not None
    return type(value) is fact if isinstance(fact, type) else bool(value == fact)


async def families(tenant):
    text = (await tenant.status("/metrics")).text
    return {sample.name: (family.type, sample.labels) for family in text_string_to_metric_families(text)
            for sample in family.samples}  # fmt: skip


# --- pages ---


async def test_every_family_of_a_page_has_its_type_and_its_labels(full):
    replica = full.aisix.replicas("production")[0]
    replica.unknown_fields = {"brand_new_knob"}
    full.aisix.edit(full.model, brand_new_knob=1, settled=True)
    replica.reject_rows = {full.model.id}
    full.aisix.edit(full.model, timeout=3, settled=True)
    full.aisix.environment("production").cache = True
    for alias in ("chat-large", "s500", "chat-any", "board"):
        await full.ask(alias, replica=0)
    found = {name: (kind, set(labels)) for name, (kind, labels) in (await families(full)).items()}

    assert found == FAMILIES


async def test_at_boot_a_page_has_its_configuration_and_nothing_else(tenant):
    assert set(await families(tenant)) == AT_BOOT


async def test_the_configuration_page_of_a_gateway_that_is_well(tenant):
    config = (await tenant.status("/status/config")).json()

    assert fits(config, CONFIG), config
    assert (config["state"], config["source"]["type"], config["source"]["connected"]) == ("synced", "etcd", True)
    assert config["source"]["observed_revision"] == config["applied"]["applied_revision"]
    assert config["source"]["source_hash"] == config["applied"]["config_hash"]


async def test_the_configuration_page_of_a_gateway_that_has_not_taken_everything(tenant):
    replica = tenant.aisix.replicas("production")[0]
    replica.reject_rows = {tenant.model.id, "new keys"}
    tenant.aisix.edit(tenant.model, timeout=3, settled=True)
    tenant.aisix.add_key("new", secret="sk-new")
    tenant.aisix.add_foreign_row("production")
    config = (await tenant.status("/status/config")).json()
    foreign, stale, new = config.pop("rejected")

    assert fits(config | {"rejected": []}, CONFIG | {"last_failure": FAILURE}), config
    assert (fits(foreign, REJECTED), fits(stale, STALE), fits(new, REJECTED)) == (True, True, True)
    kinds = [(row["resource_kind"], row["last_error_kind"]) for row in (foreign, stale, new)]
    assert kinds == [
        ("brand_new_kind", "unknown_kind"),
        ("models", "schema_failed"),
        ("provider_keys", "schema_failed"),
    ]
    assert (config["state"], config["last_reload"]["successful"]) == ("degraded", False)


async def test_the_configuration_page_of_a_gateway_whose_source_is_closed(tenant):
    tenant.aisix.replicas("production")[0].lag = None
    config = (await tenant.status("/status/config")).json()

    assert fits(config, CONFIG | {"last_failure": FAILURE}), config
    assert config["source"]["connected"] is False
    failure = config["last_failure"]
    assert (failure["last_error_kind"], failure["last_error"]) == ("fetch", "configuration source unreachable")


# --- answers ---


@pytest.mark.parametrize(("what", "body", "more"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_has_the_body_and_the_headers_of_its_kind_and_no_others(full, what, body, more):
    answer = await full.ask(what, replica=0)
    headers = answer.headers
    always = {"date", "content-length", "content-type", "server", "x-aisix-request-id"}

    assert fits(answer.json(), body), answer.text
    assert {name.lower() for name in headers} == always | more
    assert headers["Content-Type"] == "application/json"
    assert headers.get("x-aisix-call-id", headers["x-aisix-request-id"]) == headers["x-aisix-request-id"]


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_has_its_status_type_code_and_words(full, name):
    what, status, kind, code, words = ERRORS[name]
    caller = full.aisix.caller("production", "app" if name.startswith("not allowed") else "probe")
    caller.state = name.split()[0] if name.startswith(("disabled", "expired")) else "active"
    headers = {"no caller key": {"Authorization": ""}, "wrong caller key": {"Authorization": "Bearer nonsense"}}
    if name == "not JSON":
        client = await full.opened(full.aisix.gateway_url("production"), caller.token)
        response = await client.post("/v1/chat/completions", content='"nonsense"')
    else:
        response = await full.ask(what, token=caller.token, headers=headers.get(name, {}), replica=0)
    error = response.json()["error"]

    assert (response.status_code, error["type"], error.get("code")) == (status, kind, code)
    assert error.keys() == {"message", "type"} | ({"code"} if code else set())
    assert error["message"].startswith(words)
    assert ("Retry-After" in response.headers) is (status == 429 and kind != "upstream_error")


@pytest.mark.parametrize("alias", ["azure", "azure-ad", "vertex", "vertex-account", "bedrock", "elsewhere"])
async def test_a_credential_that_the_provider_accepts_is_good_for_an_answer(full, alias):
    key = next(each for each in full.aisix.provider_keys.values() if each.display_name == alias)
    full.aisix.upstream.accept(key.secret)

    assert (await full.ask(alias, replica=0)).status_code == 200


async def test_each_kind_of_model_answers_its_own_requests(full):
    for what in ("sorter /v1/rerank", "support-embed /v1/embeddings", "wild/gpt-4o-mini"):
        assert (await full.ask(what, replica=0)).status_code == 200
    assert full.aisix.upstream.calls[-1].model == "gpt-4o-mini"
    assert json.loads(full.aisix.settings()["AISIX_GATEWAYS"])[full.environment]["probes"]["sorter"] == "rerank"
