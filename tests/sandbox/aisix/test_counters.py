"""What a replica's counters tell of who served, and the traps in which they prove nothing."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

LLM, PROXY = "aisix_llm_requests_total", "aisix_proxy_requests_total"
DEPLOYMENT, USAGE = "aisix_deployment_requests_total", "aisix_usage_events_emitted_total"
FAMILIES = (LLM, PROXY, DEPLOYMENT, USAGE)
NEW = "sk-new-0123456789abcdef"
RAW = "x /passthrough/raw/chat/completions"


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


async def rows(tenant, family, number=0):
    """Every row of a family on a replica: its labels and its count."""
    text = (await tenant.status("/metrics", number)).text
    samples = [sample for each in text_string_to_metric_families(text) for sample in each.samples]
    return [(sample.labels, int(sample.value)) for sample in samples if sample.name == family]


async def shown(tenant, key):
    """The families in which the first replica has counted a key."""
    found = {family: await rows(tenant, family) for family in FAMILIES}
    return {family for family in FAMILIES if any(row.get("provider_key_id") == key.id for row, _ in found[family])}


# --- which family counts what, and under which labels ---

COUNTED = {
    "a direct model": ("chat-large", [1, 1, 1, 1], {"model": "chat-large", "upstream_model": "gpt-4o"}),
    "a router": ("any", [1, 1, 1, 1], {"model": "any", "upstream_model": "gpt-4o"}),
    "a wildcard": ("openai/gpt-4o", [1, 1, 1, 1], {"model": "openai/*", "upstream_model": "*"}),
    "an unknown alias": (
        "nothing",
        [1, 1, 0, 0],
        {"model": "unresolved", "status": "404", "provider_key_id": "unknown"},
    ),
    "an ensemble": ("board", [1, 1, 0, 3], {"model": "board", "upstream_model": "", "provider_key_id": ""}),
    "a passthrough route": (RAW, [0, 1, 0, 0], {"model": "passthrough", "endpoint": "/passthrough_route"}),
    "a refusal by the gateway": ("limited", [1, 1, 0, 0], {"model": "limited", "outcome": "rate_limited"}),
}


@pytest.mark.parametrize(("what", "counts", "labels"), COUNTED.values(), ids=COUNTED)
async def test_each_kind_of_request_counts_in_its_families_and_under_its_name(tenant, what, counts, labels):
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    tenant.aisix.add_model("production", "openai/*", key=tenant.key)
    tenant.aisix.add_model("production", "board", kind="ensemble", panel=[tenant.model] * 2, judge=tenant.model)
    tenant.aisix.add_model("production", "limited", key=tenant.key)
    tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    tenant.aisix.environment("production").refusals["limited"] = "rate_limit"
    await tenant.ask(what, replica=0)
    ((row, _),) = await rows(tenant, PROXY)
    await tenant.ask(what, token="ck-wrong", replica=0)

    assert labels.items() <= row.items()
    assert [sum(count for _, count in await rows(tenant, family)) for family in FAMILIES] == counts


# --- uses of a key that no model of a rotation makes ---


def a_model(aisix, used, _good):
    aisix.add_model("production", "late", key=used)
    return "late"


def a_passthrough_route(aisix, used, _good):
    aisix.add_passthrough("production", "raw", key=used)
    return RAW


def an_ensembles_panel(aisix, used, good):
    panel = [aisix.add_model("production", "member", key=used)]
    judge = aisix.add_model("production", "judge", key=good)
    return aisix.add_model("production", "board", kind="ensemble", panel=panel, judge=judge).display_name


def a_routers_embedding_call(aisix, used, good):
    embedding = aisix.add_model("production", "embed", kind="embedding", key=used)
    default = aisix.add_model("production", "default", key=good)
    parts = {"embedding_model": embedding, "routes": [], "default": default}
    return aisix.add_model("production", "support", kind="semantic", **parts).display_name


def a_hidden_attempt(aisix, used, good, kind="direct"):
    targets = [aisix.add_model("production", f"on {key.display_name}", kind=kind, key=key) for key in (used, good)]
    aisix.add_model("production", "any", kind="routing", targets=targets, strategy="failover")
    aisix.upstream.set(used.secret, 503)
    return "any"


def a_hidden_embedding(aisix, used, good):
    return f"{a_hidden_attempt(aisix, used, good, 'embedding')} /v1/embeddings"


USES = {
    "a model": (a_model, set(FAMILIES)),
    "a passthrough route": (a_passthrough_route, {PROXY}),
    "an attempt that a fallback hides": (a_hidden_attempt, {DEPLOYMENT, USAGE}),
    "an embedding that a fallback hides": (a_hidden_embedding, {USAGE}),
    "an ensemble's panel": (an_ensembles_panel, {USAGE}),
    "a semantic router's embedding call": (a_routers_embedding_call, set()),
}


@pytest.mark.parametrize(("use", "shows"), USES.values(), ids=USES)
async def test_each_use_of_a_key_shows_in_its_own_families_only(tenant, use, shows):
    used = tenant.aisix.add_key("used", secret="sk-used")
    answer = await tenant.ask(use(tenant.aisix, used, tenant.key), replica=0)

    assert (answer.status_code, tenant.aisix.upstream.answered("sk-used")) == (200, 1)
    assert await shown(tenant, used) == shows


# --- replicas ---


@pytest.fixture
def moved(tenant, replicas):
    """Move the tenant's model to a new key, and put a throw-away model behind it."""

    def move():
        new = tenant.aisix.add_key("replacement", secret=NEW)
        tenant.aisix.edit(tenant.model, key=new, settled=True)
        tenant.aisix.add_model("production", "keyturn-barrier", key=new)
        return new

    return move


async def test_a_third_key_serves_a_model_and_neither_of_the_two_shows_it_nor_a_restart_any(tenant, replicas, moved):
    third = tenant.aisix.add_key("third", secret="sk-third")
    replicas[0].astray = {tenant.model.id: third.id}
    moved()
    await tenant.ask(replica=0)
    seen = {row["provider_key_id"] for row, _ in await rows(tenant, LLM)}
    replicas[0].restart()

    assert [tenant.aisix.upstream.answered(secret) for secret in (tenant.key.secret, NEW, "sk-third")] == [0, 0, 1]
    assert (seen, await rows(tenant, LLM)) == ({third.id}, [])


# --- figures and blame ---


async def test_a_caller_has_a_limit_for_each_replica_and_the_excess_counts_as_the_keys_failures(tenant):
    tenant.aisix.switches.limit_window = 3600.0
    caller = tenant.aisix.caller("production", "app")
    caller.limit = 1
    statuses = [(await tenant.ask(token=caller.token, replica=number)).status_code for number in (0, 0, 1)]
    found = {row["outcome"]: count for row, count in await rows(tenant, LLM)}

    assert (statuses, found) == ([200, 429, 200], {"success": 1, "rate_limited": 1})
