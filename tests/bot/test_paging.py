"""Lists of every shape are read to their end, or not believed."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.control_plane import ControlPlane
from bot.errors import Uncertain
from bot.paging import Next, next_page, rows

ROWS = [{"id": "1"}, {"id": "2"}]

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
fields = st.sampled_from(["data", "items", "next", "links", "page", "total", "hasMore", "cursor", "limit", "id", "rel"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4), max_leaves=15
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ROWS, ROWS),
        ([], []),
        *(({name: ROWS}, ROWS) for name in ("data", "items", "list", "results", "provider_keys", "models")),
        ({"environments": ROWS, "total": 2}, ROWS),
        ({"data": {"items": ROWS}}, ROWS),
        ({"data": None}, []),
        ({"data": []}, []),
        ([{"id": "1"}, "no row", None, 3], None),
        (["prod", "stag"], None),
        ({}, None),
        ({"error": {"message": "no"}}, None),
        ({"data": "text"}, None),
        ("text", None),
        (None, None),
        (3, None),
    ],
)
def test_rows_are_found_in_every_envelope_and_only_there(body, expected):
    assert rows(body) == expected


@pytest.mark.parametrize(
    ("body", "page", "seen", "query"),
    [
        (ROWS, 1, 2, None),
        ({"data": ROWS}, 1, 2, None),
        ({"data": ROWS, "next_cursor": "c2"}, 1, 2, {"cursor": "c2"}),
        ({"data": ROWS, "next_cursor": None, "has_more": False}, 1, 2, None),
        ({"data": ROWS, "next_cursor": ""}, 1, 2, None),
        ({"data": ROWS, "next_page_token": "t"}, 1, 2, {"page_token": "t"}),
        ({"data": ROWS, "next": "https://cp/api/models?page=2&size=50"}, 1, 2, {"page": "2", "size": "50"}),
        ({"data": ROWS, "links": {"next": "/models?cursor=c9"}}, 1, 2, {"cursor": "c9"}),
        ({"data": ROWS, "next": 2}, 1, 2, {"page": 2}),
        ({"data": ROWS, "next_page": 3}, 2, 4, {"page": 3}),
        ({"data": ROWS, "next_page": None, "total": 4}, 2, 4, None),
        ({"data": ROWS, "total": 4}, 1, 2, {"page": 2}),
        ({"data": ROWS, "total": 4, "page": 2}, 2, 4, None),
        ({"items": ROWS, "total_count": 3}, 1, 2, {"page": 2}),
        ({"items": ROWS, "total": 4, "offset": 0}, 1, 2, {"offset": 2}),
        ({"data": ROWS, "pagination": {"total_pages": 2}}, 1, 2, {"page": 2}),
        ({"data": ROWS, "meta": {"pages": 1}}, 1, 2, None),
        ({"data": ROWS, "page_info": {"has_next": True}}, 1, 2, {"page": 2}),
        ({"data": ROWS, "has_more": True}, 3, 6, {"page": 4}),
    ],
)
def test_the_next_page_is_asked_for_as_the_list_says(body, page, seen, query):
    ahead = next_page(body, page=page, batch=2, seen=seen)

    assert (ahead and ahead.query) == query
    assert ahead is None or ahead.sure


def test_the_query_of_a_next_link_is_decoded():
    body = {"data": [{"id": "1"}], "next": "https://cp.example/api/models?cursor=eyJpIjoxfQ%3D%3D"}

    assert next_page(body, page=1, batch=1, seen=1) == Next({"cursor": "eyJpIjoxfQ=="})


@pytest.mark.parametrize(
    ("body", "batch", "query"),
    [
        ([], 50, {"page": 2}),
        ([], 49, None),
        ({"data": []}, 100, {"page": 2}),
        ({"data": [], "total": 100}, 100, None),
        ({"data": [], "has_more": False}, 100, None),
        ({"data": [], "limit": 15, "offset": 0}, 15, {"offset": 15}),
        ({"data": [], "page_size": 15}, 14, None),
    ],
)
def test_a_list_as_long_as_a_page_that_says_nothing_is_suspected_of_going_on(body, batch, query):
    ahead = next_page(body, page=1, batch=batch, seen=batch)

    assert ahead == (query and Next(query, sure=False))


@given(anything, st.integers(1, 9), st.integers(0, 99))
def test_no_answer_breaks_the_reading_of_lists(body, page, seen):
    found = rows(body)
    ahead = next_page(body, page=page, batch=seen, seen=seen)

    assert found is None or all(isinstance(row, dict) for row in found)
    assert ahead is None or ahead.query


async def listed(handle) -> list[str]:
    """Read a list that *handle* answers."""
    site = web.Application()
    site.add_routes([web.get("/provider_keys", handle)])
    async with TestServer(site) as server:
        url = str(server.make_url("")).rstrip("/")
        async with ControlPlane(url, SecretStr("t"), timeout=1, concurrency=1, attempts=1) as client:
            return [key.id for key in await client.keys()]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_suspected_page_that_is_not_answered_is_not_the_end(status):
    """Fifty rows may be a first page; a reference on the next one would be a key deleted in use."""

    async def handle(request: web.Request) -> web.Response:
        if request.query:
            return web.Response(status=status)
        return web.json_response([{"id": f"pk{n}"} for n in range(50)])

    with pytest.raises(Uncertain):
        await listed(handle)


async def test_a_suspected_page_that_is_refused_is_the_end():
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=400) if request.query else web.json_response([{"id": f"pk{n}"} for n in range(50)])

    assert len(await listed(handle)) == 50


async def test_a_list_that_gives_its_first_page_for_ever_is_not_believed():
    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "pk1"}], "next_cursor": "again"})

    with pytest.raises(Uncertain, match="to its end"):
        await listed(handle)


async def test_an_empty_last_page_is_the_end():
    async def handle(request: web.Request) -> web.Response:
        if request.query:
            return web.json_response({"data": [], "next_cursor": None})
        return web.json_response({"data": [{"id": "pk1"}], "next_cursor": "c2"})

    assert await listed(handle) == ["pk1"]


@pytest.mark.parametrize(
    "sign",
    [
        {"nextCursor": "c2"},
        {"nextPageToken": "c2"},
        {"_links": {"next": {"href": "/api/provider_keys?cursor=c2"}}},
        {"links": [{"rel": "next", "href": "/api/provider_keys?cursor=c2"}]},
        {"links": {"next": {"href": "/api/provider_keys?cursor=c2"}}},
        {"hasMore": True},
        {"totalCount": 16},
        {"page": 1, "page_size": 15},
        {"pagination": {"limit": 15, "offset": 0}},
        {"page": {"number": 0, "size": 15, "totalPages": 2}},
    ],
    ids=str,
)
async def test_a_list_is_read_to_its_end_however_it_says_that_there_is_more(sign):
    async def handle(request: web.Request) -> web.Response:
        first = {"data": [{"id": f"pk{n}"} for n in range(15)], **sign}
        return web.json_response({"data": [{"id": "last"}]} if request.query else first)

    assert len(await listed(handle)) == 16
