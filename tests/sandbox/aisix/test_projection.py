"""From a write to its effect: what each replica knows, and when."""

import asyncio

import httpx
import pytest

from sandbox.aisix.status import PageCache

LONG = 3600
NEW = "sk-new-0123456789"


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


async def repoint(tenant, secret=NEW):
    key = tenant.aisix.add_key("replacement", secret=secret, settled=False)
    assert (await tenant.point(key)).status_code == 200
    return key


async def settled(tenant):
    await tenant.aisix.until(tenant.aisix.projected, what="the change at every replica that is connected")


async def test_a_write_takes_effect_after_the_lag(tenant, replicas):
    replicas[0].lag = 0.1
    before = [replica.projection.snapshot.apply_seq for replica in replicas]
    new = await repoint(tenant)

    assert replicas[0].projection.snapshot.apply_seq == before[0]
    await settled(tenant)
    assert replicas[0].projection.snapshot.apply_seq > before[0]
    await asyncio.gather(*(tenant.ask(url=replica.url) for replica in replicas))
    assert [replica.served_with(new.id) for replica in replicas] == [1, 1]


async def test_a_lagging_replica_answers_with_the_old_key_and_calls_itself_synced(tenant, replicas):
    replicas[0].lag = LONG
    new = await repoint(tenant)
    await tenant.aisix.until(lambda: replicas[1].up_to_date, what="the other replica")

    assert (await tenant.ask(url=replicas[0].url)).status_code == 200
    assert replicas[0].served_with(tenant.key.id) == 1
    assert tenant.aisix.served_with(new) == 0
    assert (await tenant.status("/status/config")).json()["state"] == "synced"
    hashes = [(await tenant.status("/status/config", n)).json()["applied"]["config_hash"] for n in (0, 1)]
    assert hashes[0] != hashes[1]

    replicas[0].lag = 0
    await settled(tenant)
    hashes = [(await tenant.status("/status/config", n)).json()["applied"]["config_hash"] for n in (0, 1)]
    assert hashes[0] == hashes[1]


async def test_a_rejected_row_leaves_the_last_good_one_in_force_without_an_error(tenant, replicas):
    replicas[0].reject_rows = {tenant.model.id}
    await repoint(tenant)
    await settled(tenant)
    config = (await tenant.status("/status/config")).json()

    assert config["state"] == "degraded"
    assert [(row["resource_kind"], row["resource_id"]) for row in config["rejected"]] == [("models", tenant.model.id)]
    assert "serving_stale_since" in config["rejected"][0]
    assert (await tenant.ask(url=replicas[0].url)).status_code == 200
    assert replicas[0].served_with(tenant.key.id) == 1

    replicas[0].reject_rows = set()
    await tenant.ask(url=replicas[0].url)
    assert replicas[0].served_with(tenant.model.provider_key_id) == 1
    assert (await tenant.status("/status/config")).json()["rejected"] == []


async def test_a_rejected_new_key_breaks_the_models_that_point_to_it(tenant, replicas):
    replicas[0].reject_rows = {"new keys"}
    await repoint(tenant)
    await settled(tenant)

    assert await tenant.failure(url=replicas[0].url) == (400, "invalid_request_error", None)
    assert "serving_stale_since" not in (await tenant.status("/status/config")).json()["rejected"][0]
    assert (await tenant.ask(url=replicas[1].url)).status_code == 200


async def test_a_request_under_way_finishes_with_the_configuration_it_began_with(tenant, replicas):
    tenant.aisix.upstream.slow_seconds = 0.2
    tenant.aisix.upstream.set(tenant.key.secret, "slow")
    under_way = asyncio.create_task(tenant.ask(url=replicas[0].url))
    await tenant.aisix.until(lambda: tenant.aisix.upstream.calls, what="the request at the provider")
    tenant.aisix.remove(tenant.key, settled=True)

    assert (await under_way).status_code == 200
    assert (await tenant.failure(url=replicas[0].url))[0] == 400


async def test_narrowing_the_environments_of_a_key_takes_it_from_their_gateways(tenant):
    staging = tenant.aisix.environment("staging").id
    body = {"allowed_environments": [staging]}
    await tenant.api.patch(f"/provider_keys/{tenant.key.id}", json=body)
    await settled(tenant)
    assert (await tenant.failure())[0] == 400

    body = {"allowed_environments": [staging, tenant.environment]}
    await tenant.api.patch(f"/provider_keys/{tenant.key.id}", json=body)
    await settled(tenant)
    assert (await tenant.ask()).status_code == 200


async def test_a_replica_that_is_down_is_left_out_by_the_balancer(tenant, replicas):
    replicas[0].down = True
    for _ in range(4):
        assert (await tenant.ask()).status_code == 200
    with pytest.raises(httpx.TransportError):
        await tenant.ask(url=replicas[0].url)
    with pytest.raises(httpx.TransportError):
        await tenant.status("/metrics")

    replicas[1].down = True
    assert (await tenant.ask()).status_code == 503


async def test_status_pages_may_be_missing(tenant, replicas):
    replicas[0].metrics_available = False
    assert (await tenant.status("/metrics")).status_code == 404
    assert (await tenant.status("/status/config")).status_code == 200

    replicas[0].status_available = False
    assert (await tenant.status("/status/config")).status_code == 404


async def test_what_was_taken_in_part_is_listed(tenant, replicas):
    replicas[0].unknown_fields = {"brand_new_knob"}
    tenant.aisix.edit(tenant.model, brand_new_knob=1, settled=True)
    config = (await tenant.status("/status/config")).json()

    assert config["partially_compatible"] == [{"resource_kind": "models", "field": "brand_new_knob", "count": 1}]
    assert config["state"] == "synced"


async def test_a_source_that_is_closed_makes_a_gateway_degraded_later(tenant, replicas):
    replicas[0].lag = None
    assert (await tenant.status("/status/config")).json()["state"] == "synced"
    tenant.aisix.switches.degraded_after = 0

    assert (await tenant.status("/status/config")).json()["state"] == "degraded"


@pytest.mark.parametrize("page", ["/metrics", "/status/config", "/status/models"])
async def test_a_page_from_a_cache_is_old_and_says_its_age(tenant, replicas, page):
    replicas[0].status.cache = PageCache(seconds=3600)
    first = await tenant.status(page)
    tenant.aisix.add_model("production", "another", key=tenant.key)
    await tenant.ask(url=replicas[0].url)
    kept = await tenant.status(page)

    assert "Age" not in first.headers
    assert kept.headers["Age"] == "0"
    assert (kept.content, kept.headers["Content-Type"]) == (first.content, first.headers["Content-Type"])


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_cache_may_obey_no_cache(tenant, replicas, obeys):
    replicas[0].status.cache = PageCache(seconds=3600, obeys=obeys)
    await tenant.status("/metrics")
    url = replicas[0].status_url
    page = await tenant.gateways[url].get("/metrics", headers={"Cache-Control": "no-cache"})

    assert ("Age" in page.headers) is not obeys


async def test_a_rejected_row_may_be_named_by_its_key_in_the_store_alone(tenant, replicas):
    tenant.aisix.switches.rejected_rows = "store_key"
    replicas[0].reject_rows = {tenant.model.id}
    await repoint(tenant)
    await settled(tenant)
    (row,) = (await tenant.status("/status/config")).json()["rejected"]

    assert row["key"] == f"/aisix/{tenant.environment}/models/{tenant.model.id}"
    assert "resource_id" not in row


@pytest.mark.parametrize(
    ("version", "pages"),
    [
        ("0.10.0", {"/status/config", "/status/models", "/status/ready", "/metrics"}),
        ("0.4.2", {"/status/config", "/status/ready", "/metrics"}),
        ("0.3.1", {"/metrics"}),
    ],
)
async def test_an_older_gateway_has_fewer_pages(tenant, version, pages):
    tenant.aisix.switches.gateway_version = version
    asked = ("/status/config", "/status/models", "/status/ready", "/metrics")

    assert {page for page in asked if (await tenant.status(page)).status_code == 200} == pages
    assert (await tenant.ask()).headers["Server"] == f"AISIX/{version}"
