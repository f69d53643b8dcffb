"""What one gateway replica shows of itself at its status address, and what changed between two looks. Pure.

Signals and their limits: facts/aisix.md 5. The counters are the only place where a gateway says which key served. They
name a model by the alias that was asked for, which may be a router's, and an operator may have taken labels out. So a
count that may speak against a model is never let fall, and one that may not speak for it is never taken for it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import starmap
from operator import gt, sub
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from bot.frozen import Frozen
from bot.plan import AffectedModel

REQUESTS = "aisix_llm_requests_total"
STARTED = "process_start_time_seconds"
THROWAWAY = "keyturn-"
"""What the names of throw-away models begin with."""

THROWAWAY_NAME = re.compile(rf"{THROWAWAY}[a-z0-9-]{{1,60}}")

UNNAMED = ""
"""Stands for the models of counts that name none of ours, and may be about one: a router's alias, no alias at all."""

WELL = "synced"


class Served(NamedTuple):
    """Requests for one model: with the old key, and with the replacement, answered and failed."""

    old: int = 0
    new: int = 0
    failed: int = 0
    blind: int = 0
    """Requests of which the counters have no label for the key."""


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

    old: int = 0
    """Requests with the old key, whatever the model."""

    total: int = 0
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

    def restarted_since(self, before: "Replica") -> bool:
        """Tell whether it began anew after *before*, or is another replica: nothing that only grows has become less."""
        return (
            _differ(before.started, self.started)
            or _is_less(before.apply_seq, self.apply_seq)
            or _is_less(before.revision, self.revision)
            or (before.counts is not None and self.counts is not None and self._counts_less_than(before))
        )

    def _counts_less_than(self, before: "Replica") -> bool:
        counts = ((early, self.served(id_)) for id_, early in (before.counts or {}).items())
        return self.total < before.total or any(starmap(_fell, counts))


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

    Where the counters began anew, all that they show now was counted since; what they showed in between is lost.
    """
    if before is None or before.counts is None or after.counts is None:
        return after.model_copy(update={"counts": None, "old": 0, "total": 0})
    if after.restarted_since(before):
        return after
    counts = {model: _more(before.served(model), served) for model, served in after.counts.items()}
    update = {
        "counts": {model: served for model, served in counts.items() if any(served)},
        "old": max(0, after.old - before.old),
        "total": after.total - before.total,
    }
    return after.model_copy(update=update)


def _more(before: Served, after: Served) -> Served:
    return Served(*map(sub, after, before))


class Keys(NamedTuple):
    """What the two keys of a rotation are called in the counters' labels: by id, or by name."""

    old: frozenset[str]
    new: frozenset[str]


# --- /status/config and /status/models ---

WORD = re.compile(r"[a-z_]{1,20}")
LISTED_MOST = 256
"""Rejected rows that a gateway lists at most; there may be more."""


def read_config(body: Any, ids: Iterable[str]) -> dict[str, Any]:
    """Read `/status/config`: the fields of a `Replica` that it tells; of *ids*, which stand in a rejected row."""
    if not isinstance(body, dict):
        return {}
    connected = _within(body, "source", "connected")
    rows = _rows(body.get("rejected"))
    words = [" ".join(_strings(row)) for row in rows]
    return {
        "state": state if WORD.fullmatch(state := str(body.get("state") or "")) else "",
        "connected": connected if isinstance(connected, bool) else None,
        "apply_seq": _count_within(body, "applied", "apply_seq"),
        "revision": _count_within(body, "applied", "applied_revision"),
        "observed": _count_within(body, "source", "observed_revision"),
        "rejects": len(rows),
        "rejected": tuple(sorted({id_ for id_ in ids if any(id_ in text for text in words)})),
        "rejects_more": len(rows) >= LISTED_MOST or any(_may_be_any(row) for row in rows),
    }


ROW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
OF_OURS = re.compile(r"model|provider_?key", re.IGNORECASE)


def _may_be_any(row: Any) -> bool:
    """Tell whether a rejection names no row, and is of a kind that we care for or of none."""
    if any(map(ROW_ID.search, _strings(row))):
        return False
    kind = next((row[name] for name in ("resource_kind", "kind") if row.get(name)), "") if isinstance(row, dict) else ""
    return not kind or OF_OURS.search(str(kind)) is not None


def _within(body: Mapping[str, Any], part: str, name: str) -> Any:
    inner = body.get(part)
    return inner.get(name) if isinstance(inner, dict) else None


def _count_within(body: Mapping[str, Any], part: str, name: str) -> int | None:
    value = _within(body, part, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else None


def _rows(rejected: Any) -> list[Any]:
    """Return a row each, also of a document where they stand by their id."""
    if isinstance(rejected, dict):
        return [[name, row] for name, row in rejected.items()]
    return rejected if isinstance(rejected, list) else [rejected] if rejected else []


def _strings(value: Any) -> Iterator[str]:
    """Yield every string at any depth: an id is among them, wherever it stands; no other text is kept."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value


def read_models(body: Any, prefix: str) -> tuple[str, ...] | None:
    """Read `/status/models`: those of its models whose name begins with *prefix*; None where it is no such list."""
    if not isinstance(body, list):
        return None
    names = (row.get("display_name") for row in body if isinstance(row, dict))
    return tuple(sorted(name for name in names if isinstance(name, str) and is_throwaway(name, prefix)))


def is_throwaway(name: str, prefix: str = THROWAWAY) -> bool:
    """Tell whether a name from outside is one that a rotation gave: no other text is kept."""
    return name.startswith(prefix) and THROWAWAY_NAME.fullmatch(name) is not None


def is_foreign(body: Any, models: Iterable[AffectedModel]) -> bool:
    """Tell whether `/status/models` lists an alias of *models* under another id: it is another environment's."""
    if not isinstance(body, list):
        return False
    rows = [row for row in body if isinstance(row, dict)]
    ids = {row["id"] for row in rows if isinstance(row.get("id"), str)}
    names = {row["display_name"] for row in rows if isinstance(row.get("display_name"), str) and ids}
    return any(model.alias in names and model.id not in ids for model in models)


# --- /metrics ---

MOST = 2**53
"""From here on a counter is too coarse to show one request more."""

OURS = re.compile(rf"^[ \t]*(?:{REQUESTS}|{STARTED})[ \t{{].*$", re.MULTILINE)
ANY = re.compile(r"^[ \t]*(?:# (?:HELP|TYPE) )?aisix_", re.MULTILINE)
"""A line of a gateway's page: the counter itself is not on it before the first request."""

NOT_TOLD = (None, "", "unknown")
"""What a gateway writes where it has resolved nothing: no row, no key; the last two say that none was used."""


def read_counters(text: str, keys: Keys, models: Iterable[AffectedModel]) -> dict[str, Any]:
    """Read `/metrics`: the fields of a `Replica` that it tells. Raises ValueError where it cannot be read."""
    find = Names(models)
    counts: dict[str, Served] = {}
    old = total = 0
    started: float | None = None
    for name, labels, value in _samples(text):
        if name == STARTED:
            started = value if math.isfinite(value) else None
            continue
        served = _as_served(labels, _count(value), keys)
        old, total = old + served.old, total + _count(value)
        model = find.model(labels)
        if model is not None and any(served):
            counts[model] = Served(*map(sum, zip(counts.get(model, Served()), served, strict=True)))
    return {"counts": counts if ANY.search(text) else None, "old": old, "total": total, "started": started}


Sample = tuple[str, Mapping[str, str], float]


def _samples(text: str) -> list[Sample]:
    """Return the samples that matter; the rest of a long page is not even parsed."""
    lines = "\n".join(OURS.findall(text)) + "\n"
    try:
        found = [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
    except Exception:  # noqa: BLE001 - whatever it trips over; its message quotes the page
        raise ValueError("these are no counters") from None
    return [(sample.name, sample.labels, sample.value) for sample in found if sample.name in (REQUESTS, STARTED)]


def _count(value: float) -> int:
    """Return a count as a whole number; one that is none, or too large to show a rise, makes the page useless."""
    if 0 <= value < MOST and value == int(value):
        return int(value)
    raise ValueError("this is no count")


def _as_served(labels: Mapping[str, str], count: int, keys: Keys) -> Served:
    id_, name = labels.get("provider_key_id"), labels.get("provider_key_name")
    if id_ is None and name is None:
        return Served(blind=count)
    if {id_, name} & keys.old:
        return Served(old=count)
    if (name if id_ in NOT_TOLD else id_) in keys.new:
        return Served(new=count) if _is_success(labels) else Served(failed=count)
    return Served()


def _is_success(labels: Mapping[str, str]) -> bool:
    outcome = labels.get("outcome")
    return outcome == "success" if outcome else labels.get("status", "").startswith("2")


class Names:
    """By which names the counters know some models."""

    def __init__(self, models: Iterable[AffectedModel]) -> None:
        models = tuple(models)
        often = Counter(model.alias for model in models)
        self._ids = {model.id for model in models}
        self._aliases = {model.alias: model.id if often[model.alias] == 1 else UNNAMED for model in models}
        self._wildcards: Sequence[str] = [alias for alias in self._aliases if "*" in alias]
        self._upstreams = {model.id: model.upstream for model in models if "*" not in model.alias}
        self._known = frozenset(self._upstreams.values())

    def model(self, labels: Mapping[str, str]) -> str | None:
        """Return which model a sample is about; None where it is surely another one."""
        told = [labels[label] for label in ("model", "requested_model") if labels.get(label) not in NOT_TOLD]
        if told and is_throwaway(told[0]):
            return told[0]
        id_ = labels.get("model_id")
        if id_ not in NOT_TOLD:
            return id_ if id_ in self._ids else None
        found = {id_ for name in told if (id_ := self._by_alias(name)) is not None}
        one = found.pop() if len(found) == 1 else UNNAMED
        return UNNAMED if self._is_of_another(one, labels.get("upstream_model")) else one

    def _is_of_another(self, model: str, upstream: str | None) -> bool:
        """Tell whether another of the models was asked on the way to this one: a cache embeds what chat is asked."""
        own = self._upstreams.get(model)
        return own is not None and upstream != own and upstream in self._known

    def _by_alias(self, name: str) -> str | None:
        if name in self._aliases:
            return self._aliases[name]
        matched = [alias for alias in self._wildcards if matches(alias, name)]
        return self._aliases[matched[0]] if len(matched) == 1 else UNNAMED if matched else None


def matches(alias: str, name: str) -> bool:
    """Tell whether a wildcard alias answers for *name*; its star is the only character that stands for others."""
    return re.fullmatch(".*".join(map(re.escape, alias.split("*"))), name, re.DOTALL) is not None
