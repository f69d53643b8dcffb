"""A rotation without sockets and without Redis: the real steps and clients, an AISIX in memory, and a clock to hold."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, TypeAdapter

from bot.aisix import control_plane
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways, GatewaySettings
from bot.aisix.status import StatusPages
from bot.engine import due_at, move
from bot.rotation.errors import LeaseLost
from bot.rotation.people import People
from bot.rotation.plan import make_plan
from bot.rotation.policy import Person
from bot.rotation.record import Approval, Replacement, Rotation
from bot.rotation.states import State
from bot.steps.world import World
from bot.storage import lease
from bot.storage.lease import Moment
from sandbox.aisix import Aisix, ProviderKey, Switches
from tests.bot.values import NOW, limits, rotation, rules
from tests.simulation.clockwork import Switchboard
from tests.simulation.laws import Laws
from tests.simulation.wire import CONTROL_PLANE, Wire

KEY = "OpenAI production"
OLD_SECRET = "sk-old-0123456789abcdef"
NEW_SECRET = "sk-new-CANARY0123456789abcdefXYZ"
NOTCHES = 400
"""More than any rotation here needs."""


class Machine:
    """What one machine has: a clock that may be wrong, and the clients of the bot."""

    def __init__(self, world: World, clock: "Clock", ahead: float) -> None:
        self.world, self._clock, self.ahead = world, clock, timedelta(seconds=ahead)

    async def until(self, record: Rotation, condition: Callable[[Rotation], Any]) -> Rotation:
        """Move *record* on until it meets *condition*; time passes where it waits."""
        for _ in range(NOTCHES):
            if condition(record):
                return record
            record = await self.notch(record)
        raise AssertionError(f"{record.state} {record.done[-1:]}: {record.note or record.stop}")

    async def notch(self, record: Rotation) -> Rotation:
        """Move *record* one notch; where it is not due yet, let time pass until it is."""
        after = await move(record, self.world)
        if after == record:
            due = due_at(record, self.world.limits, now := self.world.now())
            assert due, f"only a person can move it: {record.state}"
            self._clock.seconds += (due - now).total_seconds()
            return record
        return after.but(version=record.version + 1)


class Clock:
    """The time, as it really is; it stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.missed_here = 0.0
        """Seconds that the clock of this process, which runs on while the process stands still, has missed."""

        self.missed_there = 0.0
        """Seconds that Redis's has missed."""

    def here(self) -> float:
        """Return the seconds by this process's clock."""
        return self.seconds - self.missed_here

    def now(self) -> datetime:
        """Return the time."""
        return NOW + timedelta(seconds=self.seconds)


class Hands:
    """The lease as this process has it."""

    def __init__(self, clock: Clock, happened: list[str]) -> None:
        self._clock, self._happened = clock, happened
        self.lost, self.lasts = False, 15.0

    async def verified(self, version: int | None = None) -> Moment:
        """Say that it is held, unless it is lost."""
        self._happened.append(f"verified {version}")
        if self.lost:
            raise LeaseLost("Another process has it.")
        return Moment(self._clock.here(), self._clock.seconds - self._clock.missed_there, self.lasts)


class Everybody:
    """Slack, as far as it knows who is who: all are members, and one is an approver."""

    async def person(self, user_id: str) -> Person:
        """Return a member."""
        return Person(id=user_id)

    async def members(self, _: str) -> frozenset[str]:
        """Return the approvers."""
        return frozenset({"U_APPROVER"})


RULES = rules(approvers=frozenset({"S_APPROVERS"}))


class Tenancy:
    """An AISIX in memory, a key behind two models there, and machines that rotate it."""

    def __init__(self, switches: Switches, stack: AsyncExitStack) -> None:
        self.aisix = Aisix(switches, {"production": 2, "staging": 1, "dev": 1})
        self.clock = Clock()
        self.happened: list[str] = []
        """What the control plane was asked and when the lease was verified, in order."""

        self.hands = Hands(self.clock, self.happened)
        self._stack = stack
        switchboard = Switchboard(Random(1))
        self.wire = Wire(switchboard, self.aisix, Laws(self.aisix, switchboard))
        self.old: ProviderKey = self.aisix.add_key(KEY, secret=OLD_SECRET)
        self.chat = self.aisix.add_model("production", "chat-large", key=self.old, upstream="gpt-4o")
        self.staged = self.aisix.add_model("staging", "chat-large", key=self.old, upstream="gpt-4o")
        self.aisix.upstream.accept(NEW_SECRET)
        self.new: ProviderKey | None = None
        self._lacking, self._lists, self._is_short = "", 0, False
        self.before: Callable[[str], Awaitable[None]] = _nothing
        """Awaited before the control plane is asked something."""

    async def carry(self, request: httpx.Request) -> httpx.Response:
        """Carry a request to where it goes."""
        if str(request.url).startswith(CONTROL_PLANE):
            asked = f"{request.method} {request.url.path.removeprefix('/api')}"
            await self.before(asked)
            self.happened.append(asked)
        answer = await self.wire.handle(request)
        is_list = request.method == "GET" and request.url.path.endswith("/provider_keys")
        return self._shortened(request, answer) if is_list else answer

    def lack(self, key: ProviderKey, lists: int) -> None:
        """Have the next *lists* of provider keys lack one that is there, as one that is read where it is not yet."""
        self._lacking, self._lists = key.id, lists

    def _shortened(self, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if not request.url.query:  # the first page of a list
            self._is_short, self._lists = self._lists > 0, self._lists - 1
        if not self._is_short:
            return answer
        body = answer.json()
        rows = [row for row in body["data"] if row["id"] != self._lacking]
        return httpx.Response(200, json={**body, "data": rows, "total": len(rows)})

    async def machine(self, ahead: float = 0, **given: Any) -> Machine:
        """Return a machine whose clock is so many seconds *ahead*."""
        gateways = TypeAdapter(dict[str, GatewaySettings]).validate_python(self.wire.settings())
        enter, token = self._stack.enter_async_context, SecretStr(self.aisix.admin_token)

        def now() -> datetime:
            return self.clock.now() + timedelta(seconds=ahead)

        client = ControlPlane(CONTROL_PLANE, token, timeout=2, concurrency=16, attempts=2, grace=30)
        world = World(
            control_plane=await enter(client),
            gateways=await enter(Gateways(gateways, timeout=2, concurrency=8, now=now)),
            status=await enter(StatusPages(gateways, timeout=2, now=now)),
            limits=limits(**{"waves": (), "settle": 1} | given),
            now=now,
            people=People(Everybody(), RULES),
            hold=self.hands,
        )
        return Machine(world, self.clock, ahead)

    async def begun(self, machine: Machine, key: ProviderKey | None = None) -> Rotation:
        """Return a rotation whose replacement has just been created."""
        inventory = await machine.world.control_plane.inventory()
        name = f"{KEY} (rabc123)"
        old = inventory.key((key or self.old).id)
        assert old is not None
        plan = make_plan(inventory, old, machine.world.gateways.environments)
        self.new = self.aisix.add_key(name, secret=NEW_SECRET)
        replacement = Replacement(name=name, asked_at=machine.world.now(), key_id=self.new.id)
        fields = {"plan": plan, "replacement": replacement, "names": (name,), "made": (self.new.id,), "attempt": 1}
        return rotation(State.RUNNING, requested_at=machine.world.now(), **fields)

    async def asked(self, machine: Machine) -> Rotation:
        """Return a rotation that waits for its approver."""
        return await machine.until(await self.begun(machine), lambda r: r.state is State.AWAITING_APPROVAL)

    def approved(self, record: Rotation, at: datetime | None = None) -> Rotation:
        """Return *record* as an approver has just released it."""
        word = Approval(by="U_APPROVER", at=at or self.clock.now(), digest=record.digest)
        return record.but(approvals=(word,), version=record.version + 1).to(State.RUNNING)

    @property
    def old_is_there(self) -> bool:
        """Whether the old key still exists."""
        return self.old.id in self.aisix.provider_keys

    def probes(self) -> int:
        """How many test requests the gateways have been sent so far."""
        return len(self.aisix.gateway_calls)

    def deletes(self) -> int:
        """How often the old key was asked to go."""
        return sum(call.method == "DELETE" and self.old.id in call.path for call in self.aisix.calls)


async def _nothing(_: str) -> None:
    """Let it be."""


@asynccontextmanager
async def tenancy_of(switches: Switches | None = None) -> AsyncIterator[Tenancy]:
    """Have a tenancy until the end of the block."""
    chosen = switches or Switches(status_urls=True, cooldown=0.0, metric_labels="full")
    async with AsyncExitStack() as stack:
        made = Tenancy(chosen, stack)
        patch = stack.enter_context(pytest.MonkeyPatch.context())

        async def carried(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            return await made.carry(request)

        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", carried)
        patch.setattr(lease, "running_clock", made.clock.here)
        patch.setattr(control_plane, "BETWEEN_LISTS", 0)
        yield made
