"""The undocumented shapes of answers: lists with their pages, created rows, errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.aisix.switches import Switches

OK = {"code": 0, "message": "OK"}


@dataclass(frozen=True)
class Page:
    """A slice of a list, and how to ask for the next one."""

    rows: list[Any]
    total: int
    start: int
    size: int
    next_query: str | None

    @property
    def number(self) -> int:
        return self.start // self.size + 1

    @property
    def headers(self) -> dict[str, str]:
        following = str(self.number + 1) if self.next_query else ""
        return {"X-Total-Count": str(self.total), "X-Next-Page": following}

    @property
    def range(self) -> dict[str, str]:
        return {"Content-Range": f"items {self.start}-{self.start + len(self.rows) - 1}/{self.total}"}


def listing(request: web.Request, rows: list[Any], switches: Switches) -> web.Response:
    """Answer with the requested page; a bare array gives its next page in a `Link` header."""
    page = _page(request.query, rows, switches)
    is_told = switches.paging in ("cursor", "page") and switches.list_envelope == "array" and page.next_query
    link = {"Link": f'<{request.url.with_query(page.next_query)}>; rel="next"'} if is_told else {}
    headers = {"headers": page.headers, "range": page.range}.get(switches.paging, link)
    return web.json_response(_enveloped(page, switches), headers=headers)


def _enveloped(page: Page, switches: Switches) -> Any:
    match switches.list_envelope:
        case "array":
            return page.rows
        case "payload":
            return {"payload": {"list": page.rows} | _figures(page, switches), "status": OK}
        case name:
            return {name: page.rows} | _figures(page, switches)


def _figures(page: Page, switches: Switches) -> dict[str, Any]:
    match switches.paging:
        case "cursor":
            return {
                "next_cursor": f"c{page.start + page.size}" if page.next_query else None,
                "has_more": bool(page.next_query),
            }
        case "page":
            return {"total": page.total, "page": page.number, "page_size": page.size}
        case "after":
            return {"last_id": page.rows[-1]["id"] if page.rows else None, "has_more": bool(page.next_query)}
        case "none":
            return {"total": page.total}
        case _:
            return {}


def _page(query: Mapping[str, str], rows: list[Any], switches: Switches) -> Page:
    size = switches.page_size if switches.paging != "none" else max(1, len(rows))
    start = _start(query, rows, switches, size)
    following = start + size
    is_cursor = switches.paging == "cursor"
    next_query = f"cursor=c{following}" if is_cursor else f"page={following // size + 1}"
    return Page(rows[start:following], len(rows), start, size, next_query if following < len(rows) else None)


def _start(query: Mapping[str, str], rows: list[Any], switches: Switches, size: int) -> int:
    """Return the start of the requested page; parameters that this tenant does not support are ignored."""
    match switches.paging:
        case "none":
            return 0
        case "cursor":
            return _whole(query.get("cursor", "").removeprefix("c"), 0)
        case "after":
            ids = [row["id"] for row in rows]
            return ids.index(query["after"]) + 1 if query.get("after") in ids else 0
        case "offset":
            return _whole(query.get("offset"), 0)
        case "from zero":
            return size * _whole(query.get("page"), 0)
        case _:
            return size * (_whole(query.get("page"), 1) - 1)


def _whole(text: str | None, default: int) -> int:
    return max(default, int(text)) if text and text.isdigit() else default


def created(row: dict[str, Any], singular: str, switches: Switches) -> web.Response:
    """Answer a create with the row, at the top or nested."""
    place = {"top": None, "provider_key": singular}.get(switches.create_answer, switches.create_answer)
    status = {"status": OK} if place == "payload" else {}
    return web.json_response({place: row} | status if place else row, status=switches.create_status)


def deleted(switches: Switches) -> web.Response:
    if switches.delete_status == 204:  # noqa: PLR2004 - the status without a body
        return web.Response(status=204)
    return web.json_response({}, status=200)


def error(status: int, message: str, switches: Switches) -> web.Response:
    body = {"error": {"message": message}} if switches.error_envelope == "error" else {switches.error_envelope: message}
    return web.json_response(body, status=status)
