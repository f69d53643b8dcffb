"""The address that callers know: round robin over the replicas that are up."""

from collections.abc import Sequence
from itertools import count

from aiohttp import web

from sandbox.aisix.replica import Replica
from sandbox.aisix.serving import Server


class Balancer:
    """One environment's load balancer."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._turns = count()
        self._server = Server()

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        await self._server.start(app)

    async def stop(self) -> None:
        await self._server.stop()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        up = [replica for replica in self._replicas if not replica.down]
        if not up:
            return web.Response(status=503, text="no backend")
        return await up[next(self._turns) % len(up)].handle(request)
