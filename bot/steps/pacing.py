"""How long a step works before it returns what it has, and how it waits."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.rotation.errors import KeyturnError
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.world import World

SLICE = 2.0
"""Seconds that a step works before it returns what it has, so that a crash loses little and people see progress."""

APART = 0.001
"""Seconds between the first requests of many: what is sent together is answered together, and waits for each other."""

POLL = timedelta(seconds=1)


def waited(rotation: Rotation, world: World) -> timedelta:
    """Say how long the present step has been going on."""
    return world.now() - (rotation.step_since or world.now())


async def each(
    models: list[AffectedModel], act: Callable[[AffectedModel], Awaitable[None]], *, width: int
) -> list[tuple[AffectedModel, Exception | None]]:
    """Act on *models*, *width* at a time, beginning none after `SLICE`; return those begun, with their errors."""
    waiting = iter(models)
    results: list[tuple[AffectedModel, Exception | None]] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SLICE

    async def work(place: int) -> None:
        if len(models) > width:
            await asyncio.sleep(place * APART)
        for model in waiting:
            try:
                await act(model)
                results.append((model, None))
            except KeyturnError as error:
                results.append((model, error))
            if loop.time() > end:
                return

    async with asyncio.TaskGroup() as group:
        for place in range(min(width, len(models))):
            group.create_task(work(place))
    return results
