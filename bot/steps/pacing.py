"""How long a step works before it returns, and how it waits."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from bot.rotation.errors import KeyturnError
from bot.rotation.record import Rotation
from bot.steps.world import World

T = TypeVar("T")
SLICE = 2.0
"""Seconds that a step works before it returns its progress: a crash loses little, and people see the progress."""

APART = 0.001
"""Seconds between the first requests of many: staggered requests don't contend."""

AT_ONCE = 8
"""Highest number of simultaneous test requests for one model."""

POLL = timedelta(seconds=1)

A_WHILE = timedelta(hours=1)
"""The pause before a look whether anything has changed that nobody announces."""

FRESH = 2.0
"""Seconds after which Keyturn reads the lists again before it deletes a key."""

PART_OF_THE_LEASE = 2 / 3
"""The part of the remaining lease that a delete may take; the rest is for delays without a time limit."""


def move_mark(version: int, world: World) -> str:
    """Return the mark of a move: the lease that makes it, and the version of the record that it starts from.

    A move records the mark of the next one. If a move finds another mark than its own, the one before it did not
    finish, or someone changed the record.
    """
    return f"{world.hold.mark}/{version}"


def waited(rotation: Rotation, world: World) -> timedelta:
    """Return how long the present step has been running."""
    return world.now() - (rotation.step_since or world.now())


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """Run *work* concurrently; raise an error only after all of it has ended, so that nothing happens later."""
    tasks = [asyncio.ensure_future(one) for one in work]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


async def each(things: list[T], act: Callable[[T], Awaitable[None]], *, width: int) -> list[tuple[T, Exception | None]]:
    """Run *act* on *things*, *width* at a time, none started after `SLICE`; return those run, with their errors."""
    waiting = iter(things)
    results: list[tuple[T, Exception | None]] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SLICE

    async def work(place: int) -> None:
        if len(things) > width:
            await asyncio.sleep(place * APART)
        for thing in waiting:
            try:
                await act(thing)
                results.append((thing, None))
            except KeyturnError as error:
                results.append((thing, error))
            if loop.time() > end:
                return

    async with asyncio.TaskGroup() as group:
        for place in range(min(width, len(things))):
            group.create_task(work(place))
    return results
