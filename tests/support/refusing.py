"""A Redis that answers PING and refuses what the bot does: each way has a beginning and an end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from bot.storage.outage import ALLOWED

OPTIONS = ("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024", "--rdbcompression", "no")
"""What a server needs to be had to load for a while."""

Change = Callable[[Any], Awaitable[Any]]


class Refusal(NamedTuple):
    said: str
    during: Callable[[Any], AbstractAsyncContextManager[None]]


def between(breaks: Change, mends: Change) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def during(admin: Any) -> AsyncIterator[None]:
        await breaks(admin)
        try:
            yield
        finally:
            await mends(admin)

    return during


def setting(name: str, value: str, after: str) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    return between(lambda admin: admin.config_set(name, value), lambda admin: admin.config_set(name, after))


async def admit(admin: Any) -> None:
    """Give the bot's user what the guide says, and no more."""
    await admin.execute_command("ACL", "SETUSER", "bot", "reset", "on", ">p", *ALLOWED.split())


async def follow(admin: Any) -> None:
    await admin.replicaof("127.0.0.1", 1)


async def lead(admin: Any) -> None:
    await admin.replicaof("NO", "ONE")


@asynccontextmanager
async def without_its_primary(admin: Any) -> AsyncIterator[None]:
    """A replica that takes writes of its own refuses all else by this word; others say READONLY first."""
    async with (
        setting("replica-read-only", "no", "yes")(admin),
        setting("replica-serve-stale-data", "no", "yes")(admin),
        between(follow, lead)(admin),
    ):
        yield


@asynccontextmanager
async def unsaved(admin: Any) -> AsyncIterator[None]:
    """A folder stands where the file should be."""
    place = Path((await admin.config_get("dir"))["dir"], "dump.rdb")
    await admin.config_set("save", "3600 1000000")
    await asyncio.to_thread(place.mkdir)
    await saved(admin, "err")
    try:
        yield
    finally:
        await asyncio.to_thread(place.rmdir)
        await saved(admin, "ok")


async def saved(admin: Any, how: str) -> None:
    await admin.bgsave()
    while (await admin.info("persistence"))["rdb_last_bgsave_status"] != how:  # noqa: ASYNC110 - Redis has no event
        await asyncio.sleep(0.01)


@asynccontextmanager
async def looping(admin: Any) -> AsyncIterator[None]:
    await admin.config_set("busy-reply-threshold", "1")
    script = asyncio.create_task(admin.eval("while true do end", 0))
    await until_refused(admin)
    try:
        yield
    finally:
        await admin.script_kill()
        with suppress(RedisError):
            await script


@asynccontextmanager
async def loading(admin: Any) -> AsyncIterator[None]:
    await admin.execute_command("DEBUG", "POPULATE", "2000", "filler", "1024")
    await admin.config_set("key-load-delay", "5000")
    reload = asyncio.create_task(admin.execute_command("DEBUG", "RELOAD"))
    await until_refused(admin)
    try:
        yield
    finally:
        await admin.config_set("key-load-delay", "0")
        await reload


async def until_refused(admin: Any) -> None:
    with suppress(RedisError):
        while True:
            await admin.exists("any")
            await asyncio.sleep(0.001)


REFUSES = {
    "READONLY": Refusal("is a replica and takes no writes", between(follow, lead)),
    "MASTERDOWN": Refusal("is a replica and takes no writes", without_its_primary),
    "OOM": Refusal("is out of memory", setting("maxmemory", "1", "0")),
    "NOREPLICAS": Refusal("has too few replicas to take writes", setting("min-replicas-to-write", "1", "0")),
    "MISCONF": Refusal("can't save its data and takes no writes", unsaved),
    "BUSY": Refusal("is busy with a script", looping),
    "LOADING": Refusal("is loading its data", loading),
}
