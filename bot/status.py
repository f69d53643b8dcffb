"""Looks at the status addresses of gateway replicas. The only module that speaks to them; it never raises.

They are unauthenticated pages for operators (facts/aisix.md 5): `/status/config`, `/status/models`, `/metrics`. An
address that does not answer, or lacks a page, is something that was found, not an error.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

import httpx

from bot.client import ANSWER_MOST, TooLong, http_client, read
from bot.counters import Keys, Page, read_counters
from bot.gateway import GatewaySettings, bare
from bot.metrics import calls
from bot.outside import Unreadable, decoded
from bot.plan import AffectedModel
from bot.replica import Replica, is_foreign, read_config, read_models
from bot.trust import UNTRUSTED, is_untrusted

CONFIG, MODELS, METRICS = "/status/config", "/status/models", "/metrics"


class Asked(NamedTuple):
    """What one rotation wants to know of a replica."""

    keys: Keys
    models: tuple[AffectedModel, ...]
    ids: tuple[str, ...]
    """Ids of rows that must not be among the rejected."""

    throwaways: str
    """What the names of this rotation's throw-away models begin with."""

    callers: tuple[str, ...] = ()
    """The ids of our caller key, as far as an environment's counters have shown them."""

    aliases: tuple[str, ...] = ()
    """Aliases of routers that may be named."""


class StatusPages:
    """The status addresses of every environment.

    Each page is read on a connection of its own: an address that takes turns between replicas would hide that
    behind a kept one.
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
        self._http = http_client(timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def addresses(self, environment: str) -> tuple[str, ...]:
        """Return the status addresses of an environment, each once, without what may be secret in them."""
        return tuple(self._urls.get(environment, ()))

    def replicas(self, environment: str) -> int:
        """Say how many replicas an environment has: by the settings, else one for each status address."""
        settings = self._settings.get(environment)
        return max(1, settings.replicas if settings else 0, len(self.addresses(environment)))

    def says_how_many(self, environment: str) -> bool:
        """Tell whether the settings say how many replicas an environment has."""
        settings = self._settings.get(environment)
        return settings is not None and settings.replicas > 0

    async def look(self, environment: str, asked: Asked) -> tuple[Replica, ...]:
        """Look once at every replica of *environment*, all at the same time."""
        here = asked._replace(models=tuple(m for m in asked.models if m.environment == environment))
        urls = self._urls.get(environment, {})
        pages = await asyncio.gather(*(self._pages(url, where) for url, where in urls.items()))
        return await asyncio.to_thread(_read, pages, here)

    async def _pages(self, url: str, where: str) -> "Pages":
        """Fetch what one replica shows."""
        seen = Replica(url=url, at=self._now())
        if self._times[url] > 1:
            return Pages(seen.but(trouble="is the status address of more than one environment in the settings"))
        config, models, metrics = await asyncio.gather(
            self._page(where, CONFIG), self._page(where, MODELS), self._page(where, METRICS)
        )
        if isinstance(config, str) and isinstance(models, str) and isinstance(metrics, str):
            return Pages(seen.but(trouble=config))
        return Pages(seen, config, models, metrics)

    async def _page(self, where: str, path: str) -> bytes | str:
        """Read one page, or say why there is none."""
        try:
            response = await read(self._http, "GET", where.rstrip("/") + path, self._most)
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
        return response.content if response.is_success else f"has no {path} ({response.status_code})"


class Pages(NamedTuple):
    """What one look fetched from one address: each page, or why there is none."""

    seen: Replica
    config: bytes | str = ""
    models: bytes | str = ""
    metrics: bytes | str = ""


def _read(pages: Iterable[Pages], asked: Asked) -> tuple[Replica, ...]:
    """Read the pages that there are. Whose requests are ours, any of the replicas may tell."""
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
    except Unreadable:
        return None


def _metrics(page: bytes | str) -> Page | None:
    """Read a metrics page; None where there is none, or one that is no such page."""
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
    except ValueError:  # a page that is no metrics page shows no counters
        return {}
