"""A local AISIX: control plane, gateways, provider."""

import asyncio
import json
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, Literal, Self

from sandbox.aisix.balancer import Balancer, Handle
from sandbox.aisix.control_plane import ControlPlane
from sandbox.aisix.gate import Call
from sandbox.aisix.proxy import GatewayCall
from sandbox.aisix.pulse import Event
from sandbox.aisix.replica import Replica
from sandbox.aisix.rows import ProviderKey
from sandbox.aisix.serving import Server
from sandbox.aisix.store import Environment
from sandbox.aisix.switches import Switches
from sandbox.aisix.world import World

Part = Literal["control plane", "gateway", "status"]


class Aisix(World):
    """A complete AISIX that refuses what the real one refuses; `async with` starts and stops it."""

    def __init__(
        self,
        switches: Switches | None = None,
        environments: Mapping[str, int] | None = None,
        *,
        ids: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        """Create *environments*, each with its number of replicas; *ids* sets the id of some of them."""
        super().__init__(switches or Switches(), environments or {"production": 1}, ids or {})
        self.control_plane = ControlPlane(self.store, self.switches, self.pulse)
        self.gate = self.control_plane.gate
        self.faults = self.gate.faults
        self.admin_token, self.read_token = f"at-{token_hex(12)}", f"at-{token_hex(12)}"
        self.gate.tokens = {self.admin_token: {"read", "write"}, self.read_token: {"read"}}
        self._balancers = self._balance(lambda replica, request: replica.handle(request))
        self._status_balancers = self._balance(lambda replica, request: replica.show(request))
        self._server = Server(port)

    @property
    def kind(self) -> str:
        """A description of the gateways."""
        return "the sandbox's own gateways"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        await self._server.start(self.control_plane.app())
        await asyncio.gather(*(part.start() for part in self._parts()))

    async def stop(self) -> None:
        self.faults.clear()
        await asyncio.gather(self._server.stop(), *(part.stop() for part in self._parts()))

    def stand_before(self, part: Part, door: Any) -> None:
        """Add *door*, an aiohttp middleware that sees every request to a part first. Call this before the start."""
        servers = {
            "control plane": [self._server],
            "gateway": [balancer.server for balancer in self._balancers.values()],
            "status": [replica.status_server for replica in self.all_replicas()],
        }
        for server in servers[part]:
            server.doors.append(door)

    def _parts(self) -> list[Any]:
        return [*self._balancers.values(), *self._status_balancers.values(), *self.all_replicas()]

    def _balance(self, handle: Handle) -> dict[str, Balancer]:
        return {env: Balancer(replicas, self.switches, handle) for env, replicas in self._replicas.items()}

    @property
    def api_url(self) -> str:
        return f"{self._server.url}/api"

    def gateway_url(self, environment: str) -> str:
        return self._balancers[self.environment(environment).id].url

    @property
    def calls(self) -> list[Call]:
        """Every call to the control plane, in the order in which they ended."""
        return self.gate.calls

    @property
    def most_calls_at_once(self) -> int:
        """The highest number of concurrent control plane calls."""
        return self.gate.most_under_way

    @property
    def gateway_calls(self) -> list[GatewayCall]:
        """Every request that a gateway answered, by time."""
        calls = [call for replica in self.all_replicas() for call in replica.proxy.calls]
        return sorted(calls, key=lambda call: call.at)

    def revoke(self, token: str) -> None:
        """Revoke an admin token; later calls with it are refused."""
        self.gate.tokens.pop(token, None)

    def settings(self) -> dict[str, str]:
        """Return the settings for a bot that uses this AISIX."""
        gateways = {env.id: self._gateway(env) for env in self.store.environments.values()}
        return {
            "AISIX_CLOUD_API": self.api_url,
            "AISIX_ADMIN_TOKEN": self.admin_token,
            "AISIX_GATEWAYS": json.dumps(gateways),
        }

    def _gateway(self, environment: Environment) -> dict[str, Any]:
        known = {"url": self.gateway_url(environment.id), "caller_key": self.caller_key(environment.id)}
        told = {
            "status_urls": self._status_urls(environment) if self.switches.status_urls else [],
            "replicas": len(self._listed(environment)) if self._tells_replicas else 0,
            "probes": environment.probes,
        }
        return known | {name: value for name, value in told.items() if value}

    @property
    def _tells_replicas(self) -> bool:
        chosen = self.switches.tell_replicas
        return not self.switches.status_urls if chosen is None else chosen

    def _listed(self, environment: Environment) -> list[Replica]:
        return [replica for replica in self.replicas(environment.id) if replica.is_listed]

    def _status_urls(self, environment: Environment) -> list[str]:
        """Return the status addresses as an operator configured them, rightly or wrongly."""
        own = [replica.status_url for replica in self._listed(environment)]
        shared = [self._status_balancers[environment.id].url] * len(own)
        return (own if self.switches.status_addresses == "own" else shared)[: self.switches.status_urls_told]

    def bind_before(
        self, method: str, part: str, *, key: ProviderKey, alias: str = "latecomer", environment: str = "production"
    ) -> None:
        """Bind a new model to *key* just before the next matching call is served: the worst moment."""
        self.faults.before(method, part, lambda: self.add_model(environment, alias, key=key))

    def on_change(self, callback: Callable[[Event], None]) -> None:
        """Call *callback* with every event."""
        self.pulse.listen(callback)

    async def until(
        self,
        condition: Callable[[], object],
        timeout: float = 120,  # noqa: ASYNC109 - the error says what it waited for
        what: str = "a condition",
    ) -> None:
        """Wait until *condition* holds; fail with *what* it was."""
        await self.pulse.until(condition, timeout, what)
