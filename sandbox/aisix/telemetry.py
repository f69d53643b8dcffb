"""A replica's counters and cooldowns, and the page that shows the counters."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sandbox.aisix.switches import Switches

REQUEST_LABELS = (
    "endpoint", "inbound_protocol", "provider", "model", "upstream_model", "provider_key_id", "provider_key_name",
    "api_key_id", "team_id", "user_id", "user_name", "stream", "is_fallback", "status", "outcome",
)  # fmt: skip
"""A real gateway's labels of a request; `model` is the requested alias, which may be a router's."""

IDS = ("model_id", "requested_model")
"""More labels of a page with ids, which no current gateway has: its `model` is the direct model that answered, and
`requested_model` the concrete name behind a wildcard."""

KNOWN = (*REQUEST_LABELS, *IDS, "target")
"""All labels of a request; a switch decides which of them the page shows."""

OF_CALLERS = ("inbound_protocol", "api_key_id", "team_id", "user_id", "user_name", "stream")
"""Labels that the vendor's reference does not list."""

DEPLOYMENT_LABELS = ("provider", "model", "upstream_model", "provider_key_id")
DEPLOYMENT_COUNTERS = ("requests", "success_responses", "failure_responses", "cooled_down")
USAGE_LABELS = ("handler", "status_code", "inbound_protocol", "model", "provider_key_id", "provider_key_name")

UNKNOWN = "unknown"
"""The value of a label without a row."""

UNRESOLVED: Mapping[str, str] = {
    **dict.fromkeys(KNOWN, UNKNOWN), "model": "unresolved", "requested_model": "unresolved",
    "inbound_protocol": "openai", "stream": "false", "is_fallback": "false",
}  # fmt: skip
"""The labels of a request that named no known model."""


def told_by(path: str) -> dict[str, str]:
    """Return the labels that depend only on a request's path."""
    protocol = "anthropic" if path.startswith("/v1/messages") else "openai"
    return {"endpoint": path, "inbound_protocol": protocol}


COOLING = frozenset({401, 408, 429, 500, 502, 503, 504})
"""Statuses after which routing avoids a model for a while."""

REASONS = {
    401: "upstream_auth_failure",
    408: "upstream_request_timeout",
    429: "upstream_rate_limited",
    504: "upstream_request_timeout",
}
FAILED = "upstream_server_error"


def outcome_of(status: int) -> str:
    """Return the `outcome` label for *status*."""
    if status == 429:  # noqa: PLR2004 - the status of "too many requests"
        return "rate_limited"
    return {4: "client_error", 5: "upstream_error"}.get(status // 100, "success")


class Cooldowns:
    """The models that routing avoids, by id, so that a change of configuration does not clear them."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    def note(self, model_id: str, status: int, kind: str, seconds: float) -> bool:
        """Note how the provider of *model_id* answered; return whether the model cools down now."""
        if status in COOLING:
            self._until[model_id] = time.monotonic() + seconds
            self._reasons[model_id] = kind if kind == "transport_error" else REASONS.get(status, FAILED)
            return True
        self._until.pop(model_id, None)
        return False

    def reason(self, model_id: str) -> str:
        """Return why a model cools down, as the status page says it."""
        return self._reasons[model_id]

    def remaining(self, model_id: str) -> float:
        return max(0.0, self._until.get(model_id, 0.0) - time.monotonic())

    def clear(self) -> None:
        self._until.clear()


class Family(NamedTuple):
    """One metric on the page: its type, its label names, and a value for each combination of labels."""

    name: str
    type: str
    labels: tuple[str, ...]
    rows: Mapping[tuple[str, ...], float]

    def __str__(self) -> str:
        lines = (f"{self.name}{self._braces(values)} {value}" for values, value in self.rows.items())
        return "\n".join([f"# TYPE {self.name} {self.type}", *lines, ""])

    def _braces(self, values: tuple[str, ...]) -> str:
        pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, values, strict=True))
        return f"{{{','.join(pairs)}}}" if values else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def gauge(name: str, value: float) -> Family:
    """Return a metric with one value and no labels."""
    return Family(name, "gauge", (), {(): int(value)})


class Metrics:
    """The counters of one replica: three families for requests, none of which is complete, and usage events."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self.llm: Counter[tuple[str, ...]] = Counter()
        self.proxy: Counter[tuple[str, ...]] = Counter()
        self.usage: Counter[tuple[str, ...]] = Counter()
        self.cache: Counter[tuple[str, ...]] = Counter()
        self.deployments: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in DEPLOYMENT_COUNTERS}
        self._sent: Counter[str] = Counter()

    def count_request(self, labels: Mapping[str, str], *, passthrough: bool = False) -> None:
        """Count a caller's request by its last target; only the proxy's counter has passthrough requests."""
        row = _row(labels, KNOWN)
        self.proxy[row] += 1
        if not passthrough:
            self.llm[row] += 1

    def count_deployment(self, labels: Mapping[str, str], *, cooled: bool) -> None:
        """Count an attempt that reached the provider."""
        row = _row({**labels, "model": labels["target"]}, DEPLOYMENT_LABELS)
        outcome = "success_responses" if labels["outcome"] == "success" else "failure_responses"
        for name in ("requests", outcome, *(["cooled_down"] if cooled else [])):
            self.deployments[name][row] += 1

    def count_usage(self, labels: Mapping[str, str], handler: str) -> None:
        """Count the usage event of an attempt."""
        told = {**labels, "handler": handler, "status_code": f"{labels['status'][0]}xx"}
        self.usage[_row(told, USAGE_LABELS)] += 1

    def note_sent(self, key_id: str) -> None:
        """Note an attempt with a key; no page shows this count."""
        self._sent[key_id] += 1

    def sent_with(self, key_id: str) -> int:
        """Return how many attempts this replica really made with the key, including passthrough and hidden ones."""
        return self._sent[key_id]

    def count_one_more(self, key_id: str, **other: str) -> None:
        """Count another request like one that the key has served, except for the labels in *other*."""
        place = KNOWN.index("provider_key_id")
        seen = next(row for row in self.llm if row[place] == key_id)
        self.count_request(dict(zip(KNOWN, seen, strict=True)) | other)

    def families(self) -> Iterator[Family]:
        """Yield the page's families; a family appears with its first count."""
        for family in self._counters():
            if family.rows and family.name not in self._switches.hidden_families:
                yield family

    def _counters(self) -> Iterator[Family]:
        yield self._shown("aisix_llm_requests_total", self.llm)
        yield self._shown("aisix_proxy_requests_total", self.proxy)
        for name, counts in self.deployments.items():
            yield self._told(Family(f"aisix_deployment_{name}_total", "counter", DEPLOYMENT_LABELS, counts))
        yield Family("aisix_cache_requests_total", "counter", ("policy", "outcome"), self.cache)
        yield self._told(Family("aisix_usage_events_emitted_total", "counter", USAGE_LABELS, self.usage))

    def _shown(self, name: str, counts: Counter[tuple[str, ...]]) -> Family:
        """Return the requests with the shown labels; with ids, `model` is the direct model that answered."""
        known = Family(name, "counter", KNOWN, counts)
        if self._switches.metric_labels != "full":
            return self._told(_merged(known, REQUEST_LABELS))
        shown = (*REQUEST_LABELS, *IDS)
        values = ("target" if label == "model" else label for label in shown)
        return _merged(known, values)._replace(labels=shown)

    def _told(self, family: Family) -> Family:
        """Drop the labels that an operator or another version drops, and merge rows that become equal."""
        taken: Mapping[str, Iterable[str]] = {
            "names": OF_CALLERS,
            "no_key": ("provider_key_id", "provider_key_name"),
        }
        left_out = set(taken.get(self._switches.metric_labels, ()))
        return _merged(family, tuple(label for label in family.labels if label not in left_out))


def _row(labels: Mapping[str, str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in names)


def _merged(family: Family, names: Iterable[str]) -> Family:
    names = tuple(names)
    places = [family.labels.index(name) for name in names]
    counts: Counter[tuple[str, ...]] = Counter()
    for row, count in family.rows.items():
        counts[tuple(row[place] for place in places)] += int(count)
    return family._replace(labels=names, rows=counts)


def page(families: Iterable[Family]) -> bytes:
    """Return the page in Prometheus's text format."""
    return "\n".join([*map(str, families), ""]).encode()
