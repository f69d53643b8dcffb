"""The addresses that an operator writes down, and the balancers behind some of them."""

import json

import httpx
import pytest


@pytest.fixture
def replicas(tenant):
    return tenant.aisix.replicas("production")


def turn(tenant, **switches):
    for name, value in switches.items():
        setattr(tenant.aisix.switches, name, value)


def told(tenant, environment="production"):
    gateways = json.loads(tenant.aisix.settings()["AISIX_GATEWAYS"])
    return gateways[tenant.aisix.environment(environment).id]


async def get(open_client, url, page="/status/config"):
    return await (await open_client(url)).get(page)


async def test_a_balancer_of_connections_keeps_each_at_one_replica(tenant, replicas, open_client):
    turn(tenant, balancing="connections")
    for _ in range(4):
        await tenant.ask()
    assert sorted(replica.served_with(tenant.key.id) for replica in replicas) == [0, 4]

    tenant.gateways.clear()
    await tenant.ask()
    assert sorted(replica.served_with(tenant.key.id) for replica in replicas) == [1, 4]


async def test_a_balancer_of_cookies_keeps_whoever_sends_one_back_at_one_replica(tenant, replicas):
    turn(tenant, balancing="cookies")
    for _ in range(4):
        await tenant.ask()
    assert sorted(replica.served_with(tenant.key.id) for replica in replicas) == [0, 4]

    for _ in range(2):
        tenant.gateways.clear()
        await tenant.ask()
    assert sorted(replica.served_with(tenant.key.id) for replica in replicas) == [1, 5]


async def test_a_status_address_may_be_that_of_another_environment(tenant, replicas):
    turn(tenant, status_addresses="foreign")
    staging = tenant.aisix.replicas("staging")[0]

    assert told(tenant)["status_urls"] == [replicas[0].status_url, staging.status_url]
    assert told(tenant, "staging")["status_urls"] == [replicas[0].status_url]


async def test_nobody_may_listen_at_the_status_addresses(tenant, open_client):
    turn(tenant, status_addresses="nowhere")

    with pytest.raises(httpx.ConnectError):
        await get(open_client, told(tenant)["status_urls"][0])


@pytest.mark.parametrize(
    ("switches", "urls", "count"),
    [
        ({}, 2, None),
        ({"status_urls": False}, 0, 2),
        ({"status_urls": False, "tell_replicas": False}, 0, None),
        ({"status_urls_told": 1}, 1, None),
        ({"status_urls_told": 1, "tell_replicas": True}, 1, 2),
    ],
)
def test_the_settings_tell_so_many_addresses_and_how_many_replicas_there_are(tenant, replicas, switches, urls, count):
    turn(tenant, **switches)

    assert told(tenant).get("status_urls", []) == [replica.status_url for replica in replicas][:urls]
    assert told(tenant).get("replicas") == count


async def test_a_balancer_may_pick_by_chance(tenant, replicas):
    turn(tenant, balancing="chance")
    for _ in range(40):
        await tenant.ask()
    served = [call.replica for call in tenant.aisix.gateway_calls]

    assert set(served) == {0, 1}
    assert served not in ([0, 1] * 20, [1, 0] * 20)


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_a_replica_that_is_added_later_answers_callers_and_is_not_in_the_settings(tenant, is_cut_off):
    turn(tenant, tell_replicas=True)
    before = told(tenant)
    added = await tenant.aisix.add_replica("production", is_cut_off=is_cut_off)
    new = tenant.aisix.add_key("replacement", secret="sk-new-0123456789")
    tenant.aisix.edit(tenant.model, key=new, settled=True)
    for _ in range(3):
        assert (await tenant.ask()).status_code == 200

    assert added.served_with((tenant.key if is_cut_off else new).id) == 1
    assert told(tenant) == before
    assert added.status_url not in before["status_urls"]


async def test_a_shared_status_address_shows_another_replica_at_each_look(tenant, replicas, open_client):
    turn(tenant, status_addresses="shared")
    replicas[1].lag = None
    await tenant.ask(url=replicas[0].url)
    tenant.aisix.add_model("production", "another", key=tenant.key)
    url = told(tenant)["status_urls"][0]
    looks = [(await get(open_client, url)).json() for _ in range(4)]
    pages = [(await get(open_client, url, "/metrics")).text for _ in range(4)]

    for name in ("source_hash", "connected"):
        values = [look["source"][name] for look in looks]
        assert values[0] != values[1], name
        assert values[:2] == values[2:], name
    assert ["aisix_llm_requests_total" in page for page in pages] in ([True, False] * 2, [False, True] * 2)
