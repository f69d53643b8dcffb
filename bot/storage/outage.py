"""What is wrong with Redis, in words: for who clicks, for `/readyz`, for the check and for a start."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from bot.rotation.errors import Unanswerable
from bot.rotation.trust import UNTRUSTED, is_untrusted

AWAY = "Keyturn's store (Redis) does not answer, so nothing was changed. Try again in a minute."
UNSURE = (
    "Keyturn's store (Redis) stopped answering in the middle, so Keyturn cannot tell whether this was recorded. "
    "Look at the card again in a minute."
)
"""The write may still happen: a server that hangs executes it once it continues."""

REFUSED = {
    AWAY: "Keyturn's store (Redis) {said}, so nothing was changed. Try again in a minute.",
    UNSURE: (
        "Keyturn's store (Redis) {said}, so Keyturn cannot tell whether this was recorded. "
        "Look at the card again in a minute."
    ),
}
"""The same sentences for a server that says why it refuses: an earlier try of the same write may have succeeded."""

CALL = " If it stays like that, tell the people who run Keyturn: {helps}."


class Trouble(NamedTuple):
    """Why Redis does not serve, and what helps."""

    said: str
    helps: str


ALLOWED = "~keyturn:* ~saq:* &saq:* +@all -@dangerous"
"""What Keyturn's user of Redis has to be allowed."""

REPLICA = Trouble(
    "is a replica and takes no writes", "wait for the fail-over to end, or point REDIS_URL at the primary"
)
CLUSTER = Trouble("is a Redis Cluster, which Keyturn can't use", "give it one server, or one primary with replicas")
STRANGER = Trouble("refuses the user or the password", "correct them in REDIS_URL")
TROUBLES = {
    "READONLY": REPLICA,
    "MASTERDOWN": REPLICA,
    "NOPERM": Trouble(
        "does not allow Keyturn's user all that Keyturn does", f"allow the user of REDIS_URL `{ALLOWED}`"
    ),
    "NOAUTH": STRANGER,
    "WRONGPASS": STRANGER,
    **dict.fromkeys(("CROSSSLOT", "MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "cluster mode"), CLUSTER),
    "OOM": Trouble("is out of memory", "raise its maxmemory, or delete what is not Keyturn's"),
    "LOADING": Trouble("is loading its data", "wait until it has loaded them"),
    "MISCONF": Trouble(
        "can't save its data and takes no writes", "free space on its disk, or see why its last save failed"
    ),
    "NOREPLICAS": Trouble(
        "has too few replicas to take writes", "bring its replicas back, or lower its min-replicas-to-write"
    ),
    "BUSY": Trouble("is busy with a script", "end that script, and give Keyturn a Redis of its own"),
    "DB index": Trouble(
        "has no database of that number", "correct the number at the end of REDIS_URL, or leave it out"
    ),
    "unknown command": Trouble(
        "lacks a command that Keyturn needs", "use Redis 7.0 or newer, or Valkey, with no proxy between"
    ),
    "no primary": Trouble(
        "is not to be found through Sentinel",
        "compare the hosts and the name in REDIS_URL with SENTINEL MASTERS, and over TLS see that Keyturn trusts "
        "their certificates (SSL_CERT_FILE)",
    ),
}
"""What is wrong, by the first word of Redis's error, or by what `OTHERWISE` makes of it."""

OTHERWISE = {
    "Authentication required": "NOAUTH",
    "invalid username-password pair": "WRONGPASS",
    "AUTH <password> called without any password": "WRONGPASS",
    "SELECT is not allowed in cluster mode": "cluster mode",
    "DB index": "DB index",
    "unknown command": "unknown command",
    "unknown subcommand": "unknown command",
    "No master found": "no primary",
}
"""Errors without a word of their own, or whose word the client takes away, by how they begin."""

IN_PIPELINE = re.compile(r"^Command # .* caused error: \W*", re.DOTALL)


def trouble_of(error: BaseException | None) -> Trouble | None:
    """Return what Redis itself says is wrong; None if it says nothing."""
    text = IN_PIPELINE.sub("", str(error))
    begun = (word for start, word in OTHERWISE.items() if text.startswith(start))
    words = (getattr(error, "status_code", None), text.partition(" ")[0], *begun)
    word = next((word for word in words if word in TROUBLES), None)
    return TROUBLES[word]._replace(said=f"{TROUBLES[word].said} ({word})") if word else None


def wrong_with(error: BaseException | None, redis: Any = None) -> str:
    """Say what is wrong with the server at REDIS_URL, to the people who run Keyturn, and where *redis* looked."""
    if trouble := trouble_of(error):
        return f"REDIS_URL does not work: its server {trouble.said}. {trouble.helps[0].upper()}{trouble.helps[1:]}."
    why = UNTRUSTED if is_untrusted(error) else type(error).__name__
    place = _place(redis.connection_pool.connection_kwargs) if redis else ""
    return f"REDIS_URL does not answer ({why}): it should be that of a running Redis{place}."


def _place(given: Mapping[str, Any]) -> str:
    """Return the place of a server without its user and password; empty where Sentinel tells it."""
    host = given.get("host")
    where = f"{host}:{given.get('port', PORT)}" if host else given.get("path")
    return f", and this machine has to reach {where}" if where else ""


PORT = 6379


@asynccontextmanager
async def answering(sentence: str = AWAY) -> AsyncIterator[None]:
    """Turn Redis's errors into `Unanswerable` with one sentence, which says why if Redis does."""
    try:
        yield
    except (RedisError, OSError) as error:
        trouble = trouble_of(error)
        said = (REFUSED[sentence] + CALL).format(**trouble._asdict()) if trouble else sentence
        raise Unanswerable(said) from error
