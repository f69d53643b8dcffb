"""How a list goes on.

AISIX does not say in public how it pages, and a page that was not read hides a reference: a key deleted in use. So
every sign of paging in use anywhere is understood, whatever its spelling, and a list that cannot be read to its end
is an error. Pure.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]

ENVELOPES = ("data", "items", "list", "results")
NAMED_ENVELOPES = ("environments", "provider_keys", "models", "passthrough_routes", "cache_policies", "budgets")
FULL = 10
"""A list of so many rows or more, in fives, that says nothing of paging may be a first page."""

MOST_DIGITS = 10


class Next(NamedTuple):
    """The query of a further page; *sure* when the list says that there is one, else it may be empty."""

    query: Json
    sure: bool = True


def rows(body: Any) -> list[Json] | None:
    """Return the rows of a list answer whatever its envelope; None when it is no list of objects."""
    if isinstance(body, list):
        return body if all(isinstance(row, dict) for row in body) else None
    if not isinstance(body, dict):
        return None
    for name in (*ENVELOPES, *NAMED_ENVELOPES):
        if name in body:
            inner = body[name]
            return rows(inner) if inner is not None else []
    return None


def next_page(body: Any, *, page: int, batch: int, seen: int) -> Next | None:
    """Return how to ask for the page after *page*, of which *batch* rows came and *seen* in all; None at the end."""
    signs = dict(_signs(body))
    return _told(signs) or _counted(signs, page, seen) or _guessed(signs, page, batch, seen)


def _signs(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield every field beside the rows, its name without its spelling: `next_cursor` and `nextCursor` are one."""
    if not isinstance(body, dict):
        return
    for name, value in body.items():
        plain = name.lower().replace("_", "").replace("-", "")
        if isinstance(value, dict):
            yield from ((f"next{k}" if plain == "next" else k, v) for k, v in _signs(value))
        elif plain == "links" and isinstance(value, list):
            yield from (("nexthref", link.get("href")) for link in value if _is_next(link))
        else:
            yield plain, value


def _is_next(link: Any) -> bool:
    return isinstance(link, dict) and link.get("rel") == "next"


CURSORS = ("nextcursor", "next", "nexthref", "nexturl", "nextlink", "cursor")
TOKENS = ("nextpagetoken", "nexttoken", "continuationtoken")


def _told(signs: Json) -> Next | None:
    """Read a cursor, a link, or the number of the next page."""
    for name in (*CURSORS, *TOKENS):
        value = signs.get(name)
        if isinstance(value, str) and value:
            return Next(_query_of(value) or {"page_token" if name in TOKENS else "cursor": value})
    number = next((n for name in ("next", "nextpage") if (n := _number(signs, name)) is not None), None)
    return None if number is None else Next({"page": number})


def _query_of(link: str) -> Json:
    """Read the query of a `next` that is a link rather than a cursor."""
    return dict(parse_qsl(urlsplit(link).query)) if "?" in link else {}


def _number(signs: Json, *names: str) -> int | None:
    """Return the first of *names* that is a number, also one written as a string."""
    found = (str(signs.get(name)) for name in names if type(signs.get(name)) in (int, str))
    return next((int(text) for text in found if _is_digits(text)), None)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < MOST_DIGITS


def _counted(signs: Json, page: int, seen: int) -> Next | None:
    """Compare what is said to be there with what was seen."""
    total = _number(signs, "total", "totalcount", "totalitems", "totalelements") or 0
    pages = _number(signs, "totalpages", "pages", "pagecount", "lastpage") or 0
    more = any(signs.get(name) is True for name in ("hasmore", "hasnext", "hasnextpage", "more"))
    return Next(_following(signs, page, seen)) if total > seen or pages > page or more else None


def _following(signs: Json, page: int, seen: int) -> Json:
    """Count on from the number that the list gives itself: some begin with zero."""
    given = _number(signs, "page", "number", "currentpage", "pagenumber")
    return {"offset": seen} if "offset" in signs else {"page": (page if given is None else given) + 1}


TOTALS = frozenset({"total", "totalcount"})
SETTLED = frozenset({*CURSORS, *TOKENS, "total", "totalcount", "totalpages", "pages", "hasmore", "hasnext", "nextpage"})
"""A list that carries one of these has said already whether there is more."""


def _guessed(signs: Json, page: int, batch: int, seen: int) -> Next | None:
    """Suspect a page that is just as long as pages are of not being the last."""
    size = _number(signs, "limit", "pagesize", "perpage", "size")
    settled = SETTLED - TOTALS if size == batch else SETTLED  # a "total" can be that of the page
    looks_full = batch == size if size is not None else batch >= FULL and batch % 5 == 0
    if settled & signs.keys() or not batch or not looks_full:
        return None
    return Next(_following(signs, page, seen), sure=False)
