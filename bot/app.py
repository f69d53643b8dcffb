"""Builds from the settings what a rotation acts on and where it is recorded. Knows nothing of Slack."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from pydantic import SecretStr
from redis.asyncio import Redis

from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways
from bot.aisix.status import StatusPages
from bot.aisix.trust import UNTRUSTED, is_untrusted
from bot.rotation.errors import Unanswerable
from bot.rotation.people import NOBODY, People, Rules
from bot.settings import Settings, StoreSettings, WrongSettings
from bot.steps.world import Limits, World
from bot.storage.embedded import embedded_server
from bot.storage.jobs import WAIT, PatientQueue
from bot.storage.migration import census
from bot.storage.namespace import BEFORE, Namespace
from bot.storage.outage import answering
from bot.storage.records import Store


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@asynccontextmanager
async def stores_alone(settings: StoreSettings) -> AsyncIterator[list[Store]]:
    """Open the stores of every bot that has records here, and nothing else.

    An embedded one has to be of a bot that has run here and does not run now.
    """
    async with AsyncExitStack() as stack:
        if settings.redis_url is None and not settings.keyturn_data.is_dir():
            raise WrongSettings(
                f"REDIS_URL is missing, and no bot has kept data in KEYTURN_DATA ({settings.keyturn_data}): "
                "set the one that the bot has."
            )
        redis = await redis_at(await address_of(settings, stack), settings, stack)
        async with answering():
            found = [one.namespace for one in await census(redis) if await _is_used(redis, one.namespace)]
        yield [Store(redis, namespace) for namespace in found or [BEFORE]]


async def _is_used(redis: Redis, namespace: Namespace) -> bool:
    return bool(await redis.exists(namespace.key("audit"), namespace.key("all")))


async def address_of(settings: StoreSettings, stack: AsyncExitStack) -> SecretStr:
    """Return where the records are; where the settings name no place, in a server that runs until *stack* is closed."""
    if settings.redis_url is not None:
        return settings.redis_url
    return SecretStr(await stack.enter_async_context(embedded_server(settings.keyturn_data)))


async def redis_at(url: SecretStr, settings: StoreSettings, stack: AsyncExitStack) -> Redis:
    """Connect until *stack* is closed, and see that it answers."""
    redis = await stack.enter_async_context(connected(url, settings.redis_timeout.total_seconds()))
    await _reach(redis)
    return redis


async def queue_at(
    url: SecretStr, namespace: Namespace, settings: StoreSettings, stack: AsyncExitStack
) -> PatientQueue:
    """Open the queue of work, until *stack* is closed."""
    seconds = settings.redis_timeout.total_seconds()
    redis, waiting = [
        await stack.enter_async_context(connected(url, each, text=False)) for each in (seconds, WAIT + seconds)
    ]
    return PatientQueue(redis, waiting, namespace)


@asynccontextmanager
async def connected(url: SecretStr, seconds: float, *, text: bool = True) -> AsyncIterator[Redis]:
    """Connect; no call may take longer than *seconds*."""
    try:
        redis = Redis.from_url(
            url.get_secret_value(),
            socket_timeout=seconds,
            decode_responses=text,
            driver_info=None,  # to tell the server of it, each connection would read the package's files
        )
    except ValueError:  # its text repeats the address, and the password in it
        raise WrongSettings("REDIS_URL is wrong: it should be redis://… or unix://….") from None
    try:
        yield redis
    finally:
        await redis.aclose()


async def _reach(redis: Redis) -> None:
    """See that the server answers, or end with a sentence."""
    try:
        async with answering():
            await redis.execute_command("PING")  # type: ignore[no-untyped-call]
    except Unanswerable as away:
        reason = UNTRUSTED if is_untrusted(away) else type(away.__cause__).__name__
        raise WrongSettings(f"REDIS_URL does not answer ({reason}): it should be that of a running Redis.") from None


async def world_of(
    settings: Settings, now: Callable[[], datetime], stack: AsyncExitStack, people: People = NOBODY
) -> World:
    """Open what a rotation acts on, until *stack* is closed; without *people*, no approval counts in it."""
    control_plane = await stack.enter_async_context(control_plane_of(settings))
    gateways = await stack.enter_async_context(gateways_of(settings, now))
    status = await stack.enter_async_context(status_of(settings, now))
    return World(
        control_plane=control_plane,
        gateways=gateways,
        status=status,
        limits=limits_of(settings),
        now=now,
        people=people,
    )


def control_plane_of(settings: Settings) -> ControlPlane:
    """Return the client of the control plane."""
    return ControlPlane(
        settings.aisix_cloud_api,
        settings.aisix_admin_token,
        timeout=settings.control_plane_timeout.total_seconds(),
        concurrency=settings.control_plane_concurrency,
        attempts=settings.control_plane_attempts,
        grace=settings.create_grace.total_seconds(),
        most=settings.answer_limit,
    )


def gateways_of(settings: Settings, now: Callable[[], datetime]) -> Gateways:
    """Return the client of the gateways."""
    return Gateways(
        settings.aisix_gateways,
        timeout=settings.probe_timeout.total_seconds(),
        concurrency=settings.probe_concurrency,
        now=now,
        most=settings.answer_limit,
    )


def status_of(settings: Settings, now: Callable[[], datetime]) -> StatusPages:
    """Return the client of the replicas' status addresses."""
    timeout = settings.status_timeout.total_seconds()
    return StatusPages(settings.aisix_gateways, timeout=timeout, now=now, most=settings.answer_limit)


def limits_of(settings: Settings) -> Limits:
    """Return the settings that the steps go by."""
    return Limits(
        concurrency=settings.control_plane_concurrency,
        probes=settings.probes,
        create_grace=settings.create_grace,
        read_back=settings.read_back,
        projection=settings.projection_timeout,
        settle=settings.settle,
        verify=settings.verify_timeout,
        require_proof=settings.require_proof,
        waves=settings.waves,
        environment_order=settings.environment_order,
        soak=settings.soak,
        listen=settings.listen,
        look_interval=settings.look_interval,
        evidence_max_age=settings.evidence_max_age,
        watch=settings.watch,
        patience=settings.patience,
        secret_expiry=settings.secret_expiry,
        approval_reminder=settings.approval_reminder,
        approval_expiry=settings.approval_expiry,
    )


def rules_of(settings: Settings) -> Rules:
    """Return the settings that say who may do what."""
    return Rules(
        requesters=settings.requesters,
        approvers=settings.approvers,
        approvals_required=settings.approvals_required,
        self_approval=settings.self_approval,
        click_max_age=settings.click_max_age,
    )
