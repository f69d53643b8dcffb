"""Connect to the store: its address, one connection, the queue, and every store for an audit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError

from bot.settings import Sentinels, StoreSettings, WrongSettings, sentinels_in
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
                f"REDIS_URL is not set, and no bot has kept data in KEYTURN_DATA ({settings.keyturn_data}). "
                "Set the one that the bot has, or run this where its .env is."
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
    redis = await stack.enter_async_context(connected(url, seconds, text=False))
    waiting = await stack.enter_async_context(connected(url, seconds, waits=WAIT, text=False))
    return PatientQueue(redis, waiting, namespace)


class Pool(ConnectionPool):
    """Connections to one place; if one of them fails, the idle ones are closed too."""

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back; what failed was closed."""
        await super().release(connection)
        if not connection.is_connected:
            await self.disconnect(inuse_connections=False)


class PrimaryPool(Pool, SentinelConnectionPool):
    """Connections to the primary that Sentinel names."""


RETRY = Retry(NoBackoff(), 1, (NoConnection, ReadOnlyError, MasterDownError))
"""Retries once, on a new connection, what a primary that became a replica refused: its name may lead elsewhere now."""


@asynccontextmanager
async def connected(url: SecretStr, seconds: float, *, waits: float = 0, text: bool = True) -> AsyncIterator[Redis]:
    """Connect; a call may take *seconds*, and as long again as it *waits* for something."""
    given = {
        "socket_timeout": seconds + waits,
        "socket_connect_timeout": seconds,
        "decode_responses": text,
        "retry": RETRY,
        "driver_info": None,  # otherwise each connection reads the package's files to report its version
    }
    async with AsyncExitStack() as stack:
        try:
            redis = _client(url.get_secret_value(), given, stack)
        except ValueError:  # its text repeats the address with the password
            raise WrongSettings(NO_ADDRESS) from None
        stack.push_async_callback(redis.aclose)
        yield redis


NO_ADDRESS = "REDIS_URL is wrong: it should be redis://…, rediss://…, unix://… or redis(s)+sentinel://…."


def _client(url: str, given: dict[str, Any], stack: AsyncExitStack) -> Redis:
    sentinels = sentinels_in(url)
    return _primary_of(sentinels, given, stack) if sentinels else Redis.from_pool(Pool.from_url(url, **given))


def _primary_of(sentinels: Sentinels, given: dict[str, Any], stack: AsyncExitStack) -> Redis:
    """Return a client that asks Sentinel for the primary each time it connects."""
    within = given["socket_connect_timeout"]
    options: dict[str, Any] = {**parse_url(sentinels.server), **given}
    asking: dict[str, Any] = {"socket_timeout": within, "retry": Retry(NoBackoff(), 0), "password": sentinels.password}
    if options.pop("connection_class", None):
        options["connection_class"] = SentinelManagedSSLConnection
        asking |= {"ssl": True} | {name: value for name, value in options.items() if name.startswith("ssl_")}
    asked: Any = Sentinel(sentinels.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    for each in asked.sentinels:
        stack.push_async_callback(each.aclose)
    primary: Redis = asked.master_for(sentinels.name, connection_pool_class=PrimaryPool, **options)
    return primary


async def _reach(redis: Redis) -> None:
    """Check that the server answers; raise `WrongSettings` if not."""
    try:
        await redis.execute_command("PING")  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        raise WrongSettings(wrong_with(error, redis)) from None
