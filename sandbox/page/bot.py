"""The page's bot: a process that can be frozen, killed and restarted."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from sandbox.bot_process import bot_process
from sandbox.page.switches import Choices, Switch

CHOICES: Choices = (("runs", "runs"), ("frozen", "is frozen (SIGSTOP)"), ("killed", "is killed (SIGKILL)"))
HINT = "what is not acknowledged in 3 s fails in Slack; killed, it goes on where it was when it runs again"


class Bot:
    """A bot's process, which can be replaced by a new one."""

    def __init__(self, settings: Callable[[], Mapping[str, str]], folder: Path, log: Path) -> None:
        self._settings, self._folder, self._log = settings, folder, log
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._starting: set[asyncio.Task[Process]] = set()
        self.process: Process | None = None
        self.own = Switch("bot", "The bot", HINT, CHOICES, self._thrown)

    async def start(self) -> Process:
        """End the old process, and start one with the current settings."""
        async with self._lock:
            await self._end()
            self.process = await self._stack.enter_async_context(bot_process(self._settings(), self._folder, self._log))
            return self.process

    async def stop(self) -> None:
        """Stop the bot."""
        if self._starting:
            await asyncio.wait(self._starting)
        await self._end()

    async def _end(self) -> None:
        """End the current process; continue a frozen one first, as it cannot end otherwise."""
        self._signal(signal.SIGCONT)
        await self._stack.aclose()

    def restarted(self) -> None:
        """Restart it in the background."""
        self.own.value = CHOICES[0][0]
        task = asyncio.get_running_loop().create_task(self.start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _thrown(self, value: str) -> None:
        match value:
            case "frozen":
                self._signal(signal.SIGSTOP)
            case "killed":
                self._signal(signal.SIGKILL)
            case _ if self._ended:
                self.restarted()
            case _:
                self._signal(signal.SIGCONT)

    @property
    def _ended(self) -> bool:
        return self.process is None or self.process.returncode is not None

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


@asynccontextmanager
async def running(settings: Callable[[], Mapping[str, str]], folder: Path, log: Path) -> AsyncIterator[Bot]:
    """Run a bot with these settings until the end of the block."""
    bot = Bot(settings, folder, log)
    await bot.start()
    try:
        yield bot
    finally:
        await bot.stop()
