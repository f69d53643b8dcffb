"""`keyturn check`: try every setting against its service, and say what is well, doubtful and wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from bot.check import sign_in, sources
from bot.check.example import unfilled
from bot.check.findings import Try, well
from bot.check.gateways import Product, strangers
from bot.check.machine import SURROUNDINGS
from bot.check.people import Slack, tries
from bot.check.policies import policies
from bot.check.providers import providers
from bot.check.store import Whose, store
from bot.settings import Settings
from bot.terminal import Finding, Level

__all__ = ["Finding", "Level", "Product", "Slack", "Whose", "report", "strangers", "well"]


async def report(
    settings: Settings,
    slack: Slack,
    product: Product,
    whose: Callable[[], Awaitable[Whose]],
    tell: Callable[[Finding], None],
) -> list[Finding]:
    """Try everything at once; *tell* each finding as soon as it and those before it are known, and return all."""
    everything = [
        unfilled(settings),
        *tries(slack, settings),
        *sign_in.tries(settings),
        *sources.tries(settings),
        *product.tries(),
        *policies(settings, slack, product),
        *providers(settings, product),
        SURROUNDINGS,
        Try("Redis", "REDIS_URL", partial(store, settings, whose)),
    ]
    found: list[Finding] = []
    async with asyncio.TaskGroup() as group:
        for task in [group.create_task(each.findings()) for each in everything]:
            for finding in await task:
                found.append(finding)
                tell(finding)
    return found
