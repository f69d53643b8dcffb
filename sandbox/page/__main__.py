"""Try Keyturn by hand in the browser, against the sandbox: `make play`."""

import asyncio
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click

from sandbox.company import AFFECTED, FEWEST, REPLICAS, Company, company
from sandbox.gateways import RealAisix, missing
from sandbox.page import router
from sandbox.page.bot import Bot, running
from sandbox.page.server import Page
from sandbox.page.workshop import Workshop
from sandbox.running import START, Failed, judged
from sandbox.terminal import Terminal

SETTINGS = {
    "SETTLE": "1",
    "WATCH": "20",
    "PROJECTION_TIMEOUT": "15",
    "VERIFY_TIMEOUT": "15",
    "PATIENCE": "20",
    "SLACK_EDITS_PER_MINUTE": "600",
    "FINGERPRINT_PEPPER": secrets.token_hex(16),
}
"""Waits short enough to watch, and a pepper, so that the bot recognizes secrets."""


class Wanted(NamedTuple):
    """What was asked for in the terminal."""

    models: int
    port: int
    binary: str
    """The program of real gateways; empty for the sandbox's own."""

    settings: dict[str, str]


async def play(terminal: Terminal, folder: Path, log: Path, wanted: Wanted) -> bool:
    """Serve until Ctrl-C."""
    binary, settings = wanted.binary, {**SETTINGS, **wanted.settings}
    aisix = RealAisix(binary, folder, environments=REPLICAS) if binary else None
    async with company(wanted.models, aisix=aisix) as bare:
        there = router.with_router(bare)
        async with running(lambda: {**there.settings(), **settings}, folder, log) as bot, there.callers() as callers:
            await _connected(there, bot)
            more = [bot.own, router.switch(there, bot.restarted)]
            async with Workshop(there, callers, more).open() as workshop, Page(workshop, wanted.port) as address:
                introduce(terminal, address, log, there.aisix.kind)
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    return True


async def _connected(there: Company, bot: Bot) -> None:
    """Wait until the bot has connected; raise `Failed` if it ends or is too slow."""
    assert bot.process is not None
    process = bot.process
    gone = asyncio.create_task(process.wait())
    there_is = asyncio.create_task(there.slack.until(lambda: there.slack.sockets, START, "the bot to connect to Slack"))
    done, _ = await asyncio.wait({gone, there_is}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if there_is not in done:
        there_is.cancel()
        raise Failed(f"The bot ended by itself, with exit status {process.returncode}.")
    try:
        there_is.result()
    except TimeoutError as late:
        raise Failed(str(late)) from None


def introduce(terminal: Terminal, address: str, log: Path, gateways: str) -> None:
    """Print the page's address, and what it shows."""
    terminal.say("A local Slack with Keyturn in it, beside a local AISIX with callers at work:", "bold")
    terminal.say(f"Behind AISIX: {gateways}.")
    terminal.verbatim(f"\n    {address}\n")
    terminal.say(f"Nothing leaves this machine. The bot's log is {log}. Ctrl-C ends all of it.", "dim")


@contextmanager
def logged(log: Path | None) -> Iterator[tuple[Path, Path]]:
    """Provide a folder for the bot, and the path of its log."""
    with tempfile.TemporaryDirectory(prefix="keyturn-play-") as name:
        yield Path(name), (log or Path(name) / "bot.log").absolute()


def written(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return settings by name, from NAME=VALUE each."""
    if wrong := [each for each in given if not re.fullmatch(r"[A-Z_]+=.*", each, re.DOTALL)]:
        raise click.BadParameter(f"“{wrong[0]}” should be NAME=VALUE, with a name from docs/settings.md.")
    return dict(each.split("=", 1) for each in given)


@click.command()
@click.option("--models", type=click.IntRange(FEWEST, 500), default=len(AFFECTED), show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The page's port; by default a free one.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Keep the bot's log in this file.")
@click.option("--aisix", default="", envvar="AISIX_BIN", help="A gateway's program: real gateways, on a real etcd.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=written,
    envvar="PLAY_SETTINGS",
    metavar="NAME=VALUE",
    help="A setting of the bot; may be given several times.",
)
def main(*, models: int, port: int, log: Path | None, aisix: str, settings: dict[str, str]) -> None:  # fmt: skip
    """Rotate a key by hand, in the browser, with a wrong secret first; nothing real is there to break."""
    terminal = Terminal()
    if aisix and (sentence := missing(aisix)):
        raise click.ClickException(sentence)
    with logged(log) as (folder, kept):
        sys.exit(judged(terminal, kept, play(terminal, folder, kept, Wanted(models, port, aisix, settings))))


if __name__ == "__main__":
    main()
