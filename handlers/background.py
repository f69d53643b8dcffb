"""What goes on after an acknowledgement, held on to until it is finished."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("keyturn.background")

ACK_WITHIN = 2.3
"""Seconds in which a form has to be answered; Slack gives up after three."""


class Background:
    """Tasks of this process that must not be forgotten: Bolt and asyncio keep no hold of theirs."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @staticmethod
    def patience() -> asyncio.Timeout:
        """Return how long a form may take to be answered."""
        return asyncio.timeout(ACK_WITHIN)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background_failed", kind=type(error).__name__)

    async def finish(self, within: float) -> None:
        """Wait for what has begun, at most *within* seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
