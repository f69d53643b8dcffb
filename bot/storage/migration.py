"""Carry rotations over to this bot's namespace, from the previous version's names or from another namespace.

A rotation is carried over if the control plane shows its keys and models. It leaves behind a record that no version
changes, so that a process of the previous version does not touch the rotation.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import WatchError

from bot.rotation import audit
from bot.rotation.errors import ApiError, Unanswerable
from bot.rotation.inventory import Inventory
from bot.rotation.record import CARRIED, SCHEMA, Rotation
from bot.storage.figures import state_since
from bot.storage.lists import RECORDS
from bot.storage.namespace import BEFORE, PREFIX, REGISTER, Namespace, named_by
from bot.storage.outage import UNSURE, answering
from bot.storage.reading import read, readable
from bot.storage.records import PAGE, claimed_before, concerned, revoke_by

log = structlog.get_logger("keyturn.carrying")

EVERY = timedelta(minutes=1)
"""The time between two searches for rotations that a process of the previous version has begun."""

START_PATIENCE = 10.0
"""Seconds that a start waits for the control plane; what is left is carried over by the next search."""

UNREADABLE = "its record cannot be read by this version"
ELSEWHERE = "it is of another workspace"
UNKNOWN = "AISIX Cloud does not show its keys and models, so it may be another bot's"
BUSY = "another process has it in hand at the moment"
TAKEN = "another rotation here has its key in hand, or its id"


class Left(NamedTuple):
    """A rotation that was not carried over, and why."""

    rotation: str
    why: str


class Carried(NamedTuple):
    """What one search carried over, and what it left."""

    moved: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()


class Census(NamedTuple):
    """How many rotations a namespace has, and how many of them are open."""

    namespace: Namespace
    rotations: int
    open: int


async def census(redis: Redis) -> list[Census]:
    """Count the rotations of every namespace in this Redis, the previous version's names first."""
    asked: Any = redis
    async with answering():
        addresses = await asked.hgetall(REGISTER)
        names = named_by([key async for key in asked.scan_iter(match=f"{PREFIX}*", count=PAGE)])
        found = [Namespace(name=name, control_plane=addresses.get(name, "")) for name in sorted({*names, *addresses})]
        return [Census(it, await asked.zcard(it.key("all")), await asked.scard(it.key("open"))) for it in found]


class Inventories(Protocol):
    """The part of the control plane that this module needs."""

    async def inventory(self) -> Inventory:
        """Read everything that can refer to a provider key."""


def is_shown(rotation: Rotation, inventory: Inventory) -> bool:
    """Tell whether *rotation* belongs to the control plane with this *inventory*.

    For an open rotation, the inventory must show its newest key and one of its models: a copy of a control plane has
    the same ids. For one that is over, any of its ids is enough.
    """
    keys = {key.id for key in inventory.keys}
    models = {(model.environment, model.id) for model in inventory.models}
    has_model = any((model.environment, model.id) in models for model in rotation.plan.models)
    if rotation.is_over:
        return has_model or bool(keys & {rotation.plan.old_key.id, *rotation.made})
    newest = rotation.replacement_id or rotation.plan.old_key.id
    return newest in keys and (has_model or not rotation.plan.models)


class Carrier:
    """Carries this bot's rotations over to its namespace. Every method raises `Unanswerable` when Redis is away."""

    def __init__(
        self,
        redis: Redis,
        namespace: Namespace,
        control_plane: Inventories,
        *,
        teams: frozenset[str] | None,
        now: Callable[[], datetime],
    ) -> None:
        self._redis: Any = redis
        self.here = namespace
        self._control_plane = control_plane
        self._teams = teams
        """The workspaces of this bot; None for an organization's bot, which serves many."""

        self._now = now
        self._seen: set[str] = set()

    # --- when ---

    async def begin(self) -> None:
        """Register this namespace, and carry over open rotations; the next search retries what fails."""
        with _postponed():
            async with answering():
                await self._redis.hset(REGISTER, self.here.name, self.here.control_plane)
            async with asyncio.timeout(START_PATIENCE):
                self._log(await self.carry(BEFORE, await self.open_in(BEFORE)))

    async def keep(self) -> None:
        """Carry over what the previous version left, and what a process of it may still begin."""
        while True:
            with _postponed():
                self._log(await self.carry(BEFORE, [i for i in await self.ids_in(BEFORE) if i not in self._seen]))
            await asyncio.sleep(EVERY.total_seconds())

    def _log(self, carried: Carried) -> None:
        for rotation_id in carried.moved:
            log.info("carried_over", rotation=rotation_id, to=self.here.name)
        for left in carried.left:
            if left.rotation not in self._seen and left.why != BUSY:
                log.warning("left_behind", rotation=left.rotation, why=left.why)
                self._seen.add(left.rotation)

    # --- what can be carried over ---

    async def open_in(self, source: Namespace) -> list[str]:
        """Return the ids of the open rotations in *source*."""
        async with answering():
            return sorted(await self._redis.smembers(source.key("open")))

    async def ids_in(self, source: Namespace) -> list[str]:
        """Return the ids of all rotations in *source*."""
        async with answering():
            return sorted({*await self._redis.zrange(source.key("all"), 0, -1), *await self.open_in(source)})

    async def look(
        self, source: Namespace, ids: Sequence[str], *, named: bool = False
    ) -> tuple[list[Rotation], list[Left]]:
        """Split *ids* into our rotations and the rest; unknown ones count as ours only if a person *named* them."""
        ours: list[Rotation] = []
        left: list[Left] = []
        for begin in range(0, len(ids), RECORDS):
            part = ids[begin : begin + RECORDS]
            async with answering():
                stored = await self._redis.mget([source.key("rotation", rotation_id) for rotation_id in part])
            for rotation_id, record in zip(part, stored, strict=True):
                match self._of_our_workspace(rotation_id, record, source):
                    case Left() as stays:
                        left.append(stays)
                    case rotation:
                        ours.append(rotation)
        return (ours, left) if named else await self._shown(ours, left)

    def _of_our_workspace(self, rotation_id: str, record: str | None, source: Namespace) -> Rotation | Left:
        rotation = readable(record) if record else None
        if rotation is None or rotation.schema_version > SCHEMA or rotation.namespace != source.name:
            return Left(rotation_id, UNREADABLE)
        if self._teams is not None and rotation.team not in self._teams:
            return Left(rotation_id, ELSEWHERE)
        return rotation

    async def _shown(self, ours: list[Rotation], left: list[Left]) -> tuple[list[Rotation], list[Left]]:
        if not ours:
            return ours, left
        inventory = await self._control_plane.inventory()
        unknown = [rotation.id for rotation in ours if not is_shown(rotation, inventory)]
        kept = [rotation for rotation in ours if rotation.id not in unknown]
        return kept, [*left, *(Left(rotation_id, UNKNOWN) for rotation_id in unknown)]

    # --- carrying over ---

    async def carry(self, source: Namespace, ids: Sequence[str], *, named: bool = False) -> Carried:
        """Carry over those of *ids* that are ours; if a person *named* them, also those that may be another bot's."""
        ours, left = await self.look(source, ids, named=named)
        moved: list[str] = []
        if ours:  # first: no rotation may go on here without the holds that keep its key
            await self._bring_holds(source)
        for rotation in ours:
            why = await self._carry_one(source, rotation)
            if why is None:
                moved.append(rotation.id)
            else:
                left.append(Left(rotation.id, why))
        return Carried(tuple(moved), tuple(left))

    async def _bring_holds(self, source: Namespace) -> None:
        """Copy the holds on keys that have none here; those that stay behind keep the processes there from a delete."""
        async with answering():
            for key_id, hold in (await self._redis.hgetall(source.key("holds"))).items():
                await self._redis.hsetnx(self.here.key("holds"), key_id, hold)

    async def _carry_one(self, source: Namespace, rotation: Rotation) -> str | None:
        """Move everything of *rotation* in one transaction, or return why not."""
        move = Move(source, self.here, rotation, self._now())
        async with answering(UNSURE):
            while True:
                with suppress(WatchError):  # another writer made progress: try again
                    async with self._redis.pipeline(transaction=True) as pipe:
                        return await move.run(pipe)


class Found(NamedTuple):
    """What a move needs to know about both sides."""

    stays: audit.Written
    """The record that stays behind, and its entry in the trail there."""

    onward: audit.Written
    """The record that goes on, and its entry in the trail here."""

    is_held: bool
    """Whether the rotation holds its key's claim in the source."""

    is_shown: bool
    is_unshown: bool
    fingerprints: dict[str, str]


class Move(NamedTuple):
    """Moves one rotation from the names of *source* to those of *target*: all of it, or nothing."""

    source: Namespace
    target: Namespace
    rotation: Rotation
    at: datetime

    async def run(self, pipe: Any) -> str | None:
        """Move it, or return why not; raise `WatchError` if someone else writes meanwhile."""
        await pipe.watch(*self._watched())
        why = await self._obstacle(pipe)
        if why is not None:
            return why
        found = await self._found(pipe)
        pipe.multi()
        self._leave(pipe, found)
        self._arrive(pipe, found)
        await pipe.execute()
        return None

    def _watched(self) -> list[str]:
        there, here, id_ = self.source.key, self.target.key, self.rotation.id
        both = [key(kind, of) for key in (there, here) for kind, of in (("rotation", id_), ("audit", None))]
        return [
            *both,
            *self._leases(),
            self._claim(here),
            self._claim(there),
            there("shown", id_),
            there("fingerprints"),
        ]

    def _leases(self) -> list[str]:
        return [self.source.key("lease", name) for name in (self.rotation.id, f"show:{self.rotation.id}")]

    def _claim(self, key: Callable[..., str]) -> str:
        return key("active", self.rotation.plan.old_key.id)

    async def _obstacle(self, pipe: Any) -> str | None:
        """Return what prevents the move: a process that works on it, or another rotation here; else None."""
        there, here, id_ = self.source.key, self.target.key, self.rotation.id
        stored = await pipe.get(there("rotation", id_))
        if await pipe.exists(*self._leases()) or stored is None or read(stored) != self.rotation:
            return BUSY
        other = await pipe.get(here("rotation", id_))
        holder = await pipe.get(self._claim(here))
        is_there = other is not None and not read(other).carried_to
        claims = claimed_before(self.rotation) or await pipe.get(self._claim(there)) == id_
        return TAKEN if is_there or (claims and holder not in (None, id_)) else None

    async def _found(self, pipe: Any) -> Found:
        there, id_ = self.source.key, self.rotation.id
        keys = [self.rotation.plan.old_key.id, *self.rotation.made]
        prints = dict(zip(keys, await pipe.hmget(there("fingerprints"), keys), strict=True))
        return Found(
            stays=await self._written(pipe, self._stays, audit.Kind.CHANGE, f"carried over to {self.target.queue}"),
            onward=await self._written(
                pipe, self._next_version, audit.Kind.CARRIED, f"carried over from {self.source.queue}"
            ),
            is_held=await pipe.get(self._claim(there)) == id_,
            is_shown=bool(await pipe.exists(there("shown", id_))),
            is_unshown=not self.rotation.is_over or await pipe.zscore(there("unshown"), id_) is not None,
            fingerprints={key: value for key, value in prints.items() if value},
        )

    async def _written(self, pipe: Any, record: Rotation, kind: audit.Kind, what: str) -> audit.Written:
        key = Namespace(name=record.namespace).key
        last, before = await pipe.lindex(key("audit"), -1), await pipe.get(key("rotation", record.id))
        event = {"by": "keyturn", "what": what, "why": ""}
        entry = audit.entry(kind, record, event, self.at.isoformat(), record.namespace)
        return audit.written(entry, record, before, audit.head_of(last))

    @property
    def _next_version(self) -> Rotation:
        """Return the next version of the record: a process that still holds this one can no longer write it."""
        return self.rotation.but(
            version=self.rotation.version + 1,
            schema_version=SCHEMA,
            namespace=self.target.name,
            carried_to="",
        )

    @property
    def _stays(self) -> Rotation:
        """Return the record that stays behind, which no version changes."""
        return self._next_version.but(schema_version=CARRIED, namespace=self.source.name, carried_to=self.target.name)

    def _leave(self, pipe: Any, found: Found) -> None:
        there, id_ = self.source.key, self.rotation.id
        pipe.set(there("rotation", id_), found.stays.record)
        pipe.rpush(there("audit"), found.stays.line)
        pipe.srem(there("open"), id_)
        pipe.hdel(there("states"), id_)
        for kind in ("all", "due", "unshown", "revocations"):
            pipe.zrem(there(kind), id_)
        pipe.zrem(there("concerns"), *(f"{key_id} {id_}" for key_id in concerned(self.rotation)))
        if found.fingerprints:
            pipe.hdel(there("fingerprints"), *found.fingerprints)
        if found.is_held and (self.rotation.is_over or self.source != BEFORE):
            pipe.delete(self._claim(there))  # else it keeps a process of the previous version away from the key

    def _arrive(self, pipe: Any, found: Found) -> None:
        there, here, onward = self.source.key, self.target.key, found.onward.rotation
        pipe.set(here("rotation", onward.id), found.onward.record)
        pipe.rpush(here("audit"), found.onward.line)
        pipe.zadd(here("all"), {onward.id: onward.requested_at.timestamp()})
        if claimed_before(onward) or found.is_held:
            pipe.set(self._claim(here), onward.id)
        if at := revoke_by(onward):
            pipe.zadd(here("revocations"), {onward.id: at})
        if found.is_unshown:
            pipe.zadd(here("unshown"), {onward.id: onward.version})
        if found.is_shown:
            pipe.rename(there("shown", onward.id), here("shown", onward.id))
        if found.fingerprints:
            pipe.hset(here("fingerprints"), mapping=found.fingerprints)
        if not onward.is_over:
            pipe.sadd(here("open"), onward.id)
            pipe.hset(here("states"), onward.id, state_since(onward))
            pipe.zadd(here("due"), {onward.id: 0})
            pipe.zadd(here("concerns"), {f"{key_id} {onward.id}": 0 for key_id in concerned(onward)})


@contextmanager
def _postponed() -> Iterator[None]:
    """If AISIX Cloud is not answering, leave the work to the next search."""
    try:
        yield
    except (ApiError, Unanswerable, TimeoutError) as away:
        log.warning("carry_over_postponed", why=str(away) or "AISIX Cloud is not answering.")
