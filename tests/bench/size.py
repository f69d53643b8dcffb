"""How long the bot takes to be ready, and how much is installed for it."""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tests.bench.ground import bot_on, ground
from tests.bench.table import megabytes, table
from tests.support.documents import ROOT

STARTS = 5


async def measured() -> str:
    async with ground() as stage:
        starts = []
        for _ in range(STARTS):
            began = time.monotonic()
            async with bot_on(stage):
                starts.append(time.monotonic() - began)
    ready, alone = statistics.median(starts), await imported()
    packages = list(runtime())
    size = sum(map(weight, packages))
    rows = [
        ("from `python -m bot` to ready", f"{ready:.2f} s"),
        ("of that, reading the code of all packages", f"{alone:.2f} s"),
        (f"installed: {len(packages)} packages that it runs with, without the tests' tools", megabytes(size)),
    ]
    return table("Start and size", ("what", "figure"), rows)


async def imported() -> float:
    took = []
    for _ in range(STARTS):
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import bot.cli", cwd=ROOT)
        await process.wait()
        took.append(time.monotonic() - began)
    return statistics.median(took)


def runtime() -> Iterator[Distribution]:
    """Yield the packages that the bot runs with, as they are installed here."""
    for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements-run.lock").read_text(), re.MULTILINE):
        with suppress(PackageNotFoundError):  # one for another platform
            yield distribution(name)


def weight(package: Distribution) -> int:
    paths = [Path(str(file.locate())) for file in package.files or ()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())
