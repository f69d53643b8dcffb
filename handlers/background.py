"""Tasks that run on after an acknowledgement, kept until they finish."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("keyturn.background")

ACK_WITHIN = 2.3
"""Seconds within which a form must be answered; Slack gives up after three."""


class Background:
    """Keeps references to running tasks: without them, asyncio may drop a task before it ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @staticmethod
    def patience() -> asyncio.Timeout:
        """Return the time-out for answering a form."""
        return asyncio.timeout(ACK_WITHIN)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background_failed", kind=type(error).__name__)

    async def finish(self, within: float) -> None:
        """Wait up to *within* seconds for the running tasks."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
