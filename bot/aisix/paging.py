"""How a list goes on, and how it is read to its end.

AISIX does not say in public how it pages, and a page that was not read hides a reference: a key deleted in use. So
every sign of paging in use anywhere is understood, whatever its spelling and its place; where no sign settles that a
list has ended, one more page is asked for; and a list that cannot be read to its end is an error. No I/O of its own.
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
    """An answer holds no list of objects, or says that it failed."""


class ShortList(ValueError):
    """A list says that it goes on, and no way of asking brings the rest."""


class Answer(NamedTuple):
    """One page: its body, and the headers that came with it."""

    body: Any
    headers: Mapping[str, str] = {}


def rows(body: Any) -> list[Json] | None:
    """Return the rows of a list answer whatever its envelope; None when it is no list of objects."""
    if isinstance(body, list):
        return body if all(isinstance(row, dict) for row in body) else None
    if not isinstance(body, dict) or _complains(body):
        return None
    there = [name for name in (*ENVELOPES, *NAMED_ENVELOPES) if name in body]
    named = [body[name] for name in there if body[name] is not None]
    filled = next((value for value in named if value and isinstance(value, list)), next(iter(named), None))
    return rows(filled) if filled is not None else [] if there else None


FINE = (None, 0, 200, "0", "200", "OK", "ok", "success")


def _complains(body: Json) -> bool:
    """Tell whether an answer with a good status says inside that it failed: its empty list is none."""
    status = body.get("status")
    code = status.get("code") if isinstance(status, dict) else None
    told = any(body.get(name) for name in ("error", "errors", "error_msg", "error_message"))
    return told or body.get("success") is False or code not in FINE


# --- what a page says of its list ---

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
"""What asks for the next page, by the parameters that may take it."""

AFTER: Mapping[str, tuple[str, ...]] = {"endcursor": ("after", "cursor"), "lastid": ("after", "after_id", "cursor")}
"""What names the last row: it is there on the last page too, so it does not say that there is more."""

RANGE = "nextrange"
KNOWN = frozenset(
    {*TOTALS, *PAGES, *SIZES, *NUMBERS, *OFFSETS, *REMAINING, *MORE, *LAST, *LINKS, *TOKENS, *AFTER, RANGE}
)
NAMES_ITSELF = frozenset({*TOKENS, *LINKS} - {"cursor"})
"""Signs that are empty at the end, rather than left out; `cursor` may be that of the page itself."""


class Sign(NamedTuple):
    """One field beside the rows: its name without its spelling, the name as it is written, and its value."""

    plain: str
    name: str
    value: Any


class Signs:
    """All that a page says of its list."""

    def __init__(self, answer: Answer) -> None:
        self._all = [*_in_body(answer.body), *_in_headers(answer.headers)]

    def of(self, names: Iterable[str]) -> list[Sign]:
        """Return the signs of these names, in the order of the names."""
        return [sign for name in names for sign in self._all if sign.plain == name]

    def number(self, names: Iterable[str]) -> int | None:
        """Return the largest number under these names, also one written as a string."""
        return max((n for sign in self.of(names) if (n := _number(sign.value)) is not None), default=None)

    def flags(self, names: Iterable[str]) -> set[bool]:
        """Return what is said to be true or false under these names."""
        said = {"true": True, "false": False}
        return {flag for s in self.of(names) if (flag := said.get(str(s.value).lower())) is not None}

    def told(self) -> list[Json]:
        """Return the queries for the next page that the page itself names."""
        links = [_query_of(s.value) for s in self.of(LINKS) if isinstance(s.value, str)]
        return [query for query in links if query] or self._asked(TOKENS)

    def after(self) -> list[Json]:
        """Return the queries for what comes after the last row."""
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
        """Tell whether a page says that there is more than the *seen* rows of *page* pages."""
        numbers = ((self.number(TOTALS), seen), (self.number(PAGES), page), (self.number(REMAINING), 0))
        counted = any(said is not None and said > known for said, known in numbers)
        return counted or True in self.flags(MORE) or False in self.flags(LAST) or bool(self.of([RANGE]))

    def is_last(self, page: int, batch: int, seen: int) -> bool:
        """Tell whether a page of *batch* rows settles that there is no more.

        A total that is the page's own length settles nothing, unless pages are said to be longer than that.
        """
        pages, size = self.number(PAGES), self.number(SIZES) or 0
        counted = self.number(TOTALS) == seen and (seen > batch or size > batch)
        said = False in self.flags(MORE) or True in self.flags(LAST) or self.number(REMAINING) == 0
        empty = any(_is_nothing(sign.value) for sign in self.of(NAMES_ITSELF))
        return counted or said or empty or (pages is not None and pages <= page)

    def following(self, page: int, seen: int) -> list[Json]:
        """Return the queries that count on from this page, by the names and the numbers that it gives itself."""
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
    return value in (None, "", "0", 0, False)  # some end with a cursor of zero


def _number(value: Any) -> int | None:
    text = str(value) if type(value) in (int, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else None


def _plain(name: str) -> str:
    """Return a name without its spelling: `next_cursor`, `nextCursor` and `@odata.nextCursor` are one."""
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
    """Yield what headers say: `X-Total-Count`, `Pagination-Page`, `X-Pagination` (JSON), `Content-Range`, `Link`."""
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
    """Yield the addresses of a `Link` header that are of the next page."""
    for url, parameters in re.findall(r"<([^>]*)>([^<]*)", header):
        if re.search(r"\brel\s*=\s*(next\b|\"[^\"]*\bnext\b)", parameters, re.IGNORECASE):
            yield url


def _query_of(link: str) -> Json:
    """Read the query of a `next` that is a link rather than a cursor."""
    return dict(parse_qsl(urlsplit(link).query)) if "?" in link else {}


# --- reading on ---

Ask = Callable[[Json], Awaitable[Answer | None]]
"""Asks for the page of a query; None where the server says that there is no such page or no such way of asking."""

SECOND: Json = {"page": 2}
FIRST, OFFSET = "first", "offset"
"""Ways of asking that a list has answered with its first page again: it does not know them, or counts from one. That is
not learned about page 2, as some servers repeat the last page, nor from a refusal: that page may exist later."""


async def whole_list(ask: Ask, useless: set[str]) -> list[Json]:
    """Read every page of a list through *ask*; raise `NotAList`, or `ShortList` where the rest is out of reach.

    *useless* holds the ways of asking that this list did not understand before, and learns more of them.
    """
    book, page = _Book(ask, useless), await ask({})
    if page is not None:
        book.take(page)
    for _ in range(MOST_PAGES):
        if page is None:
            break
        page = await book.turn(page)
    if page is not None or book.total > len(book.rows):
        raise ShortList
    return list(book.rows.values())


class _Book:
    """The rows that were read so far, and how to turn the page."""

    def __init__(self, ask: Ask, useless: set[str]) -> None:
        self._ask, self._useless = ask, useless
        self.rows: dict[tuple[str, int], Json] = {}
        self.pages = 1
        self.total = 0
        self._is_of_all = False
        """The total has been more than a page's own rows."""

    def take(self, answer: Answer) -> int:
        """Take in a page and return how many of its rows are new; no row is lost for the lack of an id."""
        listed = rows(answer.body)
        if listed is None:
            raise NotAList
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
        """Note the total; where one of the whole list has become less, rows have moved to pages that were read."""
        if batch and self._is_of_all and told < self.total:
            raise ShortList
        self._is_of_all |= told > batch
        self.total = told

    async def turn(self, page: Answer) -> Answer | None:
        """Return the next page that has new rows, taken in; None at the end."""
        signs, batch, seen = Signs(page), len(rows(page.body) or ()), len(self.rows)
        told = signs.told()
        sure = bool(told) or signs.is_more(self.pages, seen)
        if not sure and (not batch or signs.is_last(self.pages, batch, seen)):
            return None
        for way in told or self._ways(signs):
            answer, fresh = await self._try(way)
            if way == SECOND and not told and not signs.is_numbered:
                answer, fresh = await self._with_first(answer, fresh)
            if fresh:
                self.pages += 1
                return answer
            if answer is not None and not rows(answer.body) and not self._goes_on(answer):
                return None
        if sure:
            raise ShortList
        return None

    def _ways(self, signs: "Signs") -> list[Json]:
        """Return the ways of asking for more that may bring it."""
        ways = [*signs.after(), *signs.following(self.pages, len(self.rows))]
        return [way for way in ways if not self._useless & way.keys()]

    async def _try(self, way: Json) -> tuple[Answer | None, int]:
        answer = await self._ask(way)
        fresh = self.take(answer) if answer is not None else 0
        if OFFSET in way and answer is not None and rows(answer.body) and not fresh:
            self._useless.add(OFFSET)
        return answer, fresh

    async def _with_first(self, second: Answer | None, fresh: int) -> tuple[Answer | None, int]:
        """Ask for page 1 as well where page 2 is not the first page once more: some count from zero."""
        is_repeated = second is not None and not fresh and bool(rows(second.body))
        if FIRST in self._useless or is_repeated:
            return second, fresh
        first, more = await self._try({"page": 1})
        if first is not None and rows(first.body) and not more:
            self._useless.add(FIRST)
        return second if second is not None or not more else first, fresh + more

    def _goes_on(self, answer: Answer) -> bool:
        seen = len(self.rows)
        return self.total > seen or Signs(answer).is_more(self.pages, seen)
