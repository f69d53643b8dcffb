"""A load balancer for the replicas of an environment that are up: in turn, at random, or sticky."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from random import choice
from weakref import WeakKeyDictionary

from aiohttp import web

from sandbox.aisix.replica import Replica
from sandbox.aisix.serving import Server, application
from sandbox.aisix.switches import Switches

COOKIE = "route"
"""The cookie for sticky sessions; its value is the index of a replica."""

Handle = Callable[[Replica, web.Request], Awaitable[web.StreamResponse]]


class Balancer:
    """One environment's load balancer, for one of its replicas' ports."""

    def __init__(self, replicas: Sequence[Replica], switches: Switches, handle: Handle) -> None:
        self._replicas, self._switches, self._handle = replicas, switches, handle
        self._pinned: WeakKeyDictionary[object, Replica] = WeakKeyDictionary()
        self._turns = count()
        self.server = Server()

    @property
    def url(self) -> str:
        return self.server.url

    async def start(self) -> None:
        await self.server.start(application(self._pass_on))

    async def stop(self) -> None:
        await self.server.stop()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        replica = self._of_the_cookie(request) or self._of_the_connection(request)
        if replica is None:
            return web.Response(status=503, text="no backend")
        response = await self._handle(replica, request)
        if self._switches.balancing == "cookies" and not response.prepared:
            response.set_cookie(COOKIE, str(self._replicas.index(replica)))
        return response

    def _of_the_cookie(self, request: web.Request) -> Replica | None:
        """Return the replica that the caller's cookie names, if the balancer uses cookies and the replica is up."""
        if self._switches.balancing != "cookies" or COOKIE not in request.cookies:
            return None
        replica = self._replicas[int(request.cookies[COOKIE])]
        return None if replica.down else replica

    def _of_the_connection(self, request: web.Request) -> Replica | None:
        """Return the next replica; if the balancer pins connections, always the same one, even after it has died."""
        if self._switches.balancing != "connections" or request.transport is None:
            return self._next()
        replica = self._pinned.get(request.transport) or self._next()
        if replica:
            self._pinned[request.transport] = replica
        return replica

    def _next(self) -> Replica | None:
        up = [replica for replica in self._replicas if not replica.down]
        if up and self._switches.balancing == "chance":
            return choice(up)
        return up[next(self._turns) % len(up)] if up else None
