"""Work for later or for another process, on SAQ. A job is only a hint: the record says what there is to do."""

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
"""Seconds after which SAQ takes a job for stuck; the record makes a second run harmless."""


WAIT = 10.0
"""Seconds that Redis is asked to wait for work; a connection that has died without a word is given up after them."""

BREATH = 1.0
"""Seconds between two tries to fetch a job from a Redis that is away: SAQ itself would try without a pause."""


class PatientQueue(RedisQueue):
    """SAQ's queue on two clients: only *waiting* for work may take long, and every other call has the usual time-out.

    Without one a call that is never answered would hold a rotation's lease for ever. While Redis is away it takes a
    breath between two tries.
    """

    def __init__(self, redis: Redis, waiting: Redis, namespace: Namespace) -> None:
        super().__init__(redis, name=namespace.queue)
        self.waiting: Any = waiting

    async def dequeue(self, *_: Any, **__: Any) -> Job | None:
        """Wait a while for work; None if there is none."""
        try:
            job_id = await self.waiting.blmove(self._queued, self._active, WAIT, "LEFT", "RIGHT")
            return await self._get_job_by_id(job_id) if job_id else None
        except (RedisError, OSError):
            await asyncio.sleep(BREATH)
            raise


class Jobs:
    """Hands hints to whichever worker is free."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def advance(self, rotation: Rotation, *, at: datetime | None = None, again: str = "") -> None:
        """Have *rotation* moved on, now or *at* a time; *again* lets a hint be given that was given before."""
        await self._enqueue(ADVANCE, rotation, at, again)

    async def announce(self, rotation: Rotation, *, at: datetime | None = None, again: str = "") -> None:
        """Have people shown what is recorded of *rotation*."""
        await self._enqueue(ANNOUNCE, rotation, at, again)

    async def _enqueue(self, what: str, rotation: Rotation, at: datetime | None, again: str) -> None:
        """Enqueue once for each version: while the same hint waits, SAQ refuses it."""
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
