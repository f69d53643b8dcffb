"""What the counters show about the old key since the move: its last use, and where use can't be noticed. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from bot.rotation.counted import OldKeyUsage
from bot.rotation.record import Rotation


class Deaf(NamedTuple):
    """A place where use of the old key can't be noticed: a replica, or an environment without a status address."""

    replica: str = ""
    environment: str = ""


class Usage(NamedTuple):
    """The known use of the old key; empty if no counters show it."""

    last: OldKeyUsage | None
    """The replica that counted a request last; one that counted it at its last look comes first."""

    listening: int
    replicas: int
    since: datetime | None
    """The time since when every replica would have shown a request."""

    deaf: tuple[Deaf, ...]

    @property
    def is_in_use(self) -> bool:
        """Return whether a replica counted a request at its last look."""
        return self.last is not None and counts_now(self.last)


def usage_of(rotation: Rotation) -> Usage:
    """Return the known use of the old key."""
    heard = (silence for silence in rotation.silences if silence.heard_at)
    listening = len(rotation.silences)
    return Usage(
        last=max(heard, key=lambda s: (counts_now(s), s.heard_at or s.looked_at), default=None),
        listening=listening,
        replicas=max(listening, sum(map(len, rotation.looks.values()))),
        since=_since(rotation),
        deaf=tuple(_deaf(rotation)),
    )


def counts_now(silence: OldKeyUsage) -> bool:
    """Return whether a replica counted a request on the old key at its last look."""
    return silence.heard_at is not None and silence.heard_at >= silence.looked_at


def _since(rotation: Rotation) -> datetime | None:
    looks = [look.at for replicas in rotation.looks.values() for look in replicas.values()]
    return min(filter(None, [rotation.verified_at, max(looks, default=None)]), default=None)


def _deaf(rotation: Rotation) -> Iterator[Deaf]:
    heard = {(silence.environment, silence.url) for silence in rotation.silences}
    for environment, seen in rotation.looks.items():
        yield from (Deaf(replica=look.name) for url, look in seen.items() if (environment, url) not in heard)
    listening = {environment for environment, _ in heard} | set(rotation.looks)
    yield from (Deaf(environment=n) for id_, n in rotation.plan.environments.items() if id_ not in listening)
