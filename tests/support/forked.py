"""Bots that are forked from a process which has imported them, one such process a process of tests."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[2]
SURROUNDINGS = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
"""All of the tests' environment that a bot gets."""

READ_AT_IMPORT = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
"""aiohttp loads them as it is imported: whoever gets them has to import it for itself."""


def can_fork(environ: Mapping[str, str]) -> bool:
    """Tell whether a bot with *environ* is the same forked as from the command line."""
    return sys.platform == "linux" and not READ_AT_IMPORT & set(environ)


@cache
def nursery() -> socket.socket:
    """Start the process that forks, and return the socket that it takes orders from; both end with this process."""
    orders, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.support.nursery"]
    with theirs:
        process = subprocess.Popen(
            command, cwd=ROOT, env=SURROUNDINGS, stdin=theirs.fileno(), stdout=theirs.fileno(), process_group=0
        )  # in a group of its own, so that Ctrl-C is for the tests alone
    atexit.register(end, process, orders)
    return orders


def end(process: subprocess.Popen[bytes], orders: socket.socket) -> None:
    """Hang up, and see the nursery gone."""
    orders.close()
    process.wait(30)


class Forked:
    """A bot that is no child of this process, with what is used of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader, line: "Line") -> None:
        self.pid, self.stdout = pid, stdout
        self._status = asyncio.create_task(line.last())

    def send_signal(self, number: int) -> None:
        """Send it, unless the bot has ended."""
        if self._status.done():
            raise ProcessLookupError
        os.kill(self.pid, number)

    def kill(self) -> None:
        """`kill -9`."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended; return its exit status, as `subprocess` gives it."""
        return await asyncio.shield(self._status)


async def forked(environ: Mapping[str, str], folder: Path, command: Sequence[str], stdin: str) -> Forked:
    """Order a bot, with *stdin* typed."""
    line, theirs = await Line.pair()
    stdout, output = await read_end()
    with theirs, input_of(stdin) as given, output:
        socket.send_fds(nursery(), [b"1"], [given.fileno(), output.fileno(), theirs.fileno()])
    line.order({"environ": environ, "folder": str(folder), "command": command})
    return Forked(await line.number(), stdout, line)


class Line:
    """One end of a socket: an order goes out on it; the number of a process comes back, and its exit status."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def pair(cls) -> tuple["Line", socket.socket]:
        """Return one end, and the other as it is."""
        ours, theirs = socket.socketpair()
        return cls(*await asyncio.open_connection(sock=ours)), theirs

    def order(self, wanted: Mapping[str, object]) -> None:
        """Say what is wanted: all that is ever said from here."""
        self._writer.write(json.dumps(wanted).encode())
        self._writer.write_eof()

    async def number(self) -> int:
        """Return the next number that is said from there."""
        return int(await self._reader.readline())

    async def last(self) -> int:
        """Return the last number, and hang up."""
        try:
            return await self.number()
        finally:
            self._writer.close()


def input_of(text: str) -> BinaryIO:
    """Return the end of a pipe from which *text* is read, and then no more."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(text)
    return os.fdopen(reading, "rb")


async def read_end() -> tuple[asyncio.StreamReader, BinaryIO]:
    """Return what reads a pipe, and the end to write to."""
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
    return reader, os.fdopen(writing, "wb")
