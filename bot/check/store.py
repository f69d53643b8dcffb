"""Check the store: whether it answers, keeps what it is given, and what it has of this bot and of others."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bot.check.findings import Wrong, clock, ok, warn
from bot.rotation.errors import ApiError, Unanswerable
from bot.rotation.plan import plural
from bot.settings import Settings, WrongSettings
from bot.storage.connection import connected
from bot.storage.embedded import try_data
from bot.storage.migration import Carrier, Census, census
from bot.storage.namespace import BEFORE, Namespace
from bot.storage.outage import wrong_with
from bot.storage.trial import Trial
from bot.terminal import Finding


class Whose(NamedTuple):
    """This bot's namespace, and the carrier that would bring records there from other namespaces in its Redis."""

    namespace: Namespace
    carrier: Callable[[Redis], Carrier]


async def store(settings: Settings, whose: Callable[[], Awaitable[Whose]]) -> list[Finding]:
    """Try the Redis of the settings; an embedded server is tried by the start alone."""
    try:
        ours = await whose()
    except WrongSettings:  # Slack does not say: another line reports that
        ours = None
    if settings.redis_url is None:
        try_data(settings.keyturn_data)
        kept = f"REDIS_URL is absent, so an embedded server keeps its data in {settings.keyturn_data}."
        return [ok(kept + (_records_place(ours) if ours else ""))]
    async with connected(settings.redis_url, settings.redis_timeout.total_seconds()) as redis:
        await Trial(redis, ours.namespace if ours else BEFORE).insist()
        hidden = await _server(redis)
        return [
            ok(SERVES + (await _namespaces(redis, ours) if ours else "")),
            *([warn(hidden)] if hidden else []),
            *await _isolated(redis),
            *clock(await _ahead(redis)),
        ]


async def _ahead(redis: Redis) -> float | None:
    asked = time.time()
    try:
        seconds, micros = await redis.time()
    except RedisError:
        return None
    return float(seconds) + float(micros) / 1_000_000 - (asked + time.time()) / 2


def _records_place(ours: Whose) -> str:
    return f" The records of this workspace and AISIX Cloud are under `{ours.namespace.queue}`."


async def _namespaces(redis: Redis, ours: Whose) -> str:
    """Say where our records are, and which other namespaces this Redis has."""
    carrier = ours.carrier(redis)
    try:
        others = [one for one in await census(redis) if one.rotations and one.namespace.name != ours.namespace.name]
        said = [await _before(carrier, one) if one.namespace == BEFORE else _other(one, ours) for one in others]
    except Unanswerable as away:
        raise Wrong(wrong_with(away.__cause__, redis)) from None
    return _records_place(ours) + "".join(said)


def _other(one: Census, ours: Whose) -> str:
    place = f" of {one.namespace.control_plane}" if one.namespace.control_plane else ""
    said = f" `{one.namespace.queue}` has {plural(one.rotations, 'rotation')}{place}, {one.open} not over."
    if one.open and one.namespace.team == ours.namespace.team:
        said += f" If that is an earlier address of this AISIX Cloud: `python -m bot carry-over {one.namespace.queue}`."
    return said


async def _before(carrier: Carrier, one: Census) -> str:
    """Say which records of the previous version will be carried over, and which not."""
    try:
        ours, left = await carrier.look(one.namespace, await carrier.ids_in(one.namespace))
    except ApiError:  # another line reports that
        return f" {plural(one.rotations, 'rotation')} of the version before, {one.open} not over."
    coming = (
        f" {plural(len(ours), 'rotation')} of the version before will be carried over at the start." if ours else ""
    )
    reasons = {why: [it.rotation for it in left if it.why == why] for _, why in left}
    stay = (f" {plural(len(ids), 'rotation')} of the version before ({_few(ids)}) cannot be: {why}."
            for why, ids in reasons.items())  # fmt: skip
    return coming + "".join(stay)


FEW = 3
"""The most ids that one line names."""


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:FEW]) + (", …" if len(ids) > FEW else "")


async def _server(redis: Redis) -> str:
    """Say what the server hides; raise `Wrong` if it could lose records."""
    try:
        said = await _said_by(redis)
    except (RedisError, OSError) as error:
        raise Wrong(wrong_with(error, redis)) from None
    unsafe = [RISKS[name].format(said[name]) for name, safe in SAFE.items() if name in said and said[name] != safe]
    if unsafe:
        raise Wrong(f"the server at REDIS_URL {', and it '.join(unsafe)}.")
    hidden = [name for name in SAFE if name not in said]
    sure = " and that ".join(f"{name} is {SAFE[name]}" for name in hidden)
    return f"it does not show its {' and its '.join(hidden)}: make sure that {sure}." if hidden else ""


REPLICA_ANSWERS = 1000
"""Milliseconds within which a replica that keeps up acknowledges what the check has written."""


async def _isolated(redis: Any) -> list[Finding]:
    """Warn if an old primary that a fail-over leaves alone may go on taking writes, which nobody keeps.

    `INFO` counts replicas that are near enough only where the setting is on; who may not read it may still `WAIT`.
    """
    if shown := await _answer(redis.info("replication")):
        replicas, is_safe = shown.get("connected_slaves", 0), "min_slaves_good_slaves" in shown
        has, helps = (
            f"it has {plural(replicas, 'replica')} and min-replicas-to-write 0",
            "Set min-replicas-to-write to 1.",
        )
    else:
        replicas, is_safe = await _answer(redis.wait(1, REPLICA_ANSWERS)), False
        some = "can't tell whether it has replicas" if replicas is None else f"it has {plural(replicas, 'replica')}"
        has, helps = (
            f"{some}, and it does not show min-replicas-to-write",
            "Make sure that it is 1 if there are replicas.",
        )
    if is_safe or replicas == 0:
        return []
    return [warn(f"{has}: after a fail-over a primary that is left alone may take writes, which are lost. {helps}")]


async def _answer(asked: Awaitable[Any]) -> Any:
    """Return an answer; None where the server does not give it."""
    try:
        return await asked
    except RedisError:
        return None


SERVES = "it takes every write, script and blocking read of Keyturn."

SAFE = {"maxmemory-policy": "noeviction", "appendonly": "yes"}
"""Server settings without which Redis can lose data."""

RISKS = {
    "maxmemory-policy": "has the maxmemory-policy {}, so it could drop a rotation under way: make it noeviction",
    "appendonly": "keeps no append-only file, so a restart loses what was recorded last: set appendonly to yes",
}
"""What happens otherwise, and how to fix it."""


async def _said_by(redis: Any) -> dict[str, str]:
    """Return the settings in `SAFE` that the server reveals; a managed one may reveal none."""
    said: dict[str, str] = {}
    with suppress(ResponseError):
        if "aof_enabled" in (kept := await redis.info("persistence")):
            said["appendonly"] = "yes" if kept["aof_enabled"] else "no"
    with suppress(ResponseError):
        for name in SAFE:
            said |= await redis.config_get(name)
    return said
