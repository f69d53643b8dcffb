"""What a check finds: a level, what it is about, and one sentence."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from bot.settings import WrongSettings
from bot.terminal import Finding, Level

WITHIN = 20.0
"""Seconds for each try."""


class Wrong(Exception):
    """One sentence that names the setting and what to do: nothing more can be tried here."""


def ok(said: str, about: str = "") -> Finding:
    """Say that something works; without *about*, it is about what was tried."""
    return Finding(Level.OK, about, said)


def warn(said: str, about: str = "") -> Finding:
    """Say what to look at."""
    return Finding(Level.WARN, about, said)


def wrong(said: str, about: str = "") -> Finding:
    """Say what to correct."""
    return Finding(Level.WRONG, about, said)


class Try(NamedTuple):
    """Something to try; *setting* is the one to blame if there is no answer."""

    about: str
    setting: str
    ask: Callable[[], Awaitable[Iterable[Finding]]]

    async def findings(self) -> list[Finding]:
        """Try it; never raises for what is wrong around."""
        try:
            async with asyncio.timeout(WITHIN):
                return [each._replace(about=each.about or self.about) for each in await self.ask()]
        except TimeoutError:
            return [wrong(f"{self.setting} gives no answer within {WITHIN:.0f} s.", self.about)]
        except WrongSettings as mistakes:
            return [wrong(each, self.about) for each in mistakes.sentences]
        except Wrong as mistake:
            return [wrong(str(mistake), self.about)]


def well(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing is wrong."""
    return all(each.level is not Level.WRONG for each in findings)


CLOCK = 5.0
"""Seconds by which clocks may differ: Slack refuses requests and people's clicks lapse by the clock."""


def clock(ahead: float | None, about: str = "") -> list[Finding]:
    """Warn of a clock that is so many seconds *ahead* of this machine's; None if it does not tell the time."""
    if ahead is None or abs(ahead) <= CLOCK:
        return []
    how = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
    return [warn(f"its clock is {how} this machine's: let both follow a time server (NTP).", about)]
