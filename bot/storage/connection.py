"""Connect to the store: its address, one connection, the queue, and every store for an audit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, RedisError

from bot.settings import StoreSettings, WrongSettings
from bot.storage.embedded import embedded_server
from bot.storage.jobs import WAIT, PatientQueue
from bot.storage.migration import census
from bot.storage.namespace import BEFORE, Namespace
from bot.storage.outage import answering, wrong_with
from bot.storage.records import Store


@asynccontextmanager
async def stores_alone(settings: StoreSettings) -> AsyncIterator[list[Store]]:
    """Open the stores of every bot that has records here, and nothing else.

    An embedded store must exist already, and its bot must not be running.
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
    """Return the URL of the store; without one in the settings, run an embedded server until *stack* is closed."""
    if settings.redis_url is not None:
        return settings.redis_url
    return SecretStr(await stack.enter_async_context(embedded_server(settings.keyturn_data)))


async def redis_at(url: SecretStr, settings: StoreSettings, stack: AsyncExitStack) -> Redis:
    """Connect until *stack* is closed, and check that Redis answers."""
    redis = await stack.enter_async_context(connected(url, settings.redis_timeout.total_seconds()))
    await _reach(redis)
    return redis


async def queue_at(
    url: SecretStr, namespace: Namespace, settings: StoreSettings, stack: AsyncExitStack
) -> PatientQueue:
    """Open the job queue, until *stack* is closed."""
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
            retry_on_error=[
                ReadOnlyError
            ],  # a primary that has become a replica: connect anew, where the name leads now
            driver_info=None,  # otherwise each connection reads the package's files to report its version
        )
    except ValueError:  # its text repeats the address with the password
        raise WrongSettings("REDIS_URL is wrong: it should be redis://… or unix://….") from None
    try:
        yield redis
    finally:
        await redis.aclose()


async def _reach(redis: Redis) -> None:
    """Check that the server answers; raise `WrongSettings` if not."""
    try:
        await redis.execute_command("PING")  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        raise WrongSettings(wrong_with(error)) from None
