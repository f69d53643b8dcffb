"""Build Keyturn's parts from the settings, start them and stop them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import http
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways
from bot.aisix.status import StatusPages
from bot.credentials import ADMIN_TOKEN, APP_TOKEN, CALLER_KEY, Credentials, User
from bot.engine import Engine
from bot.gauges import Gauges
from bot.limits import limits_of, rules_of
from bot.providers import AtProviders
from bot.rotation.errors import ApiError, Unanswerable
from bot.rotation.people import NOBODY, Directory, People, Rules
from bot.rotation.ports import NO_HOLDS, NO_OWNERS, KeyHolds, RowOwners
from bot.service import RotationService
from bot.settings import Settings
from bot.sign_in import doors_of
from bot.sources import sources_of
from bot.steps.world import World
from bot.storage.clock import shared_clock
from bot.storage.connection import address_of, queue_at, redis_at
from bot.storage.figures import Figures
from bot.storage.jobs import Jobs, PatientQueue
from bot.storage.lease import running_clock
from bot.storage.migration import Carrier
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.storage.tickets import Tickets
from bot.storage.trial import Trial
from bot.storage.visitors import Visitors
from bot.worker import Outage, QuietWorker, Work
from handlers import register
from handlers.ages import AgeLists
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers
from handlers.background import Background
from handlers.batches import BatchDesk
from handlers.connect import bolt_app, own_app, slack_client, slack_user, try_socket, who_am_i
from handlers.direct_messages import Pushes
from handlers.forms import Forms
from handlers.home import HomeTab
from handlers.http import Served, add_pages
from handlers.payload import text
from handlers.people import SlackDirectory
from handlers.pressed import Absence
from handlers.refusals import Refusals
from handlers.sending import Sender
from handlers.socket import Socket
from handlers.views.links import Places
from handlers.workspace import Workspace

log = structlog.get_logger("keyturn")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


async def world_of(  # noqa: PLR0913, PLR0917 - what a process has
    settings: Settings,
    now: Callable[[], datetime],
    stack: AsyncExitStack,
    people: People = NOBODY,
    credentials: Credentials | None = None,
    holds: KeyHolds = NO_HOLDS,
    owners: RowOwners = NO_OWNERS,
) -> World:
    """Open the services that a rotation uses, until *stack* is closed; without *people*, no approval counts."""
    control_plane = await stack.enter_async_context(control_plane_of(settings, credentials))
    gateways = await stack.enter_async_context(gateways_of(settings, now, credentials))
    if credentials:
        credentials.users += [
            User(ADMIN_TOKEN, control_plane.keys, partial(_take_token, settings, control_plane), (ApiError,)),
            User(CALLER_KEY, gateways.greet_all, partial(_take_keys, gateways), ()),
        ]
    status = await stack.enter_async_context(status_of(settings, now))
    return World(
        control_plane=control_plane,
        gateways=gateways,
        status=status,
        limits=limits_of(settings),
        now=now,
        people=people,
        holds=holds,
        providers=AtProviders(settings.providers, now),
        owners=owners,
    )


async def _take_token(settings: Settings, control_plane: ControlPlane, later: Settings) -> None:
    if later.aisix_cloud_api == settings.aisix_cloud_api:
        control_plane.use(later.aisix_admin_token)


async def _take_keys(gateways: Gateways, later: Settings) -> None:
    gateways.use(later.aisix_gateways)


def control_plane_of(settings: Settings, credentials: Credentials | None = None) -> ControlPlane:
    """Return the client for the control plane."""
    return ControlPlane(
        settings.aisix_cloud_api,
        settings.aisix_admin_token,
        timeout=settings.control_plane_timeout.total_seconds(),
        concurrency=settings.control_plane_concurrency,
        attempts=settings.control_plane_attempts,
        grace=settings.create_grace.total_seconds(),
        most=settings.answer_limit,
        credentials=credentials,
    )


def gateways_of(settings: Settings, now: Callable[[], datetime], credentials: Credentials | None = None) -> Gateways:
    """Return the client for the gateways."""
    return Gateways(
        settings.aisix_gateways,
        timeout=settings.probe_timeout.total_seconds(),
        concurrency=settings.probe_concurrency,
        now=now,
        most=settings.answer_limit,
        credentials=credentials,
    )


def status_of(settings: Settings, now: Callable[[], datetime]) -> StatusPages:
    """Return the client for the replicas' status addresses."""
    timeout = settings.status_timeout.total_seconds()
    return StatusPages(settings.aisix_gateways, timeout=timeout, now=now, most=settings.answer_limit)


@dataclass(frozen=True)
class Parts:
    """The parts that the worker and the Slack side share."""

    settings: Settings
    store: Store
    figures: Figures
    visitors: Visitors
    tickets: Tickets
    trial: Trial
    queue: PatientQueue
    jobs: Jobs
    world: World
    slack: AsyncWebClient
    announcer: SlackAnnouncer
    people: People
    rules: Rules
    team: dict[str, Any]
    carrier: Carrier
    credentials: Credentials


@asynccontextmanager
async def parts(settings: Settings, now: Callable[[], datetime] | None = None) -> AsyncIterator[Parts]:
    """Build and open the shared parts, and close them at the end; without *now*, Redis tells the time."""
    async with AsyncExitStack() as stack:
        url = await address_of(settings, stack)
        credentials = Credentials(logged=True)
        slack = await stack.enter_async_context(slack_client(settings, credentials))
        team = await who_am_i(slack)
        credentials.users.append(slack_user(slack, team))
        team["app_id"] = await own_app(slack, str(team.get("bot_id") or ""))
        redis = await redis_at(url, settings, stack)
        store = Store(redis, namespace_of(settings, team))
        trial = Trial(redis, store.namespace)
        await trial.insist()
        now = now or (await stack.enter_async_context(shared_clock(redis))).now
        queue = await queue_at(url, store.namespace, settings, stack)
        rules = rules_of(settings)
        people = People(directory_of(slack, team), rules)
        world = await world_of(settings, now, stack, people, credentials, store, store)
        carrier = carrier_of(redis, store.namespace, world, team)
        await carrier.begin()
        announcer = SlackAnnouncer(
            slack,
            store,
            team_url=str(team.get("url", "")),
            approvers=rules.approvers,
            people=people,
            edits_per_minute=settings.slack_edits_per_minute,
            lease=settings.lease,
            now=now,
            places=Places(settings.docs_url or "", settings.aisix_dashboard or "", settings.ticket_pattern),
            pushes=Pushes(settings.escalation, settings.approver_dm),
        )
        yield Parts(
            settings=settings,
            store=store,
            figures=Figures(redis, store.namespace),
            visitors=Visitors(redis, store.namespace),
            tickets=Tickets(redis, store.namespace),
            trial=trial,
            queue=queue,
            jobs=Jobs(queue),
            world=world,
            people=people,
            slack=slack,
            announcer=announcer,
            rules=rules,
            team=team,
            carrier=carrier,
            credentials=credentials,
        )


def namespace_of(settings: Settings, team: Mapping[str, Any]) -> Namespace:
    """Return the namespace for the records of this workspace and this control plane."""
    return Namespace.of(text(team, "team_id"), settings.aisix_cloud_api)


def carrier_of(redis: Redis, namespace: Namespace, world: World, team: Mapping[str, Any]) -> Carrier:
    """Return the carrier that brings records to *namespace*."""
    return Carrier(redis, namespace, world.control_plane, teams=teams_of(team), now=world.now)


def teams_of(team: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the workspaces whose records are ours; None if the bot is installed for an organization."""
    if team.get("is_enterprise_install") is True:
        return None
    return frozenset({text(team, "team_id"), text(team, "enterprise_id")} - {""})


@asynccontextmanager
async def worker(built: Parts) -> AsyncIterator[None]:
    """Run the worker."""
    settings = built.settings
    engine = Engine(built.store, built.jobs, built.world, lease=settings.lease)
    rotations = service_of(built)
    work = Work(built.store, built.jobs, engine, built.announcer, built.world, homes=home_of(built, rotations))
    runner = QuietWorker(
        built.queue,
        work,
        Outage(built.trial),
        concurrency=2 * settings.worker_concurrency,
        sweep_every=settings.sweep_interval,
        besides=[batch_desk_of(built, rotations), *age_lists_of(built, rotations)],
    )
    task, keeper = asyncio.create_task(runner.start()), asyncio.create_task(built.carrier.keep())
    try:
        yield
    finally:
        keeper.cancel()
        runner.stop_quietly()
        await asyncio.wait([task], timeout=settings.shutdown_grace.total_seconds())


@asynccontextmanager
async def front(built: Parts) -> AsyncIterator[None]:
    """Run the Slack side, with Socket Mode or HTTP."""
    background, absence, rotations = Background(), Absence(running_clock), service_of(built)
    directory, now = directory_of(built.slack, built.team), built.world.now
    doors = doors_of(built.settings, rotations, built.tickets, directory, now)
    app = _listening(built, background, absence, {"rotations": rotations, **doors._asdict()})
    served = Served(rotations, background, absence, *doors[1:])
    async with AsyncExitStack() as stack:
        stack.push_async_callback(background.finish, built.settings.shutdown_grace.total_seconds())
        socket = (
            await stack.enter_async_context(_socket(app, built, absence)) if built.settings.slack_app_token else None
        )
        if built.settings.port is not None:
            add = partial(add_pages, built.settings, app, served)
            await stack.enter_async_context(_site(built, "PORT", built.settings.port, add, socket))
        yield


@asynccontextmanager
async def pages(built: Parts) -> AsyncIterator[None]:
    """Serve health checks and metrics of a worker that runs in its own process."""
    async with AsyncExitStack() as stack:
        if built.settings.worker_port is not None:
            await stack.enter_async_context(_site(built, "WORKER_PORT", built.settings.worker_port))
        yield


def directory_of(slack: AsyncWebClient, team: Mapping[str, Any]) -> Directory:
    """Return the directory of people in the bot's workspace or organization."""
    return SlackDirectory(slack, str(team.get("team_id") or ""), str(team.get("enterprise_id") or ""))


def _listening(built: Parts, background: Background, absence: Absence, asked: Mapping[str, Any]) -> AsyncApp:
    """Return the Bolt app with every listener."""
    app = bolt_app(built.slack, built.team)
    answers = Answers(built.slack, built.settings.slack_timeout.total_seconds(), built.credentials)
    forms = Forms(built.slack, Refusals(built.store, built.world.now))
    rotations = asked["rotations"]
    desks = {"home_tab": home_of(built, rotations), "batch_desk": batch_desk_of(built, rotations)}
    own = {**asked, **desks, "announcer": built.announcer, "forms": forms}
    register(app, workspace=Workspace.of(built.team), answers=answers, background=background, absence=absence, **own)
    return app


def home_of(built: Parts, rotations: RotationService) -> HomeTab:
    """Return what draws people's Home tabs."""
    return HomeTab(
        built.slack,
        rotations,
        built.announcer,
        store=built.store,
        visitors=built.visitors,
        now=built.world.now,
    )


def age_lists_of(built: Parts, rotations: RotationService) -> Iterator[AgeLists]:
    """Yield what lists old keys, unless the settings want no list, or name no channel for it."""
    settings, channel = built.settings, built.settings.age_channel
    if channel and (settings.rotate_every or any(one.asks.rotate_every for one in settings.policies)):
        hours, now = settings.calendar.of(channel, ""), built.world.now
        sender, cards = sender_of(built), built.announcer
        yield AgeLists(sender, built.store, rotations, cards, channel=channel, hours=hours, now=now)


def batch_desk_of(built: Parts, rotations: RotationService) -> BatchDesk:
    """Return what moves batches on."""
    return BatchDesk(sender_of(built), built.store, rotations, built.announcer, built.world.now)


def sender_of(built: Parts) -> Sender:
    """Return what sends messages that are no cards."""
    edits = built.settings.slack_edits_per_minute
    return Sender(built.slack, built.store, edits_per_minute=edits, now=built.world.now)


def service_of(built: Parts) -> RotationService:
    """Return the service behind commands, buttons and forms."""
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
        providers=built.world.providers,
        sources=sources_of(built.settings.secret_sources, built.world.now),
    )


@asynccontextmanager
async def _socket(app: AsyncApp, built: Parts, absence: Absence) -> AsyncIterator[Socket]:
    token = (built.settings.slack_app_token or SecretStr("")).get_secret_value()
    await try_socket(built.slack, token)
    socket = Socket(app, built.slack, token, timeout=built.settings.slack_timeout.total_seconds(), absence=absence)
    built.credentials.users.append(User(APP_TOKEN, socket.is_open, socket.use, ()))
    try:
        await socket.open()
        yield socket
    finally:
        await socket.close()


@asynccontextmanager
async def _site(
    built: Parts,
    setting: str,
    port: int,
    add: Callable[[web.Application], None] = lambda _: None,
    socket: Socket | None = None,
) -> AsyncIterator[None]:
    """Serve HTTP: always health checks and metrics, and what else *add* puts there."""
    settings = built.settings
    ready = partial(_missing, built, socket)
    async with Gauges(built.figures.read, built.world.control_plane.key_dates, ready, built.world.now) as gauges:
        site = http.make_site(ready, gauges, settings.http_body_limit)
        add(site)
        async with http.served(site, setting, port):
            yield


async def _missing(built: Parts, socket: Socket | None) -> str | None:
    """Return why this process cannot work now, or None."""
    try:
        await built.trial.passed()
    except Unanswerable as away:
        return str(away)
    if built.credentials.trouble:
        return built.credentials.trouble
    if socket is not None and not await socket.is_open():
        return "Slack is not connected."
    return None
