"""A bot in a simulation: the real service, engine, worker and store, and the people and servers around them."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr, TypeAdapter
from redis.exceptions import ConnectionError as Away

from bot.aisix import status
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways, GatewaySettings
from bot.aisix.status import StatusPages
from bot.engine import Engine
from bot.rotation.errors import KeyturnError, Unanswerable
from bot.rotation.people import People
from bot.rotation.policy import Person
from bot.rotation.record import Rotation
from bot.service import RotationService
from bot.steps import project
from bot.steps.world import World
from bot.storage import lease
from bot.storage.jobs import ADVANCE, Jobs
from bot.storage.records import Store
from bot.worker import Work
from handlers.views.composed import composed
from handlers.views.thread import checklist
from sandbox.aisix import Aisix, Switches
from tests.bot.values import NAMESPACE, limits, rules
from tests.simulation.clockwork import ACTOR, HERE, Actor, Killed, Machine, Switchboard
from tests.simulation.held import LEASE as LEASES
from tests.simulation.held import HeldRedis
from tests.simulation.wire import CONTROL_PLANE, Wire

BEGIN = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
OLD_SECRET = "sk-old-0123456789abcdef"
APPROVERS = ("U_APPROVER", "U_SECOND", "U_REQUESTER")
EVERYBODY = (*APPROVERS, "U_OTHER", "U_MEMBER", "U_GUEST")
LEASE = timedelta(seconds=2)
AHEAD = (-600.0, -590.0, -60.0, -3.0, 0.0, 3.0, 60.0, 590.0, 600.0)


class Nasty(StrEnum):
    """A kind of trouble that most seeds leave out, so that the others are seen for themselves."""

    CLOCKS = "machines whose clocks differ by up to ten minutes, and jump"
    FROZEN = "workers that stand still at any call, and go on later"
    SHORT = "lists that lack rows which are there, now and then"
    UNLISTED = "replicas that the settings do not list, cut off at any moment"
    CALLERS = "callers at work between any two calls of the bot, some limited, some answered from a cache"


class Slack:
    """It knows who is who, and shows rotations: people act on what they see, and may act on what they saw."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self.approvers = set(APPROVERS)
        self.cards: dict[str, list[Rotation]] = {}

    async def person(self, user_id: str) -> Person:
        async def answer() -> Person:
            return Person(id=user_id, guest=user_id == "U_GUEST")

        return await self._switchboard.call("slack users.info", answer, _slack_is_away)

    async def members(self, group_id: str) -> frozenset[str]:
        async def answer() -> frozenset[str]:
            return frozenset(self.approvers)

        found = await self._switchboard.call("slack usergroups.users.list", answer, _slack_is_away)
        if actor := ACTOR.get():
            actor.vouched |= dict.fromkeys(found, self._switchboard.turns)
        return found

    async def recent(self, _: str) -> None:
        pass

    async def show(self, rotation: Rotation) -> timedelta | None:
        async def post() -> None:
            checklist(rotation), composed(rotation, "")
            seen = self.cards.setdefault(rotation.id, [])
            if not seen or seen[-1].version < rotation.version:
                seen.append(rotation)

        try:
            await self._switchboard.call("slack chat.update", post, _slack_is_away)
        except Unanswerable:
            return timedelta(seconds=5)
        return None


def _slack_is_away(_: object) -> Exception:
    return Unanswerable("Slack does not tell.")


class Hints:
    """The queue, at its worst: hints are lost, given twice, and taken in any order."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self.waiting: dict[str, tuple[str, str, float]] = {}

    async def enqueue(self, what: str, *, key: str, rotation_id: str, scheduled: int, **_: Any) -> None:
        async def put() -> None:
            at = scheduled - BEGIN.timestamp() if scheduled else 0
            self.waiting.setdefault(key, (what, rotation_id, at))

        await self._switchboard.call(f"saq {what}", put, lambda fate: Away(str(fate)))

    def due(self) -> list[str]:
        return [key for key, (*_, at) in self.waiting.items() if at <= self._switchboard.now]


class Town:
    def __init__(self, switchboard: Switchboard, aisix: Aisix, nasty: frozenset[Nasty]) -> None:
        self.switchboard, self.random, self.aisix = switchboard, switchboard.random, aisix
        self.machines = [HERE]
        if Nasty.CLOCKS in nasty:
            self.machines = [Machine(self.random.choice(AHEAD), self.random.uniform(0, 1e6)) for _ in range(3)]
        self.wire = Wire(switchboard, aisix)
        self.laws = self.wire.laws
        self.slack, self.hints = Slack(switchboard), Hints(switchboard)
        self.actors: list[tuple[Actor, asyncio.Task[Any]]] = []
        self.stood_still: list[Actor] = []
        """Those who go on as soon as their lease is over."""

        self.clicks = self.actions = 0
        self.good_secrets: list[str] = []
        self.wire.short = 0.04 if Nasty.SHORT in nasty else 0.0
        if nasty & {Nasty.CALLERS, Nasty.UNLISTED}:
            self.wire.begin_callers()
        if Nasty.FROZEN in nasty:
            switchboard.arriving = self._freeze_now_and_then

    def _freeze_now_and_then(self, actor: Actor, what: str) -> None:
        """Freeze a worker where it is about to call: most often where it is about to delete, or to be sure that it may.

        The lists are read by then.
        """
        if not actor.is_worker or actor.frozen:
            return
        is_ending = self.laws.is_ending(actor.rotation)
        is_last = what.startswith("DELETE control-plane/provider_keys")
        is_sure = is_ending and what.startswith(f"redis EVALSHA {LEASES}")
        if is_ending and what.startswith("GET control-plane") and self.random.random() < 0.05:
            self.switchboard.now += self.random.choice((3, 8))  # AISIX is slow
        if self.random.random() < (0.5 if is_last else 0.3 if is_sure else 0.003):
            self.switchboard.freeze(actor)
            if is_ending and self.random.random() < 0.6:
                self.switchboard.now += LEASE.total_seconds() + 0.1
                self.stood_still.append(actor)

    @property
    def frozen(self) -> list[Actor]:
        return [actor for actor, task in self.actors if actor.frozen and not task.done()]

    @asynccontextmanager
    async def open(self, redis_url: str) -> AsyncIterator[None]:
        chance = self.random.random
        required, self.laws.self_approval = 1 if chance() < 0.6 else 2, chance() < 0.1
        given = rules(
            approvers=frozenset({"S_APPROVERS"}), approvals_required=required, self_approval=self.laws.self_approval
        )
        gateways = TypeAdapter(dict[str, GatewaySettings]).validate_python(self.wire.settings())
        token = SecretStr(self.aisix.admin_token)
        async with (
            HeldRedis.to(redis_url, self.switchboard, self.laws) as self.redis,
            ControlPlane(CONTROL_PLANE, token, grace=30, timeout=2, concurrency=16, attempts=2) as control_plane,
            Gateways(gateways, timeout=2, concurrency=8, now=self.now) as probes,
            StatusPages(gateways, timeout=2, now=self.now) as pages,
        ):
            self.store, jobs = Store(self.redis, NAMESPACE), Jobs(self.hints)  # type: ignore[arg-type]
            people = People(self.slack, given)
            world = World(control_plane, probes, pages, _limits(self.random), self.now, people=people, holds=self.store)
            engine = Engine(self.store, jobs, world, lease=LEASE)
            self.work = Work(self.store, jobs, engine, self.slack, world)
            self.service = RotationService(
                store=self.store,
                jobs=jobs,
                control_plane=control_plane,
                directory=self.slack,
                rules=given,
                gateways=probes.environments,
                now=self.now,
                pepper=SecretStr("pepper of sixteen and more") if chance() < 0.5 else None,
            )
            yield

    def now(self) -> datetime:
        """Return the time by the clock of the machine at work."""
        return BEGIN + timedelta(seconds=self.switchboard.now + _machine().ahead)

    def running_clock(self) -> float:
        return self.switchboard.now + _machine().up_for

    def begin(self, actor: Actor, work: Coroutine[Any, Any, Any]) -> None:
        actor.machine = self.random.choice(self.machines)
        ACTOR.set(actor)
        task = asyncio.get_running_loop().create_task(self._acting(actor, work))
        ACTOR.set(None)
        self.actors = [(one, its) for one, its in self.actors if not its.done()]
        self.actors.append((actor, task))
        self.actions += 1

    async def _acting(self, actor: Actor, work: Coroutine[Any, Any, Any]) -> None:
        surprise: BaseException | None = None
        try:
            await work
        except KeyturnError as told:
            self.switchboard.note(f"  {actor.name} by {actor.who or 'keyturn'}: {told}")
        except (Killed, asyncio.CancelledError):
            pass
        except BaseExceptionGroup as many:
            surprise = many.split(Killed)[1]
        except Exception as other:  # noqa: BLE001 - any other one is a finding
            surprise = other
        actor.over = True
        self.laws.demand(not surprise, "nothing is raised that is not for people", f"{actor.name}: {surprise!r}")

    def take(self, key: str) -> None:
        what, rotation_id, _ = self.hints.waiting.pop(key)
        job = self.work.advance if what == ADVANCE else self.work.announce
        self.begin(Actor(what, rotation_id), job({}, rotation_id=rotation_id))

    def sweep(self) -> None:
        self.begin(Actor("sweep"), self.work.sweep())

    def remove_unlisted(self) -> None:
        for replica in [replica for replica in self.aisix.all_replicas() if not replica.is_listed]:
            self.aisix.replicas(replica.environment.id).remove(replica)
            self.wire.behind.discard(replica)

    def secret(self) -> str:
        secret = f"sk-good-{len(self.good_secrets)}-{self.random.getrandbits(64):016x}"
        self.good_secrets.append(secret)
        self.aisix.upstream.accept(secret)
        return secret


def _machine() -> Machine:
    actor = ACTOR.get()
    return actor.machine if actor else HERE


def _limits(chance: Random) -> Any:
    return limits(
        probes=chance.choice((1, 2)),
        soak=chance.choice((0, 0, 45)),
        watch=chance.choice((0, 0, 60)),
        patience=60,
        create_grace=15,
        verify=20,
        projection=20,
        waves=chance.choice(((), (1,))),
        evidence_max_age=chance.choice((3600, 86_400)),
    )


def populated(chance: Random, nasty: frozenset[Nasty]) -> Aisix:
    """A small tenant, each with other habits; its counters can tell what is to be told by them."""
    telling = bool(nasty & {Nasty.UNLISTED, Nasty.CALLERS})
    switches = Switches(
        delete_referenced=chance.choice(("allow", "allow", "409")),
        duplicate_display_name=chance.choice(("allow", "409")),
        model_create=chance.random() < (0.95 if telling else 0.8),
        status_urls=chance.random() < 0.4 or telling,
        create_answer=chance.choice(("top", "data", "provider_key")),
        metric_labels=chance.choice(("real", "real", "full" if telling else "names", "full")),
        model_key_reference=chance.choice(("provider_key_id", "provider_key_id", "provider_key")),
        cooldown=0.0,
    )
    aisix = Aisix(switches, {"production": chance.choice((1, 2)), "staging": 1})
    key = aisix.add_key("OpenAI production", secret=OLD_SECRET)
    other = aisix.add_key("Other key", secret="sk-other-0123456789abc", environments=["production"])
    chat = aisix.add_model("production", "chat-large", key=key, upstream="gpt-4o")
    aisix.add_model("staging", "chat-large", key=key, upstream="gpt-4o")
    aisix.add_model("production", "unrelated", key=other, upstream="gpt-4o")
    aisix.add_model("production", "chat-any", kind="routing", targets=[chat])
    return aisix


@contextmanager
def fixed(seed: int) -> Iterator[list[dict[str, Any]]]:
    """Take chance from the seed, everywhere in this process, and the log away from the terminal; yield its errors."""
    errors: list[dict[str, Any]] = []
    chance, state, config = Random(f"chance {seed}"), random.getstate(), structlog.get_config()

    def keep(_: Any, method: str, event: Any) -> Any:
        if method in ("error", "exception"):
            errors.append(event)
        raise structlog.DropEvent

    random.seed(seed)
    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for place, name in ((os, "urandom"), (random, "_urandom")):
                patch.setattr(place, name, chance.randbytes)
            yield errors
    finally:
        random.setstate(state)
        structlog.configure(**config)


async def at_once(work: Callable[..., Any], *args: Any) -> Any:
    """Do it here: how fast a thread is would be no seed's."""
    return work(*args)


@contextmanager
def carried_by(handle: Callable[[httpx.Request], Any], clock: Callable[[], float]) -> Iterator[pytest.MonkeyPatch]:
    """Have every request of the bot's clients handled, and what measures time read this clock."""

    async def carried(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        answer: httpx.Response = await handle(request)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", carried)
        patch.setattr(lease, "running_clock", clock)
        patch.setattr(asyncio, "to_thread", at_once)
        patch.setattr(status, "monotonic", clock)
        patch.setattr(project, "time", SimpleNamespace(monotonic=clock))
        yield patch
