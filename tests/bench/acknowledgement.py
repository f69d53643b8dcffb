"""How long 50 people wait who type `/rotate-key` at once while 50 rotations run; beside a bare Bolt app.

Slack and those who type are in this process; the control plane, the bot and the bare app have one each. The bare app
is asked in turns with the bot, so both meet the same busy machine.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.slack import Slack
from tests.bench.table import milliseconds, quantile, table
from tests.bench.tenant import begun, tenant
from tests.support.documents import ROOT
from tests.support.process import bot_process

PEOPLE, ROTATIONS, MODELS, ROUNDS = 50, 50, 10, 5
TOO_LATE = 1.0


async def measured() -> str:
    async with (
        tenant(ROTATIONS, MODELS) as there,
        Slack() as other,
        bare_app(other),
        bot_process(there.environ, there.folder, command_line=True) as busy,
    ):
        await begun(there)
        await busy.until(lambda: busy.output.count('"moved"') > ROTATIONS, what="rotations that run")
        bot, bare = await in_turns(there.slack, other)
    waits = {"the bot": bot, "a bare Bolt app": bare}
    shown = {name: [quantile(those, 0.5), quantile(those, 0.99), max(those)] for name, those in waits.items()}
    rows = [
        (name, *map(milliseconds, shown[name]), str(sum(wait > TOO_LATE for wait in those)))
        for name, those in waits.items()
    ]
    ratios = [f"{one / other:.1f}" for one, other in zip(*shown.values(), strict=True)]
    return table(
        f"Acknowledgement of `/rotate-key`, {PEOPLE} people at once while {ROTATIONS} rotations run",
        ("app", "p50", "p99", "longest", f"over {TOO_LATE:.0f} s"),
        [*rows, ("bot ÷ bare", *ratios, "")],
    )


@asynccontextmanager
async def bare_app(slack: Slack) -> AsyncIterator[None]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **slack.settings()}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.bare_bolt", env=environ)
    try:
        await slack.until(lambda: slack.sockets, 30, "the bare app to connect")
        yield
    finally:
        process.kill()
        await process.wait()


async def in_turns(slack: Slack, other: Slack) -> tuple[list[float], list[float]]:
    """Have everybody type at the bot and at the bare app in turns, and return how long they waited."""
    crowd = [f"U_P{number:03}" for number in range(PEOPLE)]
    for place in (slack, other):
        for person in crowd:
            place.add_user(person, person.lower())
        place.channels["C_OPS"].members.update(crowd)
    bot, bare = list[float](), list[float]()
    for _ in range(ROUNDS):
        for place, waits in ((other, bare), (slack, bot)):
            waits.extend(await asyncio.gather(*(typed(place, person) for person in crowd)))
    return bot, bare


async def typed(slack: Slack, person: str) -> float:
    began = time.perf_counter()
    answer = await slack.person(person).command("", channel="C_OPS")
    return float("inf") if answer.error else time.perf_counter() - began
