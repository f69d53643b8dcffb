"""Batches in Redis: compare-and-swap, each change with its entry in the audit trail."""

from collections.abc import Mapping
from datetime import datetime

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from bot.rotation import audit
from bot.rotation.batch import Batch
from bot.rotation.errors import WrongState
from bot.rotation.record import Rotation
from bot.storage.holds import Holds
from bot.storage.namespace import Namespace
from bot.storage.outage import answering
from bot.storage.scripts import BATCH, END, MOVED

log = structlog.get_logger("keyturn.store")


class Batches(Holds):
    """The batches of one bot. Every method raises `Unanswerable` when Redis is away."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        super().__init__(redis, namespace)
        self._swap = redis.register_script(BATCH)
        self._newest = redis.register_script(END)

    async def batch(self, batch_id: str) -> Batch | None:
        """Return a batch; None if there is none, or if this version can't read it."""
        async with answering():
            stored = await self._redis.get(self.key("batch", batch_id))
        try:
            found = Batch.model_validate_json(stored) if stored else None
        except ValidationError:
            log.warning("unreadable_batch", batch=batch_id)
            return None
        return found if found and found.namespace == self.namespace.name else None

    async def open_batches(self) -> list[str]:
        """Return the ids of the batches that have not ended, or whose message still follows their rotations."""
        async with answering():
            return sorted(map(str, await self._redis.smembers(self.key("batches"))))

    async def rotations_of(self, batch: Batch) -> dict[str, Rotation]:
        """Return the readable rotations of a batch, by id."""
        return {rotation.id: rotation for rotation in await self._load_all(batch.rotations)}

    async def save_batch(self, batch: Batch, event: Mapping[str, str], *, at: datetime) -> Batch:
        """Record *batch* as the next version; raise `WrongState` if somebody changed it first."""
        saved = batch.but(version=batch.version + 1, namespace=self.namespace.name)
        entry = audit.entry(audit.Kind.BATCH, None, event, at.isoformat(), self.namespace.name) | {"batch": batch.id}
        keys, answer = [self.key("audit"), self.key("batch", batch.id), self.key("batches")], MOVED
        while answer == MOVED:
            async with answering():
                last, _ = await self._newest(keys=[keys[0], self.key("rotation", "")])
                line = audit.chained(entry, audit.head_of(last or None))
                values = [last or "", line, batch.version or "", saved.model_dump_json(), batch.id]
                answer = str(await self._swap(keys=keys, args=[*values, int(saved.is_over)]))
        if answer != "OK":
            raise WrongState("Somebody else just changed this batch. Look at its message again.")
        return saved
