"""The line between the bot and Redis: it reads every command on its way, and can let one of them come to grief.

It is laid into every connection of this process, and does nothing but in the tasks of a bot that has a `Plug`.
"""

import asyncio
from copy import copy
from hashlib import sha1
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, InvalidResponse, ReadOnlyError
from redis.exceptions import ConnectionError as Away
from redis.exceptions import TimeoutError as Late

from bot.storage.scripts import NOTE, SAVE, SHOWN
from tests.support.plug import AFTER, PLUGGED, Fault, Plug, masked_key

SCRIPTS = {
    sha1(text.encode()).hexdigest(): name  # noqa: S324 - Redis's own name for a script
    for text, name in ((SAVE, "save"), (NOTE, "note"), (SHOWN, "shown"))
}
COMES_OF: dict[Fault, Exception] = {
    Fault.RESET: Away("reset"),
    Fault.LOST: Away("lost"),
    Fault.TIME_OUT: Late("time-out"),
    Fault.ERROR: BusyLoadingError("Valkey is loading the dataset in memory"),
    Fault.READ_ONLY: ReadOnlyError("You can't write against a read only replica."),
    Fault.GARBAGE: InvalidResponse("HTTP/1.1 502 Bad Gateway"),
}

PACK, SEND = AbstractConnection.pack_command, AbstractConnection.send_packed_command
READ = AbstractConnection.read_response
Words = list[str]


def kind_of(words: Words) -> str:
    name = words[0].upper()
    if name == "EVALSHA":
        return f"{SCRIPTS.get(words[1], 'script')} {masked_key(words[3])}"
    return f"{name} {masked_key(words[1])}" if len(words) > 1 else name


def pack(self: Any, *words: Any) -> list[bytes]:
    said = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in words]
    vars(self).setdefault("said", []).append([*said[0].split(), *said[1:]])
    return PACK(self, *words)


async def send(self: Any, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - as it is there
    """Look at a command before it goes on; those of a transaction are one call."""
    block: list[Words] = vars(self).pop("said", [])
    if (plug := PLUGGED.get()) is None:
        return await SEND(self, command, check_health)
    if plug.dead:
        raise Away("dead")
    if not self.is_connected:
        await self.connect_check_health(check_health=False)
        plug.cuts[self] = lambda: self._writer and self._writer.transport.abort()
    plug.sent.append(repr(block))
    kinds = [kind_of(words) for words in block]
    fault = plug.called("redis", kinds[0] if len(kinds) == 1 else "MULTI " + ", ".join(kinds[1:-1]))
    self.grief, self.left = fault, len(block)
    if fault is None or fault in AFTER:
        for words in block:
            if words[0] == "EVALSHA" and SCRIPTS.get(words[1]) == "save" and ":trial:" not in words[3]:
                plug.recorded(words[3 + int(words[2])])
        return await SEND(self, command, check_health)
    return None


async def read(self: Any, *args: Any, **options: Any) -> Any:
    plug, fault = PLUGGED.get(), vars(self).get("grief")
    if plug is None or fault is None:
        return await READ(self, *args, **options)
    self.left -= 1
    if fault in AFTER:
        await READ(self, *args, **options)
    if self.left == 0:
        self.grief = None
    return await _come_to_grief(self, plug, fault)


async def _come_to_grief(connection: Any, plug: Plug, fault: Fault) -> None:
    if fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
        plug.crash()
        await asyncio.Event().wait()
    if fault is Fault.TIME_OUT:
        await asyncio.sleep(connection.socket_timeout)
    if fault is not Fault.READ_ONLY:
        connection.grief = None
        await connection.disconnect(nowait=True)
    raise copy(COMES_OF[fault])  # the client writes into it, once for each command of a transaction


AbstractConnection.pack_command, AbstractConnection.send_packed_command = pack, send  # type: ignore[method-assign]
AbstractConnection.read_response = read  # type: ignore[method-assign]
