"""Run a foreign program: its output goes to a file, and it ends with this process."""

import asyncio
import os
import random
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
START = 60.0
"""Seconds for a program to answer after its start; a debug build on a busy machine is slow."""

PORTS = range(20_000, 32_000)
"""Below the ephemeral ports: otherwise an outgoing connection could take a port before the child does."""

CHECK_EVERY = 0.05
TOLD = 2000
"""Characters from the end of the log that an error shows."""


class Child:
    """Runs *command* in *folder*; of this process's environment it gets only the path."""

    def __init__(self, name: str, folder: Path, *command: str) -> None:
        self._command, self._folder = command, folder
        self._log = folder / f"{name}.log"
        self._process: Process | None = None

    @property
    def _guarded(self) -> tuple[str, ...]:
        """The command; if `setpriv` is installed, the kernel kills it when this process dies."""
        guard = shutil.which("setpriv")
        return (guard, "--pdeathsig", "KILL", *self._command) if guard else self._command

    async def start(self, answers: Callable[[], Awaitable[bool]]) -> None:
        """Start it, and wait until it *answers*."""
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._guarded,
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder)},
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
            )
        async with asyncio.timeout(START):
            while not await answers():
                self._check_alive()
                await asyncio.sleep(CHECK_EVERY)

    def _check_alive(self) -> None:
        """Raise an error with the end of the log if the program has ended."""
        if self._process is not None and self._process.returncode is not None:
            said = self._log.read_text(errors="replace")[-TOLD:]
            raise RuntimeError(
                f"{self._command[0]} ended by itself, with exit status {self._process.returncode}:\n{said}"
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """Kill it, and wait until it is gone."""
        self.send(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()


def free_port() -> int:
    """Return a free loopback port that no outgoing connection will get."""
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.create_server((LOOPBACK, port)):
            return port
    raise RuntimeError("No port is free.")
