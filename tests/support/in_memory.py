"""A rotation without sockets and without Redis: the real steps and clients, an AISIX in memory, and a clock to hold."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy, deepcopy
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any, NamedTuple

import httpx
import pytest
import stamina
from pydantic import SecretStr, TypeAdapter

from bot.aisix import control_plane
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways, GatewaySettings
from bot.aisix.status import StatusPages
from bot.engine import due_at, move
from bot.rotation.errors import LeaseLost, Unanswerable
from bot.rotation.flags import flags
from bot.rotation.holds import KeyHold
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
from tests.simulation.wire import CONTROL_PLANE, Wire
from tests.support.providers import Account, Accounts

Carry = Callable[[httpx.Request], Awaitable[httpx.Response]]
KEY = "OpenAI production"
OLD_SECRET = "sk-old-0123456789abcdef"
NEW_SECRET = "sk-new-CANARY0123456789abcdefXYZ"
ATTEMPTS = 2
NOTCHES = 400


class Machine:
    def __init__(self, world: World, clock: "Clock", ahead: float, given: dict[str, Any]) -> None:
        self.world, self._clock, self.ahead, self.given = world, clock, timedelta(seconds=ahead), given

    async def until(self, record: Rotation, condition: Callable[[Rotation], Any]) -> Rotation:
        """Move *record* on until it meets *condition*; time passes where it waits."""
        for _ in range(NOTCHES):
            if condition(record):
                return record
            record = await self.notch(record)
        raise AssertionError(f"{record.state} {record.done[-1:]}: {record.note or record.stop}")

    async def done(self, record: Rotation, step: str) -> Rotation:
        """Move *record* on until it has done *step*."""
        return await self.until(record, lambda r: step in r.done)

    async def ended(self, record: Rotation) -> Rotation:
        """Move *record* on until the next move is a person's, or nobody's."""
        return await self.until(record, lambda r: not r.waits_for_bot)

    async def stopped(self, record: Rotation) -> Rotation:
        """Move *record* on until it stops, which it has to."""
        ended = await self.ended(record)
        assert ended.stop, ended.state
        return ended

    async def voided(self, record: Rotation) -> Rotation:
        """Move *record* on until its approval is void, which it has to be."""
        answered = await self.answered(record)
        assert len(answered.voids) > len(record.voids), answered.stop or answered.state
        return answered

    async def answered(self, record: Rotation) -> Rotation:
        """Move *record* on until it has ended, or its approval is void."""
        return await self.until(record, lambda r: len(r.voids) > len(record.voids) or not r.waits_for_bot)

    async def notch(self, record: Rotation) -> Rotation:
        """Move *record* one notch; where it is not due yet, let time pass until it is."""
        assert isinstance(self.world.hold, Hands)
        self.world.hold.version = record.version
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
        return self.seconds - self.missed_here

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


class Hands:
    """The lease as this process has it."""

    def __init__(self, clock: Clock, happened: list[str]) -> None:
        self._clock, self._happened = clock, happened
        self.lost, self.is_away, self.lasts, self.mark = False, False, 15.0, "here"
        self.version = 0
        """Of the record, as it is stored at present."""

    async def verified(self, version: int | None = None) -> Moment:
        """Say that it is held, unless it is lost, or nobody can tell."""
        self._happened.append(f"verified {version}")
        if self.is_away:
            raise Unanswerable("Redis does not answer.")
        if self.lost or version not in (None, self.version):
            raise LeaseLost("Another process has it, or somebody has changed the record.")
        return Moment(self._clock.here(), self._clock.seconds - self._clock.missed_there, self.lasts)


class Labels:
    """The holds on keys, as the store tells them."""

    def __init__(self) -> None:
        self.kept: dict[str, KeyHold] = {}
        self.is_away = False

    async def hold_on(self, key_id: str, now: datetime) -> KeyHold | None:
        """Return the hold on a key, unless nobody can tell."""
        if self.is_away:
            raise Unanswerable("Redis is away.")
        hold = self.kept.get(key_id)
        return hold if hold and hold.counts(now) else None


class Everybody:
    """Slack, as far as it knows who is who: all are members, and one is an approver."""

    async def person(self, user_id: str) -> Person:
        return Person(id=user_id)

    async def members(self, _: str) -> frozenset[str]:
        return frozenset({"U_APPROVER"})

    async def recent(self, _: str) -> None:
        pass


RULES = rules(approvers=frozenset({"S_APPROVERS"}))


class Scene:
    def __init__(self, switches: Switches) -> None:
        self.aisix = Aisix(switches, {"production": 2, "staging": 1, "dev": 1})
        self.switchboard = Switchboard(Random(1))
        self.wire = Wire(self.switchboard, self.aisix)
        self.old: ProviderKey = self.aisix.add_key(KEY, secret=OLD_SECRET)
        self.chat = self.aisix.add_model("production", "chat-large", key=self.old, upstream="gpt-4o")
        self.staged = self.aisix.add_model("staging", "chat-large", key=self.old, upstream="gpt-4o")
        self.aisix.upstream.accept(NEW_SECRET)
        self.new: ProviderKey | None = None

    def copied(self) -> "Scene":
        other = copy(self)
        vars(other).update(deepcopy({name: value for name, value in vars(self).items() if name != "wire"}))
        other.wire = Wire(other.switchboard, other.aisix)
        return other


class Asked(NamedTuple):
    """A rotation that waits for its approver, where it was begun in a scene that nobody had changed."""

    scene: Scene
    record: Rotation
    seconds: float
    happened: list[str]


ASKED: dict[str, Asked] = {}


BEGINNINGS: dict[str, Scene] = {}


class Tenancy:
    def __init__(self, switches: Switches, stack: AsyncExitStack, *, of_its_own: bool) -> None:
        self._kind, self._scene, self._is_changed = repr(switches), Scene(switches), of_its_own
        if not of_its_own:
            self._scene = BEGINNINGS.setdefault(self._kind, self._scene).copied()
        self.clock = Clock()
        self.happened: list[str] = []
        """What the control plane was asked and when the lease was verified, in order."""

        self.hands = Hands(self.clock, self.happened)
        self.holds = Labels()
        self.providers = Accounts()
        """None, until a test asks for `account`."""

        self._stack = stack
        self._lacking, self._lists, self._is_short = "", 0, False
        self.before: Callable[[str], Awaitable[None]] = _nothing
        """Awaited before the control plane is asked something."""

    @property
    def scene(self) -> Scene:
        """The scene, for one who may change it."""
        self._is_changed = True
        return self._scene

    @cached_property
    def account(self) -> Account:
        """The account at the provider of the old key; from its first use on, the settings name it."""
        self.providers.accounts["openai"] = made = Account(self.clock.now)
        made.holds(OLD_SECRET)
        self.aisix.upstream.issuers.append(made)
        return made

    aisix = property(lambda self: self.scene.aisix)
    wire = property(lambda self: self.scene.wire)
    old = property(lambda self: self.scene.old)
    chat = property(lambda self: self.scene.chat)
    staged = property(lambda self: self.scene.staged)
    new = property(lambda self: self.scene.new)

    async def carry(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(CONTROL_PLANE):
            asked = f"{request.method} {request.url.path.removeprefix('/api')}"
            await self.before(asked)
            self.happened.append(asked)
        answer = await self._scene.wire.handle(request)
        is_list = request.method == "GET" and request.url.path.endswith("/provider_keys")
        return self._shortened(request, answer) if is_list else answer

    def intercept(self, answer: Callable[[httpx.Request, Carry], Awaitable[httpx.Response]]) -> None:
        """Have *answer* answer each request; it is given what would carry the request on."""
        carry = self.wire.handle

        async def handle(request: httpx.Request) -> httpx.Response:
            return await answer(request, carry)

        self.wire.handle = handle

    def at(self, asked: str, then: Callable[[], None], *, times: int = 1) -> None:
        """Have something happen just before the control plane is *asked* something."""
        left = [then] * times

        async def before(what: str) -> None:
            if asked in what and left:
                left.pop()()

        self.before = before

    async def ask(self, environment: str, model: str, path: str = "v1") -> httpx.Response:
        """Have a caller ask a model, or with another *path* use a passthrough route."""
        token = {"Authorization": f"Bearer {self.aisix.caller(environment, 'app').token}"}
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        url = f"http://{environment}/{path}/chat/completions"
        return await self.carry(httpx.Request("POST", url, headers=token, json=body))

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
        gateways = TypeAdapter(dict[str, GatewaySettings]).validate_python(self._scene.wire.settings())
        enter, token = self._stack.enter_async_context, SecretStr(self._scene.aisix.admin_token)

        def now() -> datetime:
            return self.clock.now() + timedelta(seconds=ahead)

        client = ControlPlane(CONTROL_PLANE, token, timeout=2, concurrency=16, attempts=ATTEMPTS, grace=30)
        world = World(
            control_plane=await enter(client),
            gateways=await enter(Gateways(gateways, timeout=2, concurrency=8, now=now)),
            status=await enter(StatusPages(gateways, timeout=2, now=now)),
            limits=limits(**{"waves": (), "settle": 1} | given),
            now=now,
            people=People(Everybody(), RULES),
            hold=self.hands,
            holds=self.holds,
            providers=self.providers,
        )
        return Machine(world, self.clock, ahead, given)

    async def begun(self, machine: Machine, key: ProviderKey | None = None) -> Rotation:
        """Return a rotation whose replacement has just been created."""
        inventory = await machine.world.control_plane.inventory()
        name = f"{KEY} (rabc123)"
        old = inventory.key((key or self._scene.old).id)
        assert old is not None
        plan = make_plan(inventory, old, machine.world.gateways.environments)
        self._scene.new = new = self._scene.aisix.add_key(name, secret=NEW_SECRET)
        replacement = Replacement(name=name, asked_at=machine.world.now(), key_id=new.id)
        fields = {"plan": plan, "replacement": replacement, "names": (name,), "made": (new.id,), "attempt": 1}
        return rotation(State.RUNNING, requested_at=machine.world.now(), **fields)

    async def asked(self, machine: Machine) -> Rotation:
        """Return a rotation that waits for its approver; what another test has seen of it is not seen again."""
        kind = f"{self._kind} {machine.ahead} {sorted(machine.given.items())}"
        if self._is_changed or self.happened or self.clock.seconds:
            return await self._asked(machine)
        if kind not in ASKED:
            record = await self._asked(machine)
            ASKED[kind] = Asked(self._scene.copied(), record, self.clock.seconds, list(self.happened))
            return record
        asked = ASKED[kind]
        self._scene, self.clock.seconds = asked.scene.copied(), asked.seconds
        self.happened[:] = asked.happened
        return asked.record

    async def _asked(self, machine: Machine) -> Rotation:
        return await machine.until(await self.begun(machine), lambda r: r.state is State.AWAITING_APPROVAL)

    async def released(self, machine: Machine, *, done: str = "soak") -> Rotation:
        """Return a rotation that an approver has released and that has *done* this step."""
        return await machine.done(self.approved(await self.asked(machine)), done)

    async def about_to_delete(self, **settings: Any) -> tuple[Machine, Rotation]:
        """Return a machine and a rotation that has noted its delete and has not sent it."""
        machine = await self.machine(**settings)
        return machine, await machine.until(await self.released(machine), lambda r: r.delete_asked_at)

    def approved(self, record: Rotation, at: datetime | None = None) -> Rotation:
        """Return *record* as an approver has just released it."""
        shown = {"digest": record.digest, "flags": flags(record), "tally": record.tally}
        word = Approval.model_validate({"by": "U_APPROVER", "at": at or self.clock.now(), **shown})
        self.hands.version = record.version + 1
        return record.but(approvals=(word,), version=self.hands.version).to(State.RUNNING)

    @property
    def old_is_there(self) -> bool:
        return self._scene.old.id in self._scene.aisix.provider_keys

    def probes(self) -> int:
        """How many test requests the gateways have been sent so far."""
        return len(self._scene.aisix.gateway_calls)

    def deletes(self) -> int:
        """How often the old key was asked to go."""
        return sum(call.method == "DELETE" and self._scene.old.id in call.path for call in self._scene.aisix.calls)


async def _nothing(_: str) -> None:
    """Let it be."""


@asynccontextmanager
async def tenancy_of(switches: Switches | None = None, *, of_its_own: bool = False) -> AsyncIterator[Tenancy]:
    """Have a tenancy until the end of the block, with ids *of its own* or the same as all others."""
    chosen = switches or Switches(status_urls=True, cooldown=0.0, metric_labels="full")
    async with AsyncExitStack() as stack:
        made = Tenancy(chosen, stack, of_its_own=of_its_own)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(stamina.set_testing(testing=True, attempts=ATTEMPTS, cap=True))  # as often, and at once

        async def carried(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            return await made.carry(request)

        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", carried)
        patch.setattr(lease, "running_clock", made.clock.here)
        patch.setattr(control_plane, "BETWEEN_LISTS", 0)
        yield made
