"""What the gateways counted since the models moved: callers, our own requests, and uses of the old key. Pure."""

from datetime import datetime

from bot.rotation.frozen import Frozen
from bot.rotation.replica import Served, host_of


class Tally(Frozen):
    """Requests of callers for the affected models since they were moved, as the gateways counted them."""

    since: datetime
    answered: int = 0
    failed: int = 0
    limited: int = 0
    """Turned away by the gateway's own rate limits; they never reached an upstream."""


class Ledger(Frozen):
    """Requests for the affected models of one environment: of callers until the looks that count, and of ours since."""

    then: Served = Served()
    now: Served = Served()
    probed: Served = Served()


class OldKeyUsage(Frozen):
    """What one replica has counted on the old key: when a look last found more, and when it was last looked at."""

    url: str
    environment: str
    looked_at: datetime
    look: str = ""
    """The look in which it showed its counters last."""

    heard_at: datetime | None = None
    count: int = 0
    """Requests since its counters count; any number above 0 is one too many."""

    about: tuple[str, ...] = ()
    """What used the old key, as far as the counters name it."""

    is_deaf: bool = False
    """Its counters cannot show that a passthrough route uses the old key."""

    @property
    def name(self) -> str:
        """Name the replica in a sentence."""
        return host_of(self.url)
