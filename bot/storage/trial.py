"""Try on Redis what the bot does there: a server that answers PING may take no write, no script and no transaction.

One transaction runs every command and script under names of this bot, and removes them again: nothing is left, and
several processes can try at once. What a transaction can't try stands beside it: a blocking read that waits, and WATCH.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.settings import WrongSettings
from bot.storage.namespace import BEFORE, REGISTER, Namespace
from bot.storage.outage import answering, wrong_with
from bot.storage.scripts import BATCH, END, FIGURES, FULL, HOLD, LABEL, NOTE, RELEASE, SAVE, SET_DUE, SHOWN

FRESH = 1.0
"""Seconds for which a trial is good, so that frequent requests for `/readyz` do not write each time."""

BLOCK = 0.1
"""Seconds that the blocking read waits at most, where another process removes what it is to read."""

NOBODY = "trial"
"""What is removed from the lists that this bot shares with others; it is in none."""

COMMANDS = """
SET {lease} token NX PX 60000
SET {lease} token NX GET EX 60
PEXPIRE {lease} 60000
EXPIRE {lease} 60
SETEX {lease} 60 token
GET {rotation}
GETDEL {edits}
EXISTS {rotation}
MGET {rotation} {lease}
INCRBY {edits} 1
RPUSH {queued} job
LINDEX {audit} -1
LRANGE {audit} 0 -1
LLEN {queued}
BLMOVE {queued} {active_jobs} LEFT RIGHT 1
LREM {active_jobs} 0 job
SADD {open} id
SREM {open} id
SMEMBERS {open}
SISMEMBER {open} id
SCARD {open}
ZADD {due} 1 id
ZREM {due} id
ZCARD {due}
ZSCORE {due} id
ZRANGE {due} -inf 1 BYSCORE
ZRANGEBYSCORE {due} 1 2
ZRANGEBYLEX {concerns} [a [b
ZCOUNT {due} -inf 1
ZINTER 2 {all} {open} WEIGHTS 1 0
ZREVRANGE {due} 0 1
ZREMRANGEBYSCORE {due} 0 1
HSET {shown} card 1
HGET {shown} card
HMGET {shown} card
HGETALL {shown}
HKEYS {shown}
HDEL {shown} other
RENAME {shown} {moved}
PUBLISH {job} trial
TIME
HDEL {register} {nobody}
SREM {open_before} {nobody}
"""
"""Every command that the bot and its job queue send, by themselves or in a script."""

RECORD = '{"version": 1}'
SCRIPTS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    (
        SAVE,
        "rotation audit open unshown all active fingerprints due concerns states revocations",
        (RECORD, "", "", "entry", "id", 1, 1, 0, 0, "key", "print", "[]", '["key"]', "RUNNING", '[["key", 1]]', 0, 1),
    ),
    (NOTE, "audit", ("entry", "another")),
    (LABEL, "audit holds", ("another", "third", "key", "value")),
    (BATCH, "audit batch batches", ("third", "fourth", "", RECORD, "id", 0)),
    (SET_DUE, "rotation due concerns states", ("id", 1, 0, '["key"]', "RUNNING")),
    (END, "audit rotation", ()),
    (FULL, "concerns states open", ('[["key", 1]]',)),
    (FIGURES, "open states due queued active_jobs", (1,)),
    (SHOWN, "unshown", ("id", 1)),
    (HOLD, "rotation rotation", (RECORD, 1, 60_000)),
    (RELEASE, "rotation", (RECORD,)),
)
"""Each script with its keys, and values with which it writes; they run in this order."""

KEYS = ("lease", "edits", "shown", "moved", "holds", "batch", "batches", *SCRIPTS[0][1].split())
JOBS = ("queued", "active_jobs")


class Trial:
    """Tries everything for the bot of one namespace."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        self._redis: Any = redis
        own = {kind: namespace.key("trial", kind) for kind in KEYS}
        jobs = {kind: f"saq:{namespace.queue}:trial:{kind}" for kind in JOBS}
        shared = {"register": REGISTER, "open_before": BEFORE.key("open")}
        self._names = {**own, **jobs, "job": f"saq:job:{namespace.queue}:trial", **shared, "nobody": NOBODY}
        self._own = [*own.values(), *jobs.values()]
        self._passed_at = -FRESH
        self._under_way: asyncio.Future[None] | None = None

    async def passed(self) -> None:
        """Raise `Unanswerable` unless Redis serves all that the bot does, now or a moment ago.

        Callers that come while a trial is under way wait for that one: in turns they would wait ever longer.
        """
        if asyncio.get_running_loop().time() - self._passed_at < FRESH:
            return
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(self._pass())
        await asyncio.shield(self._under_way)

    async def _pass(self) -> None:
        async with answering():
            await self._run()
        self._passed_at = asyncio.get_running_loop().time()

    async def insist(self) -> None:
        """Raise `WrongSettings` unless Redis serves all that the bot does."""
        try:
            await self._run()
        except (RedisError, OSError) as error:
            raise WrongSettings(wrong_with(error, self._redis)) from None

    async def _run(self) -> None:
        queued, active = (self._names[each] for each in JOBS)
        await asyncio.gather(
            self._redis.blmove(queued, active, BLOCK, "LEFT", "RIGHT"), self._redis.rpush(queued, "job")
        )
        async with self._redis.pipeline(transaction=True) as pipe:
            for words in (("DEL", *self._own), *self._scripts(), *self._commands(), ("DEL", *self._own)):
                pipe.execute_command(*words)
            await pipe.execute()
            await pipe.watch(self._own[0])

    def _scripts(self) -> Iterator[tuple[Any, ...]]:
        for script, names, values in SCRIPTS:
            keys = [self._names[name] for name in names.split()]
            yield "SCRIPT LOAD", script
            yield "EVALSHA", self._redis.register_script(script).sha, len(keys), *keys, *values

    def _commands(self) -> Iterator[list[str]]:
        return (line.format(**self._names).split() for line in COMMANDS.strip().splitlines())
