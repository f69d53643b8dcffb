"""What a replica's counters tell of who served, and what they leave out."""

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

LLM, PROXY = "aisix_llm_requests_total", "aisix_proxy_requests_total"
DEPLOYMENT, USAGE = "aisix_deployment_requests_total", "aisix_usage_events_emitted_total"
FAMILIES = (LLM, PROXY, DEPLOYMENT, USAGE)

"""The label sets of a real page."""


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


async def counted(tenant, name=LLM):
    """Every series of a counter of the first replica: its labels and its value."""
    text = (await tenant.status("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == name]


async def tally(tenant, name, *labels):
    """Sum a counter of the first replica by some labels."""
    sums: Counter[tuple[str, ...]] = Counter()
    for row, value in await counted(tenant, name):
        sums[tuple(row[label] for label in labels)] += int(value)
    return dict(sums)


async def totals(tenant):
    return [sum(value for _, value in await counted(tenant, name)) for name in FAMILIES]


async def ask(tenant, replicas, *args, **options):
    return await tenant.ask(*args, url=replicas[0].url, **options)


async def test_the_callers_key_tells_probes_from_applications(tenant, replicas):
    await ask(tenant, replicas)
    for _ in range(2):
        await ask(tenant, replicas, token=tenant.aisix.app_caller_key("production"))

    by_caller = await tally(tenant, LLM, "api_key_id")
    assert sorted(by_caller.values()) == [1, 2]
    assert by_caller == await tally(tenant, PROXY, "api_key_id")


async def test_a_caller_without_a_good_key_is_counted_nowhere(tenant, replicas):
    await ask(tenant, replicas, token="ck-wrong")

    assert await totals(tenant) == [0, 0, 0, 0]


async def test_an_unknown_alias_is_counted_as_unresolved(tenant, replicas):
    await ask(tenant, replicas, "nothing")
    ((labels, _),) = await counted(tenant)

    assert (labels["model"], labels["status"]) == ("unresolved", "404")
    assert {labels[name] for name in ("provider", "upstream_model", "provider_key_id")} == {"unknown"}


async def test_through_a_router_the_name_is_the_routers_and_the_key_is_the_targets(tenant, replicas):
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    await ask(tenant, replicas, "any")
    ((labels, _),) = await counted(tenant)
    ((attempt, _),) = await counted(tenant, DEPLOYMENT)

    assert (labels["model"], labels["upstream_model"], labels["provider_key_id"]) == ("any", "gpt-4o", tenant.key.id)
    assert attempt["model"] == "chat-large"


async def test_a_passthrough_route_is_in_the_proxys_counter_only(tenant, replicas):
    tenant.aisix.add_passthrough("production", "raw", key=tenant.key)
    await ask(tenant, replicas, "gpt-4o", path="/passthrough/raw/chat/completions")
    ((labels, _),) = await counted(tenant, PROXY)

    assert tenant.aisix.upstream.answered(tenant.key.secret) == 1
    assert await totals(tenant) == [0, 1, 0, 0]
    assert (labels["endpoint"], labels["inbound_protocol"]) == ("/passthrough_route", "passthrough")
    assert (labels["model"], labels["upstream_model"]) == ("passthrough", "unknown")
    assert (labels["provider_key_id"], labels["provider_key_name"]) == (tenant.key.id, "OpenAI production")


async def test_the_panel_of_an_ensemble_is_in_the_usage_events_only(tenant, replicas):
    members = {"panel": [tenant.model, tenant.model], "judge": tenant.model}
    tenant.aisix.add_model("production", "board", kind="ensemble", **members)
    await ask(tenant, replicas, "board")
    ((labels, _),) = await counted(tenant)

    assert tenant.aisix.upstream.answered(tenant.key.secret) == 3
    assert await totals(tenant) == [1, 1, 0, 3]
    assert (labels["provider"], labels["model"], labels["upstream_model"]) == ("ensemble", "board", "")
    assert (labels["provider_key_id"], labels["provider_key_name"]) == ("", "unknown")
    assert await tally(tenant, USAGE, "provider_key_id", "model") == {(tenant.key.id, "board"): 3}


async def test_a_wildcard_alias_counts_under_its_pattern(tenant, replicas):
    tenant.aisix.add_model("production", "openai/*", key=tenant.key)
    await ask(tenant, replicas, "openai/gpt-4o")
    await ask(tenant, replicas, "openai/gpt-4o-mini")

    for name in (LLM, DEPLOYMENT):
        assert await tally(tenant, name, "model", "upstream_model") == {("openai/*", "*"): 2}


async def test_they_may_tell_the_ids_of_models(tenant, replicas):
    tenant.aisix.switches.metric_labels = "full"
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    await ask(tenant, replicas, "any")
    ((labels, _),) = await counted(tenant)

    assert (labels["model_id"], labels["model"], labels["requested_model"]) == (tenant.model.id, "chat-large", "any")


async def test_they_may_leave_out_the_callers_key(tenant, replicas):
    tenant.aisix.switches.metric_labels = "names"
    await ask(tenant, replicas)
    await ask(tenant, replicas, token=tenant.aisix.app_caller_key("production"))
    ((labels, value),) = await counted(tenant)

    assert value == 2
    assert "api_key_id" not in labels


@pytest.mark.parametrize("name", FAMILIES)
async def test_an_operator_may_have_taken_the_provider_key_out(tenant, replicas, name):
    tenant.aisix.switches.metric_labels = "no_key"
    other = tenant.aisix.add_key("other", secret="sk-other")
    await ask(tenant, replicas)
    tenant.aisix.edit(tenant.model, key=other, settled=True)
    await ask(tenant, replicas)
    ((labels, value),) = await counted(tenant, name)

    assert value == 2
    assert not any(label.startswith("provider_key") for label in labels)


@pytest.mark.parametrize("name", FAMILIES)
async def test_a_counter_appears_with_its_first_request_only(tenant, replicas, name):
    assert name not in (await tenant.status("/metrics")).text
    tenant.aisix.switches.lazy_counters = False
    assert name in (await tenant.status("/metrics")).text


@pytest.mark.parametrize("name", FAMILIES)
async def test_a_family_may_not_be_on_the_page_at_all(tenant, replicas, name):
    tenant.aisix.switches.hidden_families = frozenset({name})
    await ask(tenant, replicas)

    assert [each for each in FAMILIES if not await counted(tenant, each)] == [name]


async def test_a_restart_sets_them_to_zero_and_the_sequence_to_one(tenant, replicas):
    await ask(tenant, replicas)
    tenant.aisix.edit(tenant.model, retries=1, settled=True)
    replicas[0].restart()

    assert await counted(tenant) == []
    assert (await tenant.status("/status/config")).json()["applied"]["apply_seq"] == 1
