"""An AISIX in a process of its own, so that its work is not taken for the bot's, and rotations that run there.

`python -m tests.bench.tenant KEYS MODELS` prints one line of JSON, and serves until its input is closed.
"""

import asyncio
import json
import logging
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.app import control_plane_of
from bot.rotation.plan import make_plan
from bot.rotation.record import Replacement, Rotation
from bot.rotation.states import State
from bot.settings import read_settings
from bot.storage.embedded import embedded_server
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from sandbox.aisix import Aisix
from sandbox.slack import Slack
from tests.support.documents import ROOT
from tests.support.stage import NEW_SECRET, OLD_SECRET, Environment, namespace_of

LATENCY = 0.05


async def serve(keys: int, models: int) -> None:
    """Serve as many keys, and beside each its replacement, with *models* on each old one."""
    async with Aisix(environments={"production": 1}) as aisix:
        aisix.switches.latency = LATENCY
        aisix.upstream.accept(NEW_SECRET)
        pairs = [_pair(aisix, number, models) for number in range(keys)]
        aisix.settle()
        print(json.dumps({"settings": aisix.settings(), "pairs": pairs}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _pair(aisix: Aisix, number: int, models: int) -> tuple[str, str]:
    name = f"Key {number:03}"
    old = aisix.add_key(name, secret=OLD_SECRET, settled=False)
    new = aisix.add_key(f"{name} (r{number:03})", secret=NEW_SECRET, settled=False)
    for model in range(models):
        aisix.add_model("production", f"model-{number:03}-{model:02}", key=old, upstream="gpt-4o", settled=False)
    return old.id, new.id


class Tenant(NamedTuple):
    """Such an AISIX, a Slack and a Redis, the settings that lead there, and the ids of the keys."""

    slack: Slack
    redis: Redis
    environ: dict[str, str]
    folder: Path
    pairs: list[list[str]]


@asynccontextmanager
async def tenant(keys: int, models: int) -> AsyncIterator[Tenant]:
    command = [sys.executable, "-m", "tests.bench.tenant", str(keys), str(models)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=2**24)
    assert process.stdin
    assert process.stdout
    try:
        there: dict[str, Any] = json.loads(await process.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            async with Slack() as slack, embedded_server(Path(folder)) as url:
                environ = {"REDIS_URL": url, "APPROVERS": "S_APPROVERS", "SLACK_EDITS_PER_MINUTE": "100000"}
                environ |= slack.settings() | there["settings"]
                async with Redis.from_url(url, decode_responses=True) as redis:
                    yield Tenant(slack, redis, environ, Path(folder), there["pairs"])
    finally:
        process.stdin.close()
        await process.wait()


async def begun(there: Tenant) -> list[str]:
    """Record every rotation as it is once its replacement is there, and hint at it; return where."""
    with Environment(there.environ):
        settings = read_settings(None)
    async with control_plane_of(settings) as control_plane, Redis.from_url(there.environ["REDIS_URL"]) as plain:
        inventory, now, namespace = await control_plane.inventory(), datetime.now(UTC), namespace_of(there.environ)
        store, jobs = Store(there.redis, namespace), Jobs(RedisQueue(plain, name=namespace.queue))
        for number, (old, new) in enumerate(there.pairs):
            key, made = inventory.key(old), inventory.key(new)
            assert key
            assert made
            rotation = Rotation(
                id=f"r{number:03}",
                team="T_SANDBOX",
                channel="C_OPS",
                requested_by="U_REQUESTER",
                requested_at=now,
                started_at=now,
                plan=make_plan(inventory, key, settings.aisix_gateways),
                state=State.RUNNING,
                attempt=1,
                replacement=Replacement(name=made.display_name, asked_at=now, key_id=new),
                names=(made.display_name,),
                made=(new,),
                done=("replace",),
            )
            await jobs.advance(await store.save(rotation, {"by": "bench", "what": "begun", "why": ""}, at=now))
    return [namespace.key("rotation", f"r{number:03}") for number in range(len(there.pairs))]


if __name__ == "__main__":
    logging.disable()  # what it says of a bot that was killed is no news
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
