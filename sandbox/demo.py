"""One rotation from the command to the receipt, in the terminal, against the sandbox: `make demo`."""

import asyncio
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sandbox.bot_process import bot_process
from sandbox.caller import Callers
from sandbox.company import AFFECTED, FEWEST, REPLICAS, SECRETS, Company, company
from sandbox.figures import Check, Figures, Window, checks, figures
from sandbox.invitation import invitation
from sandbox.narrator import Narrator
from sandbox.play import Play
from sandbox.terminal import Terminal

START, WHOLE = 20.0, 120.0
"""Seconds that the bot has to connect, and that all of it may take."""

BOT_SETTINGS = {"SETTLE": "1", "SLACK_EDITS_PER_MINUTE": "600"}
"""Waits as short as the sandbox is fast, and the edits that a workspace with nobody else in it has to spare."""


class Failed(Exception):
    """One sentence that says why the demo could not go on."""


@dataclass(frozen=True)
class Demo:
    """Everything that is running."""

    company: Company
    callers: Callers
    bot: Process
    terminal: Terminal

    async def run(self) -> list[Check]:
        """Play the story and judge its end."""
        before = set(self.company.aisix.provider_keys)
        window = Window(self.company)
        Narrator(self.company.slack, self.terminal, SECRETS)
        async with self.callers:
            with self.terminal.footer(self._figures):
                await self._while_the_bot_runs(self._story(window))
        counted = figures(self.callers, window)
        found = checks(self.company, before, counted)
        conclude(self.terminal, counted, window, found)
        return found

    async def _story(self, window: Window) -> None:
        slack = self.company.slack
        await slack.until(lambda: slack.sockets, START, "the bot to connect to Slack")
        await Play(self.company, self.callers, window, self.terminal).run()

    async def _while_the_bot_runs(self, story: Coroutine[Any, Any, None]) -> None:
        """Tell *story*; end it with a sentence where the bot ends, or nothing happens any more."""
        told, gone = asyncio.create_task(story), asyncio.create_task(self.bot.wait())
        try:
            await asyncio.wait({told, gone}, timeout=WHOLE, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                return told.result()
            raise Failed(
                f"The bot ended by itself, with exit status {gone.result()}."
                if gone.done()
                else f"The demo hangs: it is not at its end after {WHOLE:g} s."
            )
        except (TimeoutError, RuntimeError, AssertionError) as error:
            raise Failed(str(error)) from None
        finally:
            told.cancel()
            gone.cancel()

    def _figures(self) -> str:
        return f"callers: {self.callers.sent:,} requests sent, {self.callers.failed:,} failed"


def conclude(terminal: Terminal, counted: Figures, window: Window, found: list[Check]) -> None:
    """Say what the callers counted, and whether everything is as promised."""
    terminal.scene("What the callers saw")
    terminal.say(f"  {counted.sent:>6,}  requests sent, through every affected alias in every environment")
    terminal.say(f"  {counted.failed:>6,}  failed")
    length = f"{window.seconds:.1f} s" if window.start else "no model was moved to it"
    terminal.say(f"  {counted.inside:>6,}  of them inside the window of the wrong secret ({length})")
    terminal.say(f"  {counted.outside:>6,}  outside of it")
    terminal.say()
    for check in found:
        terminal.say(f"  {'✔' if check.holds else '✗'} {check.sentence}", "" if check.holds else "bold red")


def introduce(terminal: Terminal, there: Company) -> None:
    """Say what is about to be seen."""
    replicas = " and ".join(f"{name} ({count} replica{'s'[: count != 1]})" for name, count in REPLICAS.items())
    terminal.say("Keyturn rotates the provider key of an AI gateway, from Slack.", "bold")
    terminal.say(
        f"A local Slack, a local AISIX with {replicas}, an application on each alias, and the bot as its own process. "
        f"“{there.key.display_name}” is the key whose turn has come."
    )


async def demo(terminal: Terminal, folder: Path, log: Path, *, models: int, latency: float, stay: bool) -> bool:
    """Start everything, run it, and stop it; tell whether all is as promised."""
    async with company(models, latency) as there:
        introduce(terminal, there)
        async with bot_process({**there.settings(), **BOT_SETTINGS}, folder, log) as bot:
            found = await Demo(there, there.callers(), bot, terminal).run()
            if stay:
                stays(terminal, there, bot.pid, log)
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    return all(check.holds for check in found)


def stays(terminal: Terminal, there: Company, pid: int, log: Path) -> None:
    """Say how to use what goes on running."""
    terminal.scene("Everything is still running; Ctrl-C ends it")
    terminal.say(
        f"The bot is process {pid}, its log {log}. To try a bot of your own against this Slack and this AISIX, "
        f"end ours with `kill {pid}` (an event goes to one of the connected bots only) and start yours with:"
    )
    terminal.verbatim(invitation(there.settings()))


async def until_told_to_stop(work: Coroutine[Any, Any, bool]) -> bool:
    """Run *work*; SIGTERM ends it as Ctrl-C does, so that the bot is stopped as well."""
    task = asyncio.ensure_future(work)
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def judged(terminal: Terminal, log: Path, work: Coroutine[Any, Any, bool]) -> int:
    """Run *work* and return the exit status; a failure is told with the bot's log."""
    try:
        well = asyncio.run(until_told_to_stop(work))
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


@click.command()
@click.option("--stay", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option("--plain", is_flag=True, help="No colours, and nothing that moves.")
@click.option(
    "--models",
    type=click.IntRange(FEWEST, 500),
    default=len(AFFECTED),
    show_default=True,
    help="How many models the old key has.",
)
@click.option(
    "--latency",
    type=click.IntRange(0, 2000),
    default=5,
    show_default=True,
    metavar="MS",
    help="Milliseconds that each call of the control plane takes.",
)
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Keep the bot's log in this file.")
def main(*, stay: bool, plain: bool, models: int, latency: int, log: Path | None) -> None:  # fmt: skip
    """Watch one rotation from the command to the receipt; the exit status is 0 if all ends as promised."""
    terminal = Terminal(plain=plain)
    with tempfile.TemporaryDirectory(prefix="keyturn-demo-") as name:
        kept = (log or Path(name) / "bot.log").absolute()
        work = demo(terminal, Path(name), kept, models=models, latency=latency / 1000, stay=stay)
        sys.exit(judged(terminal, kept, work))


if __name__ == "__main__":
    main()
