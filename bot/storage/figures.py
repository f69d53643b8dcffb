"""Figures for `/metrics`: what is open, due and queued, counted by Redis without reading a record."""

from datetime import datetime
from typing import Any, NamedTuple

from redis.asyncio import Redis

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.storage.namespace import Namespace
from bot.storage.outage import answering
from bot.storage.scripts import FIGURES


class Shared(NamedTuple):
    """The figures that all processes of one bot share."""

    states: dict[str, int]
    """Open rotations by state."""

    oldest: dict[str, float]
    """By state, the time since when the oldest rotation in it waits for a person."""

    unknown: int
    """Open rotations whose state only a version that can read their record knows."""

    due: int
    queued: int
    active: int


def state_since(rotation: Rotation) -> str:
    """Return the state of *rotation* and, if a person has the next move, since when (seconds): "BLOCKED 1795442520"."""
    since = {
        State.AWAITING_SECRET: rotation.secret_asked_at or rotation.requested_at,
        State.AWAITING_START: rotation.start_asked_at or rotation.requested_at,
        State.AWAITING_APPROVAL: rotation.asked_at or rotation.requested_at,
        State.BLOCKED: rotation.stop.at if rotation.stop else rotation.requested_at,
    }.get(rotation.state)
    return f"{rotation.state} {int(since.timestamp())}" if since else rotation.state.value


class Figures:
    """Counts for the bot of one namespace. Raises `Unanswerable` when Redis is away."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        self._count: Any = redis.register_script(FIGURES)
        jobs = [f"saq:{namespace.queue}:{state}" for state in ("queued", "active")]
        self._keys = [*map(namespace.key, ("open", "states", "due")), *jobs]

    async def read(self, now: datetime) -> Shared:
        """Return the figures; *now* decides what is due."""
        async with answering():
            opened, due, queued, active, listed = await self._count(keys=self._keys, args=[now.timestamp()])
        states = {state: count for state, count, _ in listed}
        oldest = {state: float(since) for state, _, since in listed if since}
        return Shared(states, oldest, opened - sum(states.values()), due, queued, active)
