"""Plan faults of the control plane for the next matching calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.aisix.serving import drop

Serve = Callable[[], Awaitable[web.StreamResponse]]
Act = Callable[[web.Request, Serve], Awaitable[web.StreamResponse]]
Callback = Callable[[], Any]

GARBAGE = "<html><body>Bad gateway</body></html>"


@dataclass(eq=False)
class Fault:
    """What happens to calls of *method* (`*`: any) whose path contains *part*."""

    method: str
    part: str
    times: int | None
    act: Act

    def takes(self, request: web.Request) -> bool:
        """Tell whether this call matches, and count it if so."""
        if self.times == 0 or self.method not in ("*", request.method) or self.part not in request.path_qs:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The planned faults; `times=None` means until `clear`."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._befores: list[Fault] = []
        self._released = asyncio.Event()

    def fail(
        self, method: str, part: str, status: int = 500, times: int | None = 1, *, after_effect: bool = False
    ) -> None:
        """Answer with *status*."""

        async def act(_: web.Request, serve: Serve) -> web.StreamResponse:
            if after_effect:
                await serve()
            return web.json_response({"error": {"message": "internal error"}}, status=status)

        self._plan(method, part, times, act)

    def rate_limit(self, method: str, part: str, retry_after: float = 1, times: int | None = 1) -> None:
        """Answer 429 with `Retry-After`."""

        async def act(_: web.Request, __: Serve) -> web.StreamResponse:
            headers = {"Retry-After": f"{retry_after:g}"}
            return web.json_response({"error": {"message": "too many requests"}}, status=429, headers=headers)

        self._plan(method, part, times, act)

    def drop(self, method: str, part: str, times: int | None = 1, *, after_effect: bool = False) -> None:
        """Close the connection; with *after_effect* only the answer is lost."""

        async def act(request: web.Request, serve: Serve) -> web.StreamResponse:
            if after_effect:
                await serve()
            return drop(request)

        self._plan(method, part, times, act)

    def hang(self, method: str, part: str, times: int | None = 1, *, after_effect: bool = False) -> None:
        """Do not answer until `release`; without *after_effect*, the call takes effect only then."""

        async def act(_: web.Request, serve: Serve) -> web.StreamResponse:
            answer = await serve() if after_effect else None
            await self._released.wait()
            return answer or await serve()

        self._plan(method, part, times, act)

    def garbage(
        self, method: str, part: str, times: int | None = 1, *, after_effect: bool = True, status: int = 200
    ) -> None:
        """Answer with something that is not JSON."""

        async def act(_: web.Request, serve: Serve) -> web.StreamResponse:
            if after_effect:
                await serve()
            return web.Response(text=GARBAGE, status=status, content_type="text/html")

        self._plan(method, part, times, act)

    def before(self, method: str, part: str, callback: Callback, times: int | None = 1) -> None:
        """Run *callback* just before the call is served, like a person who acts at the worst moment."""

        async def act(_: web.Request, serve: Serve) -> web.StreamResponse:
            waiting = callback()
            if isinstance(waiting, Awaitable):
                await waiting
            return await serve()

        self._befores.append(Fault(method, part, times, act))

    def release(self) -> None:
        """Continue the hanging calls."""
        self._released.set()
        self._released = asyncio.Event()

    def clear(self) -> None:
        """Remove all faults."""
        self._planned.clear()
        self._befores.clear()
        self.release()

    async def serve(self, request: web.Request, serve: Serve) -> web.StreamResponse:
        """Serve the call as planned: first every callback, then the first matching fault."""
        fault = next((planned for planned in self._planned if planned.takes(request)), None)
        befores = [planned for planned in reversed(self._befores) if planned.takes(request)]
        for planned in ([fault] if fault else []) + befores:
            serve = _wrapped(planned, request, serve)
        return await serve()

    def _plan(self, method: str, part: str, times: int | None, act: Act) -> None:
        self._planned.append(Fault(method, part, times, act))


def _wrapped(fault: Fault, request: web.Request, serve: Serve) -> Serve:
    async def run() -> web.StreamResponse:
        return await fault.act(request, serve)

    return run
