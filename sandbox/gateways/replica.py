"""A real gateway process, with the faults of a sandbox replica that a real one can have."""

import asyncio
import json
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from typing_extensions import override

from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.replica import Replica
from sandbox.aisix.store import Environment
from sandbox.gateways.child import LOOPBACK, Child, free_port
from sandbox.gateways.forward import Forward
from sandbox.gateways.relay import Cable, Relay
from sandbox.gateways.writer import Writer

POLL = 0.2
"""Seconds between two reads of a gateway's applied revision."""

ETCD_TIMEOUT_MS = 2000
BAD = 400
CABLES: Mapping[str, Cable] = {"closed": "closed", "silent": "silent"}
REQUEST_ID = "x-aisix-request-id"


class Around(Protocol):
    """What a real gateway needs from its AISIX."""

    binary: str
    folder: Path

    @property
    def etcd_port(self) -> int: ...

    def writer(self, environment: Environment) -> Writer: ...

    def key_of(self, request_id: str) -> str | None:
        """Return the id of the provider key of a request that reached the provider."""


class RealReplica(Replica):
    """A gateway process. Its configuration here is what it says that it has applied."""

    def __init__(
        self, number: int, environment: Environment, dispatcher: Dispatcher, pulse: Pulse, around: Around
    ) -> None:
        super().__init__(number, environment, dispatcher, pulse)
        self._around = around
        self.cable = Relay(around.etcd_port)
        self._gateway, self._pages = (Forward(f"http://{LOOPBACK}:{free_port()}") for _ in range(2))
        self._tasks: set[asyncio.Task[None]] = set()
        name = f"{environment.name}-{number + 1}"
        self._settings = around.folder / f"{name}.yaml"
        self._child = Child(name, around.folder, around.binary, "--config", str(self._settings))

    @property
    @override
    def url(self) -> str:
        return self._gateway.url

    @property
    @override
    def status_url(self) -> str:
        return self._pages.url

    @override
    async def start(self) -> None:
        await asyncio.gather(self.cable.start(), self._gateway.start(), self._pages.start())
        self._settings.write_text(json.dumps(self._config()))  # JSON is valid YAML
        await self._child.start(self._answers)
        self._spawn(self._look())

    @override
    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._child.stop()
        await asyncio.gather(self.cable.stop(), self._gateway.stop(), self._pages.stop())

    @override
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward a caller's request, and record the result."""
        response = await self._gateway.handle(request)
        if isinstance(response, web.Response) and response.prepared is False:
            await self._note(request, response)
        return response

    @override
    async def show(self, request: web.Request) -> web.StreamResponse:
        return await self._pages.handle(request)

    @override
    def catch_up(self) -> None:
        """Do nothing: a real gateway cannot be hurried."""

    @override
    def restart(self) -> None:
        """Kill the process and start another."""
        self._child.send(signal.SIGKILL)
        self._spawn(self._child.start(self._answers))

    @property
    @override
    def reject_rows(self) -> set[str]:
        return set()

    @reject_rows.setter
    def reject_rows(self, rows: Collection[str]) -> None:
        if rows:
            raise NotImplementedError("A real gateway cannot be made to reject a good row.")

    @override
    def _turned(self) -> None:
        """Set the connection to etcd as the faults say."""
        self.cable.state = "closed" if self.lag is None else "silent" if self.silent else "well"
        super()._turned()

    @property
    @override
    def cut_off(self) -> bool:
        return self.cable.state != "well"

    def fall_ill(self, how: str) -> None:
        """Make the connection to etcd `closed` or `silent`, or the process `frozen`; anything else repairs both."""
        self._child.send(signal.SIGSTOP if how == "frozen" else signal.SIGCONT)
        self.cable.state = CABLES.get(how, "well")
        self._pulse.beat("replica", self)

    def _config(self) -> dict[str, Any]:
        prefix = self._around.writer(self.environment).prefix
        etcd = {"endpoints": [f"http://{LOOPBACK}:{self.cable.port}"], "prefix": prefix}
        timeouts = {"dial_timeout_ms": ETCD_TIMEOUT_MS, "request_timeout_ms": ETCD_TIMEOUT_MS}
        pages = {"enabled": True, "path": "/metrics", "addr": self.status_url.removeprefix("http://")}
        return {
            "etcd": etcd | timeouts,
            "proxy": {"addr": self.url.removeprefix("http://"), "workers": 1},
            "admin": {"enabled": False, "addr": f"{LOOPBACK}:0", "admin_keys": ["unused"]},
            "observability": {"access_log": False, "metrics": {"prometheus": pages}},
            "managed": {"enabled": False, "snapshot_cache_path": str(self._settings.with_suffix(".json"))},
            "shutdown": {"min_drain_secs": 0},
        }

    async def _answers(self) -> bool:
        """Tell whether it has loaded its configuration, and callers can connect."""
        with suppress(OSError, ValueError, LookupError):
            state = json.loads(await self._pages.page("/status/config"))["state"]
            _, writer = await asyncio.open_connection(*_address(self.url))
            writer.close()
            return bool(state != "never_loaded")
        return False

    async def _look(self) -> None:
        """Keep the projection at the revision that the gateway says it has applied."""
        writer = self._around.writer(self.environment)
        while True:
            with suppress(OSError, ValueError, LookupError, TypeError):
                page = json.loads(await self._pages.page("/status/config"))
                self._take_to(writer.position(page["applied"]["applied_revision"]))
            await asyncio.sleep(POLL)

    def _take_to(self, position: int) -> None:
        self._take(self.environment.log[self.projection.position : position])

    async def _note(self, request: web.Request, response: web.Response) -> None:
        """Record the request as the sandbox's own replicas do."""
        call = self.proxy.call(request)
        call.request_id = response.headers.get(REQUEST_ID, call.request_id)
        with suppress(ValueError):
            call.alias = str((await request.json())["model"])
        kind = None if response.status < BAD else "error"
        self.proxy.record(call, response.status, type=kind, key_id=self._around.key_of(call.request_id))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)
