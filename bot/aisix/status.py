"""Read the status addresses of gateway replicas. Only this module calls them.

They serve unauthenticated pages for operators (facts/aisix.md 5): `/status/config`, `/status/models`, `/metrics`. An
address that does not answer, or lacks a page, is a finding, not an error: `look` never raises for it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple, Self

import httpx

from bot.aisix.client import ANSWER_MOST, TooLong, http_client, read
from bot.aisix.counters import Page, read_counters
from bot.aisix.pages import ids_of, is_foreign, read_config, read_models
from bot.aisix.probes import GatewaySettings, bare
from bot.aisix.sameness import BALANCED, CACHED, Row, Watched, glimpse, is_cached, mark, twin, twins
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.rotation.ports import Asked
from bot.rotation.replica import Replica
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.telemetry.metrics import calls

CONFIG, MODELS, METRICS = "/status/config", "/status/models", "/metrics"
UNCACHED = {"Cache-Control": "no-cache"}

IN_A_ROW = 3
"""How many more times the pages of an address are read, to see whether it shows the same replica each time."""

APART = timedelta(seconds=1)
"""The least time between two such rows, as a metrics page can be long; half of it when nobody waits for the row."""

MANY = 10
"""The same number for `check`, which tests the settings."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Stale(str):
    """Why a page does not show the current state of its replica."""

    __slots__ = ()


Shown = bytes | str
"""A page, or the reason why it could not be read."""


class StatusPages:
    """The status addresses of every environment.

    Each page is read on its own connection: a kept one would hide that an address alternates between replicas.
    """

    def __init__(
        self,
        settings: Mapping[str, GatewaySettings],
        *,
        timeout: float,
        now: Callable[[], datetime],
        most: int = ANSWER_MOST,
    ) -> None:
        self._settings = settings
        self._most = most
        self._timeout = timeout
        self._now = now
        self._urls = {id_: {bare(url): url for url in one.status_urls} for id_, one in settings.items()}
        self._times = Counter(url for urls in self._urls.values() for url in urls)
        addresses = [url for one in settings.values() for url in one.status_urls]
        self._http = http_client(addresses, timeout=timeout, headers=UNCACHED)
        self._watched: dict[str, Watched] = {}
        self._row_at: dict[str, datetime] = {}
        self._marks: dict[str, int | None] = {}
        self._twins: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def addresses(self, environment: str) -> tuple[str, ...]:
        """Return the status addresses of an environment, each once, without anything secret."""
        return tuple(self._urls.get(environment, ()))

    def replicas(self, environment: str) -> int:
        """Return how many replicas an environment has: by the settings, or by its status addresses if they are more."""
        settings = self._settings.get(environment)
        return max(1, settings.replicas if settings else 0, len(self.addresses(environment)))

    def says_how_many(self, environment: str) -> bool:
        """Tell whether the settings say how many replicas an environment has."""
        settings = self._settings.get(environment)
        return settings is not None and settings.replicas > 0

    async def look(self, environment: str, asked: Asked) -> tuple[Replica, ...]:
        """Read every replica of *environment* once, all at the same time."""
        here = asked._replace(models=tuple(m for m in asked.models if m.environment == environment))
        urls = self._urls.get(environment, {})
        pages = await asyncio.gather(*(self._pages(url, where) for url, where in urls.items()))
        return await asyncio.to_thread(_read, self._without_twins(pages), here)

    async def watch(self, environments: Iterable[str]) -> None:
        """Check that each address always shows the same replica, if that is due; the next `look` need not repeat it."""
        urls = {url: where for environment in environments for url, where in self._urls.get(environment, {}).items()}
        await asyncio.gather(*(self._watch(url, where) for url, where in urls.items() if self._is_due(url, APART / 2)))

    async def _watch(self, url: str, where: str) -> None:
        self._row_at[url], began = self._now(), monotonic()
        pages = await self._in_a_row(where, IN_A_ROW, first=-1)  # `look` counts its own pages as the first of the row
        row = tuple(glimpse(_json(config), metrics) for config, metrics in pages if not _is_unread(config, metrics))
        if row:
            self._watched[url] = self._watched.get(url, Watched()).after(Row(row, began, monotonic()), self._now())
        self._row_at[url] = self._now()

    def _is_due(self, url: str, apart: timedelta) -> bool:
        """Tell whether to read an address in a row; one that several environments share is never believed anyway."""
        return self._times[url] == 1 and self._now() - self._row_at.get(url, LONG_AGO) >= apart

    async def _pages(self, url: str, where: str) -> "Pages":
        """Fetch the pages of one replica."""
        seen = Replica(url=url, at=self._now())
        if self._times[url] > 1:
            return Pages(seen.but(trouble=SHARED))
        began = monotonic()
        config, models, metrics = await asyncio.gather(
            self._page(where, CONFIG), self._page(where, MODELS), self._page(where, METRICS)
        )
        if isinstance(config, str) and isinstance(models, str) and isinstance(metrics, str):
            return Pages(seen.but(trouble=config))
        if trouble := await self._doubt(url, where, (config, models, metrics), began):
            return Pages(seen.but(trouble=trouble))
        return Pages(seen, config, models, metrics)

    async def _doubt(self, url: str, where: str, pages: tuple[Shown, Shown, Shown], began: float) -> str:
        """Say why these pages may not show the current state of one replica; empty if there is no doubt."""
        config, _, metrics = pages
        self._marks[url] = mark(metrics)
        row = [glimpse(_json(config), metrics)]
        if self._is_due(url, APART):
            self._row_at[url] = self._now()
            row += [glimpse(_json(one), two) for one, two in await self._in_a_row(where, IN_A_ROW)]
        watched = self._watched.get(url, Watched()).after(Row(tuple(row), began, monotonic()), self._now())
        self._watched[url] = watched
        return _staleness(pages) or (BALANCED if watched.is_balanced else "")

    async def _in_a_row(self, where: str, times: int, *, first: int = 0) -> list[tuple[Shown, Shown]]:
        """Read the pages with values that only grow, several times in a row.

        Every other time sends one extra request: otherwise a balancer that alternates between two replicas would show
        each page of the same one only.
        """
        row: list[tuple[Shown, Shown]] = []
        for number in range(first, times):
            more = [self._page(where, CONFIG)] if number > 0 and number % 2 else []
            *_, config, metrics = await asyncio.gather(*more, self._page(where, CONFIG), self._page(where, METRICS))
            row.append((config, metrics))
            if _is_unread(*row[-1]):
                break
        return row

    def _without_twins(self, pages: list["Pages"]) -> list["Pages"]:
        """Doubt an address that shows, or once showed, the same replica as another one."""
        self._twins |= twins({one.seen.url: self._marks.get(one.seen.url) for one in pages})
        return [self._unless_twin(one) for one in pages]

    def _unless_twin(self, pages: "Pages") -> "Pages":
        other = self._twins.get(pages.seen.url)
        return Pages(pages.seen.but(trouble=twin(other))) if other and not pages.seen.trouble else pages

    async def contradictions(self, environment: str) -> dict[str, str]:
        """Read each status address many times in a row; return what is wrong, by address."""
        urls = self._urls.get(environment, {})
        rows = await asyncio.gather(*(self._in_a_row(where, MANY) for where in urls.values()))
        shown = dict(zip(urls, rows, strict=True))
        alike = {url: twin(other) for url, other in twins({u: mark(row[0][1]) for u, row in shown.items()}).items()}
        shared = {url: SHARED for url in urls if self._times[url] > 1}
        return alike | shared | {url: why for url, row in shown.items() if (why := _contradiction(row))}

    async def foreign(self, environment: str, models: Collection[str]) -> dict[str, str]:
        """Return the addresses that show models, but none of the environment's own *models*, by id."""
        urls = self._urls.get(environment, {})
        pages = await asyncio.gather(*(self._page(where, MODELS) for where in urls.values()))
        shown = {url: ids_of(_json(page)) for url, page in zip(urls, pages, strict=True)}
        return {url: FOREIGN for url, ids in shown.items() if ids and models and ids.isdisjoint(models)}

    async def answers(self, url: str) -> tuple[str, str]:
        """Say what is wrong with an address's configuration page and counters page. Raises httpx's errors."""
        return (
            _unlike(await self._get(url, CONFIG), lambda page: bool(read_config(_json(page), ()).get("state"))),
            _unlike(await self._get(url, METRICS), lambda page: OF_COUNTERS.search(page) is not None),
        )

    async def _get(self, where: str, path: str) -> httpx.Response:
        return await read(self._http, "GET", where.rstrip("/") + path, self._most)

    async def _page(self, where: str, path: str) -> bytes | str:
        """Return one page, or why it cannot be read."""
        try:
            response = await self._get(where, path)
        except httpx.TimeoutException:
            calls("status", path, "time-out")
            return "does not answer in time"
        except TooLong:
            calls("status", path, "too long")
            return f"has a {path} that is too long"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            calls("status", path, "unreachable")
            return f"does not answer ({UNTRUSTED})" if is_untrusted(error) else "does not answer"
        calls("status", path, response.status_code)
        if response.is_success and is_cached(response.headers):
            return Stale(CACHED)
        return response.content if response.is_success else f"has no {path} ({response.status_code})"


OF_COUNTERS = re.compile(rb"^(# (HELP|TYPE) )?aisix_", re.MULTILINE)
"""Only a gateway's metrics have lines that begin so."""

SHARED = "is the status address of more than one environment in the settings"
FOREIGN = "shows none of this environment's models: give the addresses of its own replicas in `status_urls`"
UNLIKE = "shows another page than a gateway's"


def _unlike(answer: httpx.Response, shows: Callable[[bytes], bool]) -> str:
    """Say why an answer is not the page that was asked for; empty if it is."""
    if not answer.is_success:
        return f"answers {answer.status_code}"
    return "" if shows(answer.content) else UNLIKE


def _is_unread(*pages: Shown) -> bool:
    return not any(isinstance(page, bytes) for page in pages)


def _staleness(pages: Iterable[Shown]) -> str:
    return next((str(page) for page in pages if isinstance(page, Stale)), "")


def _contradiction(row: list[tuple[Shown, Shown]]) -> str:
    """Say why pages read in a row cannot be of one replica, or why none could be compared; empty if all is well."""
    unread = [page for pages in row for page in pages if isinstance(page, str) and not isinstance(page, Stale)]
    if row and len(unread) == 2 * len(row):
        return unread[0]
    glimpses = tuple(glimpse(_json(config), metrics) for config, metrics in row)
    watched = Watched().after(Row(glimpses, 0, 0), LONG_AGO)
    unlike = UNLIKE if all(one.apply_seq is None and not one.requests for one in glimpses) else ""
    return _staleness(page for pages in row for page in pages) or (BALANCED if watched.is_balanced else unlike)


class Pages(NamedTuple):
    """The pages of one address; for each, its content or why it could not be read."""

    seen: Replica
    config: bytes | str = ""
    models: bytes | str = ""
    metrics: bytes | str = ""


def _read(pages: Iterable[Pages], asked: Asked) -> tuple[Replica, ...]:
    """Parse the pages. Any replica may show which caller keys are ours, so all of them are read for that first."""
    counters = [_metrics(one.metrics) for one in pages]
    shown = (page.callers(asked.throwaways) for page in counters if page)
    asked = asked._replace(callers=tuple(sorted(frozenset(asked.callers).union(*shown))))
    return tuple(_read_one(one, page, asked) for one, page in zip(pages, counters, strict=True))


def _read_one(pages: Pages, counters: Page | None, asked: Asked) -> Replica:
    if pages.seen.trouble:
        return pages.seen
    listed = _json(pages.models)
    if is_foreign(listed, asked.models):
        return pages.seen.but(trouble="lists a model of that name under another id: it is of another environment")
    found = read_config(_json(pages.config), asked.ids) | _counted(counters, asked)
    return pages.seen.but(**found, throwaways=read_models(listed, asked.throwaways))


def _json(page: bytes | str) -> Any:
    try:
        return decoded(page) if isinstance(page, bytes) else None
    except UnreadableJson:
        return None


def _metrics(page: bytes | str) -> Page | None:
    """Parse a metrics page; None if it is missing or unreadable."""
    if isinstance(page, str):
        return None
    try:
        return Page(page.decode(errors="replace"))
    except ValueError:
        return None


def _counted(page: Page | None, asked: Asked) -> dict[str, Any]:
    if page is None:
        return {}
    try:
        return read_counters(page, asked.keys, asked.models, callers=asked.callers, aliases=asked.aliases)
    except ValueError:  # not a metrics page, so no counters
        return {}
