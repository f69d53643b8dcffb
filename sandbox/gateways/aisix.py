"""An AISIX with real gateways: the sandbox's control plane and provider, connected through etcd."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from typing_extensions import override

from sandbox.aisix import Aisix, Switches
from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.store import CallerKey, Environment
from sandbox.gateways.etcd import Etcd
from sandbox.gateways.replica import RealReplica
from sandbox.gateways.rows import Rows
from sandbox.gateways.upstream import UpstreamServer
from sandbox.gateways.writer import Writer


class RealAisix(Aisix):
    """Runs *binary* for each replica, with all its files in *folder*."""

    def __init__(
        self,
        binary: str,
        folder: Path,
        switches: Switches | None = None,
        environments: Mapping[str, int] | None = None,
    ) -> None:
        self.binary, self.folder = str(Path(binary).absolute()), folder
        self._etcd = Etcd(folder)
        self._writers: dict[str, Writer] = {}
        self._owners: dict[str, str] = {}
        super().__init__(switches, environments)
        self._provider = UpstreamServer(self.upstream)
        self.pulse.listen(lambda event: self._write() if event.kind == "row" else None)

    @override
    def _replica(self, number: int, environment: Environment) -> RealReplica:
        return RealReplica(number, environment, Dispatcher(self.upstream, self.switches), self.pulse, self)

    @property
    def etcd_port(self) -> int:
        return self._etcd.port

    def writer(self, environment: Environment) -> Writer:
        return self._writers[environment.id]

    def key_of(self, request_id: str) -> str | None:
        """Return the id of the provider key of a request that reached the provider, even if the key was deleted."""
        return self._owners.get(self._provider.secret_of(request_id))

    @property
    @override
    def kind(self) -> str:
        return f"real gateways, {self.binary}, on a real etcd"

    @override
    async def start(self) -> None:
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        await asyncio.gather(self._provider.start(), self._etcd.start())
        rows = Rows(self._provider.url, self.models)
        environments = self.store.environments.values()
        self._writers = {each.id: Writer(each, self._etcd, rows) for each in environments}
        await asyncio.gather(*(writer.start() for writer in self._writers.values()))
        await super().start()

    @override
    async def stop(self) -> None:
        await super().stop()
        await asyncio.gather(*(writer.stop() for writer in self._writers.values()))
        await asyncio.gather(self._provider.stop(), self._etcd.stop())

    async def add_caller(self, environment: str, name: str, limit: int | None = None) -> str:
        """Add an application that may send *limit* requests a minute to each replica; return its caller key."""
        here, token = self.environment(environment), f"ck-{name}-{token_hex(12)}"
        here.callers[token] = CallerKey(token, name, ["*"], limit=limit)
        await self.writer(here).admit(here.callers[token])
        return token

    def _write(self) -> None:
        self._owners |= {key.secret: key.id for key in self.provider_keys.values()}
        for writer in self._writers.values():
            writer.wake()
