"""From a write to its effect: what each replica knows, and when; and the addresses by which it can be asked."""

import asyncio

import httpx
import pytest

LONG = 3600
CONFIG, MODELS, READY, METRICS = "/status/config", "/status/models", "/status/ready", "/metrics"


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


async def repoint(tenant):
    """Move the model as an operator does; a replica has heard of it when it is up to date."""
    key = tenant.aisix.add_key("replacement", secret="sk-new-0123456789", settled=False)
    assert (await tenant.point(key.id)).status_code == 200
    return key


async def settled(tenant):
    await tenant.aisix.until(tenant.aisix.projected, what="the change at every replica that is connected")


async def config(tenant, replica=0):
    return (await tenant.status(CONFIG, replica)).json()


async def hashes(tenant):
    return {(await config(tenant, number))["applied"]["config_hash"] for number in (0, 1)}


async def test_a_lagging_replica_answers_with_the_old_key_and_calls_itself_synced(tenant, replicas):
    replicas[0].lag = LONG
    before = replicas[0].projection.snapshot.apply_seq
    new = await repoint(tenant)
    await tenant.aisix.until(lambda: replicas[1].up_to_date, what="the other replica")

    assert (await tenant.ask(replica=0)).status_code == 200
    assert (replicas[0].served_with(tenant.key.id), tenant.aisix.served_with(new)) == (1, 0)
    assert ((await config(tenant))["state"], len(await hashes(tenant))) == ("synced", 2)
    replicas[0].lag = 0.1
    await settled(tenant)
    assert replicas[0].projection.snapshot.apply_seq > before
    assert len(await hashes(tenant)) == 1
    await asyncio.gather(*(tenant.ask(replica=number) for number in (0, 1)))
    assert [replica.served_with(new.id) for replica in replicas] == [1, 1]


@pytest.mark.parametrize("named_by", ["ids", "store_key"])
async def test_a_rejected_row_leaves_the_last_good_one_in_force_without_an_error(tenant, replicas, named_by):
    tenant.aisix.switches.rejected_rows = named_by
    replicas[0].reject_rows = {tenant.model.id}
    new = await repoint(tenant)
    await settled(tenant)
    page = await config(tenant)
    (row,) = page["rejected"]
    by_ids = {"resource_kind": "models", "resource_id": tenant.model.id}
    by_key = {"key": f"/aisix/{tenant.environment}/models/{tenant.model.id}"}

    assert (page["state"], "serving_stale_since" in row) == ("degraded", True)
    assert {name: row[name] for name in by_ids.keys() | by_key if name in row} == (
        by_ids if named_by == "ids" else by_key
    )
    assert (await tenant.ask(replica=0)).status_code == 200
    assert replicas[0].served_with(tenant.key.id) == 1
    replicas[0].reject_rows = set()
    await tenant.ask(replica=0)
    assert (replicas[0].served_with(new.id), (await config(tenant))["rejected"]) == (1, [])


async def test_a_rejected_new_key_breaks_the_models_that_point_to_it(tenant, replicas):
    replicas[0].reject_rows = {"new keys"}
    await repoint(tenant)
    await settled(tenant)

    assert await tenant.failure(replica=0) == (400, "invalid_request_error", None)
    assert "serving_stale_since" not in (await config(tenant))["rejected"][0]
    assert (await tenant.ask(replica=1)).status_code == 200


async def test_a_request_under_way_finishes_with_the_configuration_it_began_with(tenant, replicas):
    tenant.aisix.upstream.slow_seconds = 0.2
    tenant.aisix.upstream.set(tenant.key.secret, "slow")
    under_way = asyncio.create_task(tenant.ask(replica=0))
    await tenant.aisix.until(lambda: tenant.aisix.upstream.calls, what="the request at the provider")
    tenant.aisix.remove(tenant.key, settled=True)

    assert (await under_way).status_code == 200
    assert (await tenant.failure(replica=0))[0] == 400


# --- pages and addresses ---


@pytest.mark.parametrize(
    ("version", "switched_off", "pages"),
    [
        ("0.10.0", (), {CONFIG, MODELS, READY, METRICS}),
        ("0.10.0", ("metrics_available",), {CONFIG, MODELS, READY}),
        ("0.10.0", ("status_available",), {METRICS}),
        ("0.4.2", (), {CONFIG, READY, METRICS}),
        ("0.3.1", (), {METRICS}),
    ],
)
async def test_a_page_may_be_missing_or_not_there_yet(tenant, replicas, version, switched_off, pages):
    tenant.aisix.switches.gateway_version = version
    for name in switched_off:
        setattr(replicas[0], name, False)
    asked = (CONFIG, MODELS, READY, METRICS)

    assert {page for page in asked if (await tenant.status(page)).status_code == 200} == pages
    assert (await tenant.ask()).headers["Server"] == f"AISIX/{version}"


async def test_a_replica_that_is_down_is_left_out_by_the_balancer(tenant, replicas):
    replicas[0].down = True
    assert [(await tenant.ask()).status_code for _ in range(4)] == [200] * 4
    for attempt in (tenant.ask(replica=0), tenant.status(METRICS)):
        with pytest.raises(httpx.TransportError):
            await attempt

    replicas[1].down = True
    assert (await tenant.ask()).status_code == 503


@pytest.mark.parametrize(
    ("balancing", "served"), [("requests", [3, 3]), ("connections", [1, 5]), ("cookies", [2, 4]), ("chance", None)]
)
async def test_a_balancer_keeps_a_connection_or_a_cookie_at_one_replica_or_neither(tenant, replicas, balancing, served):
    tenant.aisix.switches.balancing = balancing
    for number in range(6 if served else 40):
        if number == 3:
            tenant.gateways[tenant.aisix.gateway_url("production")].cookies.clear()
        if number == 5:
            tenant.gateways.clear()
        await tenant.ask()
    by_time = [call.replica for call in tenant.aisix.gateway_calls]

    assert served in (None, sorted(by_time.count(number) for number in (0, 1)))
    assert served or (set(by_time) == {0, 1} and by_time not in ([0, 1] * 20, [1, 0] * 20))
