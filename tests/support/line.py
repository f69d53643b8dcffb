"""The line between the bot and Redis: it reads every command on its way, and can let one of them come to grief."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any

from bot.storage.scripts import NOTE, SAVE, SHOWN
from tests.support.plug import AFTER, Fault, Plug, masked_key

LOADING = b"-LOADING Valkey is loading the dataset in memory\r\n"
READ_ONLY = b"-READONLY You can't write against a read only replica.\r\n"
RUBBISH = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"

SCRIPTS = {
    sha1(text.encode()).hexdigest(): name  # noqa: S324 - Redis's own name for a script
    for text, name in ((SAVE, "save"), (NOTE, "note"), (SHOWN, "shown"))
}
Command = tuple[list[bytes], bytes]
"""Its words, and the bytes that it came in."""


def commands(buffer: bytearray) -> Iterator[Command]:
    """Yield the commands that are whole, and take them out of *buffer*."""
    while (end := _end_of_command(buffer)) is not None:
        raw = bytes(buffer[:end])
        del buffer[:end]
        yield _words(raw), raw


def _end_of_command(buffer: bytearray) -> int | None:
    """Return where the first command ends: `*2`, and for each word `$` with its length and then the word."""
    at = buffer.find(b"\r\n")
    if at < 0:
        return None
    for _ in range(int(buffer[1:at])):
        line = buffer.find(b"\r\n", at + 2)
        if line < 0:
            return None
        at = line + 2 + int(buffer[at + 3 : line])
    return at + 2 if len(buffer) >= at + 2 else None


def _words(raw: bytes) -> list[bytes]:
    words, at = [], raw.index(b"\r\n")
    while at + 2 < len(raw):
        line = raw.index(b"\r\n", at + 2)
        end = line + 2 + int(raw[at + 3 : line])
        words.append(raw[line + 2 : end])
        at = end
    return words


def kind_of(words: list[bytes]) -> str:
    """Name a command by what it does and the kind of its key."""
    name = words[0].decode().upper()
    if name in ("EVALSHA", "EVAL"):
        script = SCRIPTS.get(words[1].decode(), "script")
        return f"{script} {masked_key(words[3].decode())}"
    if name in ("SCRIPT", "CLIENT", "HELLO", "SELECT"):
        return f"{name} {masked_key(words[1].decode())}"
    return f"{name} {masked_key(words[1].decode())}" if len(words) > 1 else name


class Line(asyncio.Protocol):
    """One connection of the bot's, and the one to Redis that belongs to it."""

    def __init__(self, plug: Plug, path: str) -> None:
        self._plug, self._path = plug, path
        self._buffer = bytearray()
        self._waiting = bytearray()
        self._block: list[Command] | None = None
        self._then: Callable[[], None] | None = None
        """What happens when Redis has answered, instead of the answer."""

        self._there: asyncio.Transport | None = None
        self._here: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The bot has connected."""
        self._here = transport
        if self._plug.dead:
            self.cut()
            return
        self._plug.cuts[self] = self.cut
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        loop = asyncio.get_running_loop()
        self._there, _ = await loop.create_unix_connection(lambda: _Answers(self), self._path)
        self._there.write(bytes(self._waiting))
        if self._here.is_closing():
            self._there.abort()

    def data_received(self, data: bytes) -> None:
        """Look at each command before it goes on; those of a transaction are one call."""
        self._buffer += data
        self._plug.sent.append(data.decode(errors="replace"))
        for words, raw in commands(self._buffer):
            if words[0].upper() == b"MULTI":
                self._block = []
            if self._block is None:
                self._call(kind_of(words), [(words, raw)])
                continue
            self._block.append((words, raw))
            if words[0].upper() == b"EXEC":
                block, self._block = self._block, None
                self._call("MULTI " + ", ".join(kind_of(words) for words, _ in block[1:-1]), block)

    def _call(self, kind: str, block: list[Command]) -> None:
        fault = self._plug.called("redis", kind)
        if fault is None or fault in AFTER:
            self._pass_on(block)
        if fault in AFTER:
            self._then = {
                Fault.CRASH_AFTER: self._plug.crash,
                Fault.LOST: self.cut,
                Fault.TIME_OUT: lambda: None,
                Fault.GARBAGE: lambda: self._here.write(RUBBISH),
            }[fault]
        elif fault is not None:
            at_once: dict[Fault, Callable[[], object]] = {
                Fault.CRASH_BEFORE: self._plug.crash,
                Fault.RESET: self.cut,
                Fault.ERROR: lambda: self._here.write(LOADING * len(block)),
                Fault.READ_ONLY: lambda: self._here.write(READ_ONLY * len(block)),
            }
            at_once[fault]()

    def _pass_on(self, block: list[Command]) -> None:
        for words, raw in block:
            if words[0] == b"EVALSHA" and SCRIPTS.get(words[1].decode()) == "save":
                self._plug.recorded(words[3 + int(words[2])])
            if self._there:
                self._there.write(raw)
            else:
                self._waiting += raw

    def answered(self, data: bytes) -> None:
        """Redis has answered."""
        if self._then is None:
            self._here.write(data)
        else:
            then, self._then = self._then, lambda: None
            then()

    def cut(self) -> None:
        """Both ends are gone."""
        self._plug.cuts.pop(self, None)
        self._here.abort()
        if self._there:
            self._there.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """The bot has hung up."""
        self.cut()


class _Answers(asyncio.Protocol):
    def __init__(self, line: Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._line.cut()


@asynccontextmanager
async def line_to(redis_url: str, plug: Plug, number: int) -> AsyncIterator[str]:
    """Lay a line to the Redis on a Unix socket; yield the address of its database *number* at this end."""
    path = redis_url.removeprefix("unix://")
    server = await asyncio.get_running_loop().create_server(lambda: Line(plug, path), "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/{number}"
    finally:
        server.close()
        for cut in list(plug.cuts.values()):
            cut()
        await server.wait_closed()
