"""Measure what a wrong secret costs callers, by hand and by the bot: `make comparison`."""

import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import click

from sandbox.by_hand import READING, ByHand
from sandbox.caller import Callers
from sandbox.company import AFFECTED, FEWEST, WRONG_SECRET, Company, company
from sandbox.judgement import Check, conclude
from sandbox.people import People
from sandbox.running import bot_of, judged, while_it_runs
from sandbox.terminal import Terminal

RATE = 50.0
"""Requests a second to every affected alias."""

PAUSE = 0.5
"""Seconds that a quick person needs before a click."""


class Cost(NamedTuple):
    """What callers saw with one of the two ways."""

    way: str
    callers: Callers
    seconds: float

    def __str__(self) -> str:
        kinds = ", ".join(f"{status} {kind}" for status, kind in self.callers.failures_by_type())
        return f"{self.way:<12}{self.callers}{f' ({kinds})' if kinds else ''}, in {self.seconds:.1f} s"


async def measured(way: str, there: Company, rate: float, work: Coroutine[Any, Any, Any]) -> Cost:
    """Run *work* with callers sending, from their first answers until every gateway has the last change."""
    callers = Callers(there.caller(model, rate) for model in there.models)
    async with callers:
        await there.aisix.until(lambda: all(caller.ok for caller in callers.callers), what="an answer for each caller")
        began = time.monotonic()
        await work
        await there.aisix.until(there.aisix.projected, what="the last change at the gateways")
        return Cost(way, callers, time.monotonic() - began)


async def by_hand(models: int, rate: float, reading: float) -> Cost:
    """Rotate to a wrong secret with the documented procedure."""
    async with company(models) as there:
        person = ByHand(there.aisix, there.key, there.models, reading=reading)
        return await measured("by hand", there, rate, person.rotate(WRONG_SECRET))


async def by_the_bot(models: int, rate: float, folder: Path, log: Path) -> Cost:
    """Rotate to the same secret with the bot."""
    async with company(models) as there, bot_of(there, folder, log) as bot:
        return await while_it_runs(bot, there, lambda: measured("by the bot", there, rate, wrong_secret(there)))


async def wrong_secret(there: Company) -> None:
    """Request a rotation, give the wrong secret, and roll back once the bot has stopped."""
    people = People(there, PAUSE)
    card = await people.ask()
    await people.press("Enter new secret", card)
    await people.give({"secret": WRONG_SECRET})
    await people.press("Roll back", card)
    await people.gone(WRONG_SECRET)
    await people.ended(card, "rolled back")


async def comparison(terminal: Terminal, folder: Path, log: Path, *, models: int, rate: float, reading: float) -> bool:
    """Measure and print both ways; return whether only the procedure failed requests."""
    terminal.scene("A wrong secret, given to both")
    terminal.say(f"  {rate:g} requests a second to each of {models} affected aliases")
    hand = await by_hand(models, rate, reading)
    terminal.say(f"  {hand}")
    bot = await by_the_bot(models, rate, folder, log)
    terminal.say(f"  {bot}")
    return conclude(
        terminal,
        [
            Check(
                hand.callers.failed > 0, "By hand, callers notice.", "By hand nothing failed: this compares nothing."
            ),
            Check(bot.callers.failed == 0, "By the bot, none does.", "By the bot, requests failed."),
        ],
    )


@click.command()
@click.option("--plain", is_flag=True, help="No colours.")
@click.option("--models", type=click.IntRange(FEWEST, 500), default=len(AFFECTED), show_default=True)
@click.option("--rate", type=float, default=RATE, show_default=True, help="Requests a second to each alias.")
@click.option("--reading", type=float, default=READING, show_default=True, help="Seconds to read a failure by hand.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="Keep the bot's log in this file.")
def main(*, plain: bool, models: int, rate: float, reading: float, log: Path | None) -> None:  # fmt: skip
    """See what a wrong secret costs callers, by hand and by the bot; exit status 0 if the bot's figure is 0."""
    terminal = Terminal(plain=plain)
    with tempfile.TemporaryDirectory(prefix="keyturn-comparison-") as name:
        kept = (log or Path(name) / "bot.log").absolute()
        work = comparison(terminal, Path(name), kept, models=models, rate=rate, reading=reading)
        sys.exit(judged(terminal, kept, work))


if __name__ == "__main__":
    main()
