"""A Valkey server that can be frozen, killed and started again where it was, with what it had on disk."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.storage.embedded import command_of


class Valkey:
    """Writes every change to its append-only file before it answers, as the embedded server does."""

    def __init__(self, data: Path, socket: Path, *options: str) -> None:
        self.url = f"unix://{socket}"
        self._command = [*command_of(data, socket), *options]
        self.binary = self._command[0]

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=asyncio.subprocess.DEVNULL)
        redis = Redis.from_url(self.url)
        async with asyncio.timeout(120):
            while True:
                with suppress(RedisError, OSError):
                    await redis.execute_command("PING")  # type: ignore[no-untyped-call]
                    break
                await asyncio.sleep(0.02)
        await redis.aclose()

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def gone(self) -> None:
        await self._process.wait()

    async def restart(self) -> None:
        await self.gone()
        await self.start()


@asynccontextmanager
async def valkey_in(data: Path, *options: str) -> AsyncIterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="keyturn-") as folder:
        server = Valkey(data, Path(folder) / "valkey.sock", *options)
        await server.start()
        try:
            yield server
        finally:
            server.kill()
            await server.gone()
