"""A rotation in virtual time: each call takes a fixed while, and how long everything took is counted, not timed.

The loop's clock stands until nobody can go on, and then moves to the next timer. So what a machine is busy with changes
no figure.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest

from bot.aisix import status
from bot.engine import due_at
from bot.rotation.progress import next_step
from bot.rotation.states import WAVE_STEPS, State
from bot.steps import project
from tests.simulation.clockwork import Loop, Switchboard
from tests.simulation.town import at_once, fixed
from tests.simulation.wire import CONTROL_PLANE
from tests.support.in_memory import Clock, Tenancy, tenancy_of

LATENCY, PROJECTION = 0.05, 0.02
"""Seconds that each call takes, and that a change takes to each replica."""

PACE: dict[str, Any] = {"concurrency": 16, "waves": (1,), "settle": 2}
T = TypeVar("T")
WIDTHS = {"control plane": 16, "gateways": 8}


class Hurry(Switchboard):
    """Moves the clock to the next timer where nobody can go on."""

    def idle(self, timer: float | None) -> bool:
        self.now += timer or 0
        return timer is not None


class LoopClock(Clock):
    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    @seconds.setter
    def seconds(self, value: float) -> None:
        """It moves by itself."""


@dataclass(frozen=True)
class Call:
    to: str
    method: str
    began: float
    ended: float


@dataclass(frozen=True)
class Notch:
    wave: int
    step: str
    began: float
    ended: float


@dataclass
class Course:
    """What happened from the secret to the approver."""

    calls: list[Call] = field(default_factory=list)
    notches: list[Notch] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.notches[-1].ended - self.notches[0].began

    @property
    def pauses(self) -> float:
        return self.seconds - busy(self.calls)

    @property
    def limit(self) -> float:
        """How long the calls and the test requests take at the least, with the projection of each wave.

        Of each step, what reads, what writes and what asks a gateway, rounded up to whole calls: a look at a replica is
        no part of it, nor is it one that a step reads before it writes and once more after it.
        """
        stages = Counter((n.wave, n.step, c.to, c.method) for n in self.notches for c in self._in(n) if c.to in WIDTHS)
        calls = sum(math.ceil(count / WIDTHS[stage[2]]) for stage, count in stages.items()) * LATENCY
        return calls + PROJECTION * len({notch.wave for notch in self.notches})

    def of_wave(self, wave: int) -> "Course":
        """Return the part of one wave: moving, projection and verification."""
        notches = [n for n in self.notches if n.wave == wave and n.step in WAVE_STEPS]
        return Course([call for notch in notches for call in self._in(notch)], notches)

    def _in(self, notch: Notch) -> list[Call]:
        return [call for call in self.calls if notch.began <= call.began < notch.ended]


def busy(calls: list[Call]) -> float:
    """Return the seconds in which at least one of *calls* was under way."""
    total, until = 0.0, 0.0
    for call in sorted(calls, key=lambda call: call.began):
        total += max(0.0, call.ended - max(until, call.began))
        until = max(until, call.ended)
    return total


def to_approval(models: int, environments: int, **settings: Any) -> Course:
    """Return what happens from the secret to the approver; by the same chances each time."""
    where = ("production", "staging", "dev")[:environments]
    return played(
        lambda tenancy, course: _to_approval(tenancy, course, models, where, settings), seed=models + environments
    )


def played(play: Callable[[Tenancy, Course], Awaitable[T]], seed: int) -> T:
    """Return what comes of *play*, which has a tenancy in virtual time."""

    async def run() -> T:
        async with tenancy_of() as tenancy, _paced(tenancy) as course:
            tenancy.clock = LoopClock()
            return await play(tenancy, course)

    with fixed(seed), asyncio.Runner(loop_factory=lambda: Loop(Hurry(Random(0)))) as runner:
        return runner.run(run())


async def _to_approval(
    tenancy: Tenancy, course: Course, models: int, environments: Sequence[str], given: dict[str, Any]
) -> Course:
    furnish(tenancy, models, environments)
    machine = await tenancy.machine(**PACE | given)
    record, loop = await tenancy.begun(machine), asyncio.get_running_loop()
    course.calls.clear()
    while record.state is State.RUNNING:
        step, began = next_step(record), loop.time()
        after = await machine.notch(record)
        if after == record and (due := due_at(record, machine.world.limits, machine.world.now())):
            await asyncio.sleep(max(0.0, (due - machine.world.now()).total_seconds()))
        course.notches.append(Notch(record.wave, step.name if step else "", began, loop.time()))
        record = after
    assert record.state is State.AWAITING_APPROVAL, record.stop
    return course


def furnish(tenancy: Tenancy, models: int, environments: Sequence[str]) -> None:
    """Put *models* on the key, in turn in each of *environments*, and take away what is there."""
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model, settled=True)
    for number in range(models):
        where, name = environments[number % len(environments)], f"model-{number:03}"
        tenancy.aisix.add_model(where, name, key=tenancy.old, upstream="gpt-4o", settled=False)
    tenancy.aisix.settle()


@asynccontextmanager
async def _paced(tenancy: Tenancy) -> AsyncIterator[Course]:
    course, loop, carry = Course(), asyncio.get_running_loop(), tenancy.carry

    async def slow(request: httpx.Request) -> httpx.Response:
        began = loop.time()
        await asyncio.sleep(LATENCY)
        answer = await carry(request)
        course.calls.append(Call(_whom(request), request.method, began, loop.time()))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tenancy, "carry", slow)
        patch.setattr(tenancy.wire, "project", lambda: loop.call_later(PROJECTION, tenancy.aisix.settle))
        patch.setattr(asyncio, "to_thread", at_once)
        patch.setattr(status, "monotonic", loop.time)
        patch.setattr(project, "time", SimpleNamespace(monotonic=loop.time))
        yield course


def _whom(request: httpx.Request) -> str:
    if str(request.url).startswith(CONTROL_PLANE):
        return "control plane"
    return "status" if "." in request.url.host else "gateways"
