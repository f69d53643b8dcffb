"""Probes through the sandbox's gateways: where they go, what they carry, and what comes of the answers."""

import json

import pytest

from bot.aisix.probes import ENDPOINTS, GatewaySettings, Probe, probe_for
from bot.rotation.evidence import Verdict
from sandbox.aisix import Switches
from tests.bot.values import affected

VERTEX = json.dumps({"project": "p", "region": "eu", "service_account_json": {"client_email": "x"}})


async def probe(tenant, model=None, probes=None, **options):
    gateways = await tenant.gateways(probes, **options)
    return await gateways.probe(tenant.affected(model), "rabc123")


@pytest.mark.parametrize(
    ("alias", "kind", "probes", "expected"),
    [
        ("chat", "direct", {}, Probe(endpoint="chat", name="chat", guessed=True)),
        ("emb", "embedding", {}, Probe(endpoint="embeddings", name="emb")),
        ("chat", "direct", {"chat": "responses"}, Probe(endpoint="responses", name="chat")),
        ("emb", "embedding", {"emb": "chat"}, Probe(endpoint="chat", name="emb")),
        ("chat", "direct", {"chat": "skip"}, None),
        ("chat", "direct", {"chat": "chat"}, Probe(endpoint="chat", name="chat")),
        ("openai/*", "direct", {}, Probe(endpoint="chat", name="", guessed=True)),
        ("openai/*", "direct", {"openai/*": "openai/g"}, Probe(endpoint="chat", name="openai/g", guessed=True)),
        ("openai/*", "direct", {"openai/*": "embeddings"}, Probe(endpoint="embeddings", name="")),
        ("openai/*", "direct", {"openai/*": "rerank:openai/r"}, Probe(endpoint="rerank", name="openai/r")),
        ("openai/*", "direct", {"openai/*": "openai/r rerank"}, Probe(endpoint="rerank", name="openai/r")),
        ("openai/*", "direct", {"openai/gpt-4o": "chat"}, Probe(endpoint="chat", name="openai/gpt-4o")),
        ("openai/*", "direct", {"anthropic/x": "chat"}, Probe(endpoint="chat", name="", guessed=True)),
    ],
)
def test_each_model_is_asked_where_it_can_answer(alias, kind, probes, expected):
    assert probe_for(affected(alias=alias, kind=kind), probes) == expected


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_endpoint_is_answered_and_passes(tenant, endpoint):
    upstream = {"rerank": "rerank", "embeddings": "embedding"}.get(endpoint, "direct")
    model = tenant.aisix.add_model("production", "subject", key=tenant.key, kind=upstream)
    found = await probe(tenant, model, {"subject": endpoint})

    assert (found.verdict, found.signature) == (Verdict.LIKELY, "200")
    assert [call.path for call in tenant.aisix.gateway_calls] == [ENDPOINTS[endpoint][0]]


async def test_a_model_that_is_skipped_is_not_asked(tenant):
    assert (await probe(tenant, probes={"chat-large": "skip"})).skipped
    assert tenant.aisix.gateway_calls == []


async def test_a_wildcard_alias_is_asked_under_a_concrete_name_or_not_at_all(tenant):
    model = tenant.aisix.add_model("production", "openai/*", key=tenant.key)
    assert (await probe(tenant, model)).passed
    assert [call.alias for call in tenant.aisix.gateway_calls] == ["openai/gpt-4o-mini"]

    tenant.aisix.environment("production").probes.clear()
    gateways, found = await tenant.gateways(), await probe(tenant, model)
    assert (gateways.lacks_a_name(tenant.affected(model)), gateways.lacks_a_name(tenant.affected())) == (True, False)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "openai/*" in found.reason
    assert len(tenant.aisix.gateway_calls) == 1


async def test_every_probe_has_a_request_id_of_its_own_that_names_the_rotation(tenant):
    for _ in range(3):
        await probe(tenant)
    ids = {call.request_id for call in tenant.aisix.gateway_calls}

    assert [id_.startswith("rot-rabc123-") for id_ in ids] == [True] * 3
    assert {call.caller for call in tenant.aisix.gateway_calls} == {"probe"}


@pytest.mark.parametrize("cache", [True, "semantic"])
async def test_a_probe_passes_by_the_cache_and_leaves_nothing_in_it(tenant, cache):
    tenant.aisix.environment("production").cache = cache
    found = [await probe(tenant) for _ in range(2)]

    assert all(evidence.passed for evidence in found)
    assert len(tenant.aisix.upstream.calls) == 2
    assert tenant.aisix.environment("production").answers == {}


@pytest.mark.parametrize("switches", [Switches(cache_ignores_no_cache=True)])
@pytest.mark.parametrize(("cache", "second"), [(True, Verdict.LIKELY), ("semantic", Verdict.INVALID)])
async def test_a_nonce_keeps_an_exact_cache_from_answering(tenant, cache, second):
    tenant.aisix.environment("production").cache = cache

    assert [(await probe(tenant)).verdict for _ in range(2)] == [Verdict.LIKELY, second]


async def test_an_answer_by_another_target_is_invalid(tenant):
    router = tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.chat])

    assert (await probe(tenant, router)).verdict is Verdict.INVALID


REJECTED, UNCLEAR, PENDING = Verdict.REJECTED, Verdict.INCONCLUSIVE, Verdict.PROJECTION
ANSWERS = {
    # what is so, the verdict, whether it blames the credential, the answer
    "a malformed secret": (
        lambda t: t.aisix.edit(t.key, api_key="sk-\n", settled=True), REJECTED, True, "401 authentication_error"
    ),
    "a refused secret": (
        lambda t: t.aisix.upstream.set(t.key.secret, 401), REJECTED, True, "401 upstream_error invalid_api_key"
    ),
    "no provider key": (lambda t: t.aisix.remove(t.key, settled=True), PENDING, False, "400 invalid_request_error"),
    "no alias": (lambda t: t.aisix.remove(t.chat, settled=True), PENDING, False, "404 model_not_found"),
    "an upstream that talks nonsense": (lambda t: t.aisix.upstream.set(t.key.secret, "garbage"), UNCLEAR, False, ""),
    "the gateway's own limit": (
        lambda t: t.aisix.environment("production").refusals.update({"chat-large": "rate_limit"}), UNCLEAR, False, "429"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_a_gateway_answers_has_its_verdict(tenant, name):
    happen, verdict, blames, answer = ANSWERS[name]
    happen(tenant)
    found = await probe(tenant)

    assert (found.verdict, found.blames_credential) == (verdict, blames)
    assert answer in found.signature
    assert tenant.key.secret[:6] not in found.model_dump_json()


@pytest.mark.parametrize("endpoint", ["chat", "messages"])
async def test_a_refused_caller_key_does_not_blame_the_credential(tenant, endpoint):
    """On `/v1/messages` a wrong caller key and a wrong credential are the same 401 (facts 6.3)."""
    anthropic = tenant.aisix.add_key("anthropic", provider="anthropic", secret="sk-ant")
    claude = tenant.aisix.add_model("production", "claude", key=anthropic)
    found = await probe(tenant, claude, {"claude": endpoint}, caller_key="nonsense")

    assert (found.verdict, found.blames_credential, found.signature) == (UNCLEAR, False, "401 invalid_api_key")


async def test_a_refused_token_exchange_blames_nobody_until_it_is_held_against_the_baseline(tenant):
    key = tenant.aisix.add_key("vertex", provider="google-vertex", secret=VERTEX)
    tenant.aisix.upstream.refuse(VERTEX)
    found = await probe(tenant, tenant.aisix.add_model("production", "subject", key=key, upstream="gemini-3"))

    assert (found.verdict, found.blames_credential, found.signature) == (REJECTED, False, "500 config_error")


@pytest.mark.parametrize("endpoint", ["embeddings", "responses"])
async def test_an_endpoint_that_the_model_does_not_offer_points_to_the_setting(tenant, endpoint):
    key = tenant.aisix.add_key("anthropic", provider="anthropic", secret="sk-ant")
    found = await probe(tenant, tenant.aisix.add_model("production", "subject", key=key), {"subject": endpoint})

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "`probes`" in found.reason


async def test_a_gateway_that_takes_too_long_is_inconclusive(tenant):
    tenant.aisix.upstream.set(tenant.key.secret, "hang")
    found = await probe(tenant, timeout=0.1)

    assert (found.verdict, found.signature) == (UNCLEAR, "time-out")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
async def test_a_gateway_that_is_not_there_is_inconclusive(tenant, url):
    assert (await probe(tenant, url=url)).verdict is UNCLEAR


@pytest.mark.parametrize(("token", "status"), [(None, 200), ("nonsense", 401)])
async def test_the_caller_key_is_tried_without_a_model(tenant, token, status):
    given = {"url": tenant.aisix.gateway_url("production") + "/"} | ({"caller_key": token} if token else {})
    gateways = await tenant.gateways(**given)

    assert (await gateways.greeting(tenant.environment)).status == status


def test_printed_settings_hold_no_password_of_a_status_address():
    settings = GatewaySettings(
        url="http://gw", caller_key="ck", status_urls=("http://admin:hunter2@one:9090/?t=hunter3",)
    )

    assert settings.model_dump()["status_urls"] == ("http://one:9090",)
    assert "hunter" not in f"{settings!r} {settings.model_dump_json()}"


async def test_each_probe_has_a_connection_of_its_own(tenant):
    tenant.aisix.switches.balancing = "connections"
    tenant.aisix.place_replica("production")
    gateways = await tenant.gateways(concurrency=1)
    for _ in range(4):
        await gateways.probe(tenant.affected(), "rabc123")

    assert [len(replica.proxy.calls) for replica in tenant.aisix.replicas("production")] == [2, 2]
