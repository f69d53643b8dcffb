"""Read a paged list to its end. No I/O of its own.

AISIX does not document how it pages, and an unread page can hide a reference, so that a key in use is deleted. So
this module understands every common sign of paging, whatever its spelling and place. If no sign shows that a list
has ended, it asks for one more page. A list that it cannot read to the end is an error.
"""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.rotation.phrases import sendable

Json = dict[str, Any]

ENVELOPES = ("data", "items", "list", "results", "value", "payload")
NAMED_ENVELOPES = ("environments", "provider_keys", "models", "passthrough_routes", "cache_policies", "budgets")
MOST_PAGES = 1000
MOST_DIGITS = 10


class NotAList(ValueError):
    """An answer contains no list of objects, or reports a failure."""


class ShortList(ValueError):
    """A list says that it has more rows, and no query returns them."""


class Answer(NamedTuple):
    """One page: its body, and the headers that came with it."""

    body: Any
    headers: Mapping[str, str] = {}


def rows(body: Any) -> list[Json] | None:
    """Return the rows of a list answer, whatever its envelope; None if it is no list of objects."""
    if isinstance(body, list):
        return body if all(isinstance(row, dict) for row in body) else None
    if not isinstance(body, dict) or complains(body):
        return None
    there = [name for name in (*ENVELOPES, *NAMED_ENVELOPES) if name in body]
    named = [body[name] for name in there if body[name] is not None]
    filled = next((value for value in named if value and isinstance(value, list)), next(iter(named), None))
    return rows(filled) if filled is not None else [] if there else None


FINE = (None, 0, 200, "0", "200", "OK", "ok", "success")


def complains(body: Json) -> bool:
    """Tell whether an answer with a success status reports a failure in its body."""
    status = body.get("status")
    code = status.get("code") if isinstance(status, dict) else None
    told = any(body.get(name) for name in ("error", "errors", "error_msg", "error_message"))
    return told or body.get("success") is False or code not in FINE


# --- the signs of paging on a page ---

TOTALS = (
    "total", "totalcount", "totalitems", "totalelements", "totalrecords", "totalresults", "totalrows", "totalsize",
    "totalhits", "totalvalue", "totalentries", "recordcount", "itemcount", "resultcount", "recordstotal", "count",
)  # fmt: skip
PAGES = ("totalpages", "pages", "pagecount", "lastpage", "numpages", "pagestotal")
SIZES = ("limit", "pagesize", "perpage", "size", "itemsperpage", "pagelimit")
NUMBERS = ("page", "number", "currentpage", "pagenumber", "pageno", "pagenum", "pageindex")
OFFSETS = ("offset", "skip", "start", "startindex")
REMAINING = ("remaining", "remainingcount", "remainingitems", "remainingitemcount")
MORE = (
    "hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "moreresults", "next", "istruncated", "truncated",
    "incompleteresults",
)  # fmt: skip
LAST = ("last", "islast", "lastpage", "islastpage")
LINKS = ("nexthref", "nexturl", "nextlink", "next")
TOKENS: Mapping[str, tuple[str, ...]] = {
    "nextcursor": ("cursor",),
    "cursor": ("cursor",),
    "next": ("cursor",),
    "nextpagetoken": ("page_token", "pageToken"),
    "nexttoken": ("next_token", "nextToken"),
    "continuationtoken": ("continuation_token", "continuationToken"),
    "continue": ("continue",),
    "nextmarker": ("marker",),
    "nextoffset": ("offset",),
    "nextpage": ("page",),
}
"""Fields whose value asks for the next page, with the query parameters that may take it."""

AFTER: Mapping[str, tuple[str, ...]] = {"endcursor": ("after", "cursor"), "lastid": ("after", "after_id", "cursor")}
"""Fields that name the last row, also on the last page: so they do not say that there is more."""

RANGE = "nextrange"
KNOWN = frozenset(
    {*TOTALS, *PAGES, *SIZES, *NUMBERS, *OFFSETS, *REMAINING, *MORE, *LAST, *LINKS, *TOKENS, *AFTER, RANGE}
)
NAMES_ITSELF = frozenset({*TOKENS, *LINKS} - {"cursor"})
"""Signs that are empty on the last page; `cursor` is not one, as it may be the page's own."""


class Sign(NamedTuple):
    """One field beside the rows: its normalized name, its name as written, and its value."""

    plain: str
    name: str
    value: Any


class Signs:
    """Everything that a page says about its list."""

    def __init__(self, answer: Answer) -> None:
        self._all = [*_in_body(answer.body), *_in_headers(answer.headers)]

    def of(self, names: Iterable[str]) -> list[Sign]:
        """Return the signs with these names, in the order of the names."""
        return [sign for name in names for sign in self._all if sign.plain == name]

    def number(self, names: Iterable[str]) -> int | None:
        """Return the largest number under these names; a string of digits counts."""
        return max((n for sign in self.of(names) if (n := _number(sign.value)) is not None), default=None)

    def flags(self, names: Iterable[str]) -> set[bool]:
        """Return the booleans under these names."""
        said = {"true": True, "false": False}
        return {flag for s in self.of(names) if (flag := said.get(str(s.value).lower())) is not None}

    def told(self) -> list[Json]:
        """Return the queries for the next page that the page itself gives."""
        links = [_query_of(s.value) for s in self.of(LINKS) if isinstance(s.value, str)]
        return [query for query in links if query] or self._asked(TOKENS)

    def after(self) -> list[Json]:
        """Return the queries for the rows after the last one."""
        return self._asked(AFTER)

    def _asked(self, tokens: Mapping[str, tuple[str, ...]]) -> list[Json]:
        given = [s for s in self.of(tokens) if type(s.value) in (int, str) and not _is_nothing(s.value)]
        said = [s for s in given if str(s.value).lower() not in ("true", "false")]
        return [
            {"page" if s.plain == "next" and _number(s.value) is not None else parameter: s.value}
            for s in said
            for parameter in tokens[s.plain]
        ]

    def is_more(self, page: int, seen: int) -> bool:
        """Tell whether a page says that there are more rows than the *seen* ones of *page* pages."""
        numbers = ((self.number(TOTALS), seen), (self.number(PAGES), page), (self.number(REMAINING), 0))
        counted = any(said is not None and said > known for said, known in numbers)
        return counted or True in self.flags(MORE) or False in self.flags(LAST) or bool(self.of([RANGE]))

    def is_last(self, page: int, batch: int, seen: int) -> bool:
        """Tell whether a page of *batch* rows proves that there are no more.

        A total equal to the page's own length proves nothing, unless the page says that pages can be longer.
        """
        pages, size = self.number(PAGES), self.number(SIZES) or 0
        counted = self.number(TOTALS) == seen and (seen > batch or size > batch)
        said = False in self.flags(MORE) or True in self.flags(LAST) or self.number(REMAINING) == 0
        empty = any(_is_nothing(sign.value) for sign in self.of(NAMES_ITSELF))
        return counted or said or empty or (pages is not None and pages <= page)

    def following(self, page: int, seen: int) -> list[Json]:
        """Return the queries that count on from this page, preferring its own names and numbers."""
        offsets = [{s.name: seen} for s in self.of(OFFSETS) if s.name and _number(s.value) is not None]
        numbers = [s for s in self.of(NUMBERS) if _number(s.value) is not None]
        given = [{sign.name: int(sign.value) + 1} for sign in numbers if sign.name]
        ahead = 1 + (page if not numbers else int(numbers[0].value))
        ways = [*offsets, *given, {"page": ahead}, {"offset": seen}]
        return [way for place, way in enumerate(ways) if way not in ways[:place]]

    @property
    def is_numbered(self) -> bool:
        """Tell whether the page says which page it is."""
        return self.number(NUMBERS) is not None


def _is_nothing(value: Any) -> bool:
    return value in (None, "", "0", 0, False)  # some servers end with a cursor of zero


def _number(value: Any) -> int | None:
    text = str(value) if type(value) in (int, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else None


def _plain(name: str) -> str:
    """Normalize a name: `next_cursor`, `nextCursor` and `@odata.nextCursor` are the same."""
    return re.sub(r"[^a-z]", "", name.lower().rpartition(".")[2])


def _in_body(body: Any) -> Iterator[Sign]:
    """Yield every field beside the rows, however deep."""
    if not isinstance(body, dict):
        return
    for name, value in body.items():
        plain = _plain(name)
        prefix = plain if plain in ("next", "total") else ""
        if isinstance(value, dict):
            yield from (Sign(f"{prefix}{s.plain}", s.name, s.value) for s in _in_body(value))
        elif plain == "links" and isinstance(value, list):
            yield from (Sign("nexthref", "", link.get("href")) for link in value if _is_next(link))
        else:
            yield Sign(plain, name, value)


def _is_next(link: Any) -> bool:
    return isinstance(link, dict) and link.get("rel") == "next"


def _in_headers(headers: Mapping[str, str]) -> Iterator[Sign]:
    """Yield signs from headers: `X-Total-Count`, `Pagination-Page`, `X-Pagination` (JSON), `Content-Range`, `Link`."""
    for name, value in headers.items():
        plain = _plain(re.sub(r"^(x-)?(pagination-|paging-)?", "", name.lower()))
        if plain in KNOWN:
            yield Sign(plain, "", value)
        elif plain in ("pagination", "paging"):
            yield from (sign._replace(name="") for sign in _in_body(_object(value)))
        elif plain == "contentrange":
            yield Sign("total", "", value.rpartition("/")[2])
        elif plain == "link":
            yield from (Sign("nexthref", "", url) for url in _next_links(value))


def _object(text: str) -> Any:
    try:
        return decoded(sendable(text).encode())
    except UnreadableJson:
        return None


def _next_links(header: str) -> Iterator[str]:
    """Yield the addresses of the next page in a `Link` header."""
    for url, parameters in re.findall(r"<([^>]*)>([^<]*)", header):
        if re.search(r"\brel\s*=\s*(next\b|\"[^\"]*\bnext\b)", parameters, re.IGNORECASE):
            yield url


def _query_of(link: str) -> Json:
    """Return the query of a `next` that is a link, or nothing if it is a cursor."""
    return dict(parse_qsl(urlsplit(link).query)) if "?" in link else {}


# --- reading to the end ---

Ask = Callable[[Json], Awaitable[Answer | None]]
"""Fetches the page for a query; None if the server says that there is no such page or parameter."""

SECOND = 2
FIRST, REPEATS = "first", "repeats"
"""What is noted of a list, to ask less the next time. `FIRST`: its page 1 is the first page again, as it counts from
one. `REPEATS`: it answers every query for more with rows that are known: it ignores them, or repeats its last page
beyond its end; such queries then go out in one request, and are never left out. A refused query is not noted."""


async def whole_list(ask: Ask, habits: set[str]) -> list[Json]:
    """Read every page of a list through *ask*; raise `NotAList`, or `ShortList` if the rest cannot be read.

    *habits* holds what was noted of this list before; more is added here.
    """
    reader, page = _Reader(ask, habits), await ask({})
    if page is not None:
        reader.add(page)
    for _ in range(MOST_PAGES):
        if page is None:
            break
        page = await reader.next_page(page)
    if page is not None or reader.total > len(reader.rows):
        raise ShortList
    return list(reader.rows.values())


class _Reader:
    """The rows read so far, and the way to the next page."""

    def __init__(self, ask: Ask, habits: set[str]) -> None:
        self._ask, self._habits = ask, habits
        self.rows: dict[tuple[str, int], Json] = {}
        self._first: list[Json] = []
        self.pages = 1
        self.total = 0
        self._is_of_all = False
        """The total has been larger than one page, so it counts the whole list."""

    def add(self, answer: Answer) -> int:
        """Add a page and return how many of its rows are new; rows without an id are kept too."""
        listed = rows(answer.body)
        if listed is None:
            raise NotAList
        self._first = self._first or listed
        before, met = len(self.rows), Counter[str]()
        for row in listed:
            name = str(row.get("id") or row.get("uuid") or json.dumps(row, sort_keys=True))
            met[name] += 1
            self.rows.setdefault((name, met[name]), row)
        told = Signs(answer).number(TOTALS)
        if told is not None:
            self._count(told, len(listed))
        return len(self.rows) - before

    def _count(self, told: int, batch: int) -> None:
        """Note the total; if the list has shrunk, rows may have moved to pages already read, so raise `ShortList`."""
        if batch and self._is_of_all and told < self.total:
            raise ShortList
        self._is_of_all |= told > batch
        self.total = told

    async def next_page(self, page: Answer) -> Answer | None:
        """Add the next page that has new rows and return it; None at the end."""
        signs, batch, seen = Signs(page), len(rows(page.body) or ()), len(self.rows)
        told = signs.told()
        sure = bool(told) or signs.is_more(self.pages, seen)
        if not sure and (not batch or signs.is_last(self.pages, batch, seen)):
            return None
        answers: list[Answer | None] = []
        for way in told or self._ways(signs, is_guess=not sure):
            answer, fresh = await self._try(way, counts=not told and not signs.is_numbered)
            if fresh:
                self.pages += 1
                return answer
            if answer is not None and self._ends(answer, is_joined=not sure and len(way) > 1):
                return None
            answers.append(answer)
        if sure:
            raise ShortList
        if None not in answers:
            self._habits.add(REPEATS)
        return None

    def _ways(self, signs: Signs, *, is_guess: bool) -> list[Json]:
        """Return the queries that may fetch more rows; of a list that repeats itself, one with all of them first."""
        ways = signs.following(self.pages, len(self.rows))
        joined = {name: value for way in ways for name, value in way.items()}
        return [*signs.after(), *([joined] if is_guess and REPEATS in self._habits else []), *ways]

    def _ends(self, answer: Answer, *, is_joined: bool) -> bool:
        """Return whether an *answer* without a new row shows the end; to joined queries, no rows show nothing."""
        return bool(rows(answer.body)) is is_joined and not self._has_more(answer)

    async def _try(self, way: Json, *, counts: bool) -> tuple[Answer | None, int]:
        """Ask for more; *counts* tells that the list may count its pages from zero."""
        answer = await self._ask(way)
        fresh = self.add(answer) if answer is not None else 0
        return await self._with_first(answer, fresh) if counts and way.get("page") == SECOND else (answer, fresh)

    async def _with_first(self, second: Answer | None, fresh: int) -> tuple[Answer | None, int]:
        """Ask for page 1 as well, unless page 2 only repeated known rows: some servers count from zero."""
        is_repeated = second is not None and not fresh and bool(rows(second.body))
        if FIRST in self._habits or is_repeated:
            return second, fresh
        first, more = await self._try({"page": 1}, counts=False)
        if first is not None and rows(first.body) == self._first:
            self._habits.add(FIRST)
        return second if second is not None or not more else first, fresh + more

    def _has_more(self, answer: Answer) -> bool:
        seen = len(self.rows)
        return self.total > seen or Signs(answer).is_more(self.pages, seen)
