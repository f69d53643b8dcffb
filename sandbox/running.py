"""Run the bot next to a sandbox program (the demo, the comparison), and end both."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sandbox.bot_process import bot_process
from sandbox.company import Company
from sandbox.terminal import Terminal

T = TypeVar("T")

START, WHOLE = 20.0, 120.0
"""Seconds for the bot to connect, and for the whole run."""

BOT_SETTINGS = {"SETTLE": "1", "WATCH": "3", "SLACK_EDITS_PER_MINUTE": "600"}
"""Short waits, as the sandbox is fast, and many edits, as nobody else uses the workspace."""


class Failed(Exception):
    """The run failed; one sentence says why."""


@asynccontextmanager
async def bot_of(there: Company, folder: Path, log: Path) -> AsyncIterator[Process]:
    """Run a bot for this company, with its log in *log*; it is not connected yet."""
    async with bot_process({**there.settings(), **BOT_SETTINGS}, folder, log) as bot:
        yield bot


async def while_it_runs(bot: Process, there: Company, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *story* once the bot has connected; raise `Failed` if the bot ends or the story hangs."""
    told, gone = asyncio.create_task(_once_connected(there, story)), asyncio.create_task(bot.wait())
    try:
        await asyncio.wait({told, gone}, timeout=WHOLE, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            return told.result()
        raise Failed(
            f"The bot ended by itself, with exit status {gone.result()}."
            if gone.done()
            else f"This hangs: it is not at its end after {WHOLE:g} s."
        )
    except (TimeoutError, RuntimeError, AssertionError) as error:
        raise Failed(str(error)) from None
    finally:
        told.cancel()
        gone.cancel()


async def _once_connected(there: Company, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    await there.slack.until(lambda: there.slack.sockets, START, "the bot to connect to Slack")
    return await story()


def judged(terminal: Terminal, log: Path, work: Coroutine[Any, Any, bool]) -> int:
    """Run *work* and return the exit status; after a failure, print the bot's log."""
    try:
        well = asyncio.run(_until_told_to_stop(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.say("Ended, and the bot with it.")
        return 130
    except Failed as failed:
        sentence, *story = str(failed).split("\n")
        terminal.say(f"\n{sentence}", "bold red")
        terminal.verbatim("\n".join(story))
        well = False
    if not well:
        terminal.scene("The bot's log")
        terminal.verbatim(log.read_text(errors="replace") if log.exists() else "")
    return 0 if well else 1


async def _until_told_to_stop(work: Coroutine[Any, Any, bool]) -> bool:
    """Run *work*; SIGTERM ends it like Ctrl-C, so that the bot is stopped too."""
    task = asyncio.ensure_future(work)
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
