"""What the gateways counted since the models moved: callers, our test requests, and uses of the old key. Pure."""

from datetime import datetime

from bot.rotation.frozen import Frozen
from bot.rotation.replica import Served, host_of


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

    about: tuple[str, ...] = ()
    """What used the old key, as far as the counters name it."""

    is_deaf: bool = False
    """Its counters can't show whether a passthrough route uses the old key."""

    @property
    def name(self) -> str:
        """Return the replica's name for a sentence."""
        return host_of(self.url)
