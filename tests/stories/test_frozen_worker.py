"""A worker that stands still between its last look and the delete: `docker pause`, a virtual machine that is moved."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.storage.records import Store
from sandbox.slack import Message
from tests.support.process import BotProcess, bot_process
from tests.support.stage import KEY, Stage

WAITING = "waiting for an approver"


class Frozen:
    """A bot process that is stopped once the last list before the delete has been answered."""

    def __init__(self, stage: Stage, store: Store) -> None:
        self.stage, self.store = stage, store
        self.old_key = stage.key_named(KEY)
        self.process: BotProcess | None = None
        self._stopped = False
        self._list = f"/environments/{stage.aisix.environment('staging').id}/models"
        stage.aisix.faults.before("GET", self._list, self._stop, times=None)

    async def record(self) -> Rotation:
        """Return the rotation as it is recorded."""
        return (await self.store.recent(1))[0]

    async def approved(self, process: BotProcess) -> Message:
        """Have a rotation approved that *process* ends; return its card."""
        card = await self.stage.ask()
        await self.stage.give(card)
        await self.stage.says(card, WAITING)
        self.process = process
        await self.stage.press("Delete old key", card, who="U_APPROVER")
        return card

    async def _stop(self) -> None:
        if self.process is None or self._stopped:
            return
        record = await self.record()
        if record.delete_asked_at and not record.delete_sent_at:
            self._stopped, self._before = True, self._lists()
            os.kill(self.process.pid, signal.SIGSTOP)

    def _lists(self) -> int:
        return sum(call.path.endswith(self._list) and call.status == 200 for call in self.stage.aisix.calls)

    async def stands_still(self) -> None:
        """Wait until the process is stopped and its list is answered: what it will have seen is decided."""
        await self.stage.aisix.until(lambda: self._stopped and self._lists() > self._before, what="the last list")

    def wake(self) -> None:
        """Let it go on."""
        assert self.process
        os.kill(self.process.pid, signal.SIGCONT)

    async def recorded(self, condition: Callable[[Rotation], object]) -> Rotation:
        """Wait until the record meets *condition*."""
        async with asyncio.timeout(60):
            while not condition(record := await self.record()):  # noqa: ASYNC110 - Redis has no event for it
                await asyncio.sleep(0.02)
        return record

    @property
    def deletes(self) -> int:
        """How often the old key was asked to go."""
        return sum(call.method == "DELETE" and self.old_key.id in call.path for call in self.stage.aisix.calls)


@asynccontextmanager
async def frozen_at_the_last_list(stage: Stage, redis_url: str) -> AsyncIterator[Frozen]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield Frozen(stage, Store(redis, stage.namespace))


async def test_a_worker_that_wakes_after_another_has_found_the_key_in_use_deletes_nothing(
    bare_stage: Stage, redis_url: str, tmp_path: Path
) -> None:
    bare_stage.overrides |= {"LEASE": "3", "PATIENCE": "60"}
    environ = bare_stage.environ
    async with (
        frozen_at_the_last_list(bare_stage, redis_url) as frozen,
        bot_process(environ, tmp_path, "web"),
        bot_process(environ, tmp_path, "worker") as first,
    ):
        card = await frozen.approved(first)
        await frozen.stands_still()
        bare_stage.aisix.add_model("staging", "latecomer", key=frozen.old_key, upstream="gpt-4o")

        async with bot_process(environ, tmp_path, "worker"):
            told = await frozen.recorded(lambda r: r.state is State.BLOCKED)
            assert "Not deleted: `latecomer` in staging refers to the old key." in told.stop.sentence
            await bare_stage.thread_says(card, "Not deleted")
            frozen.wake()
            await first.until(lambda: "lease_lost" in first.output, what="it to see that it has lost its lease")

        assert frozen.deletes == 0
        assert (await frozen.record()).stop == told.stop
