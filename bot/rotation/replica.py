"""A snapshot of one gateway replica from its status address, and the difference between two snapshots. Pure.

Only the counters show which key a gateway used; `bot.aisix.counters` reads them.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from operator import gt, sub
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bot.rotation.frozen import Frozen

THROWAWAY = "keyturn-"
"""The prefix of the names of throw-away models."""

THROWAWAY_NAME = re.compile(rf"{THROWAWAY}[a-z0-9-]{{1,60}}")

UNNAMED = ""
"""The name for counts that name no model of ours and may be about one: a router's alias, or no alias."""

WELL = "synced"


PASSTHROUGH = "passthrough"
"""The counters' model name for a passthrough route."""

OTHERS = ""
"""The name for uses of the old key under a name unknown to us."""


class Served(NamedTuple):
    """Requests for one model, by the key that they were counted under."""

    old: int = 0
    """With the old key."""

    new: int = 0
    """Answered with the replacement, including from a cache."""

    failed: int = 0
    """Failed with the replacement, except by a rate limit."""

    blind: int = 0
    """Requests whose counters have no label for the key."""

    third: int = 0
    """With a key that is neither; several families count it, so only a rise means something."""

    limited: int = 0
    """Turned away under the replacement by a rate limit (429) of the gateway or the upstream."""

    hidden: int = 0
    """Attempts with the old key, including behind a fallback or in an ensemble; only a rise means something."""

    reached: int = 0
    """Attempts with the replacement that the upstream answered."""

    refused: int = 0
    """Attempts with the replacement that failed at the upstream."""

    @property
    def uses_old(self) -> int:
        """Return how often the old key was used for it, at least."""
        return self.old or int(self.hidden > 0)


class Replica(Frozen):
    """One snapshot of one status address. Fields that the page lacks are None or empty."""

    url: str
    at: datetime
    """When the look began; the snapshot includes everything counted before."""

    trouble: str = ""
    """Why this look found nothing at all."""

    state: str = ""
    connected: bool | None = None
    apply_seq: int | None = None
    """The number of configurations that it has applied since it started."""

    revision: int | None = None
    """The revision of the control plane's store that it has applied."""

    observed: int | None = None
    """The newest revision that it knows of."""

    rejects: int = 0
    """The number of rows of its configuration that it rejected."""

    rejected: tuple[str, ...] = ()
    """The ids from our question that a rejected row names."""

    rejects_more: bool = False
    """It rejected rows that it does not name; any row may be among them."""

    throwaways: tuple[str, ...] | None = None
    """Throw-away models that it serves; None if it does not list its models."""

    counts: dict[str, Served] | None = None
    """By model id, or by the name of a throw-away model, or `UNNAMED`; None if it shows no counters."""

    own: dict[str, Served] | None = None
    """The same for our own test requests; None if they can't be told from callers' requests."""

    callers: tuple[str, ...] = ()
    """The caller key ids that identify our requests; more than one if somebody else calls throw-away models."""

    meters: dict[str, int] = {}
    """Requests with the old key for all models, by the family that counted them."""

    heard: dict[str, int] = {}
    """The same over all families, by model id, router's alias, `PASSTHROUGH` or `OTHERS`."""

    orphaned: dict[str, int] = {}
    """Requests that the gateway refused for an unknown key, by the same names; once a key is deleted, the gateway
    no longer counts it under its id."""

    live: dict[str, tuple[str, ...]] = {}
    """By the id of a model with a wildcard alias, the concrete names that were answered with the old key."""

    old: int = 0
    """Requests with the old key for all models, from the family that counted most."""

    total: int = 0
    hears_upstream: bool = False
    """Its counters separate what reached the upstream from what a cache answered or a limit turned away."""

    is_deaf: bool = False
    """Its counters can't show whether a passthrough route uses the old key."""

    started: float | None = None

    @property
    def name(self) -> str:
        """Return the replica's name for a sentence: host and port, and no other part of the address."""
        return host_of(self.url)

    @property
    def is_behind(self) -> bool:
        """Return whether it reports changes that it has not applied yet."""
        return _is_less(self.observed, self.revision)

    def served(self, model_id: str) -> Served:
        """Return its counts for a model; zeros if it has none."""
        return (self.counts or {}).get(model_id, Served())

    def asked(self, model_id: str) -> Served | None:
        """Return its counts of our own test requests for a model; None if they can't be told apart."""
        return None if self.own is None else self.own.get(model_id, Served())

    def restarted_since(self, before: "Replica") -> bool:
        """Return whether it restarted after *before*, or is another replica: a count that only grows has fallen."""
        return (
            _differ(before.started, self.started)
            or _is_less(before.apply_seq, self.apply_seq)
            or _is_less(before.revision, self.revision)
            or (before.counts is not None and self.counts is not None and self._counts_less_than(before))
        )

    def _counts_less_than(self, before: "Replica") -> bool:
        served = any(_fell(early, self.served(id_)) for id_, early in (before.counts or {}).items())
        meters = any(self.meters.get(family, 0) < early for family, early in before.meters.items())
        return self.total < before.total or served or meters


def host_of(url: str) -> str:
    """Return the name of a status address for a sentence: host and port, and no other part of the URL."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "a status address"
    except ValueError:
        return "a status address"


def _differ(early: float | None, late: float | None) -> bool:
    return None not in (early, late) and early != late


def _is_less(early: int | None, late: int | None) -> bool:
    return bool(early and late and late < early)


def _fell(early: Served, late: Served) -> bool:
    return early != late and any(map(gt, early, late))


def rise(before: Replica | None, after: Replica) -> Replica:
    """Return *after* with what it counted since *before*; without counters if either snapshot has none.

    If the counters restarted, all that they show now is new; counts between *before* and the restart are lost.
    """
    if before is None or before.counts is None or after.counts is None or _is_of_before(before):
        none: dict[str, Any] = {
            "counts": None,
            "own": None,
            "meters": {},
            "heard": {},
            "orphaned": {},
            "old": 0,
            "total": 0,
        }
        return after.model_copy(update=none)
    if after.restarted_since(before):
        return after
    meters = _less(before.meters, after.meters)
    update = {
        "counts": _more(before.counts, after.counts),
        "own": _more(before.own or {}, after.own or {}) if _are_told_alike(before, after) else None,
        "meters": meters,
        "heard": _less(before.heard, after.heard),
        "orphaned": _less(before.orphaned, after.orphaned),
        "old": max(meters.values(), default=0),
        "total": after.total - before.total,
    }
    return after.model_copy(update=update)


def _is_of_before(look: Replica) -> bool:
    """Return whether an earlier version of Keyturn, which read only one family, made this snapshot."""
    return bool(look.old and not look.meters)


def _are_told_alike(before: Replica, after: Replica) -> bool:
    """Return whether both snapshots identify our own requests by the same caller key."""
    return None not in (before.own, after.own) and before.callers == after.callers


def _more(before: Mapping[str, Served], after: Mapping[str, Served]) -> dict[str, Served]:
    rose = {name: Served(*map(sub, late, before.get(name, Served()))) for name, late in after.items()}
    return {name: served for name, served in rose.items() if any(served)}


def _less(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    rose = {name: late - before.get(name, 0) for name, late in after.items()}
    return {name: count for name, count in rose.items() if count > 0}


def is_throwaway(name: str, prefix: str = THROWAWAY) -> bool:
    """Return whether a rotation could have given this name; Keyturn stores no other text from outside."""
    return name.startswith(prefix) and THROWAWAY_NAME.fullmatch(name) is not None
