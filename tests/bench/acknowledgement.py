"""How long 50 people wait who type `/rotate-key` at once while 50 rotations run; beside a bare Bolt app.

Slack and those who type are in this process; the control plane, the bot and the bare app have one each. The bare app
is asked in turns with the bot, so both meet the same busy machine.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from bot.storage.embedded import embedded_server
from sandbox.slack import Slack
from tests.bench.running import begun
from tests.bench.table import milliseconds, quantile, table
from tests.bench.tenant import tenant
from tests.support.documents import ROOT
from tests.support.process import bot_process

PEOPLE, ROTATIONS, MODELS, ROUNDS = 50, 50, 10, 5
TOO_LATE = 1.0


async def measured() -> str:
    async with tenant(ROTATIONS, MODELS) as there, Slack() as slack, Slack() as other:
        with tempfile.TemporaryDirectory() as folder:
            async with embedded_server(Path(folder)) as redis_url:
                environ = {"REDIS_URL": redis_url, "APPROVERS": "S_APPROVERS", "SLACK_EDITS_PER_MINUTE": "100000"}
                environ |= slack.settings() | there["settings"]
                async with (
                    bot_process(environ, Path(folder), command_line=True) as busy,
                    bare_app(other),
                    Redis.from_url(redis_url, decode_responses=True) as redis,
                ):
                    await begun(there["pairs"], environ, redis)
                    await busy.until(lambda: busy.output.count('"moved"') > ROTATIONS, what="rotations that run")
                    bot, bare = await in_turns(slack, other)
    return table(
        f"Acknowledgement of `/rotate-key`, {PEOPLE} people at once while {ROTATIONS} rotations run",
        ("app", "p50", "p99", "longest", f"over {TOO_LATE:.0f} s"),
        [row("the bot", bot), row("a bare Bolt app", bare), ratios(bot, bare)],
    )


def row(name: str, waits: list[float]) -> tuple[str, ...]:
    shown = (quantile(waits, 0.5), quantile(waits, 0.99), max(waits))
    return (name, *map(milliseconds, shown), str(sum(wait > TOO_LATE for wait in waits)))


def ratios(bot: list[float], bare: list[float]) -> tuple[str, ...]:
    parts = [quantile(bot, part) / quantile(bare, part) for part in (0.5, 0.99)]
    return ("bot ÷ bare", *(f"{part:.1f}" for part in parts), f"{max(bot) / max(bare):.1f}", "")


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


def join(slack: Slack, people: list[str]) -> None:
    slack.channels["C_OPS"].members.update(people)


async def in_turns(slack: Slack, other: Slack) -> tuple[list[float], list[float]]:
    crowd = [f"U_P{number:03}" for number in range(PEOPLE)]
    for place in (slack, other):
        for person in crowd:
            place.add_user(person, person.lower())
        join(place, crowd)
    bot: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        bare += await burst(other, crowd)
        bot += await burst(slack, crowd)
    return bot, bare


async def burst(slack: Slack, crowd: list[str]) -> list[float]:
    async def typed(person: str) -> float:
        began = time.perf_counter()
        answer = await slack.person(person).command("", channel="C_OPS")
        return float("inf") if answer.error else time.perf_counter() - began

    return await asyncio.gather(*map(typed, crowd))
