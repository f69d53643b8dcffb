"""Jobs for later or for another process, on SAQ. A job is only a hint: the record says what to do."""

import asyncio
import math
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq import Job, Queue
from saq.queue.redis import RedisQueue

from bot.rotation.record import Rotation
from bot.storage.namespace import Namespace
from bot.storage.outage import answering

ADVANCE = "advance"
ANNOUNCE = "announce"
LONGEST_JOB = 300
"""Seconds after which SAQ treats a job as stuck; the record makes a second run harmless."""

WAIT = 10.0
"""Seconds that one call waits for work; after that, a connection that died silently is dropped."""

PAUSE = 1.0
"""Seconds between two tries to fetch a job while Redis is away: SAQ itself would retry without a pause."""


class PatientQueue(RedisQueue):
    """SAQ's queue on two clients: only *waiting* for work may take long; all other calls use the usual time-out.

    Without a time-out, a call that is never answered would hold a rotation's lease forever. While Redis is away, the
    queue pauses between two tries.
    """

    def __init__(self, redis: Redis, waiting: Redis, namespace: Namespace) -> None:
        super().__init__(redis, name=namespace.queue)
        self.waiting: Any = waiting

    async def dequeue(self, *_: Any, **__: Any) -> Job | None:
        """Wait up to `WAIT` for a job; return None if there is none."""
        try:
            job_id = await self.waiting.blmove(self._queued, self._active, WAIT, "LEFT", "RIGHT")
            return await self._get_job_by_id(job_id) if job_id else None
        except (RedisError, OSError):
            await asyncio.sleep(PAUSE)
            raise

    async def listen(self, *given: Any, **options: Any) -> None:
        """Ask again and again what becomes of a job: SAQ retries a broken subscription without a pause."""
        await Queue.listen(self, *given, **options)


class Jobs:
    """Sends hints to the next free worker."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def advance(self, rotation: Rotation, *, at: datetime | None = None, again: str = "") -> None:
        """Ask a worker to advance *rotation*, now or *at* a time; *again* makes the hint differ from earlier ones."""
        await self._enqueue(ADVANCE, rotation, at, again)

    async def announce(self, rotation: Rotation, *, at: datetime | None = None, again: str = "") -> None:
        """Ask a worker to show people the record of *rotation*."""
        await self._enqueue(ANNOUNCE, rotation, at, again)

    async def _enqueue(self, what: str, rotation: Rotation, at: datetime | None, again: str) -> None:
        """Enqueue once per version: SAQ refuses a hint while the same one is queued."""
        async with answering():
            await self._queue.enqueue(
                what,
                key=f"{what}:{rotation.id}:{rotation.version}{again}{'@' if at else ''}",
                rotation_id=rotation.id,
                scheduled=math.ceil(at.timestamp()) if at else 0,
                timeout=LONGEST_JOB,
                retries=3,
                ttl=1,
            )
