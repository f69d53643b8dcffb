"""The sandbox's programs, begun as a person begins them."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

PROJECT = Path(__file__).parents[2]


async def started(*arguments: str, **environ: str) -> Process:
    """Begin `python` with *arguments*; what it prints, on either stream, waits to be read."""
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=PROJECT, env={**os.environ, **environ}, stdout=PIPE, stderr=STDOUT
    )


async def told(process: Process) -> str:
    """Wait for its end, and return all that it printed."""
    printed, _ = await process.communicate()
    return printed.decode()
