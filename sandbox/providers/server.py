"""A provider's admin API on a loopback port: it records each call, breaks it as planned, and asks for the admin key."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Self

from aiohttp import web

from sandbox.aisix.faults import Faults
from sandbox.aisix.serving import Server, answer
from sandbox.providers.account import Account, Credential, Refusal, Switches

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Json = dict[str, Any]
WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (86400, 7, 31)}
"""Of the buckets of usage: seconds, how many by default, at most."""


@dataclass(frozen=True)
class AdminCall:
    """One call: no secret is in it."""

    method: str
    path: str


class ProviderServer(Account):
    """One provider; `async with` starts and stops it."""

    title = ""
    prefix = ""
    """The path under which its API is."""

    admin_prefix = "admin-"
    """What its admin keys begin with."""

    def __init__(
        self, switches: Switches | None = None, *, port: int = 0, now: Callable[[], float] | None = None
    ) -> None:
        super().__init__(switches, **({"now": now} if now else {}))
        self.admin_key = f"{self.admin_prefix}{token_hex(24)}"
        self.faults = Faults()
        self.calls: list[AdminCall] = []
        self.latency = 0.0
        self.server = Server(port)

    @property
    def base_url(self) -> str:
        """The address that the real one's would stand for in the settings."""
        return f"{self.server.url}{self.prefix}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._planned, self._answered])
        app.add_routes([*self.routes(), *self.open_routes()])
        await self.server.start(app)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.faults.clear()
        await self.server.stop()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes of the admin API."""
        return ()

    def open_routes(self) -> Iterable[web.RouteDef]:
        """Return the routes that a credential may use for itself."""
        return ()

    def refusal(self, refused: Refusal) -> Json:
        """Return the body of a refusal."""
        raise NotImplementedError

    def shown_key(self, request: web.Request) -> str:
        """Return the key that a request brings."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return key.strip() if scheme == "Bearer" else ""

    def administered(self, method: str, path: str, handler: Callable[[web.Request], Any]) -> web.RouteDef:
        """Return a route that only the admin key opens; *handler* returns the body, or body and status."""

        async def handle(request: web.Request) -> web.Response:
            self.calls.append(AdminCall(request.method, request.path_qs))
            if self.shown_key(request) != self.admin_key:
                raise Refusal(401, self.unknown_key, "invalid_api_key")
            made = handler(request)
            body = await made if isinstance(made, Awaitable) else made
            return answer(*body) if isinstance(body, tuple) else answer(body)

        return web.route(method, self.prefix + path, handle)

    unknown_key = "Incorrect API key provided."

    def own(self, request: web.Request) -> Credential:
        """Return the credential that a request brings; raise `Refusal` if it is not taken now."""
        secret = self.shown_key(request)
        found = self.of_secret(secret)
        if found is None or not self.takes(secret):
            raise Refusal(401, self.unknown_key, "invalid_api_key")
        return found

    def named(self, request: web.Request, *, also_gone: bool = False) -> Credential:
        """Return the credential that a path names."""
        found = self.credentials.get(request.match_info["id"])
        if found is None or (found.status == "gone" and not also_gone):
            raise Refusal(404, "There is no such API key.", "not_found")
        return found

    def buckets(self, request: web.Request, since: int) -> tuple[list[int], int]:
        """Return when each bucket of usage begins that a call asks for, and how many seconds it lasts."""
        width = request.query.get("bucket_width", "1d")
        if width not in WIDTHS:
            raise Refusal(400, "bucket_width: 1m, 1h or 1d")
        seconds, few, most = WIDTHS[width]
        since = int(request.query.get("page", f"page_{since}").removeprefix("page_"))
        begin = since // seconds * seconds
        starts = range(begin, begin + limit_of(request, few, most) * seconds, seconds)
        return [at for at in starts if at <= self.now()], seconds

    def next_page(self, starts: list[int], seconds: int) -> str | None:
        """Return the cursor of the page after these buckets; None for the last."""
        after = starts[-1] + seconds if starts else 0
        return f"page_{after}" if starts and after <= self.now() else None

    def counted(self, seconds: int, asked: Collection[str], kind: str = "") -> dict[str, Counter[int]]:
        """Return by bucket how many uses of each credential show, of those that are *asked* for, or of all."""
        keys = [key for key in self.credentials.values() if not asked or key.id in asked]
        uses = {key.id: [use.at for use in self.shown_uses(key) if kind in ("", use.kind)] for key in keys}
        return {key_id: Counter(int(at // seconds * seconds) for at in used) for key_id, used in uses.items()}

    @web.middleware
    async def _planned(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.latency:
            await asyncio.sleep(self.latency)
        return await self.faults.serve(request, lambda: handler(request))

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refused:
            return answer(self.refusal(refused), refused.status)
        except web.HTTPClientError as missing:
            return answer(self.refusal(Refusal(missing.status, missing.reason)), missing.status)


async def body_of(request: web.Request, known: Iterable[str], needed: Iterable[str] = ()) -> Json:
    """Return the body of a call; raise `Refusal` for a field that is unknown, or lacks."""
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(400, "The body is not JSON.") from None
    wrong = sorted(set(body) - {*known, *needed})
    lacking = sorted(set(needed) - set(body))
    if wrong or lacking:
        raise Refusal(400, f"Unknown parameter: {wrong[0]!r}." if wrong else f"Missing parameter: {lacking[0]!r}.")
    return dict(body)


def limit_of(request: web.Request, default: int, most: int) -> int:
    """Return how many rows a list is asked for; raise `Refusal` outside its range."""
    asked = request.query.get("limit", str(default))
    if not asked.isdigit() or not 1 <= int(asked) <= most:
        raise Refusal(400, f"limit: between 1 and {most}.")
    return int(asked)


def page(rows: list[Json], after: str | None, limit: int) -> Json:
    """Return a page of *rows* after the one with that id."""
    ids = [row["id"] for row in rows]
    if after and after not in ids:
        raise Refusal(400, f"No such cursor: {after!r}.")
    begin = ids.index(after) + 1 if after else 0
    shown = rows[begin : begin + limit]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": shown, "first_id": first, "last_id": last, "has_more": begin + limit < len(rows)}


def rfc(at: float) -> str:
    """Return a moment as RFC 3339 writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
