"""The plug that can be pulled: it sees every call that the bot makes, and can let one of them come to grief.

Every service has a door (`Plug.door`) or, for Redis, a line (`tests.support.line`) before it. A call is known by the
service, its kind, and the moment of the rotation in which it was made; the moments are read in the record whenever the
bot writes one. A crash takes everything from the bot at once: its connections are cut, none of its requests is served
any more, and then its tasks are cancelled, so that nothing they do on their way out gets anywhere.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from bot.rotation.progress import next_step
from bot.rotation.record import Rotation, Stop
from bot.rotation.states import Track

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(StrEnum):
    CRASH_BEFORE = "crash before the effect"
    CRASH_AFTER = "crash after the effect"
    RESET = "connection reset"
    LOST = "answer lost"
    TIME_OUT = "time-out"
    LIMITED = "429"
    ERROR = "500"
    GARBAGE = "malformed answer"
    READ_ONLY = "read-only replica"


OF_HTTP = tuple(fault for fault in Fault if fault is not Fault.READ_ONLY)
OF_REDIS = tuple(fault for fault in Fault if fault is not Fault.LIMITED)
"""There, 500 is that it is still loading its data."""

AFTER = frozenset({Fault.CRASH_AFTER, Fault.LOST, Fault.TIME_OUT, Fault.GARBAGE})
"""Faults of a call that has its effect: only the answer does not come, or comes as rubbish."""

RUBBISH = "<html><body>Bad gateway</body></html>"
ANEW = " again"
"""How the moments end that come after a secret was taken back."""

ANY = "any call"


@dataclass(frozen=True)
class Call:
    """The *number*th call of a kind in one moment."""

    service: str
    kind: str
    moment: str
    number: int

    def __str__(self) -> str:
        return f"{self.service}: {self.kind} #{self.number} in {self.moment!r}"


@dataclass(eq=False)
class Plan:
    """A fault for the first call like *call*, in its moment or after it; one that *lasts*, for all until people act."""

    call: Call
    fault: Fault
    lasts: bool = False
    left: int = 0
    happened: bool = False
    over: bool = False

    def __post_init__(self) -> None:
        self.left = self.call.number

    def __str__(self) -> str:
        return f"{self.fault} at {self.call}{' and from then on' if self.lasts else ''}"


@dataclass(frozen=True)
class Halt:
    """A stop of the rotation, and the faults that are *behind* it if anything is: what had happened until then."""

    stop: Stop
    behind: tuple[Plan, ...]

    def __str__(self) -> str:
        return f"{self.stop.kind} in {self.stop.step}: {self.stop.headline}. {self.stop.sentence}"


PLUGGED: ContextVar["Plug | None"] = ContextVar("plugged", default=None)
"""Whose tasks these are; tasks that they begin are the same one's."""


def register(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
    """Make a task; what the bot begins can be found when the bot dies. A task factory for the loop."""
    task = asyncio.Task(coroutine, loop=loop, **more)
    context = more.get("context")
    plug = context.get(PLUGGED) if context else PLUGGED.get()
    if plug is not None:
        plug.tasks.add(task)
        task.add_done_callback(plug.tasks.discard)
    return task


@dataclass(eq=False)
class Plug:
    """What one bot has its services through."""

    moments: list[str] = field(default_factory=list)
    """The order of the moments, from a run in which nothing happened; empty while that run is being recorded."""

    plans: list[Plan] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    moment: str = "start"
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    cuts: dict[Any, Callable[[], None]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Messages that Slack has shown and of which the bot has had no answer, by their time stamp."""

    halts: list[Halt] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Everything that the bot has sent, but for the one call that takes the secret."""

    def __post_init__(self) -> None:
        self.dead = False
        self._taken_back = False
        self._counts: Counter[tuple[str, str, str]] = Counter()

    # --- what is called ---

    def called(self, service: str, kind: str) -> Fault | None:
        self._counts[service, kind, self.moment] += 1
        self.calls.append(Call(service, kind, self.moment, self._counts[service, kind, self.moment]))
        for plan in self.plans:
            is_to_come = not plan.happened or (plan.lasts and not plan.over)
            is_like = plan.call.service == service and plan.call.kind in (kind, ANY)
            if is_to_come and is_like and self._is_time(plan):
                plan.left -= 1
                if plan.left <= 0:
                    plan.happened = True
                    return plan.fault
        return None

    def _is_time(self, plan: Plan) -> bool:
        if self.moment not in self.moments:  # one that only comes of trouble
            return False
        if plan.call.moment != self.moment:
            plan.left = min(plan.left, 1)
        return self.moments.index(plan.call.moment) <= self.moments.index(self.moment)

    def recorded(self, record: str) -> None:
        """Read in a record that is being written which moment it is, and whether the rotation stops."""
        rotation = Rotation.model_validate_json(record)
        if rotation.stop and rotation.stop not in [halt.stop for halt in self.halts]:
            behind = tuple(plan for plan in self.plans if plan.happened and not plan.over)
            self.halts.append(Halt(rotation.stop, behind))
        if not rotation.waits_for_bot:
            for plan in self.plans:
                plan.over = plan.over or (plan.lasts and plan.happened and self._is_noticed(plan))
        self._taken_back = self._taken_back or rotation.track is Track.WITHDRAW
        self.moment = moment_of(rotation) + (ANEW if self._taken_back else "")

    def _is_noticed(self, plan: Plan) -> bool:
        """Return whether people can act on a fault: without the control plane a rotation has to stop first.

        A write that is lost is written again, so an outage may begin after the first of the two.
        """
        return plan.call.service != "control plane" or any(plan in halt.behind for halt in self.halts)

    # --- the death of the bot ---

    def begin(self, life: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context = copy_context()
        context.run(PLUGGED.set, self)
        self.dead = False
        return asyncio.get_running_loop().create_task(life, context=context)

    def crash(self) -> None:
        """Take everything from the bot, in one moment."""
        self.dead = True
        for cut in list(self.cuts.values()):
            cut()
        for task in list(self.tasks):
            task.cancel()

    async def buried(self) -> None:
        while self.tasks:
            await asyncio.wait(self.tasks, timeout=5)
            for task in list(self.tasks):
                task.cancel()

    # --- the doors ---

    def door(self, service: str) -> Any:
        @web.middleware
        async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if self.dead or transport is None:
                return _cut(request)
            self.cuts.setdefault(transport, transport.abort)
            kind = kind_of(service, request)
            if kind != "POST /api/provider_keys":
                self.sent.append(f"{request.path_qs} {dict(request.headers)} {await request.text()}")
            fault = self.called(service, kind)
            if fault:
                return await self._misbehave(fault, request, handler)
            answer = await handler(request)
            self._note_loss(request, answer, lost=self.dead or transport.is_closing())
            return answer

        return door

    async def _misbehave(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        if fault in AFTER and request.path != "/link":
            answer = await handler(request)
            self._note_loss(request, answer, lost=True)
        if fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            self.crash()
        elif fault is Fault.TIME_OUT:
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.02)
        elif fault is Fault.LIMITED:
            late = {"Retry-After": "1"}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=late)
        elif fault in (Fault.ERROR, Fault.GARBAGE):
            status = 500 if fault is Fault.ERROR else 200
            return web.Response(text=RUBBISH, status=status, content_type="text/html")
        return _cut(request)

    def _note_loss(self, request: web.Request, answer: web.StreamResponse, *, lost: bool) -> None:
        if lost and request.path.endswith("chat.postMessage") and isinstance(answer, web.Response):
            self.lost.add(str(json.loads(answer.text or "{}").get("ts")))


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


# --- names ---

ID = re.compile(
    r"(?<=:once:asked:).*|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\br[2-9a-hj-km-np-z]{6}\b"
)
NUMBER = re.compile(r"\d+")
NAMESPACE = re.compile(r"(?<=keyturn):T_[A-Z]+-[0-9a-f]{8}")
"""In the name of a key: the address of the control plane is another one in every run."""


def kind_of(service: str, request: web.Request) -> str:
    """Name a request by what it does, the same in every run."""
    if request.path.startswith("/upload/"):
        return "upload"
    if service == "slack":
        return "response_url" if request.path.startswith("/actions/") else request.path.removeprefix("/api/")
    return f"{request.method} {masked(request.path)}"


def masked(name: str) -> str:
    """Return a path or a key without what is different in every run."""
    return NUMBER.sub("0", ID.sub("{id}", name))


def masked_key(key: str) -> str:
    """Return the beginning of one of Redis's keys, up to what it is about."""
    begin, about, _ = masked(NAMESPACE.sub("", key)).partition("{id}")
    return begin + about


def moment_of(rotation: Rotation) -> str:
    """Name the moment by the step in hand, or by the state where the next move is a person's."""
    step = next_step(rotation)
    return step.name if rotation.waits_for_bot and step else rotation.state.value.lower()
