"""A worker that stands still between its last look and the delete: `docker pause`, a virtual machine that is moved."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from redis.asyncio import Redis

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.storage.records import Store
from tests.support.process import BotProcess, bot_process
from tests.support.stage import KEY, Stage


class Frozen:
    """A bot process that is stopped once the last list before the delete has been answered."""

    def __init__(self, stage: Stage, store: Store, process: BotProcess) -> None:
        self.stage, self.store, self.process = stage, store, process
        self._lists_before = -1
        self._list = f"/environments/{stage.aisix.environment('staging').id}/models"
        stage.aisix.faults.before("GET", self._list, self._stop, times=None)

    async def record(self) -> Rotation:
        """Return the rotation as it is recorded."""
        return (await self.store.recent(1))[0]

    async def _stop(self) -> None:
        record = await self.record()
        if self._lists_before < 0 and record.delete_asked_at and not record.delete_sent_at:
            self._lists_before = self._lists()
            os.kill(self.process.pid, signal.SIGSTOP)

    def _lists(self) -> int:
        return sum(call.path.endswith(self._list) and call.status == 200 for call in self.stage.aisix.calls)

    async def stands_still(self) -> None:
        """Wait until the process is stopped and its list is answered: what it will have seen is decided."""
        await self.stage.aisix.until(lambda: 0 <= self._lists_before < self._lists(), what="the last list")

    async def recorded(self, condition: Callable[[Rotation], object]) -> Rotation:
        """Wait until the record meets *condition*."""
        async with asyncio.timeout(120):
            while not condition(record := await self.record()):  # noqa: ASYNC110 - Redis has no event for it
                await asyncio.sleep(0.02)
        return record


async def test_a_worker_that_wakes_after_another_has_found_the_key_in_use_deletes_nothing(
    bare_stage: Stage, redis_url: str, tmp_path: Path
) -> None:
    bare_stage.overrides |= {"LEASE": "3", "PATIENCE": "60"}
    environ, old = bare_stage.environ, bare_stage.key_named(KEY)
    async with (
        Redis.from_url(redis_url, decode_responses=True) as redis,
        bot_process(environ, tmp_path, "web"),
        bot_process(environ, tmp_path, "worker") as first,
    ):
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.says(card, "waiting for an approver")
        frozen = Frozen(bare_stage, Store(redis, bare_stage.namespace), first)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await frozen.stands_still()
        bare_stage.aisix.add_model("staging", "latecomer", key=old, upstream="gpt-4o")

        async with bot_process(environ, tmp_path, "worker"):
            told = await frozen.recorded(lambda r: r.state is State.BLOCKED)
            assert "`latecomer` in staging refers to the old key." in told.stop.sentence
            await bare_stage.thread_says(card, "refers to the old key")
            os.kill(first.pid, signal.SIGCONT)
            await first.until(lambda: "lease_lost" in first.output, what="it to see that it has lost its lease")

        assert not [call for call in bare_stage.aisix.calls if call.method == "DELETE" and old.id in call.path]
        assert (await frozen.record()).stop == told.stop
