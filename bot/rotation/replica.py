"""What one gateway replica shows of itself at its status address, and what changed between two looks. Pure.

The counters are the only place where a gateway says which key served; `bot.aisix.counters` reads them.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from operator import gt, sub
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bot.rotation.frozen import Frozen

THROWAWAY = "keyturn-"
"""What the names of throw-away models begin with."""

THROWAWAY_NAME = re.compile(rf"{THROWAWAY}[a-z0-9-]{{1,60}}")

UNNAMED = ""
"""Stands for the models of counts that name none of ours, and may be about one: a router's alias, no alias at all."""

WELL = "synced"


PASSTHROUGH = "passthrough"
"""How the counters name the model of a passthrough route."""

OTHERS = ""
"""Stands for whatever used the old key under a name that we do not know."""


class Served(NamedTuple):
    """Requests for one model, by the key that they were counted under."""

    old: int = 0
    """With the old key."""

    new: int = 0
    """Answered with the replacement, also from a cache."""

    failed: int = 0
    """Failed with the replacement, but for a rate limit."""

    blind: int = 0
    """Requests of which the counters have no label for the key."""

    third: int = 0
    """With a key that is neither; counted in more than one family, so only whether it rises says something."""

    limited: int = 0
    """Turned away under the replacement by a rate limit (429), the gateway's or the upstream's."""

    hidden: int = 0
    """Attempts with the old key, also behind a fallback or in an ensemble; only whether it rises says something."""

    reached: int = 0
    """Attempts with the replacement that the upstream answered."""

    refused: int = 0
    """Attempts with the replacement that failed at the upstream."""

    @property
    def uses_old(self) -> int:
        """Return how often the old key was used for it, at least."""
        return self.old or int(self.hidden > 0)


class Replica(Frozen):
    """One look at one status address. What a page did not say is None, or empty."""

    url: str
    at: datetime
    """When the look began: what was counted before, it has seen."""

    trouble: str = ""
    """Why this look found nothing at all."""

    state: str = ""
    connected: bool | None = None
    apply_seq: int | None = None
    """How many configurations it has applied since it started."""

    revision: int | None = None
    """The revision of the control plane's store that it has applied."""

    observed: int | None = None
    """The newest revision that it has heard of."""

    rejects: int = 0
    """How many rows of its configuration it has not taken."""

    rejected: tuple[str, ...] = ()
    """Those of the ids that were asked about which such a row names."""

    rejects_more: bool = False
    """It has not taken rows that it does not name: any may be among them."""

    throwaways: tuple[str, ...] | None = None
    """Throw-away models that it serves; None where it does not list its models."""

    counts: dict[str, Served] | None = None
    """By model id, or by the name of a throw-away model, or `UNNAMED`; None where it shows no counters."""

    own: dict[str, Served] | None = None
    """The same of our own test requests; None where they cannot be told from callers' requests."""

    callers: tuple[str, ...] = ()
    """By which caller keys' ids our own requests were told; several where somebody else calls throw-away models."""

    meters: dict[str, int] = {}
    """Requests with the old key, whatever the model, by the family that counted them."""

    heard: dict[str, int] = {}
    """The same in all families together, by model id, router's alias, `PASSTHROUGH` or `OTHERS`."""

    orphaned: dict[str, int] = {}
    """Requests that the gateway refused because their key is unknown, by the same names: a deleted key is no more
    counted under its id."""

    live: dict[str, tuple[str, ...]] = {}
    """By the id of a model with a wildcard alias, the concrete names that the old key answered under."""

    old: int = 0
    """Requests with the old key, whatever the model: those of the family that counted most."""

    total: int = 0
    hears_upstream: bool = False
    """It tells what reached the upstream from what a cache answered or a limit turned away."""

    is_deaf: bool = False
    """Its counters cannot show that a passthrough route uses the old key."""

    started: float | None = None

    @property
    def name(self) -> str:
        """Name it in a sentence: by its host and port, and nothing else that the address may hold."""
        return host_of(self.url)

    @property
    def is_behind(self) -> bool:
        """Tell whether it says itself that it has heard of changes that it has not applied."""
        return _is_less(self.observed, self.revision)

    def served(self, model_id: str) -> Served:
        """Return what it counted for a model; nothing where it counted nothing."""
        return (self.counts or {}).get(model_id, Served())

    def asked(self, model_id: str) -> Served | None:
        """Return what it counted of our own test requests for a model; None where they cannot be told."""
        return None if self.own is None else self.own.get(model_id, Served())

    def restarted_since(self, before: "Replica") -> bool:
        """Tell whether it started again after *before*, or is another replica: what only grows has become less."""
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
    """Name a status address in a sentence: by its host and port, without what a URL may hold besides."""
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
    """Return *after* with what it counted since *before*; with no counters where either look shows none.

    Where the counters started again, all that they show now was counted since; what they showed in between is lost.
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
    """Tell whether a version of Keyturn that read one family only took this look: the others are not known."""
    return bool(look.old and not look.meters)


def _are_told_alike(before: Replica, after: Replica) -> bool:
    """Tell whether both looks tell our own requests from callers', by the same caller key."""
    return None not in (before.own, after.own) and before.callers == after.callers


def _more(before: Mapping[str, Served], after: Mapping[str, Served]) -> dict[str, Served]:
    rose = {name: Served(*map(sub, late, before.get(name, Served()))) for name, late in after.items()}
    return {name: served for name, served in rose.items() if any(served)}


def _less(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    rose = {name: late - before.get(name, 0) for name, late in after.items()}
    return {name: count for name, count in rose.items() if count > 0}


def is_throwaway(name: str, prefix: str = THROWAWAY) -> bool:
    """Tell whether a name from outside is one that a rotation gave: no other text is kept."""
    return name.startswith(prefix) and THROWAWAY_NAME.fullmatch(name) is not None
