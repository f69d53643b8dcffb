"""Lists of rotations: what is under way, due or recent, read in batches and in pages."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis.asyncio import Redis

from bot.rotation.age import made_at
from bot.rotation.history import Outline, Wanted
from bot.rotation.inventory import ProviderKey
from bot.rotation.naming import tag_of
from bot.rotation.record import Rotation
from bot.rotation.revoking import shares
from bot.storage.namespace import Namespace
from bot.storage.outage import answering
from bot.storage.reading import readable

RECORDS = 20
"""How many records are read at a time."""


OUTLINES = 20_000
"""Of how many rotations a process keeps an outline, some kilobytes each."""


class Page(NamedTuple):
    """A part of a long list."""

    rotations: list[Rotation]
    """Those of it that this version can read."""

    begin: int
    """The place of the first one in the list, from 0."""

    end: int
    total: int

    @property
    def unreadable(self) -> int:
        """Return how many of the page this version can't show."""
        return self.end - self.begin - len(self.rotations)


class Lists:
    """The lists of one bot. Every method raises `Unanswerable` when Redis is away."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        self.namespace = namespace
        self.key = namespace.key
        self._redis: Any = redis  # redis-py types every answer as "now or later"
        self._everything = asyncio.Semaphore(1)
        self._searching = asyncio.Semaphore(1)
        self._outlines: dict[str, Outline] = {}
        """Of rotations that are over: what a search looks at does not change any more."""

    async def time(self) -> datetime:
        """Return the time by Redis's clock, which all processes go by."""
        async with answering():
            seconds, micros = await self._redis.time()
        return datetime.fromtimestamp(seconds + micros / 1_000_000, UTC)

    async def due(self, now: datetime) -> AsyncIterator[Rotation]:
        """Yield rotations that are due by *now* and that nobody has leased, including those just recorded."""
        async with answering():
            ids = await self._redis.zrange(self.key("due"), "-inf", now.timestamp(), byscore=True)
        for begin in range(0, len(ids), RECORDS):
            for rotation in await self._load_all(await self._unleased(ids[begin : begin + RECORDS])):
                yield rotation

    async def _unleased(self, ids: Sequence[str]) -> list[str]:
        async with answering():
            holders = await self._redis.mget([self.key("lease", rotation_id) for rotation_id in ids])
        return [rotation_id for rotation_id, holder in zip(ids, holders, strict=True) if holder is None]

    async def concerning(self, key_id: str) -> list[Rotation]:
        """Return the open rotations that replace a provider key or that made it, oldest first."""
        async with answering():
            pairs = await self._redis.zrange(self.key("concerns"), f"[{key_id} ", f"[{key_id} \x7f", bylex=True)
        return _by_age(await self._load_all([pair.rpartition(" ")[2] for pair in pairs]))

    async def open_ids(self) -> frozenset[str]:
        """Return the ids of all open rotations, including those whose record cannot be read."""
        async with answering():
            return frozenset(await self._redis.smembers(self.key("open")))

    async def old_keys(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the id of the old key by the readable record of each of *ids* that has one."""
        return {rotation.id: rotation.plan.old_key.id for rotation in await self._read_all(ids)}

    async def made_at(self, keys: Iterable[ProviderKey]) -> dict[str, datetime]:
        """Return by its id when a rotation made a key, for those of *keys* whose names say which rotation that was."""
        tagged = [(key, tag.rotation) for key in keys if (tag := tag_of(key.display_name))]
        makers = {rotation.id: rotation for rotation in await self._load_all(sorted({maker for _, maker in tagged}))}
        found = {key.id: made_at(makers[maker], key) for key, maker in tagged if maker in makers}
        return {key_id: moment for key_id, moment in found.items() if moment}

    async def under_way(self) -> list[Rotation]:
        """Return every open rotation, oldest first; one call reads at a time, as it may read thousands."""
        async with self._everything:
            return _by_age(await self._load_all(await self.open_ids()))

    async def page_under_way(self, number: int, size: int) -> Page:
        """Return a page of the open rotations, oldest first; it reads no record of another page.

        Pages count from 1; a *number* beyond the last means the last.
        """
        async with answering():
            ids = await self._redis.zinter({self.key("all"): 1, self.key("open"): 0})
        begin = max(0, min(number - 1, (len(ids) - 1) // size)) * size
        chosen = ids[begin : begin + size]
        return Page(_by_age(await self._load_all(chosen)), begin, begin + len(chosen), len(ids))

    async def recent(self, most: int) -> list[Rotation]:
        """Return the *most* recent rotations, newest first."""
        async with answering():
            ids = await self._redis.zrevrange(self.key("all"), 0, most - 1)
        return await self._load_all(ids)

    async def search(self, wanted: Wanted, number: int, size: int) -> Page:
        """Return a page of the rotations that are *wanted*, the newest first; a *number* beyond the last means that.

        It reads every record of the time that is asked for once; of those that are over, it keeps what a search needs.
        """
        begin = wanted.begin.timestamp() if wanted.begin else "-inf"
        end = f"({wanted.end.timestamp()}" if wanted.end else "+inf"
        async with answering():
            ids = await self._redis.zrange(self.key("all"), end, begin, desc=True, byscore=True)
        async with self._searching:
            outlines = {id_: outline async for id_, outline in self._outlined(ids)}
        found = [id_ for id_ in ids if id_ in outlines and outlines[id_].matches(wanted)]
        first = max(0, min(number - 1, (len(found) - 1) // size)) * size
        chosen = found[first : first + size]
        return Page(await self._load_all(chosen), first, first + len(chosen), len(found))

    async def _outlined(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Outline]]:
        """Yield the outline of each readable record of ours."""
        for begin in range(0, len(ids), RECORDS):
            batch = ids[begin : begin + RECORDS]
            unknown = [id_ for id_ in batch if id_ not in self._outlines]
            fresh = {}
            for rotation in await self._load_all(unknown):
                fresh[rotation.id] = outline = Outline.of(rotation)
                if rotation.is_over and len(self._outlines) < OUTLINES:
                    self._outlines[rotation.id] = outline
            for id_ in batch:
                if outline_ := self._outlines.get(id_) or fresh.get(id_):
                    yield id_, outline_
            await asyncio.sleep(0)

    async def revocations_due(self, most: int) -> list[Rotation]:
        """Return up to *most* rotations whose credential is still to be revoked at its provider, the next due first."""
        async with answering():
            ids = await self._redis.zrange(self.key("revocations"), 0, most - 1)
        return [rotation for rotation in await self._load_all(ids) if rotation.is_owed]

    async def is_shared(self, rotation: Rotation, row_id: str) -> bool:
        """Return whether the record of another rotation knows a key in use with the same credential at its provider.

        A record that has this id and can't be read counts.
        """
        async with answering():
            ids = await self._redis.zrange(self.key("all"), 0, -1)
        for begin in range(0, len(ids), RECORDS):
            async with answering():
                found = await self._redis.mget([self.key("rotation", id_) for id_ in ids[begin : begin + RECORDS]])
            for record in filter(None, found):
                if json.dumps(row_id)[1:-1] in record:
                    other = readable(record)
                    if other is None or shares(rotation, other, row_id):
                        return True
            await asyncio.sleep(0)
        return False

    async def _load_all(self, ids: Iterable[str]) -> list[Rotation]:
        """Return those records of *ids* that are readable and ours."""
        records = await self._read_all(ids)
        return [one for one in records if one.namespace == self.namespace.name and not one.carried_to]

    async def _read_all(self, ids: Iterable[str]) -> list[Rotation]:
        return [rotation async for rotation, _ in self.stored(list(ids))]

    async def stored(self, ids: Sequence[str]) -> AsyncIterator[tuple[Rotation, str]]:
        """Yield the readable records of *ids*, parsed and as stored, a batch at a time; no other one in their place.

        Other tasks run after each, as parsing a long record is slow.
        """
        for begin in range(0, len(ids), RECORDS):
            batch = ids[begin : begin + RECORDS]
            async with answering():
                found = await self._redis.mget([self.key("rotation", id_) for id_ in batch])
            for id_, record in zip(batch, found, strict=True):
                rotation = readable(record) if record else None
                if rotation and rotation.id == id_:
                    yield rotation, record
                await asyncio.sleep(0)


def _by_age(rotations: Iterable[Rotation]) -> list[Rotation]:
    return sorted(rotations, key=lambda rotation: rotation.requested_at)
