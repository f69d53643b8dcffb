"""Read a gateway's `/metrics` page: which key served which model, for whom. Pure.

Four families count requests, and none of them sees everything (measured on a real gateway, 2026-11-29):

    aisix_llm_requests_total           one per caller's request, for its last target; with the caller key's id
    aisix_proxy_requests_total         the same, and passthrough routes
    aisix_deployment_requests_total    one per attempt that reached the upstream, even if a fallback hid it;
                                       only at the endpoints in `ATTEMPTED` (from the gateway's source)
    aisix_usage_events_emitted_total   one per attempt, including those of an ensemble's panel

So a request with the old key counts if any family shows it. When in doubt, a count is read against a model, never
for it. Of the page's text only known names are kept, and the concrete name under which a wildcard alias answered.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bot.rotation.plan import AffectedModel
from bot.rotation.ports import Keys
from bot.rotation.replica import OTHERS, PASSTHROUGH, UNNAMED, Served, is_throwaway
from bot.rotation.wildcards import is_wildcard, matches

REQUESTS = "aisix_llm_requests_total"
PROXY = "aisix_proxy_requests_total"
ATTEMPTS = "aisix_deployment_requests_total"
EVENTS = "aisix_usage_events_emitted_total"
SUCCESSES = "aisix_deployment_success_responses_total"
FAILURES = "aisix_deployment_failure_responses_total"
STARTED = "process_start_time_seconds"

METERS = (REQUESTS, PROXY, ATTEMPTS, EVENTS)
"""The families that can show a request with the old key."""

READ = frozenset({*METERS, SUCCESSES, FAILURES, STARTED})

MOST = 2**53
"""From this value on, a float counter cannot show one more request."""

OURS = re.compile(rf"^[ \t]*(?:{'|'.join(sorted(READ))})[ \t{{].*$", re.MULTILINE)
ANY = re.compile(r"^[ \t]*(?:# (?:HELP|TYPE) )?aisix_", re.MULTILINE)
"""Any line of an AISIX gateway's page: the request counters are absent until the first request."""

NOT_TOLD = (None, "", "unknown")
"""Labels for an unresolved row or key; the last two mean that none was used."""

CALLER = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The form of a caller key's id; anything else is ignored."""

CONCRETE = re.compile(r"[A-Za-z0-9._:/@-]{1,100}")
"""The form of a concrete name that a wildcard alias can match."""

INSTANCE = ("instance", "pod", "exported_instance")
"""Labels that no gateway writes; several values of one mean that the page merges several replicas."""

LIMITED = "429"
REFUSED = "400"
"""The status with which a gateway answers if a model or route refers to a key that it does not have."""

ATTEMPTED = frozenset({"/v1/chat/completions", "/v1/messages", "/v1/responses"})
"""Endpoints whose attempts the gateway counts, and whose answers may come from a cache."""


class Sample(NamedTuple):
    """One line of a page."""

    family: str
    labels: Mapping[str, str]
    value: float


class Page:
    """The relevant lines of one `/metrics` page. Raises ValueError if they cannot be read."""

    def __init__(self, text: str) -> None:
        self.samples = _samples(text)
        self.is_gateways = ANY.search(text) is not None
        _check_one_replica(self.samples)

    def callers(self, prefix: str) -> frozenset[str]:
        """Return the caller keys that called throw-away models: only Keyturn calls those, so the keys are ours."""
        rows = (sample.labels for sample in self.samples if sample.family == REQUESTS)
        told = (row.get("api_key_id") for row in rows if is_throwaway(row.get("model", ""), prefix))
        return frozenset(id_ for id_ in told if id_ not in NOT_TOLD and CALLER.fullmatch(str(id_)) and id_)


def _samples(text: str) -> list[Sample]:
    """Return the relevant samples; the rest of a long page is not parsed."""
    lines = "\n".join(OURS.findall(text)) + "\n"
    try:
        found = [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
    except Exception:  # noqa: BLE001 - any parser error; its message quotes the page
        raise ValueError("these are no counters") from None
    return [Sample(sample.name, sample.labels, sample.value) for sample in found if sample.name in READ]


def _check_one_replica(samples: Iterable[Sample]) -> None:
    """Refuse a page that merges several replicas: one without the change would hide behind another."""
    for label in INSTANCE:
        if len({sample.labels[label] for sample in samples if label in sample.labels}) > 1:
            raise ValueError("these are the counters of several replicas")


def read_counters(
    page: Page,
    keys: Keys,
    models: Iterable[AffectedModel],
    *,
    callers: Iterable[str] = (),
    aliases: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the fields of a `Replica` that a page shows; raise ValueError if it cannot be read.

    *callers* are the ids of our own caller key; *aliases* are those of routers, which may be named in the result.
    """
    callers = frozenset(callers)
    tally = _Tally(keys, Names(models), callers, frozenset(aliases))
    for sample in page.samples:
        tally.add(sample)
    told = len(callers) == 1
    return {
        "counts": tally.counts if page.is_gateways else None,
        "own": tally.own if page.is_gateways and told else None,
        "callers": tuple(sorted(callers)),
        "meters": dict(tally.meters),
        "heard": dict(tally.heard),
        "orphaned": dict(tally.orphaned),
        "live": {model: tuple(sorted(names)) for model, names in tally.live.items()},
        "old": max(tally.meters.values(), default=0),
        "total": tally.total,
        "hears_upstream": tally.hears_upstream,
        "is_deaf": tally.is_deaf,
        "started": tally.started,
    }


class _Tally:
    """Adds up the lines of one page."""

    def __init__(self, keys: Keys, names: "Names", callers: frozenset[str], aliases: frozenset[str]) -> None:
        self._keys, self._names, self._callers, self._aliases = keys, names, callers, aliases
        self.counts: dict[str, Served] = {}
        self.own: dict[str, Served] = {}
        self.meters: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.orphaned: Counter[str] = Counter()
        self.live: dict[str, set[str]] = {}
        self.total = 0
        self.hears_upstream = False
        self.started: float | None = None
        self._seen: set[tuple[str, bool]] = set()

    @property
    def is_deaf(self) -> bool:
        """Tell whether requests are counted without a key, or only in the family that lacks passthrough routes."""
        blind = {(REQUESTS, True), (PROXY, True)}
        return bool(self._seen & blind) or (self._seen & {(REQUESTS, False), (PROXY, False)} == {(REQUESTS, False)})

    def add(self, sample: Sample) -> None:
        if sample.family == STARTED:
            self.started = sample.value if math.isfinite(sample.value) else None
            return
        count, key = _count(sample.value), _key_of(sample.labels, self._keys)
        self._seen.add((sample.family, key == BLIND))
        self.total += count if sample.family == REQUESTS else 0
        self.hears_upstream |= sample.family in (ATTEMPTS, SUCCESSES, FAILURES)
        model = self._names.model(sample.labels)
        if key == OLD and sample.family in METERS:
            self.meters[sample.family] += count
            self.heard[self._heard_as(model, sample)] += count
            self._note_name(sample)
        if key == NONE and sample.family == PROXY and sample.labels.get("status") == REFUSED:
            self._note_orphaned(self._heard_as(model, sample), count)
        served = _as_served(sample.family, key, sample.labels, count)
        if model is None or not any(served):
            return
        self.counts[model] = _sum(self.counts.get(model, Served()), served)
        if sample.family == REQUESTS and sample.labels.get("api_key_id") in self._callers:
            self.own[model] = _sum(self.own.get(model, Served()), served)

    def _note_orphaned(self, name: str, count: int) -> None:
        """Count requests that a gateway refused for a missing key; skip unknown names, which may be unrelated."""
        if name != OTHERS:
            self.orphaned[name] += count

    def _note_name(self, sample: Sample) -> None:
        """Note the concrete name under which a wildcard alias answered; two are enough to show that it has many."""
        found = self._names.concrete(sample.labels) if sample.value and _is_success(sample.labels) else None
        if found and len(names := self.live.setdefault(found[0], set())) <= 1:
            names.add(found[1])

    def _heard_as(self, model: str | None, sample: Sample) -> str:
        """Name a request: by one of our models, a router's alias, as passthrough, or as one of the others."""
        if model:
            return model
        name = sample.labels.get("model", "")
        if name == PASSTHROUGH and sample.labels.get("inbound_protocol", name) == PASSTHROUGH:
            return PASSTHROUGH
        return name if name in self._aliases else OTHERS


def _sum(one: Served, other: Served) -> Served:
    return Served(*map(add, one, other))


def _count(value: float) -> int:
    """Return a count as an int; raise ValueError if it is no count, or too large to show a rise."""
    if 0 <= value < MOST and value == int(value):
        return int(value)
    raise ValueError("this is no count")


OLD, NEW, BLIND, THIRD, NONE = "old", "new", "blind", "third", "none"


def _key_of(labels: Mapping[str, str], keys: Keys) -> str:
    """Tell which key a line is about; a line that fits both keys counts for the old one."""
    id_, name = labels.get("provider_key_id"), labels.get("provider_key_name")
    if id_ is None and name is None:
        return BLIND
    if {id_, name} & keys.old:
        return OLD
    told = name if id_ in NOT_TOLD else id_
    if told in NOT_TOLD:
        return NONE
    return NEW if told in keys.new else THIRD


def _as_served(family: str, key: str, labels: Mapping[str, str], count: int) -> Served:
    """Sort *count* requests of one line by what they show about a model."""
    match family, key:
        case (_, "old") if family == REQUESTS:
            return Served(old=count)
        case (_, "old") if family in (ATTEMPTS, EVENTS):
            return Served(hidden=count)
        case (_, "third") if family in (REQUESTS, ATTEMPTS):
            return Served(third=count)
        case (_, "blind") if family == REQUESTS:
            return Served(blind=count)
        case (_, "new"):
            return _with_new(family, labels, count)
        case _:
            return Served()


def _with_new(family: str, labels: Mapping[str, str], count: int) -> Served:
    match family:
        case "aisix_deployment_success_responses_total":
            return Served(reached=count)
        case "aisix_deployment_failure_responses_total":
            return Served(refused=count)
        case "aisix_llm_requests_total" if not _is_success(labels):
            return Served(limited=count) if labels.get("status") == LIMITED else Served(failed=count)
        case "aisix_llm_requests_total" if labels.get("is_fallback") != "true":  # else it asked for another model
            return Served(new=count, reached=0 if _is_attempted(labels) else count)
        case _:
            return Served()


def _is_attempted(labels: Mapping[str, str]) -> bool:
    """Tell whether another family counts the upstream's answer to the request."""
    endpoint = labels.get("endpoint", "")
    return endpoint in ATTEMPTED or not endpoint.startswith("/v1/")


def _is_success(labels: Mapping[str, str]) -> bool:
    outcome = labels.get("outcome")
    return outcome == "success" if outcome else labels.get("status", "").startswith("2")


class Names:
    """Maps the labels of counters to models."""

    def __init__(self, models: Iterable[AffectedModel]) -> None:
        models = tuple(models)
        often = Counter(model.alias for model in models)
        self._ids = {model.id for model in models}
        self._aliases = {model.alias: model.id if often[model.alias] == 1 else UNNAMED for model in models}
        self._wildcards: Sequence[str] = [alias for alias in self._aliases if is_wildcard(alias)]
        self._upstreams = {model.id: model.upstream for model in models if not is_wildcard(model.alias)}
        self._known = frozenset(self._upstreams.values())

    def model(self, labels: Mapping[str, str]) -> str | None:
        """Return the id of the model that a sample is about; None if it is certainly none of ours."""
        told = [labels[label] for label in ("model", "requested_model") if labels.get(label) not in NOT_TOLD]
        if told and is_throwaway(told[0]):
            return told[0]
        id_ = labels.get("model_id")
        if id_ not in NOT_TOLD:
            return id_ if id_ in self._ids else None
        found = {id_ for name in told if (id_ := self._by_alias(name)) is not None}
        one = found.pop() if len(found) == 1 else UNNAMED
        return UNNAMED if self._is_of_another(one, labels.get("upstream_model")) else one

    def concrete(self, labels: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the wildcard model that a sample is about, and the concrete name that the caller asked for.

        Gateways label such requests with the pattern; only older or other builds give the concrete name.
        """
        for name in (labels.get("requested_model", ""), labels.get("model", "")):
            is_concrete = CONCRETE.fullmatch(name) and name not in self._aliases and not is_throwaway(name)
            if is_concrete and (model := self._by_alias(name)):
                return model, name
        return None

    def _is_of_another(self, model: str, upstream: str | None) -> bool:
        """Tell whether the sample is about another of the models, such as the embedding model of a semantic cache."""
        own = self._upstreams.get(model)
        return own is not None and upstream != own and upstream in self._known

    def _by_alias(self, name: str) -> str | None:
        if name in self._aliases:
            return self._aliases[name]
        matched = [alias for alias in self._wildcards if matches(alias, name)]
        return self._aliases[matched[0]] if len(matched) == 1 else UNNAMED if matched else None
