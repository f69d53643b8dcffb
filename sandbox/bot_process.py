"""Run the bot in its own process, with settings from the environment, as in production."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PATIENCE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

HANDED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""The variables that the bot inherits: no proxy, and no settings of a real Keyturn."""


@asynccontextmanager
async def bot_process(settings: Mapping[str, str], folder: Path, log: Path) -> AsyncIterator[Process]:
    """Run `python -m bot` in *folder*, which has no `.env`, with its output in *log*; stop it at the end."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot"),
            cwd=folder,
            env=environment(settings, folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        await _stop(process)


def environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the bot's environment variables; its embedded Valkey keeps its data in *folder*."""
    kept = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": str(PROJECT), "KEYTURN_DATA": str(folder / "data"), "LOG_FORMAT": "json", **settings}


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
