"""Reads the settings, builds the real things, and runs them: the one module of `bot` that knows `handlers`."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, TextIO, TypeVar

import aiohttp
import click
import structlog
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import check, http, logs
from bot.aisix.trust import UNTRUSTED, is_untrusted
from bot.app import address_of, queue_at, redis_at, rules_of, stores_alone, utc_now, world_of
from bot.engine import Engine
from bot.recovery import doctor
from bot.recovery.carry_over import carried_over
from bot.rotation.errors import ApiError, Refused, Unanswerable
from bot.rotation.people import Directory, People, Rules
from bot.service import RotationService
from bot.settings import Settings, WrongSettings, read_settings, read_store_settings
from bot.steps.world import World
from bot.storage import auditor
from bot.storage.clock import shared_clock
from bot.storage.jobs import Jobs, PatientQueue
from bot.storage.migration import Carrier, census
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.worker import QuietWorker, Work
from handlers import register
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers
from handlers.background import Background
from handlers.http import add_slack
from handlers.payload import text
from handlers.people import SlackDirectory
from handlers.pressed import Absence
from handlers.reception import Reception
from handlers.slack import UNREACHABLE, CannotPost, Later, MessageLost, called, reason_of
from handlers.socket import Socket
from handlers.workspace import Workspace

log = structlog.get_logger("keyturn")

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """What both halves of Keyturn are made of."""

    settings: Settings
    store: Store
    queue: PatientQueue
    jobs: Jobs
    world: World
    slack: AsyncWebClient
    announcer: SlackAnnouncer
    rules: Rules
    team: dict[str, Any]
    carrier: Carrier


@asynccontextmanager
async def parts(settings: Settings, now: Callable[[], datetime] | None = None) -> AsyncIterator[Parts]:
    """Build and open everything that both halves need, and close it again; without *now*, the time is Redis's."""
    async with AsyncExitStack() as stack:
        url = await address_of(settings, stack)
        slack = await stack.enter_async_context(slack_client(settings))
        team = await who_am_i(slack)
        team["app_id"] = await own_app(slack, str(team.get("bot_id") or ""))
        redis = await redis_at(url, settings, stack)
        now = now or (await stack.enter_async_context(shared_clock(redis))).now
        store = Store(redis, namespace_of(settings, team))
        queue = await queue_at(url, store.namespace, settings, stack)
        rules = rules_of(settings)
        world = await world_of(settings, now, stack, People(directory_of(slack, team), rules))
        carrier = carrier_of(redis, store.namespace, world, team)
        await carrier.begin()
        announcer = SlackAnnouncer(
            slack,
            store,
            team_url=str(team.get("url", "")),
            approvers=rules.approvers,
            edits_per_minute=settings.slack_edits_per_minute,
            lease=settings.lease,
            now=now,
        )
        yield Parts(
            settings=settings,
            store=store,
            queue=queue,
            jobs=Jobs(queue),
            world=world,
            slack=slack,
            announcer=announcer,
            rules=rules,
            team=team,
            carrier=carrier,
        )


def namespace_of(settings: Settings, team: Mapping[str, Any]) -> Namespace:
    """Return where the records of this workspace and this control plane are."""
    return Namespace.of(text(team, "team_id"), settings.aisix_cloud_api)


def carrier_of(redis: Redis, namespace: Namespace, world: World, team: Mapping[str, Any]) -> Carrier:
    """Return what carries records over to *namespace*."""
    return Carrier(redis, namespace, world.control_plane, teams=teams_of(team), now=world.now)


def teams_of(team: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the workspaces that our records are of; None where the bot is an organization's."""
    if team.get("is_enterprise_install") is True:
        return None
    return frozenset({text(team, "team_id"), text(team, "enterprise_id")} - {""})


@asynccontextmanager
async def slack_client(settings: Settings) -> AsyncIterator[AsyncWebClient]:
    """Open one session for all calls to Slack: a new one for each would spend the three seconds on handshakes."""
    timeout = aiohttp.ClientTimeout(total=settings.slack_timeout.total_seconds())
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield AsyncWebClient(
            token=settings.slack_bot_token.get_secret_value(),
            base_url=settings.slack_api_url,
            session=session,
            logger=logs.library_logger("slack_sdk.keyturn"),
            retry_handlers=[],
        )


async def who_am_i(slack: AsyncWebClient) -> dict[str, Any]:
    """Ask Slack who the bot token belongs to, or end with a sentence."""
    with _asking_slack("SLACK_BOT_TOKEN", "a bot token, xoxb-…"):
        return dict((await slack.auth_test()).data)  # type: ignore[arg-type]


async def own_app(slack: AsyncWebClient, bot: str) -> str:
    """Ask Slack which app the bot belongs to; empty where it does not tell: each transport knows its own app too."""
    try:
        answer = await called("bots.info", slack.bots_info, bot=bot)
    except (Later, CannotPost, MessageLost):
        return ""
    return text(answer.data, "bot", "app_id")


async def try_socket(slack: AsyncWebClient, app_token: str) -> None:
    """Ask for a socket once, or end with a sentence: the SDK itself would ask for ever."""
    with _asking_slack("SLACK_APP_TOKEN", "an app-level token with connections:write, xapp-…"):
        await slack.apps_connections_open(app_token=app_token)


@contextmanager
def _asking_slack(setting: str, looks: str) -> Iterator[None]:
    """Turn Slack's no, or its silence, into the sentence to end with."""
    try:
        yield
    except SlackApiError as error:
        status = getattr(error.response, "status_code", None)
        if status != HTTPStatus.OK:
            sentence = (
                f"Slack is not well (it answers {status}), so {setting} could not be tried. Try again in a minute."
            )
            raise WrongSettings(sentence) from None
        raise WrongSettings(f"{setting} is wrong: Slack says {reason_of(error)}. It should be {looks}.") from None
    except UNREACHABLE as error:
        why = UNTRUSTED if is_untrusted(error) else type(error).__name__
        raise WrongSettings(
            f"SLACK_API_URL does not answer ({why}): it should be https://slack.com/api/, "
            "and this machine has to reach it."
        ) from None


@asynccontextmanager
async def worker(built: Parts) -> AsyncIterator[None]:
    """Run the worker half."""
    settings = built.settings
    engine = Engine(built.store, built.jobs, built.world, lease=settings.lease)
    work = Work(built.store, built.jobs, engine, built.announcer, built.world)
    runner = QuietWorker(
        built.queue, work, concurrency=2 * settings.worker_concurrency, sweep_every=settings.sweep_interval
    )
    task, keeper = asyncio.create_task(runner.start()), asyncio.create_task(built.carrier.keep())
    try:
        yield
    finally:
        keeper.cancel()
        runner.event.set()
        await asyncio.wait([task], timeout=settings.shutdown_grace.total_seconds())


@asynccontextmanager
async def front(built: Parts) -> AsyncIterator[None]:
    """Run the half that people talk to: Socket Mode, or HTTP."""
    await _warn_of_shortage(built.world.people)
    background, absence = Background(), Absence()
    app = bolt_app(built, background, absence)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(background.finish, built.settings.shutdown_grace.total_seconds())
        socket = (
            await stack.enter_async_context(_socket(app, built, absence)) if built.settings.slack_app_token else None
        )
        if built.settings.port is not None:
            await stack.enter_async_context(_site(built, "PORT", built.settings.port, app, socket))
        yield


async def _warn_of_shortage(people: People) -> None:
    """Log it if nobody's rotation could be approved; who may can be changed in Slack while the bot runs."""
    try:
        async with asyncio.timeout(SHORTAGE_WITHIN):
            short = await people.shortage()
    except (Unanswerable, TimeoutError) as away:
        log.warning("approvers_unknown", why=str(away) or "Slack does not answer.")
        return
    if short:
        log.error("too_few_approvers", why=short)


@asynccontextmanager
async def pages(built: Parts) -> AsyncIterator[None]:
    """Serve the health and the figures of a worker that is a process of its own."""
    async with AsyncExitStack() as stack:
        if built.settings.worker_port is not None:
            await stack.enter_async_context(_site(built, "WORKER_PORT", built.settings.worker_port))
        yield


def directory_of(slack: AsyncWebClient, team: Mapping[str, Any]) -> Directory:
    """Return what Slack knows of people, for the workspace (or the organization) of the bot."""
    return SlackDirectory(slack, str(team.get("team_id") or ""), str(team.get("enterprise_id") or ""))


SHORTAGE_WITHIN = 5.0
"""Seconds that a start waits for Slack to tell who could approve."""

BOLT_READS = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
"""What Bolt takes from the environment by itself; the last two make it forget the bot token."""


def bolt_app(built: Parts, background: Background, absence: Absence) -> AsyncApp:
    """Return the Bolt app with every listener; its own signature check is off because it logs bodies."""
    for name in BOLT_READS:
        os.environ.pop(name, None)
    app = AsyncApp(
        name="keyturn",  # else Bolt reads the source of everything that is on the stack
        client=built.slack,
        logger=logs.library_logger("slack_bolt.keyturn"),
        request_verification_enabled=False,
        signing_secret="checked in handlers.http",  # noqa: S106 - Bolt wants one, even unused
    )
    answers = Answers(built.slack, built.settings.slack_timeout.total_seconds())
    lent = {"rotations": service_of(built), "announcer": built.announcer}
    register(app, workspace=Workspace.of(built.team), answers=answers, background=background, absence=absence, **lent)
    return app


def service_of(built: Parts) -> RotationService:
    """Return what people can ask for."""
    return RotationService(
        store=built.store,
        jobs=built.jobs,
        control_plane=built.world.control_plane,
        directory=directory_of(built.slack, built.team),
        rules=built.rules,
        gateways=built.world.gateways.environments,
        now=built.world.now,
        pepper=built.settings.fingerprint_pepper,
        own=built.settings.secrets,
    )


@asynccontextmanager
async def _socket(app: AsyncApp, built: Parts, absence: Absence) -> AsyncIterator[Socket]:
    token = (built.settings.slack_app_token or SecretStr("")).get_secret_value()
    await try_socket(built.slack, token)
    socket = Socket(app, token, timeout=built.settings.slack_timeout.total_seconds(), absence=absence)
    try:
        await socket.open()
        yield socket
    finally:
        await socket.close()


@asynccontextmanager
async def _site(
    built: Parts, setting: str, port: int, app: AsyncApp | None = None, socket: Socket | None = None
) -> AsyncIterator[None]:
    """Serve HTTP: health and figures always, Slack's events in HTTP mode."""
    settings = built.settings
    site = http.make_site(lambda: _missing(built.store, socket), settings.http_body_limit)
    if app is not None and settings.http_mode and settings.slack_signing_secret:
        add_slack(site, app, settings.slack_signing_secret.get_secret_value())
    runner = web.AppRunner(
        site,
        access_log=None,
        shutdown_timeout=1,
        keepalive_timeout=http.HEAD_WITHIN,
        lingering_time=http.LINGER,
    )
    await runner.setup()
    try:
        await _listen(runner, setting, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, setting: str, port: int) -> None:
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        sentence = f"{setting} cannot be listened on ({error.strerror}): it should be one that is free."
        raise WrongSettings(sentence) from None
    log.info("serving", port=runner.addresses[0][1])


async def _missing(store: Store, socket: Socket | None) -> str | None:
    """Say what stands between this process and its work."""
    try:
        await store.ping()
    except Unanswerable as away:
        return str(away)
    if socket is not None and not await socket.is_open():
        return "Slack is not connected."
    return None


async def run(settings: Settings, *halves: Callable[[Parts], Any]) -> None:
    """Run *halves* until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(parts(settings))
        for half in halves:
            await stack.enter_async_context(half(built))
        _keep_what_stays()
        log.info("ready", team=built.team.get("team"), mode="http" if settings.http_mode else "socket")
        await stop.wait()
        log.info("stopping")


def _keep_what_stays() -> None:
    """Have the collector of rubbish look no more at all that has been loaded: each look stopped the bot for 60 ms."""
    gc.collect()
    gc.freeze()


def _start(*halves: Callable[[Parts], Any], shared: bool = False) -> None:
    settings = read_settings()
    logs.configure(settings.log_level, settings.log_format)
    if shared and settings.redis_url is None:
        raise WrongSettings("REDIS_URL is missing: web and worker are two processes and have to share one, redis://….")
    asyncio.run(run(settings, *halves))


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Keyturn rotates an AI gateway's upstream credential from Slack, without an outage.

    Without a command it runs everything in one process.
    """
    if context.invoked_subcommand is None:
        _start(worker, front)


@main.command("web")
def run_web() -> None:
    """Run the half that people talk to; needs REDIS_URL, and a worker beside it."""
    _start(front, shared=True)


@main.command("worker")
def run_worker() -> None:
    """Run the half that moves rotations; any number of them can share one REDIS_URL."""
    _start(worker, pages, shared=True)


@main.command("check")
def run_check() -> None:
    """Try the settings against Slack, the control plane, the gateways and Redis; exit status 0 or 1."""
    settings = read_settings()
    logs.configure("error", settings.log_format)
    sys.exit(0 if asyncio.run(check_all(settings)) else 1)


async def check_all(settings: Settings) -> bool:
    """Print one line for each thing tried; return whether all of it works."""
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(slack_client(settings))
        world = await world_of(settings, utc_now, stack)

        async def who() -> tuple[dict[str, Any], Directory]:
            team = await who_am_i(slack)
            return team, directory_of(slack, team)

        async def whose() -> check.Whose:
            team = await who_am_i(slack)
            return check.Whose(namespace_of(settings, team), teams_of(team))

        return await check.report(settings, world, who=who, socket=lambda token: try_socket(slack, token), whose=whose)


@main.command("doctor")
@click.argument("rotation", required=False)
@click.option("--adopt", is_flag=True, help="Make its record again: it goes on from where AISIX shows it to be.")
@click.option(
    "--clean", is_flag=True, help="Take it back: point its models at the old key again, and remove what it made."
)
@click.option("--old", metavar="ID", help="The key that it replaces, where the names do not tell.")
@click.option("--channel", metavar="C…", help="Where it is to be seen from now on.")
@click.option("--requester", metavar="U…", help="Who asked for it, and so cannot approve it.")
@click.option("--yes", is_flag=True, help="Ask for no confirmation.")
def run_doctor(**given: Any) -> None:
    """Find half rotations whose record is lost, from AISIX alone, and bring ROTATION (an id) to an end.

    Exit status 0 where nothing is left to do, 1 where something is.
    """
    orders = doctor.Orders(**given)
    if orders.adopt and orders.clean:
        raise click.UsageError("--adopt and --clean are two ways; choose one.")
    if orders.old and not orders.rotation:
        raise click.UsageError("--old says which key ROTATION replaces: name that as well.")
    settings = read_settings()
    logs.configure("error", settings.log_format)
    sys.exit(0 if asyncio.run(attended(settings, orders)) else 1)


async def attended(settings: Settings, orders: doctor.Orders) -> bool:
    """Let the doctor look and act; what it refuses, and what does not answer, is a sentence."""
    async with AsyncExitStack() as stack:
        try:
            return await (await _doctor(settings, orders, stack)).attend()
        except (Refused, ApiError) as sentence:
            doctor.say(f"LEFT   {sentence}")
            return False


async def _doctor(settings: Settings, orders: doctor.Orders, stack: AsyncExitStack) -> doctor.Doctor:
    """Call the doctor; Slack is needed for an adoption alone."""
    if orders.adopt:
        built = await stack.enter_async_context(parts(settings))
        reception = Reception(service_of(built), built.announcer, str(built.team.get("team_id") or ""))
        return doctor.Doctor(built.store, built.world, settings.lease, orders, reception)
    redis = await redis_at(await address_of(settings, stack), settings, stack)
    store = Store(redis, await _known_namespace(settings, redis, stack))
    return doctor.Doctor(store, await world_of(settings, utc_now, stack), settings.lease, orders)


async def _known_namespace(settings: Settings, redis: Redis, stack: AsyncExitStack) -> Namespace:
    """Return our namespace: the one in Redis of this control plane, or what Slack says of the bot."""
    address = Namespace.of("", settings.aisix_cloud_api).control_plane
    known = [one.namespace for one in await census(redis) if one.namespace.control_plane == address]
    if len(known) == 1:
        return known[0]
    return namespace_of(settings, await who_am_i(await stack.enter_async_context(slack_client(settings))))


@main.command("carry-over")
@click.argument("namespace")
@click.argument("rotation", required=False)
def run_carry_over(namespace: str, rotation: str | None) -> None:
    """Bring the rotations under NAMESPACE here: AISIX Cloud has a new address, and they are those of the old one.

    `python -m bot check` says which namespaces there are; `keyturn` is where the version before kept everything.
    Stop the bot that had them first. ROTATION (an id) takes that one alone, also where AISIX Cloud does not show its
    keys. Exit status 0 where none is left there, 1 where one is.
    """
    settings = read_settings()
    logs.configure("error", settings.log_format)
    sys.exit(0 if asyncio.run(carry(settings, namespace, rotation)) else 1)


async def carry(settings: Settings, name: str, rotation: str | None) -> bool:
    """Carry over by hand; what is refused, and what does not answer, is a sentence."""
    async with AsyncExitStack() as stack:
        team = await who_am_i(await stack.enter_async_context(slack_client(settings)))
        redis = await redis_at(await address_of(settings, stack), settings, stack)
        world = await world_of(settings, utc_now, stack)
        carrier = carrier_of(redis, namespace_of(settings, team), world, team)
        try:
            return await carried_over(carrier, name, rotation)
        except (Refused, ApiError) as sentence:
            doctor.say(f"LEFT   {sentence}")
            return False


@main.group("audit")
def run_audit() -> None:
    """Print or verify the audit trail; needs REDIS_URL or KEYTURN_DATA, and no other setting."""


@run_audit.command("export")
def run_export() -> None:
    """Print the audit trail, oldest first: a line of JSON each."""
    _audit(auditor.export)


@run_audit.command("verify")
@click.argument("file", required=False, type=click.File(encoding="utf-8", errors="replace"))
@click.option("--head", help="The hash on a receipt: it has to be in the trail.")
def run_verify(file: TextIO | None, head: str | None) -> None:
    """Say whether the audit trail, or an exported FILE of it (- is standard input), is whole; exit status 0 or 1."""
    if file is not None:
        well = auditor.verify_text(file.read(), head)
    else:
        well = _audit(lambda stores: auditor.verify_stores(stores, head))
    sys.exit(0 if well else 1)


def _audit(work: Callable[[list[Store]], Awaitable[T]]) -> T:
    """Work on what is stored alone; its being away in the middle ends it with a sentence."""
    logs.configure("error", "json")
    settings = read_store_settings()

    async def working() -> T:
        async with stores_alone(settings) as stores:
            return await work(stores)

    try:
        return asyncio.run(working())
    except Unanswerable:
        raise WrongSettings("REDIS_URL stopped answering in the middle: try again in a minute.") from None


if __name__ == "__main__":
    try:
        main(prog_name="python -m bot")
    except WrongSettings as wrong:
        click.echo(f"Keyturn cannot start. {wrong}", err=True)
        sys.exit(1)
