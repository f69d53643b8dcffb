"""What a replica's counters tell of who served, and what they leave out."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

REQUESTS = "aisix_llm_requests_total"


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


async def counted(tenant, name=REQUESTS):
    """Every series of a counter of the first replica: its labels and its value."""
    text = (await tenant.status("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == name]


async def ask(tenant, replicas, *args, **options):
    return await tenant.ask(*args, url=replicas[0].url, **options)


async def test_counters_tell_the_key_and_the_outcome(tenant, replicas):
    await ask(tenant, replicas)
    tenant.aisix.upstream.refuse(tenant.key.secret)
    await ask(tenant, replicas)
    found = await counted(tenant)

    assert {labels["provider_key_id"] for labels, _ in found} == {tenant.key.id}
    assert [(labels["status"], labels["outcome"], value) for labels, value in found] == [
        ("200", "success", 1),
        ("401", "client_error", 1),
    ]


async def test_by_default_they_know_models_by_name_only(tenant, replicas):
    await ask(tenant, replicas)
    ((labels, _),) = await counted(tenant)

    assert labels["model"] == "chat-large"
    assert labels["provider_key_name"] == "OpenAI production"
    assert {"model_id", "requested_model"}.isdisjoint(labels)


async def test_through_a_router_the_name_is_the_routers_and_the_key_is_the_targets(tenant, replicas):
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    await ask(tenant, replicas, "any")
    ((labels, _),) = await counted(tenant)

    assert (labels["model"], labels["provider_key_id"]) == ("any", tenant.key.id)


async def test_a_wildcard_alias_counts_under_its_pattern(tenant, replicas):
    tenant.aisix.add_model("production", "openai/*", key=tenant.key)
    await ask(tenant, replicas, "openai/gpt-4o")
    await ask(tenant, replicas, "openai/gpt-4o-mini")

    assert [(labels["model"], value) for labels, value in await counted(tenant)] == [("openai/*", 2)]


async def test_they_may_tell_the_ids_of_models(tenant, replicas):
    tenant.aisix.switches.metric_labels = "full"
    tenant.aisix.add_model("production", "any", kind="routing", targets=[tenant.model])
    await ask(tenant, replicas, "any")
    ((labels, _),) = await counted(tenant)

    assert (labels["model_id"], labels["model"], labels["requested_model"]) == (tenant.model.id, "chat-large", "any")


async def test_an_operator_may_have_taken_the_provider_key_out(tenant, replicas):
    tenant.aisix.switches.metric_labels = "no_key"
    other = tenant.aisix.add_key("other", secret="sk-other")
    await ask(tenant, replicas)
    tenant.aisix.edit(tenant.model, key=other, settled=True)
    await ask(tenant, replicas)
    ((labels, value),) = await counted(tenant)

    assert value == 2
    assert not any(name.startswith("provider_key") for name in labels)


async def test_a_key_that_is_not_there_has_no_name(tenant, replicas):
    tenant.aisix.remove(tenant.key, settled=True)
    await ask(tenant, replicas)
    ((labels, _),) = await counted(tenant)

    assert (labels["provider_key_id"], labels["provider_key_name"]) == ("unknown", "unknown")


async def test_a_counter_may_appear_with_its_first_request_only(tenant, replicas):
    assert REQUESTS in (await tenant.status("/metrics")).text
    tenant.aisix.switches.lazy_counters = True
    assert REQUESTS not in (await tenant.status("/metrics")).text

    await ask(tenant, replicas)
    assert [value for _, value in await counted(tenant)] == [1]


async def test_a_restart_sets_them_to_zero_and_the_sequence_to_one(tenant, replicas):
    await ask(tenant, replicas)
    tenant.aisix.edit(tenant.model, retries=1, settled=True)
    replicas[0].restart()

    assert await counted(tenant) == []
    assert (await tenant.status("/status/config")).json()["applied"]["apply_seq"] == 1


async def test_a_cached_answer_is_counted_for_no_key(tenant, replicas):
    tenant.aisix.environment("production").cache = True
    await ask(tenant, replicas)
    await ask(tenant, replicas)

    assert [value for _, value in await counted(tenant)] == [1]


async def test_a_credential_that_never_left_does_not_count_for_the_provider(tenant, replicas):
    tenant.aisix.add_model("production", "bad", key=tenant.aisix.add_key("bad", secret="sk\n"))
    await tenant.ask("bad", url=replicas[0].url)
    text = (await tenant.status("/metrics")).text

    assert "aisix_llm_requests_total{" in text
    assert "aisix_deployment_requests_total{" not in text
