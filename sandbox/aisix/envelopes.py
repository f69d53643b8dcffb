"""The shapes of answers that no public text settles: lists with their pages, created rows, errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.aisix.switches import Switches


@dataclass(frozen=True)
class Page:
    """A slice of a list, and how to ask for the next one."""

    rows: list[Any]
    total: int
    number: int
    next_query: str | None
    cursor: str | None


def listing(request: web.Request, rows: list[Any], switches: Switches) -> web.Response:
    """Answer with the page that the request asks for; a bare array tells its next page in a `Link` header."""
    page = _page(request.query, rows, switches)
    link = f'<{request.url.with_query(page.next_query)}>; rel="next"' if page.next_query else None
    if switches.list_envelope == "array":
        return web.json_response(page.rows, headers={"Link": link} if link else None)
    return web.json_response({switches.list_envelope: page.rows} | _figures(page, switches))


def _figures(page: Page, switches: Switches) -> dict[str, Any]:
    match switches.paging:
        case "cursor":
            return {"next_cursor": page.cursor, "has_more": page.cursor is not None}
        case "page":
            return {"total": page.total, "page": page.number, "page_size": switches.page_size}
        case "none":
            return {"total": page.total}


def _page(query: Mapping[str, str], rows: list[Any], switches: Switches) -> Page:
    size = switches.page_size if switches.paging != "none" else max(1, len(rows))
    number = _whole(query.get("page"), 1) if switches.paging == "page" else 1
    cursor = _whole(query.get("cursor", "").removeprefix("c"), 0) if switches.paging == "cursor" else 0
    start = cursor + (number - 1) * size
    more = start + size < len(rows)
    after = f"c{start + size}" if more else None
    next_query = (f"cursor={after}" if switches.paging == "cursor" else f"page={number + 1}") if more else None
    return Page(rows[start : start + size], len(rows), number, next_query, after)


def _whole(text: str | None, default: int) -> int:
    return max(default, int(text)) if text and text.isdigit() else default


def created(row: dict[str, Any], singular: str, switches: Switches) -> web.Response:
    """Answer a create, with the row at the top or nested."""
    place = {"top": None, "data": "data", "provider_key": singular}[switches.create_answer]
    return web.json_response({place: row} if place else row, status=switches.create_status)


def deleted(switches: Switches) -> web.Response:
    if switches.delete_status == 204:  # noqa: PLR2004 - the status without a body
        return web.Response(status=204)
    return web.json_response({}, status=200)


def error(status: int, message: str, switches: Switches) -> web.Response:
    body = {"error": {"message": message}} if switches.error_envelope == "error" else {switches.error_envelope: message}
    return web.json_response(body, status=status)
