"""A replica's counters, its memory of failing models, and the pages that show them."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from sandbox.aisix.switches import Switches

REQUEST_LABELS = (
    "model", "model_id", "requested_model", "provider", "upstream_model", "provider_key_id", "provider_key_name",
    "endpoint", "status", "outcome", "is_fallback",
)  # fmt: skip
"""All that is known of a request; what of it the page tells is a switch."""

NAMES = (
    "endpoint", "provider", "requested_model", "upstream_model", "provider_key_id", "provider_key_name",
    "is_fallback", "status", "outcome",
)  # fmt: skip
"""What the vendor's reference lists. There `model` is what the caller asked for, which a router may be."""

SHOWN: Mapping[str, tuple[str, ...]] = {
    "full": REQUEST_LABELS,
    "names": NAMES,
    "no_key": tuple(name for name in NAMES if not name.startswith("provider_key")),
}
UNKNOWN = "unknown"
"""The value of a label that there is no row to take from."""

DEPLOYMENT_LABELS = ("provider", "model", "upstream_model", "provider_key_id")
DEPLOYMENT_COUNTERS = ("requests", "success_responses", "failure_responses", "cooled_down")

COOLING = frozenset({401, 408, 429, 500, 502, 503, 504})
"""Statuses after which routing leaves a model alone for a while."""


def outcome_of(status: int) -> str:
    """Return how the counters sum up *status*."""
    if status == 429:  # noqa: PLR2004 - the status of "too many requests"
        return "rate_limited"
    return {4: "client_error", 5: "upstream_error"}.get(status // 100, "success")


class Cooldowns:
    """Which models routing avoids. Keyed by model id, so a change of configuration does not clear it."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def note(self, model_id: str, status: int, seconds: float) -> bool:
        """Remember how *model_id* answered; tells whether it cools down now."""
        if status in COOLING:
            self._until[model_id] = time.monotonic() + seconds
            return True
        self._until.pop(model_id, None)
        return False

    def remaining(self, model_id: str) -> float:
        return max(0.0, self._until.get(model_id, 0.0) - time.monotonic())

    def clear(self) -> None:
        self._until.clear()


class Metrics(Collector):
    """The counters of one replica, as Prometheus reads them."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self.requests: Counter[tuple[str, ...]] = Counter()
        self.deployments: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in DEPLOYMENT_COUNTERS}
        self.reloads = 0
        self.revision = 0
        self.rejected = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def took(self, revision: int, rejected: int) -> None:
        """A snapshot was taken."""
        self.reloads += 1
        self.revision, self.rejected = revision, rejected

    def count_request(self, labels: dict[str, str]) -> None:
        self.requests[tuple(labels[name] for name in REQUEST_LABELS)] += 1

    def count_deployment(self, labels: dict[str, str], *, cooled: bool) -> None:
        """Only requests that reached the provider come here."""
        key = tuple(labels[name] for name in DEPLOYMENT_LABELS)
        outcome = "success_responses" if labels["outcome"] == "success" else "failure_responses"
        for name in ("requests", outcome, *(["cooled_down"] if cooled else [])):
            self.deployments[name][key] += 1

    def served_with(self, key_id: str) -> int:
        """How many requests this replica sent with the key."""
        return sum(
            n for labels, n in self.requests.items() if labels[REQUEST_LABELS.index("provider_key_id")] == key_id
        )

    @override
    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for family in self._counters():
            if family.samples or not self._switches.lazy_counters:
                yield family
        yield _gauge("aisix_config_applied_revision", "Revision in force.", self.revision)
        yield _gauge("aisix_config_rejected_resources", "Rows not taken.", self.rejected)
        yield _counter("aisix_config_reloads", "Snapshots taken.", ("result",), Counter({("success",): self.reloads}))

    def _counters(self) -> Iterator[CounterMetricFamily]:
        yield self._shown()
        for name, counts in self.deployments.items():
            yield _counter(f"aisix_deployment_{name}", "Requests to providers.", DEPLOYMENT_LABELS, counts)

    def _shown(self) -> CounterMetricFamily:
        """The requests by the labels that are shown; what differs in the others only is one count."""
        names = SHOWN[self._switches.metric_labels]
        places = [REQUEST_LABELS.index(name) for name in names]
        counts: Counter[tuple[str, ...]] = Counter()
        for labels, count in self.requests.items():
            counts[tuple(labels[place] for place in places)] += count
        shown = names if "model" in names else tuple(name.replace("requested_", "") for name in names)
        return _counter("aisix_llm_requests", "Requests to models.", shown, counts)

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _counter(name: str, help_text: str, labels: tuple[str, ...], counts: Counter[Any]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)
