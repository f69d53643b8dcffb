"""A replica's counters, its memory of failing models, and the pages that show them."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

REQUEST_LABELS = (
    "model", "model_id", "requested_model", "provider", "provider_key_id", "provider_key_name",
    "endpoint", "status", "outcome", "is_fallback",
)  # fmt: skip
DEPLOYMENT_LABELS = ("model", "provider_key_id", "provider_key_name")
DEPLOYMENT_COUNTERS = ("requests", "success_responses", "failure_responses", "cooled_down")

COOLING = frozenset({401, 408, 429, 500, 502, 503, 504})
"""Statuses after which routing leaves a model alone for a while."""


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

    def __init__(self) -> None:
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
        yield _counter("aisix_llm_requests", "Requests to models.", REQUEST_LABELS, self.requests)
        for name, counts in self.deployments.items():
            yield _counter(f"aisix_deployment_{name}", "Requests to providers.", DEPLOYMENT_LABELS, counts)
        yield _gauge("aisix_config_applied_revision", "Revision in force.", self.revision)
        yield _gauge("aisix_config_rejected_resources", "Rows not taken.", self.rejected)
        yield _counter("aisix_config_reloads", "Snapshots taken.", ("result",), Counter({("success",): self.reloads}))

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _counter(name: str, help_text: str, labels: tuple[str, ...], counts: Counter[Any]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)
