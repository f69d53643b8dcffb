"""Looks at status addresses over real sockets: at a replica's, at a balancer's or a cache's, and at no gateway's."""

import asyncio
import contextlib
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from aiohttp import web

from bot.aisix.probes import GatewaySettings
from bot.aisix.status import StatusPages, bare
from bot.rotation.ports import Asked, Keys
from bot.rotation.replica import Served
from tests.bot.conftest import answering
from tests.bot.values import NOW, affected

KEYS = Keys(frozenset({"pk_old"}), frozenset({"pk_new"}))
ASKED = Asked(KEYS, (affected("m_chat", alias="chat-large"),), ("m_chat", "pk_new"), "keyturn-rabc123-")
CONFIG, MODELS, METRICS = "/status/config", "/status/models", "/metrics"
Page = Callable[[web.Request], object]


def status_pages(*urls, replicas=0, of_staging=(), **given):
    here = GatewaySettings(url="http://gw", caller_key="ck", status_urls=urls, replicas=replicas)
    settings = {"prod": here, "stag": here.but(status_urls=of_staging)}
    return StatusPages(settings, **{"timeout": 2, "now": lambda: NOW} | given)


async def look(*urls, **given):
    async with status_pages(*urls, **given) as made:
        return await made.look("prod", ASKED)


async def one(url, **given):
    (seen,) = await look(url, **given)
    return seen


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


def all_three(page):
    return dict.fromkeys((CONFIG, MODELS, METRICS), page)


def config(apply_seq=3):
    applied = {"apply_seq": apply_seq, "applied_revision": 19}
    body = {"state": "synced", "source": {"connected": True, "observed_revision": 19}, "applied": applied}
    return body_of(json.dumps(body | {"rejected": []}).encode())


def metrics(requests, key="pk_new", model="chat-large", spent="0.5"):
    labels = f'{{model="{model}",provider_key_id="{key}",api_key_id="ck_probe",status="200"}}'
    return body_of(f"aisix_llm_requests_total{labels} {requests}\naisix_x_seconds_sum{labels} {spent}\n".encode())


def models(**ids):
    return body_of(
        json.dumps([{"id": id_, "display_name": name.replace("_", "-")} for name, id_ in ids.items()]).encode()
    )


def in_turn(*pages):
    """A page that is another one each time."""
    turns = itertools.cycle(pages)

    async def page(request):
        return await next(turns)(request)

    return page


def shown(config_page, metrics_page):
    return served({CONFIG: config_page, MODELS: body_of(b"[]"), METRICS: metrics_page})


async def test_a_look_finds_all_there_is_and_any_replica_may_show_which_caller_key_is_ours():
    listed = models(chat_large="m_chat", keyturn_rabc123_0="m_barrier")
    well = {CONFIG: config(), MODELS: listed, METRICS: metrics(3)}
    barrier = {METRICS: metrics(1, model="keyturn-rabc123-0", spent="0.25")}
    async with served(well) as url, served(barrier) as other:
        seen, _ = await look(url, other)

    assert (seen.trouble, seen.state, seen.connected, seen.at, seen.rejects) == ("", "synced", True, NOW, 0)
    assert (seen.apply_seq, seen.revision, seen.observed, seen.throwaways) == (3, 19, 19, ("keyturn-rabc123-0",))
    assert seen.counts == seen.own == {"m_chat": Served(new=3)}


@pytest.mark.parametrize(
    ("urls", "told", "replicas"),
    [((), 0, 1), ((), 4, 4), (("http://a", "http://b"), 0, 2), (("http://a", "http://a/", "HTTP://a"), 0, 1)],
)
async def test_there_are_as_many_replicas_as_the_settings_tell_or_show(urls, told, replicas):
    async with status_pages(*urls, replicas=told) as made:
        assert made.replicas("prod") == replicas
        assert made.replicas("nowhere") == 1
        assert await made.look("nowhere", ASKED) == made.addresses("nowhere") == ()


@pytest.mark.parametrize("there", [{CONFIG}, {MODELS}, {METRICS}, set()])
async def test_a_page_that_is_missing_leaves_the_rest(there):
    pages = {CONFIG: config(), MODELS: models(), METRICS: metrics(1)}
    async with served({path: pages[path] for path in there}) as url:
        seen = await one(url)

    assert seen.trouble == ("" if there else "has no /status/config (404)")
    assert seen.state == ("synced" if CONFIG in there else "")
    assert seen.throwaways == (() if MODELS in there else None)
    assert seen.counts == ({"m_chat": Served(new=1)} if METRICS in there else None)


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


GARBAGE = {
    "charset of nobody": body_of(b"up 1\n", headers={"Content-Type": "text/plain; charset=hex"}),
    "not gzip": body_of(b"{}", headers={"Content-Encoding": "gzip"}),
    "broken off": broken_off,
    "broken counters": body_of(b'aisix_llm_requests_total{model="chat'),
    "document": body_of(b'{"state": {}, "source": 3, "rejected": "x", "applied": []}'),
}


@pytest.mark.parametrize("page", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_shows_no_counters_and_no_state(page):
    async with served(all_three(page)) as url:
        seen = await one(url)

    assert (seen.counts, seen.state) == (None, "")


@pytest.mark.parametrize("page", [hanging, dripping])
async def test_endless_pages_time_out_together(page):
    async with served(all_three(page)) as url, asyncio.timeout(60):
        seen = await look(*(f"{url}/{number}" for number in range(20)), timeout=0.3)

    assert [replica.trouble for replica in seen] == ["does not answer in time"] * 20


async def test_one_hanging_page_does_not_hold_up_the_others():
    async with served({CONFIG: hanging, METRICS: metrics(1)}) as url:
        seen = await one(url, timeout=1.5)

    assert (seen.trouble, seen.state, seen.counts) == ("", "", {"m_chat": Served(new=1)})


async def test_a_page_that_is_too_long_is_not_read_to_its_end():
    page = body_of(gzip.compress(b"aisix_x 1\n" * 1000), headers={"Content-Encoding": "gzip"})
    async with served(all_three(page)) as url:
        seen = await one(url, most=1_000)

    assert (seen.trouble, seen.counts) == ("has a /status/config that is too long", None)


@pytest.mark.parametrize(("status", "headers"), [(204, {}), (401, {}), (302, {"Location": "/elsewhere/status/config"})])
async def test_a_refused_page_is_a_missing_page_and_a_redirect_is_not_followed(status, headers):
    pages = {"/elsewhere/status/config": config()}
    async with served(pages | all_three(body_of(b"", status=status, headers=headers))) as url:
        seen = await one(url)

    assert seen.trouble == (f"has no /status/config ({status})" if status != 204 else "")
    assert (seen.counts, seen.state) == (None, "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://n\u00f6.\u2028:1", ""])
async def test_a_wrong_status_address_is_a_finding(url):
    seen = await one(url)

    assert (seen.trouble, seen.counts, seen.throwaways) == ("does not answer", None, None)


async def test_a_password_in_an_address_is_sent_and_never_shown():
    asked_with = []

    async def page(request):
        asked_with.append(request.headers.get("Authorization", ""))
        return web.json_response({"state": "synced"})

    async with served({CONFIG: page}) as url, status_pages(url.replace("//", "//admin:hunter2@") + "/") as made:
        (seen,) = await made.look("prod", ASKED)
        assert made.addresses("prod") == (seen.url,) == (url,)

    assert asked_with[0].startswith("Basic ")
    assert "hunter2" not in seen.model_dump_json() + seen.name


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://Replica-1:9090/", "http://replica-1:9090"),
        ("https://u:p@replica-1/Inner/?token=t#f", "https://replica-1/Inner"),
        ("http://u:p@[hunter", "[hunter"),
    ],
)
def test_an_address_is_stored_without_what_may_be_secret(url, shown):
    assert bare(url) == shown


async def test_an_address_of_two_environments_says_nothing_of_either():
    async with shown(config(), metrics(1)) as url:
        seen = await one(url, of_staging=(url,))

    assert "more than one environment" in seen.trouble
    assert seen.counts is None


async def test_an_address_of_another_environment_is_found_out():
    async with served({MODELS: models(chat_large="m_another"), METRICS: metrics(1)}) as url:
        seen = await one(url)

    assert "another environment" in seen.trouble
    assert seen.counts is None


@pytest.mark.parametrize(
    ("configs", "counters"),
    [((config(3), config(9)), (metrics(40),)), ((config(3),), (metrics(40), metrics(120)))],
    ids=["by its configuration", "by its counters"],
)
async def test_a_balancers_address_is_named_and_shows_no_counters(configs, counters):
    async with shown(in_turn(*configs), in_turn(*counters)) as url, status_pages(url) as made:
        looks = [await made.look("prod", ASKED) for _ in range(3)]

    for (seen,) in looks:  # it is remembered where a look is not due to compare again
        assert seen.trouble.startswith("shows another replica at each look")
        assert seen.counts is None


async def test_a_balancers_address_is_found_out_before_the_look_that_need_not_wait_for_it():
    asked_of, turns = [], in_turn(config(3), config(9))

    async def counted(request):
        asked_of.append(request.path)
        return await turns(request)

    async with shown(counted, metrics(40)) as url, status_pages(url) as made:
        await made.watch(["prod"])
        before = len(asked_of)
        (seen,) = await made.look("prod", ASKED)

    assert seen.trouble.startswith("shows another replica at each look")
    assert len(asked_of) - before == 1


async def test_an_address_that_does_not_answer_for_a_while_is_not_forgotten():
    now, shows, away = [NOW], [config(9)], body_of(b"", status=503)

    async def page(request):
        return await shows[0](request)

    async with shown(page, page) as url, status_pages(url, now=lambda: now[0]) as made:
        for shows[0] in (config(9), away, config(3), away, config(1)):
            now[0] += timedelta(seconds=2)
            await made.watch(["prod"])
        (seen,) = await made.look("prod", ASKED)

    assert "another replica" in seen.trouble


async def test_a_replica_under_two_addresses_counts_once():
    page = metrics(40, spent="0.02604057")
    async with shown(config(), page) as first, shown(config(), page) as second:
        here, there = await look(first, second)

    assert here.trouble == ""
    assert there.trouble.startswith(f"shows the same replica as {here.name}")
    assert there.counts is None


@pytest.mark.parametrize(("path", "header"), [(CONFIG, {"Age": "40"}), (METRICS, {"X-Cache": "HIT"})])
async def test_a_page_from_a_cache_is_doubted(path, header):
    async with served(all_three(config()) | {path: body_of(b"aisix_x 1\n", headers=header)}) as url:
        seen = await one(url)

    assert seen.trouble == "shows a page from a cache on the way, and not itself"
    assert seen.counts is None


async def test_a_page_is_asked_for_past_every_cache():
    asked_with = set()

    async def page(request):
        asked_with.add(request.headers.get("Cache-Control"))
        return web.json_response({})

    async with served(all_three(page)) as url:
        await one(url)

    assert asked_with == {"no-cache"}


async def test_the_check_names_each_status_address_that_contradicts_itself():
    async with (
        shown(in_turn(config(3), config(9)), metrics(1)) as balanced,
        served(all_three(body_of(b"{}", headers={"Age": "9"}))) as cached,
        shown(config(), metrics(1)) as well,
        status_pages(balanced, cached, well) as made,
    ):
        found = await made.contradictions("prod")

    assert {url: why.split(":")[0] for url, why in found.items()} == {
        balanced: "shows another replica at each look",
        cached: "shows a page from a cache on the way, and not itself",
    }
