"""Time and order in a simulation: a clock that stands until it is moved, and calls that wait until they are let go.

Nothing sleeps and nothing happens at the same time: whatever leaves the bot (a command to Redis, a request, a question
to Slack) waits for its turn, and one at a time is let go, in an order that a seed decides. So every interleaving of
people, workers and processes that dies at such a call can happen, and happens again with the same seed.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

LATENCIES = (0.0, 0.0, 0.0, 0.01, 0.1)


class Killed(BaseException):
    """The process that this ran in is gone: nothing of it does anything any more, not even clean up."""


class Fate(StrEnum):
    WELL = "well"
    LOST = "lost before its effect"
    UNHEARD = "its answer was lost"
    ERROR = "an error before its effect"
    ERROR_AFTER = "an error after its effect"
    LIMITED = "limited"
    GARBAGE = "garbage after its effect"
    LATE = "given up, and taking effect later"
    KILLED = "killed before its effect"
    KILLED_AFTER = "killed after its effect"


AFTER = (Fate.UNHEARD, Fate.ERROR_AFTER, Fate.GARBAGE, Fate.KILLED_AFTER)


@dataclass(eq=False)
class Machine:
    ahead: float = 0.0
    """Seconds by which its clock is ahead of the real time."""

    up_for: float = 0.0


HERE = Machine()


@dataclass(eq=False)
class Actor:
    """Somebody at work: one click, or one job of a worker."""

    name: str
    rotation: str = ""
    who: str = ""
    shown: str = ""
    machine: Machine = HERE
    killed: bool = False
    over: bool = False
    frozen: bool = False
    was_frozen: bool = False
    loaded: int = 0
    """The turn at which it last read or wrote the record."""

    listed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The turn at which it last listed what is at a path, and the time of that."""

    lacked: dict[str, frozenset[str]] = field(default_factory=dict)
    """The ids of rows that the last list of what is at a path lacked, though they were there."""

    vouched: dict[str, int] = field(default_factory=dict)
    """Who was an approver when it asked, and the turn at which that was."""

    @property
    def is_worker(self) -> bool:
        return self.name == "advance"


ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


class Switchboard:
    """Lets one call go at a time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.turns = 0
        self.in_flight = 0
        self.trace: list[str] = []
        self.next_timer: float | None = None
        self.fate: Callable[[Actor, str], Fate] = lambda *_: Fate.WELL
        self.arriving: Callable[[Actor, str], None] = lambda *_: None
        self._waiting: list[tuple[asyncio.Future[None], Actor, str]] = []
        self._budget = 0
        self._director: asyncio.Future[None] | None = None

    async def call(self, what: str, act: Callable[[], Awaitable[T]], fail: Callable[[Fate], Exception]) -> T:
        """Wait for a turn, and then *act*, unless fate has it otherwise."""
        fate = await self._turn(what)
        actor = ACTOR.get()
        done = await act() if fate is Fate.WELL or fate in AFTER else None
        if fate in (Fate.KILLED, Fate.KILLED_AFTER) and actor:
            self.kill(actor)
            raise Killed
        if fate is not Fate.WELL:
            raise fail(fate)
        return done  # type: ignore[return-value]

    async def _turn(self, what: str) -> Fate:
        actor = ACTOR.get()
        if actor is None:  # the director's own
            return Fate.WELL
        if actor.killed:
            raise Killed
        entry = (asyncio.get_running_loop().create_future(), actor, what)
        self._waiting.append(entry)
        self.arriving(actor, what)
        try:
            await entry[0]
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        fate = self.fate(actor, what)
        self.note(f"    {actor.name}/{actor.who or actor.rotation}: {what}{'' if fate is Fate.WELL else f' [{fate}]'}")
        return fate

    def kill(self, actor: Actor) -> None:
        actor.killed = True
        for future, waiting, _ in list(self._waiting):
            if waiting is actor and not future.done():
                future.set_exception(Killed())

    def freeze(self, actor: Actor) -> None:
        """Let nothing of *actor* happen any more, as if its process stood still; it knows nothing of it."""
        self.note(f"FROZEN {actor.name}/{actor.rotation}")
        actor.frozen = actor.was_frozen = True

    def thaw(self, actor: Actor) -> None:
        self.note(f"THAWED {actor.name}/{actor.rotation}")
        actor.frozen = False

    def note(self, line: str) -> None:
        self.trace.append(f"{self.now:9.2f} {line}")

    async def let(self, turns: int) -> None:
        """Let that many calls go, or as many as there are before everybody waits for time or has ended."""
        self._budget = turns
        self._director = asyncio.get_running_loop().create_future()
        await self._director

    def idle(self, timer: float | None) -> bool:
        """Nobody can go on: let a call go, or have the director decide."""
        ready = [entry for entry in self._waiting if not entry[1].frozen]
        if self._budget and ready:
            self._budget -= 1
            self.turns += 1
            self.now += self.random.choice(LATENCIES)
            future, *_ = entry = self.random.choice(ready)
            self._waiting.remove(entry)
            future.set_result(None)
            return True
        self.next_timer = timer
        if self._director is None or self._director.done():
            return False
        self._director.set_result(None)
        return True


class _Selector(selectors.DefaultSelector):
    """Tells the switchboard when nobody can go on, and waits in earnest for what is under way only."""

    switchboard: Switchboard

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.switchboard.in_flight:
            return super().select(1)
        if self.switchboard.idle(timeout):
            return []
        return super().select(0.01)  # another thread


class Loop(asyncio.SelectorEventLoop):
    def __init__(self, switchboard: Switchboard) -> None:
        selector = _Selector()
        selector.switchboard = self.switchboard = switchboard
        super().__init__(selector)
        self.set_exception_handler(_unless_killed)

    def time(self) -> float:
        return self.switchboard.now


def _unless_killed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)
