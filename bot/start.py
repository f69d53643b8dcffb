"""Run the bot until a signal ends it, and check the settings: for `keyturn check`, and beside every start."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import structlog

from bot import check
from bot.app import (
    Parts,
    carrier_of,
    control_plane_of,
    directory_of,
    gateways_of,
    namespace_of,
    parts,
    status_of,
    utc_now,
    world_of,
)
from bot.check import Finding, Level
from bot.rotation.errors import ApiError
from bot.rotation.people import Directory
from bot.settings import Settings, WrongSettings, read_settings
from bot.telemetry.tracing import sent
from handlers.connect import (
    date_at,
    is_in_a_channel,
    is_in_channel,
    may_attach,
    slack_client,
    tells_addresses,
    try_socket,
    who_am_i,
)
from handlers.validating import refused_blocks

log = structlog.get_logger("keyturn")


async def run(settings: Settings, *sides: Callable[[Parts], Any]) -> None:
    """Run *sides* (the worker, the Slack side, pages) until a signal stops the process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sent())
        built = await stack.enter_async_context(parts(settings))
        await _refuse_strangers(built)
        for side in sides:
            await stack.enter_async_context(side(built))
        spare_loaded_objects()
        log.info("ready", team=built.team.get("team"), mode="http" if settings.http_mode else "socket")
        beside = [asyncio.create_task(log_findings(settings)), asyncio.create_task(_keep_credentials(built))]
        await stop.wait()
        log.info("stopping")
        for task in beside:
            task.cancel()


TRY_EVERY = 60.0
"""Seconds between two tries of our own credentials: nobody may need them for hours."""


async def _keep_credentials(built: Parts) -> None:
    while True:
        await asyncio.sleep(TRY_EVERY)
        try:
            await built.credentials.tried(_settings_now)
        except Exception as error:  # noqa: BLE001 - whatever it was, try again: nobody else does
            log.warning("credentials_untried", kind=type(error).__name__)


def _settings_now() -> Settings | None:
    """Read the settings again; None if they are wrong by now."""
    with suppress(WrongSettings):
        return read_settings()
    return None


async def _refuse_strangers(built: Parts) -> None:
    """Refuse an environment in ENVIRONMENT_ORDER that AISIX Cloud does not have; if it does not answer, go on."""
    with suppress(ApiError):
        if order := built.settings.environment_order:
            unknown = check.strangers(order, await built.world.control_plane.inventory())
            if unknown:
                raise WrongSettings(*unknown)


async def log_findings(settings: Settings) -> None:
    """Run the check beside the bot; what is wrong or doubtful goes into the log."""
    try:
        await checked(settings, _log, beside=True)
    except Exception as error:  # noqa: BLE001 - a check that broke off must not look like one that found nothing
        log.warning("check_unfinished", kind=type(error).__name__)


def _log(finding: Finding) -> None:
    if finding.level is Level.WRONG:
        log.error("check_wrong", about=finding.about, why=finding.said)
    elif finding.level is Level.WARN:
        log.warning("check_doubtful", about=finding.about, why=finding.said)


async def checked(settings: Settings, tell: Callable[[Finding], None], *, beside: bool = False) -> list[Finding]:
    """Try the settings with the clients that the bot uses; *tell* each finding, and return all.

    *beside* the bot, leave out what it has tried itself.
    """
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(slack_client(settings))
        product = check.Product(
            settings,
            await stack.enter_async_context(control_plane_of(settings)),
            await stack.enter_async_context(gateways_of(settings, utc_now)),
            await stack.enter_async_context(status_of(settings, utc_now)),
        )
        stack.push_async_callback(product.aclose)
        world = await world_of(settings, utc_now, stack)

        async def who() -> tuple[dict[str, Any], Directory]:
            team = await who_am_i(web)
            return team, directory_of(web, team)

        async def whose() -> check.Whose:
            team = await who_am_i(web)
            ours = namespace_of(settings, team)
            return check.Whose(ours, lambda redis: carrier_of(redis, ours, world, team))

        open_socket = None if beside else partial(try_socket, web)
        slack = check.Slack(
            who=who,
            open_socket=open_socket,
            date=partial(date_at, web),
            is_in_a_channel=partial(is_in_a_channel, web),
            is_in_channel=partial(is_in_channel, web),
            refused_blocks=partial(refused_blocks, web),
            tells_addresses=partial(tells_addresses, web),
            may_attach=partial(may_attach, web),
        )
        return await check.report(settings, slack, product, whose, tell)


def spare_loaded_objects() -> None:
    """Exempt loaded objects from garbage collection, and collect all others rarely: that holds the loop.

    A full collection took 60 ms of the loaded objects, and 380 ms while 2,500 records were being read.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 1000)
