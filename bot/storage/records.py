"""Rotations in Redis or Valkey: compare-and-swap, the audit trail, and which version people have been shown.

One script writes a record, appends its entry to the audit trail, and updates the lists derived from it, all or
nothing. Redis can only hash with SHA-1, so this module hashes the entry, for the end of the trail that it has just
read. If the script finds another end, it changes nothing, and this module builds the entry again.
"""

import json
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import structlog
from redis.asyncio import Redis

from bot.rotation import audit
from bot.rotation.chores import first_due
from bot.rotation.errors import NotOurRecord, WrongState
from bot.rotation.nudges import matters
from bot.rotation.record import SCHEMA, Rotation
from bot.rotation.states import State
from bot.storage.batches import Batches
from bot.storage.figures import state_since
from bot.storage.lease import Lease
from bot.storage.namespace import BEFORE, REGISTER, Namespace
from bot.storage.outage import UNSURE, answering
from bot.storage.reading import read
from bot.storage.scripts import END, ENTERED, FULL, MOVED, NOTE, SAVE, SET_DUE, SHOWN
from bot.telemetry.metrics import STATES
from bot.telemetry.tracing import tracer

log = structlog.get_logger("keyturn.store")

PAGE = 1000

Room = Sequence[tuple[str, int]]
"""How many rotations may wait for their secret in each place."""


class Conflict(WrongState):
    """Someone else changed the rotation first."""


class Full(WrongState):
    """Too many rotations wait for their secret in one `place`: by a person, or in a channel."""

    def __init__(self, place: str) -> None:
        super().__init__("Too many rotations wait for their secret.")
        self.place = place


class Taken(WrongState):
    """Another rotation of the same provider key is under way; `holder` is its id."""

    def __init__(self, holder: str) -> None:
        super().__init__("Another rotation of this key is under way.")
        self.holder = holder


NEWER = (
    "A newer version of Keyturn has this rotation in hand, and this is an older one, so nothing was changed. "
    "Try again when all of it is updated."
)
"""An older version would drop the fields that it does not know when it writes the record."""

GONE = (
    "This rotation goes on in a Keyturn with another AISIX_CLOUD_API, so nothing was changed here. "
    "Restart every process with the same settings."
)

FOREIGN = "This record belongs to another Keyturn (another workspace or AISIX_CLOUD_API), so nothing was changed."

MISPLACED = (
    "Another rotation's record stands in this one's place, so nothing was changed: see `python -m bot audit verify`."
)


class Store(Batches):
    """The records of all rotations of one bot. Every method raises `Unanswerable` when Redis is away."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        super().__init__(redis, namespace)
        self._save = redis.register_script(SAVE)
        self._note = redis.register_script(NOTE)
        self._end_of = redis.register_script(END)
        self._shown = redis.register_script(SHOWN)
        self._set_due = redis.register_script(SET_DUE)
        self._full = redis.register_script(FULL)

    async def load(self, rotation_id: str) -> Rotation | None:
        """Return the current record of a rotation; raise `NotOurRecord` if this bot must not change it."""
        async with answering():
            stored = await self._redis.get(self.key("rotation", rotation_id))
        rotation = self._ours(read(stored)) if stored else None
        if rotation and rotation.id != rotation_id:
            raise NotOurRecord(MISPLACED)
        return rotation

    def _ours(self, rotation: Rotation) -> Rotation:
        """Return *rotation* if it is this bot's and this version can write it without losing fields."""
        if rotation.carried_to:
            raise NotOurRecord(GONE)
        if rotation.namespace != self.namespace.name:
            log.warning("foreign_record", rotation=rotation.id, namespace=rotation.namespace)
            raise NotOurRecord(FOREIGN)
        if rotation.schema_version > SCHEMA:
            raise NotOurRecord(NEWER)
        return rotation

    async def save(self, rotation: Rotation, event: Mapping[str, str], *, at: datetime, room: Room = ()) -> Rotation:
        """Record *rotation* as the next version, and *event* in the audit trail; raise `Conflict` or `Taken`.

        If it is new, raise `Full` where *room* has no more.
        """
        written = rotation.but(
            version=rotation.version + 1,
            schema_version=SCHEMA,
            namespace=self.namespace.name,
            write=secrets.token_hex(4),
        )
        bare, fingerprint = _without_fingerprint(written)
        entry = audit.entry(audit.Kind.CHANGE, bare, event, at.isoformat(), self.namespace.name)
        while True:
            last, before = await self._end(rotation.id)
            made = audit.written(entry, bare, before, audit.head_of(last))
            answer = await self._write(made, rotation.version, last or "", fingerprint, room)
            if answer != MOVED:  # else another entry came in between, so another writer made progress
                self._check_answer(answer, made.rotation)
                return made.rotation

    async def _end(self, rotation_id: str) -> tuple[str | None, str | None]:
        """Return the trail's last entry and the stored record, both of the same moment."""
        async with answering():
            last, record = await self._end_of(keys=[self.key("audit"), self.key("rotation", rotation_id)])
        return last or None, record or None

    async def _write(self, made: audit.Written, over: int, last: str, fingerprint: str | None, room: Room) -> str:
        """Write what was *made* over the version *over*, after the trail's *last* line."""
        saved = made.rotation
        async with answering(UNSURE):
            answer = await self._save(
                keys=[
                    self.key("rotation", saved.id),
                    self.key("audit"),
                    self.key("open"),
                    self.key("unshown"),
                    self.key("all"),
                    self.key("active", saved.plan.old_key.id),
                    self.key("fingerprints"),
                    self.key("due"),
                    self.key("concerns"),
                    self.key("states"),
                    self.key("revocations"),
                ],
                args=[
                    made.record,
                    str(over) if over else "",
                    last,
                    made.line,
                    saved.id,
                    saved.version,
                    int(holds_key(saved)),
                    int(saved.is_over),
                    saved.requested_at.timestamp(),
                    saved.replacement_id or "",
                    fingerprint or "",
                    json.dumps(_obsolete_keys(saved)),
                    json.dumps(concerned(saved)),
                    state_since(saved),
                    json.dumps(room),
                    int(bool(matters(saved) or first_due(saved))),
                    revoke_by(saved) or "",
                ],
            )
        return str(answer)

    async def check_room(self, room: Room) -> None:
        """Raise `Full` if as many rotations wait for their secret in a place as *room* allows."""
        keys = [self.key(name) for name in ("concerns", "states", "open")]
        async with answering():
            place = await self._full(keys=keys, args=[json.dumps(room)])
        if place:
            raise Full(str(place))

    @staticmethod
    def _check_answer(answer: str, saved: Rotation) -> None:
        if answer.startswith("TAKEN"):
            raise Taken(answer.split()[1])
        if answer.startswith("FULL"):
            raise Full(answer.split()[1])
        if answer not in ("OK", ENTERED):
            raise Conflict("Someone else just changed this rotation. Look at its card again.")
        if answer == ENTERED:
            STATES.labels(saved.state.value).inc()
            if saved.ended_at:
                tracer().ended(saved.id, saved.state, saved.requested_at, saved.ended_at)

    async def note(
        self, kind: audit.Kind, event: Mapping[str, str], *, rotation: Rotation | None, at: datetime
    ) -> None:
        """Add an event to the audit trail that changes no record."""
        entry = audit.entry(kind, rotation, event, at.isoformat(), self.namespace.name)
        answer = MOVED
        while answer == MOVED:
            last, record = await self._end(rotation.id if rotation else "")
            line = audit.chained({**entry, **audit.as_found(record)}, audit.head_of(last))
            async with answering():
                answer = str(await self._note(keys=[self.key("audit")], args=[last or "", line]))

    async def trail(self) -> AsyncIterator[str]:
        """Yield every line of the audit trail, oldest first."""
        begin, page = 0, ["the first"]
        while page:
            async with answering():
                page = await self._redis.lrange(self.key("audit"), begin, begin + PAGE - 1)
            for line in page:
                yield line
            begin += PAGE

    async def versions(self, ids: Iterable[str]) -> dict[str, audit.Stored]:
        """Return what an audit needs of every listed rotation, and of those of *ids* that have a record."""
        async with answering():
            listed = await self._redis.zrange(self.key("all"), 0, -1)
        stored = self.stored(sorted({*listed, *await self.open_ids(), *ids}))
        return {rotation.id: audit.stored_of(rotation, record) async for rotation, record in stored}

    async def set_due(self, rotation: Rotation, due: datetime | None) -> None:
        """Set when *rotation* is *due* (None: once it is saved again), unless it has a newer version by now."""
        async with answering():
            await self._set_due(
                keys=[self.key("rotation", rotation.id), self.key("due"), self.key("concerns"), self.key("states")],
                args=[
                    rotation.id,
                    rotation.version,
                    due.timestamp() if due else "",
                    json.dumps(concerned(rotation)),
                    "" if rotation.is_over else state_since(rotation),
                ],
            )

    async def make_all_due(self) -> None:
        """Make due what is open or waits for people: another version, or other settings, may have set its time."""
        async with answering():
            ids = await self._redis.smembers(self.key("open"))
            waiting = await self._redis.zrange(self.key("due"), 0, -1)
            if ids or waiting:
                await self._redis.zadd(self.key("due"), dict.fromkeys([*ids, *waiting], 0))

    async def open_elsewhere(self, rotation_id: str) -> str | None:
        """Return the name of another namespace in this Redis that has the rotation open, if one has."""
        async with answering():
            names = {BEFORE.name, *await self._redis.hkeys(REGISTER)} - {self.namespace.name}
            for other in (Namespace(name=name) for name in sorted(names)):
                if await self._redis.sismember(other.key("open"), rotation_id):
                    return other.queue
        return None

    async def is_recorded(self, rotation_id: str) -> bool:
        """Tell whether a rotation has a record, readable or not."""
        async with answering():
            return bool(await self._redis.exists(self.key("rotation", rotation_id)))

    async def holder(self, key_id: str) -> str | None:
        """Return the id of the rotation that has claimed the provider key."""
        async with answering():
            found = await self._redis.get(self.key("active", key_id))
        return str(found) if found else None

    async def fingerprint(self, key_id: str) -> str | None:
        """Return the fingerprint of a provider key's secret, if a rotation made the key and stored one."""
        async with answering():
            found = await self._redis.hget(self.key("fingerprints"), key_id)
        return str(found) if found else None

    async def fingerprints(self) -> dict[str, str]:
        """Return every stored fingerprint, by the id of its provider key."""
        async with answering():
            return dict(await self._redis.hgetall(self.key("fingerprints")))

    async def forget_fingerprints(self, key_ids: Iterable[str]) -> None:
        """Delete the fingerprints of some provider keys."""
        async with answering():
            for key_id in key_ids:
                await self._redis.hdel(self.key("fingerprints"), key_id)

    @asynccontextmanager
    async def leased(self, name: str, seconds: float) -> AsyncIterator[Lease | None]:
        """Lease *name* for this process; yield None if another has it. A dead holder's lease expires."""
        lease = Lease(self._redis, self.key("lease", name), self.key("rotation", name), seconds)
        async with lease.held() as mine:
            yield lease if mine else None

    async def is_leased(self, name: str) -> bool:
        """Tell whether a process has leased *name*."""
        async with answering():
            return bool(await self._redis.exists(self.key("lease", name)))

    async def is_first(self, what: str, seconds: int) -> bool:
        """Tell whether this call for *what* is the first within *seconds*; the client may send it twice (`RETRY`)."""
        ours = secrets.token_hex(4)
        async with answering():
            found = await self._redis.set(self.key("once", what), ours, nx=True, get=True, ex=seconds)
        return found in (None, ours)

    async def messages(self, rotation_id: str) -> dict[str, str]:
        """Return the messages that show a rotation, and what they show."""
        async with answering():
            return dict(await self._redis.hgetall(self.key("shown", rotation_id)))

    async def remember_message(self, rotation_id: str, fields: Mapping[str, str]) -> None:
        """Store what a message shows."""
        async with answering():
            await self._redis.hset(self.key("shown", rotation_id), mapping=dict(fields))

    async def was_shown(self, rotation: Rotation) -> None:
        """Note that people see this version of *rotation* or a later one."""
        async with answering():
            await self._shown(keys=[self.key("unshown")], args=[rotation.id, rotation.version])

    async def unshown(self) -> list[str]:
        """Return the ids of rotations whose messages show an older version than the record."""
        async with answering():
            return [str(rotation_id) for rotation_id in await self._redis.zrange(self.key("unshown"), 0, -1)]

    async def edits_this_minute(self, minute: int) -> int:
        """Count one edit of a message against the workspace's limit; return the number in this minute."""
        name = self.key("edits", str(minute))
        async with answering():
            count, _ = await self._redis.pipeline().incr(name).expire(name, 120).execute()
        return int(count)


def concerned(rotation: Rotation) -> list[str]:
    """Return what *rotation* is found by while it is open: the keys that it may remove, and its places."""
    return [rotation.plan.old_key.id, *rotation.made, by(rotation.requested_by), within(rotation.channel)]


def revoke_by(rotation: Rotation) -> float | None:
    """Return by when (seconds) a credential has to be revoked at its provider; None if that is not, or no more, due."""
    return rotation.revocation.due_at.timestamp() if rotation.revocation and rotation.is_owed else None


def by(person: str) -> str:
    """Return the place of the rotations that a person has asked for."""
    return f"by:{person}"


def within(channel: str) -> str:
    """Return the place of the rotations of a channel."""
    return f"in:{channel}"


def holds_key(rotation: Rotation) -> bool:
    """Tell whether *rotation* claims its provider key: from the request until it is over.

    A completed one keeps its claim, because its old key no longer exists for another to rotate.
    """
    return not rotation.is_over or rotation.state is State.COMPLETED


def claimed_before(rotation: Rotation) -> bool:
    """Tell whether the previous version would have claimed the key of *rotation*: it did so at the first secret.

    It may have left two open cards for one key; the first one that gets a secret claims it.
    """
    waits = rotation.attempt == 0 and rotation.state is State.AWAITING_SECRET
    return holds_key(rotation) and not waits


def _without_fingerprint(rotation: Rotation) -> tuple[Rotation, str | None]:
    """Take the fingerprint out of the record once its key is known, or it is certain that there is none."""
    wanted = rotation.replacement
    if wanted is None or not (wanted.key_id or wanted.refusal or rotation.is_over):
        return rotation, None
    return rotation.but(replacement=wanted.but(fingerprint=None)), wanted.fingerprint


def _obsolete_keys(rotation: Rotation) -> list[str]:
    """Return the keys that *rotation* deleted, or made and no longer needs: their fingerprints are deleted."""
    wanted = None if rotation.state is State.ROLLED_BACK else rotation.replacement_id
    ended = [rotation.plan.old_key.id] if rotation.deleted_at else []
    return [*(key_id for key_id in rotation.made if key_id != wanted), *ended]
