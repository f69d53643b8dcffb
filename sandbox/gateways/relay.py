"""A connection between a gateway and etcd that can be closed or silenced."""

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Literal

from sandbox.gateways.child import LOOPBACK

Cable = Literal["well", "closed", "silent"]
CHUNK = 65536


class Relay:
    """Carries bytes between its own port and *target*, as long as its state is `well`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._state: Cable = "well"
        self._flows = asyncio.Event()
        self._open: set[StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def state(self) -> Cable:
        """`closed`: connections are aborted and refused; `silent`: they stay open, but carry nothing."""
        return self._state

    @state.setter
    def state(self, state: Cable) -> None:
        self._state = state
        if state == "silent":
            self._flows.clear()
        else:
            self._flows.set()
        if state == "closed":
            self._tear()

    async def start(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.state = "closed"
            await asyncio.gather(*self._serving)

    def _tear(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        far: StreamWriter | None = None
        self._open.add(writer)
        try:
            if self._state != "closed":
                far_reader, far = await asyncio.open_connection(LOOPBACK, self._target)
                self._open.add(far)
                await asyncio.gather(self._carry(reader, far), self._carry(far_reader, writer))
        except OSError:
            return
        finally:
            for end in (writer, far):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort()

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
