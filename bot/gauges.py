"""Gauges that are read at each scrape of `/metrics`: from Redis, and, now and then, from the control plane.

A scrape waits `WITHIN` at most. What could not be read is left out, so that no old figure looks like a present one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Self

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from bot.rotation.errors import ApiError, Unanswerable
from bot.rotation.states import TERMINAL, State
from bot.storage.figures import Shared

WITHIN = 2.0
"""Seconds that a scrape waits for anything."""

KEYS_EVERY = timedelta(minutes=15)
"""How often the provider keys are listed for their ages, while someone scrapes."""

KEYS_AGAIN = timedelta(minutes=1)
"""The same after AISIX did not give the list."""

UNKNOWN = "unknown"
WAITING = (State.AWAITING_SECRET, State.AWAITING_START, State.AWAITING_APPROVAL, State.BLOCKED)
AGES = {30: "0-30d", 90: "30-90d", 180: "90-180d", 365: "180-365d"}
OLDEST = "365d-"
"""The classes of key ages, in days: a label must not hold the name of a key."""


class Gauges:
    """Reads the gauges of one process; what all processes share is the same from each of them."""

    def __init__(
        self,
        count: Callable[[datetime], Awaitable[Shared]],
        key_dates: Callable[[], Awaitable[Mapping[str, datetime | None]]],
        ready: Callable[[], Awaitable[str | None]],
        now: Callable[[], datetime],
    ) -> None:
        self._count = count
        self._key_dates = key_dates
        self._ready = ready
        self._now = now
        self._dates: tuple[datetime | None, ...] | None = None
        self._listing: asyncio.Task[None] | None = None
        self._list_at: datetime | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listing:
            self._listing.cancel()
            await asyncio.wait([self._listing])

    async def read(self) -> list[Metric]:
        """Return the gauges."""
        self._list_keys()
        ready, shared = await asyncio.gather(self._is_ready(), self._shared())
        return [
            _gauge("keyturn_ready", "Whether this process can work: 1 where /readyz is 200.", ready),
            _gauge("keyturn_redis_up", "Whether Redis gave the figures of this scrape.", shared is not None),
            *(_of_all(shared, self._now()) if shared else ()),
            *(_of_keys(self._dates, self._now()) if self._dates is not None else ()),
        ]

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(WITHIN):
                return await self._ready() is None
        except TimeoutError:
            return False

    async def _shared(self) -> Shared | None:
        try:
            async with asyncio.timeout(WITHIN):
                return await self._count(self._now())
        except (Unanswerable, TimeoutError):
            return None

    def _list_keys(self) -> None:
        """Begin to list the provider keys if it is time; a later scrape shows them."""
        if self._list_at is None or self._now() >= self._list_at:
            self._list_at = self._now() + KEYS_EVERY
            self._listing = asyncio.create_task(self._read_dates())

    async def _read_dates(self) -> None:
        try:
            self._dates = tuple((await self._key_dates()).values())
        except ApiError:
            self._dates, self._list_at = None, self._now() + KEYS_AGAIN


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=float(value))


def _gauges(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family


def _of_all(shared: Shared, now: datetime) -> Iterable[Metric]:
    states: dict[str, float] = {state: shared.states.get(state, 0) for state in State if state not in TERMINAL}
    waits: dict[str, float] = {
        state: max(0.0, now.timestamp() - shared.oldest.get(state, now.timestamp())) for state in WAITING
    }
    jobs: dict[str, float] = {"queued": shared.queued, "active": shared.active}
    yield _gauges("keyturn_open_rotations", "Open rotations.", "state", {**states, UNKNOWN: shared.unknown})
    yield _gauges("keyturn_oldest_wait_seconds", "How long the first one has waited for a person.", "state", waits)
    yield _gauge("keyturn_due_rotations", "Rotations that a worker should move now or moves.", shared.due)
    yield _gauges("keyturn_jobs", "Hints to the workers, queued or in hand.", "state", jobs)


def _of_keys(dates: Iterable[datetime | None], now: datetime) -> Iterable[Metric]:
    made = list(dates)
    ages = [now - date for date in made if date]
    counts = dict.fromkeys([*AGES.values(), OLDEST, UNKNOWN], 0)
    counts[UNKNOWN] = len(made) - len(ages)
    for age in ages:
        counts[next((name for days, name in AGES.items() if age < timedelta(days=days)), OLDEST)] += 1
    yield _gauges("keyturn_provider_keys", "Provider keys by their age in days.", "age", counts)
    if ages:
        oldest = max(ages).total_seconds()
        yield _gauge("keyturn_provider_key_oldest_age_seconds", "Age of the oldest provider key.", oldest)
