"""Looks at the status addresses of the sandbox's replicas, and at servers that are no gateway's, over real sockets."""

import asyncio
import contextlib
import gzip
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import TypeAdapter

from bot.aisix.probes import GatewaySettings
from bot.aisix.status import StatusPages, bare
from bot.rotation.ports import Asked, Keys
from bot.rotation.replica import Served
from tests.bot.conftest import answering
from tests.bot.values import NOW

BARRIER = "keyturn-rabc123-0"
PREFIX = "keyturn-rabc123-"


@pytest.fixture
async def replacement(tenant):
    return tenant.aisix.add_key("OpenAI production (rabc123)", secret="sk-new-CANARY0123456789")


@contextlib.asynccontextmanager
async def pages(tenant, **given):
    """The status pages of the sandbox; `status_urls` gives the addresses of its production instead."""
    settings = TypeAdapter(dict[str, GatewaySettings]).validate_json(tenant.aisix.settings()["AISIX_GATEWAYS"])
    if "status_urls" in given:
        here = settings[tenant.environment]
        settings[tenant.environment] = here.but(status_urls=given["status_urls"], replicas=given.get("replicas", 0))
    async with StatusPages(
        settings, timeout=given.get("timeout", 2), now=given.get("now", lambda: NOW), most=given.get("most", 50_000_000)
    ) as made:
        yield made


def asked(tenant, replacement=None, *models):
    new = {replacement.id, replacement.fields["display_name"]} if replacement else set()
    wanted = tuple(tenant.affected(model) for model in models or (tenant.chat,))
    ids = (*(m.id for m in wanted), *([replacement.id] if replacement else []))
    old = {tenant.key.id, tenant.key.fields["display_name"]}
    return Asked(Keys(frozenset(old), frozenset(new)), wanted, ids, PREFIX, callers(tenant))


def callers(tenant):
    """The id of the caller key that the bot asks with, as the counters call it."""
    keys = tenant.aisix.environment("production").callers.values()
    return tuple(key.id for key in keys if key.name == "probe")


async def look(tenant, replacement=None, *models, **given):
    async with pages(tenant, **given) as made:
        return await made.look(tenant.environment, asked(tenant, replacement, *models))


async def one(tenant, *rest, **given):
    (seen,) = await look(tenant, *rest, **given)
    return seen


def only(tenant):
    (replica,) = tenant.aisix.replicas("production")
    return replica


async def probe(tenant, times=1, model=None):
    gateways = await tenant.gateways()
    return [await gateways.probe(tenant.affected(model), "rabc123") for _ in range(times)]


def cut_over(tenant, replacement, *, settled=True):
    tenant.aisix.edit(tenant.chat, key=replacement, settled=settled)
    tenant.aisix.add_model("production", BARRIER, key=replacement, settled=settled)


# --- a whole look ---


async def test_a_look_at_a_replica_that_is_well_finds_all_there_is(tenant, replacement):
    await probe(tenant, 2)
    cut_over(tenant, replacement)
    await probe(tenant, 3)
    seen = await one(tenant, replacement)

    assert (seen.trouble, seen.state, seen.connected, seen.at) == ("", "synced", True, NOW)
    assert (seen.rejects, seen.rejected, seen.throwaways) == (0, (), (BARRIER,))
    assert seen.counts == {tenant.chat.id: Served(old=2, new=3, hidden=4, reached=3)}
    assert seen.own == {tenant.chat.id: Served(old=2, new=3)}
    assert (seen.old, seen.heard, seen.total) == (2, {tenant.chat.id: 8}, 5)
    assert seen.apply_seq >= 3
    assert seen.revision == seen.observed == only(tenant).projection.snapshot.revision


async def test_two_environments_with_the_same_alias_are_kept_apart(tenant, replacement):
    twin = tenant.aisix.add_model("staging", "chat-large", key=tenant.key)
    await probe(tenant, 2)
    question = asked(tenant, replacement, tenant.chat, twin)
    question = question._replace(models=(tenant.affected(), tenant.affected(twin, environment_name="staging")))
    async with pages(tenant) as made:
        (here,) = await made.look(tenant.environment, question)
        (there,) = await made.look(twin.environment_id, question)

    assert here.counts == {tenant.chat.id: Served(old=2, hidden=4)}
    assert there.counts == {}


@pytest.mark.parametrize(
    ("urls", "told", "replicas"),
    [((), 0, 1), ((), 4, 4), (("http://a", "http://b"), 0, 2), (("http://a", "http://a/", "HTTP://a"), 0, 1)],
)
async def test_there_are_as_many_replicas_as_the_settings_tell_or_show(tenant, urls, told, replicas):
    async with pages(tenant, status_urls=urls, replicas=told) as made:
        assert made.replicas(tenant.environment) == replicas
        assert made.replicas("nowhere") == 1
        assert await made.look("nowhere", asked(tenant)) == made.addresses("nowhere") == ()


# --- pages that are not there ---


@pytest.mark.parametrize(("metrics", "status"), [(False, True), (True, False), (False, False)])
async def test_a_page_that_is_missing_leaves_the_rest(tenant, metrics, status):
    only(tenant).metrics_available, only(tenant).status_available = metrics, status
    await probe(tenant)
    seen = await one(tenant)

    assert seen.trouble == ("" if metrics or status else "has no /status/config (404)")
    assert (seen.state, seen.throwaways) == (("synced", ()) if status else ("", None))
    assert seen.counts == ({tenant.chat.id: Served(old=1, hidden=2)} if metrics else None)


# --- servers that are no gateway ---

Page = Callable[[web.Request], object]


@contextlib.asynccontextmanager
async def served(answers: dict[str, Page]) -> AsyncIterator[str]:
    """A server with these pages, under any address that ends in one of them."""

    async def answer(request: web.Request) -> web.StreamResponse:
        path = next((path for path in answers if request.path.endswith(path)), None)
        if path is None:
            raise web.HTTPNotFound
        return await answers[path](request)

    async with answering(answer) as url:
        yield url


def body_of(body, **options):
    async def page(_):
        return web.Response(body=body, **options)

    return page


async def hanging(_):
    await asyncio.Event().wait()


async def dripping(request):
    """A page that never ends, a byte at a time: no single wait is long."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)
    return response


async def broken_off(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"state": "synced"')
    request.transport.abort()
    return response


def all_three(page):
    return dict.fromkeys(("/status/config", "/status/models", "/metrics"), page)


GARBAGE = {
    "charset of nobody": body_of(b"up 1\n", headers={"Content-Type": "text/plain; charset=hex"}),
    "not gzip": body_of(b"{}", headers={"Content-Encoding": "gzip"}),
    "broken off": broken_off,
    "broken counters": body_of(b'aisix_llm_requests_total{model="chat'),
    "document": body_of(b'{"state": {}, "source": 3, "rejected": "x", "applied": []}'),
}


@pytest.mark.parametrize("page", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_shows_no_counters_and_no_state(tenant, replacement, page):
    async with served(all_three(page)) as url:
        seen = await one(tenant, replacement, status_urls=(url,))

    assert (seen.counts, seen.state) == (None, "")


@pytest.mark.parametrize("page", [hanging, dripping])
async def test_pages_that_do_not_end_are_given_up_in_time_all_at_once(tenant, page):
    async with served(all_three(page)) as url, asyncio.timeout(5):
        seen = await look(tenant, status_urls=tuple(f"{url}/{number}" for number in range(20)), timeout=0.3)

    assert [replica.trouble for replica in seen] == ["does not answer in time"] * 20


async def test_one_page_that_hangs_does_not_take_the_others_along(tenant):
    async with served({"/status/config": hanging, "/metrics": body_of(b"aisix_config_reloads_total 1\n")}) as url:
        seen = await one(tenant, status_urls=(url,), timeout=0.3)

    assert (seen.trouble, seen.state, seen.counts) == ("", "", {})


async def test_a_page_that_is_too_long_is_not_read_to_its_end(tenant):
    page = body_of(gzip.compress(b"aisix_x 1\n" * 1000), headers={"Content-Encoding": "gzip"})
    async with served(all_three(page)) as url:
        seen = await one(tenant, status_urls=(url,), most=1_000)

    assert (seen.trouble, seen.counts) == ("has a /status/config that is too long", None)


@pytest.mark.parametrize(("status", "headers"), [(204, {}), (401, {}), (302, {"Location": "/elsewhere/status/config"})])
async def test_a_refused_page_is_a_missing_page_and_a_redirect_is_not_followed(tenant, status, headers):
    pages = {"/elsewhere/status/config": body_of(b'{"state": "synced"}')}
    async with served(pages | all_three(body_of(b"", status=status, headers=headers))) as url:
        seen = await one(tenant, status_urls=(url,))

    assert seen.trouble == (f"has no /status/config ({status})" if status != 204 else "")
    assert (seen.counts, seen.state) == (None, "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[", "http://n\u00f6.\u2028:1", ""])
async def test_an_address_that_is_none_is_a_finding(tenant, url):
    seen = await one(tenant, status_urls=(url,))

    assert (seen.trouble, seen.counts, seen.throwaways) == ("does not answer", None, None)


async def test_a_password_in_an_address_is_sent_and_never_shown(tenant):
    asked_with = []

    async def config(request):
        asked_with.append(request.headers.get("Authorization", ""))
        return web.json_response({"state": "synced"})

    async with served({"/status/config": config}) as url:
        known = url.replace("http://", "http://admin:hunter2@")
        async with pages(tenant, status_urls=(known + "/",)) as made:
            (seen,) = await made.look(tenant.environment, asked(tenant))
            assert made.addresses(tenant.environment) == (seen.url,) == (url,)

    assert asked_with[0].startswith("Basic ")
    assert "hunter2" not in seen.model_dump_json() + seen.name


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://Replica-1:9090/", "http://replica-1:9090"),
        ("https://u:p@replica-1/Inner/?token=t#f", "https://replica-1/Inner"),
        ("http://u:p@[hunter", "[hunter"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_address_is_stored_without_what_may_be_secret(url, shown):
    assert bare(url) == shown


# --- addresses that are not what they seem ---


async def test_an_address_of_two_environments_says_nothing_of_either(tenant):
    (staging,) = tenant.aisix.replicas("staging")
    seen = await one(tenant, status_urls=(staging.status_url,))

    assert "more than one environment" in seen.trouble
    assert seen.counts is None


async def test_an_address_of_another_environment_is_found_out(tenant):
    tenant.aisix.add_model("staging", "chat-large", key=tenant.key)
    (staging,) = tenant.aisix.replicas("staging")
    seen = await one(tenant, status_urls=(staging.status_url.replace("127.0.0.1", "localhost"),))

    assert "another environment" in seen.trouble
    assert seen.counts is None


# --- addresses of a balancer, of one replica twice, of a cache ---


def in_turn(*pages):
    """A page that is another one each time."""
    turns = itertools.cycle(pages)

    async def page(_):
        return next(turns)()

    return page


def config(apply_seq):
    applied = {"apply_seq": apply_seq, "applied_revision": 19}
    body = {"state": "synced", "source": {"connected": True}, "applied": applied, "rejected": []}
    return lambda: web.json_response(body)


def metrics(requests, spent="0.5"):
    label = '{model="chat-large",provider_key_id="pk_new",status="200"}'
    body = f"aisix_llm_requests_total{label} {requests}\naisix_x_seconds_sum{label} {spent}\n"
    return lambda: web.Response(text=body)


def shown(config_page, metrics_page):
    return served({"/status/config": config_page, "/status/models": body_of(b"[]"), "/metrics": metrics_page})


@pytest.mark.parametrize(
    ("configs", "counters"),
    [((config(3), config(9)), (metrics(40),)), ((config(3),), (metrics(40), metrics(120)))],
    ids=["by its configuration", "by its counters"],
)
async def test_a_balancers_address_is_named_and_shows_no_counters(tenant, configs, counters):
    async with (
        shown(in_turn(*configs), in_turn(*counters)) as url,
        pages(tenant, status_urls=(url,)) as made,
    ):
        looks = [await made.look(tenant.environment, asked(tenant)) for _ in range(3)]

    for (seen,) in looks:  # it is remembered where a look is not due to compare again
        assert seen.trouble.startswith("shows another replica at each look")
        assert seen.counts is None


async def test_a_balancers_address_is_found_out_before_the_look_that_need_not_wait_for_it(tenant):
    asked_of, turns = [], in_turn(config(3), config(9))

    async def counted(request):
        asked_of.append(request.path)
        return await turns(request)

    async with shown(counted, in_turn(metrics(40))) as url, pages(tenant, status_urls=(url,)) as made:
        await made.watch([tenant.environment])
        before = len(asked_of)
        (seen,) = await made.look(tenant.environment, asked(tenant))

    assert seen.trouble.startswith("shows another replica at each look")
    assert len(asked_of) - before == 1


async def test_an_address_that_does_not_answer_for_a_while_is_not_forgotten(tenant):
    now, shows = [NOW], [config(9)]

    async def page(_):
        return shows[0]()

    async with shown(page, page) as url, pages(tenant, status_urls=(url,), now=lambda: now[0]) as made:
        for shows[0] in (config(9), unavailable, config(3), unavailable, config(1)):
            now[0] += timedelta(seconds=2)
            await made.watch([tenant.environment])
        (seen,) = await made.look(tenant.environment, asked(tenant))

    assert "another replica" in seen.trouble


def unavailable():
    return web.Response(status=503)


async def test_a_replica_that_is_busy_is_no_balancer(tenant, replacement):
    async with pages(tenant) as made:
        for _ in range(4):
            await probe(tenant, 2)
            (seen,) = await made.look(tenant.environment, asked(tenant, replacement))

    assert seen.trouble == ""


async def test_a_replica_under_two_addresses_counts_once(tenant):
    page = in_turn(metrics(40, spent="0.02604057"))
    async with shown(in_turn(config(3)), page) as first, shown(in_turn(config(3)), page) as second:
        here, there = await look(tenant, status_urls=(first, second))

    assert here.trouble == ""
    assert there.trouble.startswith(f"shows the same replica as {here.name}")
    assert there.counts is None


@pytest.mark.parametrize(("path", "header"), [("/status/config", {"Age": "40"}), ("/metrics", {"X-Cache": "HIT"})])
async def test_a_page_from_a_cache_is_doubted(tenant, path, header):
    fresh, stale = all_three(body_of(b'{"state": "synced"}')), {path: body_of(b"aisix_x 1\n", headers=header)}
    async with served(fresh | stale) as url:
        seen = await one(tenant, status_urls=(url,))

    assert seen.trouble == "shows a page from a cache on the way, and not itself"
    assert seen.counts is None


async def test_a_page_is_asked_for_past_every_cache(tenant):
    asked_with = set()

    async def page(request):
        asked_with.add(request.headers.get("Cache-Control"))
        return web.json_response({})

    async with served(all_three(page)) as url:
        await one(tenant, status_urls=(url,))

    assert asked_with == {"no-cache"}


async def test_whoever_tries_the_settings_hears_of_each_address_that_contradicts_itself(tenant):
    balanced, cached = (in_turn(config(3), config(9)), metrics(1)), {"Age": "9"}
    async with (
        shown(balanced[0], in_turn(balanced[1])) as one_url,
        served(all_three(body_of(b"{}", headers=cached))) as two_url,
        pages(tenant, status_urls=(one_url, two_url, only(tenant).status_url)) as made,
    ):
        found = await made.contradictions(tenant.environment)

    assert {url: why.split(":")[0] for url, why in found.items()} == {
        one_url: "shows another replica at each look",
        two_url: "shows a page from a cache on the way, and not itself",
    }
