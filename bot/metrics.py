"""Keyturn's metrics. Labels never contain names from outside: only states, steps, verbs and statuses."""

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()

CALLS = Counter(
    "keyturn_calls_total",
    "Calls to the services at either end, by outcome.",
    ["service", "verb", "outcome"],
    registry=REGISTRY,
)
STATES = Counter("keyturn_rotations_total", "Rotations that entered a state.", ["state"], registry=REGISTRY)
UNREADABLE = Counter(
    "keyturn_unreadable_records_total",
    "Times that a record was looked at and could not be read.",
    [],
    registry=REGISTRY,
)
STEPS = Histogram(
    "keyturn_step_seconds",
    "Time that one turn of a step took, in seconds.",
    ["step", "outcome"],
    registry=REGISTRY,
)


def calls(service: str, verb: str, outcome: int | str) -> None:
    """Count one call."""
    CALLS.labels(service, verb, str(outcome)).inc()
