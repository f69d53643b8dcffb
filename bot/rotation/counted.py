"""What the gateways counted since the models moved: callers, our test requests, and uses of the old key. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import add

from bot.rotation.frozen import Frozen
from bot.rotation.replica import THROWAWAY, Replica, Served, host_of


class Tally(Frozen):
    """Callers' requests for the affected models since the move, as the gateways counted them."""

    since: datetime
    answered: int = 0
    failed: int = 0
    limited: int = 0
    """Requests that the gateway's own rate limits turned away; they never reached an upstream."""


class Ledger(Frozen):
    """Requests for one environment's affected models: callers' up to the last reset, callers' in all, ours since it."""

    then: Served = Served()
    now: Served = Served()
    probed: Served = Served()


class OldKeyUsage(Frozen):
    """What one replica has counted on the old key: when the count last rose, and when Keyturn last read it."""

    url: str
    environment: str
    looked_at: datetime
    look: str = ""
    """The mark of the look in which it last showed its counters."""

    heard_at: datetime | None = None
    count: int = 0
    """Requests since Keyturn reset the count; even one is too many."""

    total: int = 0
    """Requests since every model left it; no reset forgets them. 0 in records of older versions."""

    first_at: datetime | None = None
    """When the first of them was counted."""

    about: tuple[str, ...] = ()
    """What used the old key, as far as the counters name it."""

    is_deaf: bool = False
    """Its counters can't show whether a passthrough route uses the old key."""

    @property
    def name(self) -> str:
        """Return the replica's name for a sentence."""
        return host_of(self.url)


MANY = 5
"""Fewer failed requests of callers are no sign of anything."""


def most_fail(answered: int, failed: int) -> bool:
    """Return whether many requests failed, and more than were answered."""
    return failed >= MANY and failed > answered


def summed(some: Iterable[Served]) -> Served:
    """Add up counts."""
    total = Served()
    for served in some:
        total = Served(*map(add, total, served))
    return total


def met(ledger: Ledger, replicas: Sequence[Replica]) -> Served:
    """Return what callers met: upstream answers, failures, and requests that the gateway's rate limits turned away.

    A cached answer shows nothing about a key, and the gateway's own 429 is no failure of one. If the counters can't
    single out the upstream's part (`hears_upstream`), a 429 counts as a failure.
    """
    counted = summed(served for replica in replicas for served in of_callers(replica.counts or {}))
    ours = _ours(ledger, replicas)
    upstream = all(replica.hears_upstream for replica in replicas)
    limited = max(0, counted.limited - ours.limited)
    refused = min(limited, max(0, counted.refused - counted.failed)) if upstream else limited
    answered = counted.reached if upstream else counted.new
    return Served(
        new=max(0, answered - ours.new),
        failed=max(0, counted.failed - ours.failed) + refused,
        limited=limited - refused,
    )


def of_callers(counts: Mapping[str, Served]) -> Iterable[Served]:
    """Return the counts of models that callers can use."""
    return (served for name, served in counts.items() if not name.startswith(THROWAWAY))


def _ours(ledger: Ledger, replicas: Sequence[Replica]) -> Served:
    """Return our share of those requests: by the counters if they show it, else by the number that we sent."""
    if any(replica.own is None for replica in replicas):
        return ledger.probed
    return summed(served for replica in replicas for served in of_callers(replica.own or {}))
