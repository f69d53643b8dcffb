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


async def told(process: Process, until: str | None = None) -> str:
    """Return what it prints up to the line with *until*, or to its end."""
    assert process.stdout is not None
    printed = b""
    while until is None or until.encode() not in printed:
        if not (line := await process.stdout.readline()):
            assert until is None, f"it ended before it had said {until!r}: {printed.decode()}"
            await process.wait()
            break
        printed += line
    return printed.decode()
