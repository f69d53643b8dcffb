"""The plug is pulled at every call that the bot makes, in every way there is, and every time the end is right.

The calls are recorded from a rotation in which nothing goes wrong, from one that ends with **Roll back**, and from one
that gets **Another secret**; so a new call is covered on the day it is added. A rotation carries many faults, a few in
each moment; whatever it meets, it has to come to the same end. Where a service stays away, it stops, and says so.
"""

import asyncio
import gc
import io
import logging
import os
import random
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest
from redis.asyncio import Redis

from bot.rotation import audit, finding
from bot.rotation.record import Rotation
from bot.rotation.states import BACK, FORWARD, State
from bot.rotation.stops import StopKind
from bot.storage.records import Store
from bot.telemetry import logs
from bot.telemetry.metrics import REGISTRY
from tests.conftest import Tried
from tests.support.canary import CANARY, WRONG, Written, refuse_canary, refuse_in_keys
from tests.support.players import QUICK, Play, play
from tests.support.plug import ANEW, ANY, OF_HTTP, OF_REDIS, Call, Fault, Plan, Plug, register
from tests.support.stage import KEY

BATCHES = {"forward": 12, "back": 4, "another": 1}
SPANS = {
    "forward": ("start", None),
    "back": ("awaiting_approval", None),
    "another": ("blocked", "baseline" + ANEW),
}
"""Of each track, the moment from which calls come to grief, and the first in which they do not any more."""

AT_ONCE = 8
"""Rotations at a time in one test."""

UNTOLD = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST)

MOST, MOST_AT_ONCE = 30, 6
"""Faults in one rotation, and in one moment of it."""

ROUNDS = 4
"""What did not happen in its moment has three more rotations, in any moment of which it may happen."""

MOST_PASSED_OVER = 2
"""Calls in a batch that may not come again in all of them: one that only chance brings about."""

MILESTONES = {"card", "checklist", "approval", "receipt"}
"""What is told of a rotation that ends with the delete."""


@pytest.fixture(autouse=True)
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the bot prints, with `LOG_LEVEL=debug`."""
    text = io.StringIO()
    before = list(logging.root.handlers), logging.root.level
    monkeypatch.setattr(sys, "stdout", text)
    logs.configure("debug", "json")
    yield text
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = before


@pytest.fixture(autouse=True)
async def found_again() -> AsyncIterator[None]:
    """The bot's tasks can be found when it dies, and what the dead leave behind is swept up here."""
    asyncio.get_running_loop().set_task_factory(register)
    yield
    gc.collect()


def leaving_things_behind(test: Any) -> Any:
    """Let the dead leave open what they had open, and in the midst what they were at: nobody is there to end it.

    What Python cannot raise when it clears that away is told, and is no failure.
    """
    left = "ignore::ResourceWarning", "ignore:coroutine .* was never awaited"
    for allowed in (*left, "default::pytest.PytestUnraisableExceptionWarning"):
        test = pytest.mark.filterwarnings(allowed)(test)
    return test


# --- what is called ---


async def recorded(redis_url: str, track: str) -> tuple[list[str], list[Call]]:
    """Return the moments of a rotation in which nothing goes wrong, and the calls that are to come to grief."""
    plug = Plug()
    async with play(redis_url, 1, plug, secret=CANARY, **wishes(track)) as made:
        record = await made.to_the_end()
        judge_stops(made)
        await judge(made, record)
    moments = list(dict.fromkeys(call.moment for call in plug.calls))
    begin, end = SPANS[track]
    span = moments[moments.index(begin) : moments.index(end) if end else None]
    return moments, [call for call in plug.calls if call.moment in span]


def wishes(track: str) -> dict[str, Any]:
    """Return what people do in a rotation of that kind."""
    return {"back": track == "back", "wrong": WRONG if track == "another" else ""}


def pairs(calls: Iterable[Call]) -> list[tuple[Call, Fault]]:
    """Return every kind of call with every fault that it can come to.

    Each is hit in one moment after the other, with one fault after the other; what changes something, in every moment
    by those after which nobody can tell from an answer whether it was changed.
    """
    moments: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.number == 1:
            moments[call.service, call.kind].append(call)
    return [pair for kind in moments.values() for pair in dict.fromkeys(_of_kind(kind))]


def _of_kind(kind: list[Call]) -> Iterable[tuple[Call, Fault]]:
    faults = faults_of(kind[0])
    everywhere = [(call, fault) for call in kind for fault in UNTOLD] if changes_something(kind[0]) else []
    most = max(len(kind), len(faults))
    return everywhere + [(kind[n % len(kind)], faults[(n + n // len(faults)) % len(faults)]) for n in range(most)]


def faults_of(call: Call) -> tuple[Fault, ...]:
    return OF_REDIS if call.service == "redis" else OF_HTTP


def changes_something(call: Call) -> bool:
    verb = call.kind.split()[0]
    if call.service == "redis":
        return verb in ("save", "note")
    return verb in ("POST", "PATCH", "DELETE") if call.service == "control plane" else verb.startswith("chat.")


def share(calls: Iterable[Call], track: str, batch: int) -> list[tuple[Call, Fault]]:
    """Return what one batch has to try.

    While a secret is taken back, that is what changes something: the looks are those of the way back, and hit there.
    """
    wanted = [(c, fault) for c, fault in pairs(calls) if track != "another" or changes_something(c)]
    return dealt(wanted, batch, BATCHES[track])


def dealt(some: Iterable[tuple[Call, Fault]], batch: int, batches: int) -> list[tuple[Call, Fault]]:
    """Return the share of one batch, the same in each process that records the calls."""
    return [(call, fault) for call, fault in some if zlib.crc32(f"{call}{fault}".encode()) % batches == batch]


def packed(some: Iterable[tuple[Call, Fault]]) -> list[list[Plan]]:
    """Put faults together, each in one rotation."""
    rotations: list[list[Plan]] = []
    for call, fault in some:
        free = next((rotation for rotation in rotations if has_room(rotation, call)), None)
        if free is None:
            rotations.append(free := [])
        free.append(Plan(call, fault))
    return rotations


def has_room(rotation: list[Plan], call: Call) -> bool:
    """Tell whether another fault can be had at *call*: one of two at the very same call would be had at another."""
    there = [plan.call for plan in rotation]
    return len(there) < MOST and call not in there and [c.moment for c in there].count(call.moment) < MOST_AT_ONCE


# --- what it comes to ---


async def judge(made: Play, record: Rotation) -> None:
    """Assert what holds of the end of a rotation, whatever has happened on the way."""
    aisix, back = made.stage.aisix, made.back
    assert record.state is (State.ROLLED_BACK if back else State.COMPLETED)
    keys = list(aisix.provider_keys.values())
    assert [(key.id == record.plan.old_key.id, key.display_name == KEY) for key in keys] == [(back, back)], keys
    assert [(model.display_name, model.provider_key_id) for model in aisix.models.values()] == [
        ("chat-large", keys[0].id)
    ]
    assert not made.deleted_early
    creations = [c for c in aisix.calls if c.method == "POST" and c.path.endswith("/provider_keys")]
    assert len(creations) == (2 if made.wrong else 1), "at most one replacement for each secret"
    assert not made.stage.slack.complaints
    await judge_thread(made, record)
    await judge_trail(made)
    await judge_secrecy(made)


async def judge_thread(made: Play, record: Rotation) -> None:
    """Assert that each message was posted once, but for those that nobody alive knew to have been posted."""
    shown = await made.redis.hgetall(made.key("shown", record.id))
    known = {ts for key in await made.redis.keys(made.key("shown", "*")) for ts in await made.redis.hvals(key)}
    files = [message for message in made.said() if message.files]
    twice = [m.plain for m in made.said() if m.ts not in known | made.plug.lost and m not in files]
    assert not twice, "posted and forgotten"
    assert len(files) <= 1, "Slack does not say where it stands, so nobody attaches another"
    kinds = {key.partition(":")[0] for key, ts in shown.items() if ts in {message.ts for message in made.said()}}
    assert kinds >= ({"card", "checklist", "rolled-back"} if made.back else MILESTONES)


async def judge_trail(made: Play) -> None:
    """Assert that the audit trail is whole and explains every record."""
    store = Store(made.redis, made.stage.namespace)
    entries = audit.verified([line async for line in store.trail()])
    audit.check_records(await store.versions(audit.last_versions(entries)), entries, entries)


async def judge_secrecy(made: Play) -> None:
    """Assert that nothing the bot sent holds a part of the secret, but for the one call; and that this one did."""
    assert made.stage.aisix.upstream.answered(CANARY), "the secret has got where it belongs"
    refuse_canary("\n".join(made.plug.sent), "what was sent")
    await refuse_in_keys(made.redis)
    refuse_canary("\n".join(made.refusals), "a refusal to start")


def judge_process(printed: io.StringIO) -> None:
    """Assert that neither the log, tracebacks and all, nor the figures hold a part of the secret."""
    assert "gave a secret" in printed.getvalue()
    refuse_canary(printed.getvalue(), "the log")
    refuse_canary(generate_latest(REGISTRY).decode(), "/metrics")


FITTING = {"control plane": (StopKind.TROUBLE,), "gateway": (StopKind.UNVERIFIED, StopKind.TROUBLE)}
"""The stops that a fault may lead to, by the service; none of them says a word against the secret."""


def judge_stops(made: Play) -> None:
    """Assert that every stop fits a fault behind it, and that the card says of it what the record does.

    Only a secret that is wrong is ever said to be refused, and that needs no fault.
    """
    halts = made.plug.halts
    refused, halts = (halts[:1], halts[1:]) if made.wrong else ([], halts)
    assert [halt.stop.kind for halt in refused] == [StopKind.REJECTED] * bool(made.wrong)
    fit = [any(h.stop.kind in FITTING.get(plan.call.service, ()) for plan in h.behind) for h in halts]
    assert all(fit), halts
    assert not made.unsaid
    away = [plan for plan in made.plug.plans if plan.lasts and plan.call.service == "control plane"]
    assert [plan for plan in away if not any(plan in halt.behind for halt in halts)] == [], "this stops a rotation"


async def run(redis_url: str, number: int, plans: list[Plan], moments: list[str], track: str) -> str:
    """Play one rotation with faults; return what was wrong with it."""
    plug, overrides = Plug(moments, plans), HASTY if any(plan.lasts for plan in plans) else QUICK
    try:
        async with play(redis_url, number, plug, secret=CANARY, overrides=overrides, **wishes(track)) as made:
            record = await made.to_the_end()
            judge_stops(made)
            await judge(made, record)
    except Exception as wrong:  # noqa: BLE001 - every one of them is told, with the faults that led there
        happened = "\n  and ".join(str(plan) for plan in plans if plan.happened)
        return f"{type(wrong).__name__} {wrong}\nafter {happened}\nin {plug.moment!r}"
    return ""


def case(track: str, *batch: int) -> Any:
    """Leave the longest track to the soak: `make test` has its way back in the other two."""
    return pytest.param(track, *batch, marks=[pytest.mark.soak] if track == "another" else [])


@pytest.mark.waits
@pytest.mark.timeout(1800)
@leaving_things_behind
@pytest.mark.parametrize(
    ("track", "batch"), [case(track, batch) for track, number in BATCHES.items() for batch in range(number)]
)
async def test_wherever_the_plug_is_pulled_the_end_is_the_same(
    valkey: str, track: str, batch: int, tried: Tried, printed: io.StringIO
) -> None:
    written = Written(await folder_of(valkey))
    moments, calls = await recorded(valkey, track)
    left = share(calls, track, batch)
    tried("pulled plugs", faults=len(left))
    wrong: list[str] = []
    for again in range(ROUNDS):
        schedules = packed((replace(call, moment=SPANS[track][0]) if again else call, fault) for call, fault in left)
        tried("pulled plugs", rotations=len(schedules))
        wrong += await at_once(valkey, schedules, moments, track)
        left = [(plan.call, plan.fault) for plans in schedules for plan in plans if not plan.happened]
    assert not wrong, "\n\n".join(wrong)
    tried("pulled plugs", skipped=len(left))
    assert len(left) <= MOST_PASSED_OVER, f"these never happened: {left}"
    written.refuse()
    judge_process(printed)


# --- what stays away ---

HASTY = {**QUICK, "PATIENCE": "4", "PROJECTION_TIMEOUT": "3", "VERIFY_TIMEOUT": "3"}
"""Settings under which what does not answer is soon given up."""

LASTING = (Fault.RESET, Fault.LOST, Fault.TIME_OUT, Fault.LIMITED, Fault.ERROR, Fault.GARBAGE)


def outages(calls: Iterable[Call], steps: Iterable[str]) -> list[list[Plan]]:
    """Have every service that a step calls stay away in it, with another fault in each rotation."""
    places = dict.fromkeys((c.service, c.moment) for c in calls if c.service in ("control plane", "gateway", "status"))
    away = [Call(service, ANY, moment, 1) for service, moment in places if moment.removesuffix(ANEW) in steps]
    return [
        [Plan(call, LASTING[(n + 2 * turn) % len(LASTING)], lasts=True) for n, call in enumerate(away)]
        for turn in range(len(LASTING) // 2)
    ]


@pytest.mark.rest
@pytest.mark.waits
@pytest.mark.timeout(1800)
@leaving_things_behind
@pytest.mark.parametrize("track", [case(track) for track in BATCHES])
async def test_the_stop_names_the_service_that_stays_away(
    valkey: str, track: str, tried: Tried, printed: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "ADRIFT", timedelta(seconds=1))  # how long the next delete waits for what hung
    moments, calls = await recorded(valkey, track)
    schedules = outages(calls, {step.name for step in (*FORWARD, *BACK)})
    tried("services that stay away", rotations=len(schedules), faults=sum(map(len, schedules)))
    wrong = await at_once(valkey, schedules, moments, track)
    assert not wrong, "\n\n".join(wrong)
    left = [str(plan) for plans in schedules for plan in plans if not plan.happened]
    assert len(left) <= MOST_PASSED_OVER, f"these never happened: {left}"
    judge_process(printed)


@pytest.mark.soak
@pytest.mark.timeout(0)
@leaving_things_behind
@pytest.mark.parametrize("track", list(BATCHES))
async def test_one_fault_at_any_single_call_changes_no_end(valkey: str, track: str, tried: Tried) -> None:
    """Draw, as long as there is time, from every call there was and every fault, each in a rotation of its own."""
    moments, calls = await recorded(valkey, track)
    single = [(call, fault) for call in calls for fault in faults_of(call)]
    seed = int(os.environ.get("SOAK_FROM", "1"))
    random.Random(seed).shuffle(single)
    end, wrong = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "60")), list[str]()
    while single and time.monotonic() < end:
        drawn = [[Plan(*single.pop())] for _ in range(min(AT_ONCE * 4, len(single)))]
        wrong += await at_once(valkey, drawn, moments, track)
        tried(
            "plugs pulled alone", rotations=len(drawn), faults=sum(plan.happened for plans in drawn for plan in plans)
        )
    assert not wrong, f"with SOAK_FROM={seed}:\n" + "\n\n".join(wrong)


async def folder_of(redis_url: str) -> Path:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        return Path((await redis.config_get("dir"))["dir"])


async def at_once(redis_url: str, schedules: list[list[Plan]], moments: list[str], track: str) -> list[str]:
    free: asyncio.Queue[int] = asyncio.Queue()
    for number in range(2, 2 + AT_ONCE):
        free.put_nowait(number)

    async def one(plans: list[Plan]) -> str:
        number = await free.get()
        try:
            return await run(redis_url, number, plans, moments, track)
        finally:
            free.put_nowait(number)

    return [wrong for wrong in await asyncio.gather(*map(one, schedules)) if wrong]
