"""A credential's whole life, made, moved, proved and revoked, in the terminal, against the sandbox: `make demo`."""

import asyncio
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from sandbox.caller import Callers
from sandbox.company import AFFECTED, FEWEST, REPLICAS, SECRETS, Company, company
from sandbox.invitation import invitation
from sandbox.judgement import Beginning, checks, conclude, of_secrets
from sandbox.narrator import Ledger, Narrator
from sandbox.play import Play
from sandbox.running import bot_of, judged, while_it_runs
from sandbox.searching import found
from sandbox.terminal import Terminal


@dataclass(frozen=True)
class Demo:
    """All parts of the running demo."""

    company: Company
    callers: Callers
    bot: Process
    terminal: Terminal
    found: Callable[[], list[str]]
    """Says where a piece of a secret is that must be nowhere."""

    async def run(self) -> bool:
        """Play the story and check its result."""
        before = Beginning.of(self.company)
        Narrator(self.company.slack, self.terminal, SECRETS)
        Ledger(self.company.provider, self.terminal)
        async with self.callers:
            with self.terminal.footer(lambda: f"callers: {self.callers}"):
                play = Play(self.company, self.callers, self.terminal)
                await while_it_runs(self.bot, self.company, play.run)
        self.terminal.scene("What the callers saw, through every affected alias in every environment")
        self.terminal.say(f"  callers: {self.callers}")
        return conclude(
            self.terminal, [*checks(self.company, before, self.callers), *of_secrets(self.company, self.found())]
        )


def introduce(terminal: Terminal, there: Company) -> None:
    """Say what the demo will show."""
    replicas = " and ".join(f"{name} ({count} replica{'s'[: count != 1]})" for name, count in REPLICAS.items())
    terminal.say("Keyturn rotates the provider key of an AI gateway, from Slack.", "bold")
    terminal.say(
        f"A local Slack, a local AISIX with {replicas}, a local {there.provider.title}, an application on each alias, "
        "and the bot as its own process. "
        f"“{there.key.display_name}” is the key to rotate."
    )


async def demo(terminal: Terminal, folder: Path, log: Path, *, models: int, latency: float, stay: bool) -> bool:
    """Start everything, run the story, and stop; return whether every promise held."""
    async with company(models, latency) as there:
        introduce(terminal, there)
        async with bot_of(there, folder, log) as bot:
            well = await Demo(there, there.callers(), bot, terminal, lambda: found(there, folder, log)).run()
            if stay:
                stays(terminal, there, bot.pid, log)
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    if well:
        terminal.say("\nNext: `make play`, to do the same by hand in a browser. README.md says how to install Keyturn.")
    return well


def stays(terminal: Terminal, there: Company, pid: int, log: Path) -> None:
    """Say how to use the parts that keep running."""
    terminal.scene("Everything is still running; Ctrl-C ends it")
    terminal.say(
        f"The bot is process {pid}, its log {log}. To try a bot of your own against this Slack and this AISIX, "
        f"end ours with `kill {pid}` (an event goes to one of the connected bots only) and start yours with:"
    )
    terminal.verbatim(invitation(there.settings()))


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
    """Watch one rotation from the command to the revocation; the exit status is 0 if all ends as promised."""
    terminal = Terminal(plain=plain)
    with tempfile.TemporaryDirectory(prefix="keyturn-demo-") as name:
        kept = (log or Path(name) / "bot.log").absolute()
        work = demo(terminal, Path(name), kept, models=models, latency=latency / 1000, stay=stay)
        sys.exit(judged(terminal, kept, work))


if __name__ == "__main__":
    main()
