"""An AISIX in a process of its own, so that its work is not taken for the bot's.

`python -m tests.bench.tenant KEYS MODELS` prints one line of JSON, and serves until its input is closed.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.aisix import Aisix
from tests.support.documents import ROOT
from tests.support.stage import NEW_SECRET, OLD_SECRET

LATENCY = 0.05


async def serve(keys: int, models: int) -> None:
    async with Aisix(environments={"production": 1}) as aisix:
        aisix.switches.latency = LATENCY
        aisix.upstream.accept(NEW_SECRET)
        pairs = [_pair(aisix, number, models) for number in range(keys)]
        aisix.settle()
        print(json.dumps({"settings": aisix.settings(), "pairs": pairs}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _pair(aisix: Aisix, number: int, models: int) -> tuple[str, str]:
    """Add a key with its models, and another one like it without."""
    name = f"Key {number:03}"
    old = aisix.add_key(name, secret=OLD_SECRET, settled=False)
    new = aisix.add_key(f"{name} (r{number:03})", secret=NEW_SECRET, settled=False)
    for model in range(models):
        aisix.add_model("production", f"model-{number:03}-{model:02}", key=old, upstream="gpt-4o", settled=False)
    return old.id, new.id


@asynccontextmanager
async def tenant(keys: int, models: int) -> AsyncIterator[dict[str, Any]]:
    """Run such an AISIX; yield the settings that lead to it, and the ids of the keys."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.tenant", str(keys), str(models)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    logging.disable()  # what it says of a bot that was killed is no news
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
