"""What is measured on: a Slack and an AISIX in this process, a Valkey, and the bot in a process of its own."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.storage.embedded import embedded_server
from sandbox.aisix import Aisix
from sandbox.slack import Slack
from tests.support.process import BotProcess, bot_process
from tests.support.stage import KEY, NEW_SECRET, OLD_SECRET, Stage

TICKS = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def ground(latency: float = 0.0, **more: int) -> AsyncIterator[Stage]:
    """Set a stage without a model on it; *latency* is that of the control plane, and *more* environments' replicas."""
    aisix = Aisix(environments={"production": 2, "staging": 1, **more})
    with tempfile.TemporaryDirectory() as folder:
        async with Slack() as slack, aisix, embedded_server(Path(folder)) as redis_url:
            aisix.switches.latency = latency
            aisix.upstream.accept(NEW_SECRET)
            yield Stage(slack, aisix, redis_url)


@asynccontextmanager
async def bot_on(stage: Stage, *command: str, **settings: str) -> AsyncIterator[BotProcess]:
    environ = {"APPROVERS": "S_APPROVERS", "REDIS_URL": stage.redis_url} | stage.slack.settings()
    with tempfile.TemporaryDirectory() as folder:
        environ |= stage.aisix.settings() | settings
        async with bot_process(environ, Path(folder), *command, command_line=True) as bot:
            yield bot


def furnish(stage: Stage, models: int, *environments: str) -> None:
    """Put one key on the stage, and *models* on the key, in turn in each of *environments*."""
    key = stage.aisix.add_key(KEY, secret=OLD_SECRET)
    for number in range(models):
        environment = environments[number % len(environments)]
        stage.aisix.add_model(environment, f"model-{number:03}", key=key, upstream="gpt-4o", settled=False)
    stage.aisix.settle()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024
