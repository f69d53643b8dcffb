"""Lists of every shape are read to their end, or not believed."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.aisix.control_plane import ControlPlane
from bot.aisix.paging import Answer, Ask, NotAList, ShortList, Signs, rows, whole_list
from bot.rotation.errors import ApiError, Uncertain
from tests.bot.conftest import answering

Json = dict[str, Any]
ROWS = [{"id": "1"}, {"id": "2"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ROWS, ROWS),
        ([], []),
        *(({name: ROWS}, ROWS) for name in ("data", "items", "list", "results", "value", "provider_keys")),
        ({"data": {"items": ROWS}}, ROWS),
        ({"payload": {"list": ROWS, "total": 2}, "status": {"code": 0}}, ROWS),
        ({"list": None, "total": 0}, []),
        ({"data": [], "items": ROWS}, ROWS),
        ({"data": None, "list": ROWS}, ROWS),
        ({"data": ROWS, "success": True, "error": None, "errors": []}, ROWS),
        ([{"id": "1"}, "no row", None, 3], None),
        ({}, None),
        ({"data": "text"}, None),
        (None, None),
        ({"data": [], "error": "no"}, None),
        ({"data": [], "errors": [{"message": "no"}]}, None),
        ({"error_msg": "no", "list": None, "total": 0}, None),
        ({"payload": None, "status": {"code": 1003, "message": "no"}}, None),
        ({"payload": [], "status": {"code": "forbidden"}}, None),
        ({"success": False, "data": []}, None),
    ],
)
def test_rows_are_found_in_every_envelope_and_none_where_it_says_that_it_failed(body, expected):
    assert rows(body) == expected


MANY = [{"id": f"m{n}"} for n in range(300)]
Server = Callable[[list[Json], int, Json], Answer | None]


def numbered(tell: Callable[[list[Json], int, int, int], Answer], *, first: int = 1, name: str = "page") -> Server:
    """A server that takes `page`; *tell* makes the answer of its rows, the total, the number and the size."""

    def serve(rows_: list[Json], size: int, query: Json) -> Answer:
        number = int(query.get(name, first))
        start = (number - first) * size
        return tell(rows_[start : start + size], len(rows_), number - first + 1, size)

    return serve


def headed(**headers: Callable[[int, int, int], object]) -> Server:
    """A server of bare arrays that says it in headers, each made of the total, the number and the size."""

    def tell(part: list[Json], total: int, number: int, size: int) -> Answer:
        said = {name.replace("_", "-"): str(make(total, number, size)) for name, make in headers.items()}
        return Answer(part, said)

    return numbered(tell)


def bodied(make: Callable[[int, int, int], Json], **options: Any) -> Server:
    """A server that says it beside its rows."""
    return numbered(lambda part, *figures: Answer({"data": part, **make(*figures)}), **options)


def pages(total: int, size: int) -> int:
    return -(-total // size)


def tokened(field: Callable[[str | None], Json], parameter: str) -> Server:
    """A server that takes a token of its own in *parameter*, and nothing else."""

    def serve(rows_: list[Json], size: int, query: Json) -> Answer:
        start = int(str(query.get(parameter, "t0"))[1:])
        token = f"t{start + size}" if start + size < len(rows_) else None
        return Answer({"data": rows_[start : start + size], **field(token)})

    return serve


def after_the_last(parameter: str, named: str, more: str) -> Server:
    """A server that takes the id of the last row, and names it on every page."""

    def serve(rows_: list[Json], size: int, query: Json) -> Answer:
        start = int(str(query.get(parameter, "m-1"))[1:]) + 1
        part = rows_[start : start + size]
        told = {named: part[-1]["id"] if part else None, more: start + size < len(rows_)}
        return Answer({"data": part, "page_info": told})

    return serve


def offset_only(name: str = "offset", figures: Callable[[int, int], Json] = lambda *_: {}) -> Server:
    def serve(rows_: list[Json], size: int, query: Json) -> Answer:
        start = int(query.get(name, 0))
        return Answer({"data": rows_[start : start + size], **figures(start, size)})

    return serve


def silent(name: str = "page", *, first: int = 0, beyond: str) -> Server:
    """A server of bare arrays that takes *name*, and has its own way with what it does not know or have."""

    def serve(rows_: list[Json], size: int, query: Json) -> Answer | None:
        start = (int(query.get(name, first)) - first) * (size if name == "page" else 1)
        final = (max(1, pages(len(rows_), size)) - 1) * size if name == "page" else max(0, len(rows_) - size)
        is_beyond = start >= max(1, len(rows_))
        if (is_beyond and beyond == "404") or (query.keys() - {name} and beyond == "strict"):
            return None
        if beyond == "clamped" or (is_beyond and beyond == "last page"):
            start = min(start, final)
        return Answer(rows_[start : start + size])

    return serve


def linked(total: int, number: int, size: int) -> str:
    last = pages(total, size)
    following = f'<https://cp/api/models?page={number + 1}>; rel="next", ' if number < last else ""
    return f'<https://cp/api/models?page=1>; rel="first", {following}<https://cp/api/models?page={last}>; rel=last'


def ranged(total: int, number: int, size: int) -> str:
    return f"items {(number - 1) * size}-{min(total, number * size) - 1}/{total}"


def next_number(total: int, number: int, size: int) -> int | str:
    return number + 1 if number * size < total else ""


STYLES: Mapping[str, Server] = {
    "silent": bodied(lambda *_: {}),
    "silent from zero": bodied(lambda *_: {}, first=0),
    "silent from zero, then 404": silent(beyond="404"),
    "silent, then 404": silent(first=1, beyond="404"),
    "silent, the last page for ever": silent(first=1, beyond="last page"),
    "silent from zero, the last page for ever": silent(beyond="last page"),
    "silent offset": offset_only(),
    "silent offset, then 404": silent("offset", beyond="404"),
    "silent offset, and strict": silent("offset", beyond="strict"),
    "silent offset, clamped": silent("offset", beyond="clamped"),
    "silent offset, the last page for ever": silent("offset", beyond="last page"),
    "offset told": offset_only(figures=lambda start, size: {"offset": start, "limit": size}),
    "skip told": offset_only("skip", lambda start, size: {"skip": start, "take": size}),
    "own name of the page": bodied(lambda _, number, __: {"pageNumber": number}, name="pageNumber"),
    "Link": headed(Link=linked),
    "X-Total-Count": headed(X_Total_Count=lambda total, *_: total),
    "X-Next-Page": headed(X_Next_Page=next_number, X_Page=lambda _, number, __: number),
    "X-Has-More": headed(X_Has_More=lambda total, number, size: str(number * size < total).lower()),
    "X-Pagination": headed(X_Pagination=lambda total, *_: json.dumps({"totalCount": total})),
    "Pagination-Count": headed(Pagination_Count=lambda total, *_: total),
    "Content-Range": headed(Content_Range=ranged),
    "Content-Range, no total": headed(Content_Range=lambda *figures: ranged(*figures).rpartition("/")[0] + "/*"),
    "a page's own total": numbered(lambda part, *_: Answer({"list": part, "total": len(part)})),
    "last_id": after_the_last("after", "last_id", "has_more"),
    "after_id": after_the_last("after_id", "last_id", "has_more"),
    "end_cursor": after_the_last("after", "end_cursor", "has_next_page"),
    "nextCursor": tokened(lambda token: {"nextCursor": token}, "cursor"),
    "nextPageToken": tokened(lambda token: {"nextPageToken": token} if token else {}, "pageToken"),
    "next_page_token": tokened(lambda token: {"meta": {"next_page_token": token or ""}}, "page_token"),
    "continue": tokened(lambda token: {"metadata": {"continue": token}}, "continue"),
    "nextLink": tokened(
        lambda token: {"@odata.nextLink": f"https://cp/models?$skiptoken={token}"} if token else {}, "$skiptoken"
    ),
    "HAL": tokened(lambda token: {"_links": {"next": {"href": f"/models?at={token}"}} if token else {}}, "at"),
    "JSON:API": tokened(lambda token: {"links": [{"rel": "next", "href": f"/m?at={token}"}] if token else []}, "at"),
    "next number": bodied(lambda *figures: {"next": next_number(*figures) or None}),
    "next offset": offset_only(figures=lambda start, size: {"next": {"offset": start + size}} if start < 150 else {}),
    "total": bodied(lambda total, *_: {"total": total}),
    "total, in a status": bodied(lambda total, *_: {"status": {"code": 0, "totalCount": total}}),
    "total of hits": bodied(lambda total, *_: {"total": {"value": total, "relation": "eq"}}),
    "count": bodied(lambda total, *_: {"count": total}),
    "total_records": bodied(
        lambda total, number, _: {"pagination": {"total_records": total, "current_page": number}}
    ),
    "totalPages": bodied(
        lambda total, number, size: {"page": {"number": number - 1, "totalPages": pages(total, size)}}, first=0
    ),
    "remaining": bodied(lambda total, number, size: {"remaining": max(0, total - number * size)}),
    "remainingItemCount": bodied(
        lambda total, number, size: {"metadata": {"remainingItemCount": max(0, total - number * size)}}
    ),
    "last": bodied(lambda total, number, size: {"last": number * size >= total}),
    "hasMore": bodied(lambda total, number, size: {"hasMore": number * size < total}),
    "page and size": bodied(lambda total, number, size: {"total": total, "page": number, "page_size": size}),
    "page and size alone": bodied(lambda _, number, size: {"page": number, "page_size": size}),
}  # fmt: skip


def asked_of(server: Server, rows_: list[Json], size: int, asked: list[Json] | None = None) -> Ask:
    async def ask(query: Json) -> Answer | None:
        if asked is not None:
            asked.append(query)
        return server(rows_, size, query)

    return ask


@pytest.mark.parametrize("style", STYLES)
async def test_a_list_is_read_to_its_end_however_it_pages_and_however_long_its_pages_are(style):
    for size in (7, 50, 64):
        for length in (0, 1, size - 1, size, size + 1, 2 * size - 1, 2 * size, 2 * size + 1, 150):
            found = await whole_list(asked_of(STYLES[style], MANY[:length], size), set())

            assert sorted(row["id"] for row in found) == sorted(row["id"] for row in MANY[:length]), (size, length)


@pytest.mark.parametrize("style", STYLES)
async def test_a_list_that_grows_is_still_read_to_its_end_with_what_was_learnt_of_it(style):
    habits: set[str] = set()
    for length in (3, 64, 65, 128, 129, 150):
        found = await whole_list(asked_of(STYLES[style], MANY[:length], 64), habits)

        assert len(found) == length


SHORT = {
    # the first page, and what further questions get, one after the other, before they are refused
    **{
        f"says {sign} and answers nothing else": ({"data": MANY[:64], **sign}, [])
        for sign in ({"total": 150}, {"has_more": True}, {"remaining": 86}, {"last": False}, {"pages": 3})
    },
    "gives its first page for ever": ({"data": MANY[:1], "next_cursor": "again"}, [{"data": MANY[:1]}] * 9),
    "loses a row while it is read, so that all move up": (
        {"data": MANY[:64], "total": 150},
        [{"data": MANY[65:150], "total": 150}],
    ),
    "ends before the total of its first page": ({"data": MANY[:64], "total": 150}, [{"data": MANY[64:128]}]),
}


@pytest.mark.parametrize(("first", "further"), SHORT.values(), ids=SHORT)
async def test_a_list_that_cannot_be_read_as_far_as_it_says_is_not_believed(first, further):
    answers = iter([first, *further])

    async def ask(_: Json) -> Answer | None:
        body = next(answers, None)
        return None if body is None else Answer(body)

    with pytest.raises(ShortList):
        await whole_list(ask, set())


@pytest.mark.parametrize("style", ["total", "X-Total-Count", "page and size"])
@pytest.mark.parametrize("at", [2, 3])
async def test_a_list_whose_total_falls_while_it_is_read_is_not_believed(style, at):
    left, asked = MANY[:150], list[Json]()
    read = asked_of(STYLES[style], left, 50, asked)

    async def ask(query: Json) -> Answer | None:
        if len(asked) == at - 1:
            del left[3]
        return await read(query)

    with pytest.raises(ShortList):
        await whole_list(ask, set())


async def test_no_row_is_lost_for_the_lack_of_an_id():
    without = [
        {"model_id": "m", "provider_key_id": "pk_1"},
        {"model_id": "m", "provider_key_id": "pk_2"},
        {"name": "same"},
        {"name": "same"},
        {"id": 0, "name": "zero"},
        {"id": "7", "kind": "model"},
        {"id": "7", "kind": "route"},
    ]

    assert await whole_list(asked_of(STYLES["silent"], without, 64), set()) == without
    assert await whole_list(asked_of(STYLES["total"], without, 64), set()) == without


@pytest.mark.parametrize(
    ("style", "first", "later"),
    [
        ("silent", ["", "page=2", "page=1"], ["", "page=2"]),
        ("silent offset", ["", "page=2", "offset=3"], ["", "page=2", "offset=3"]),
        ("a page's own total", ["", "page=2", "page=1"], ["", "page=2"]),
        ("silent, the last page for ever", ["", "page=2", "offset=3"], ["", "page=2&offset=3"]),
        ("page and size", [""], [""]),
        ("hasMore", [""], [""]),
        ("nextCursor", [""], [""]),
    ],
)
async def test_one_more_page_is_asked_for_where_nothing_settles_the_end_and_only_there(style, first, later):
    habits: set[str] = set()
    for rows_, expected in ((MANY[:3], first), (MANY[:3], later), (MANY[:3], later), ([], [""])):
        asked: list[Json] = []
        await whole_list(asked_of(STYLES[style], rows_, 50, asked), habits)

        assert ["&".join(f"{name}={value}" for name, value in query.items()) for query in asked] == expected


async def test_a_further_page_that_is_no_list_is_not_the_end():
    async def ask(query: Json) -> Answer:
        return Answer({"error_msg": "no"} if query else MANY[:64])

    with pytest.raises(NotAList):
        await whole_list(ask, set())


def test_the_query_of_a_next_link_is_decoded():
    body = {"data": [{"id": "1"}], "next": "https://cp.example/api/models?cursor=eyJpIjoxfQ%3D%3D"}

    assert Signs(Answer(body)).told() == [{"cursor": "eyJpIjoxfQ=="}]


async def listed(handle) -> list[str]:
    """Read a list that *handle* answers."""
    settings = {"grace": 30, "timeout": 1, "concurrency": 1, "attempts": 1}
    async with answering(handle) as url, ControlPlane(url, SecretStr("t"), **settings) as client:
        return [key.id for key in await client.keys()]


@pytest.mark.parametrize(("status", "is_end"), [(403, False), (429, False), (500, False), (404, True), (416, True)])
async def test_a_further_page_that_is_not_answered_is_not_the_end_unless_it_is_not_there(status, is_end):
    """Sixty-four rows may be a first page; a reference on the next one would be a key deleted in use."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status) if request.query else web.json_response(MANY[:64])

    with nullcontext() if is_end else pytest.raises(ApiError):
        assert len(await listed(handle)) == 64


@pytest.mark.parametrize(("name", "said"), [("X-Total-Count", "64"), ("Link", '</m?page=2>; rel="next"')])
async def test_what_the_headers_of_an_answer_say_is_read(name, said):
    async def handle(request: web.Request) -> web.Response:
        if request.query:
            return web.json_response(MANY[60:64])
        return web.json_response(MANY[:60], headers={name: said})

    assert len(await listed(handle)) == 64


async def test_a_list_that_is_not_believed_is_called_uncertain():
    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "pk1"}], "next_cursor": "again"})

    with pytest.raises(Uncertain, match="to its end"):
        await listed(handle)
