"""Keyturn's metrics. Labels never contain names from outside: only states, steps, verbs and statuses."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector

from bot import __version__
from bot.rotation.states import State
from bot.rotation.stops import StopKind

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

BUILD = Info("keyturn_build", "The version that this process runs.", registry=REGISTRY)
BUILD.info({"version": __version__})
CALLS = Counter(
    "keyturn_calls_total",
    "Calls to the services at either end, by outcome.",
    ["service", "verb", "outcome"],
    registry=REGISTRY,
)
STATES = Counter("keyturn_rotations_total", "Rotations that entered a state.", ["state"], registry=REGISTRY)
STOPS = Counter(
    "keyturn_stops_total",
    "Stops of rotations, by what they mean for callers once a model has moved to the new key.",
    ["kind", "moved"],
    registry=REGISTRY,
)
UNREADABLE = Counter(
    "keyturn_unreadable_records_total",
    "Times that a record was looked at and could not be read.",
    [],
    registry=REGISTRY,
)
REFUSED = Counter(
    "keyturn_slack_refused_messages_total",
    "Messages that Slack refused, and that Keyturn sent again in plainer blocks.",
    ["method", "reason"],
    registry=REGISTRY,
)
STEPS = Histogram(
    "keyturn_step_duration_seconds",
    "Time from the first turn of a step until Keyturn left it.",
    ["step", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    registry=REGISTRY,
)
LEASES = Gauge("keyturn_leases_held", "Leases that this process holds.", [], registry=REGISTRY)


def stops(kind: str, *, moved: bool) -> None:
    """Count one stop."""
    STOPS.labels(kind, str(moved).lower()).inc()


REASONS = (
    "invalid_arguments", "invalid_attachments", "invalid_blocks", "msg_blocks_too_long", "msg_too_long",
    "only_one_table_allowed", "other",
)  # fmt: skip
"""Slack's words for a message that it does not take."""


def refused_message(method: str, reason: str) -> None:
    """Count a message that Slack refused."""
    REFUSED.labels(method, reason if reason in REASONS else "other").inc()


for verb in ("chat.postMessage", "chat.update"):
    for reason in REASONS:
        REFUSED.labels(verb, reason)
for state in State:
    STATES.labels(state.value)
for kind in StopKind:
    for moved in ("true", "false"):
        STOPS.labels(kind.value, moved)  # an increase from nothing to 1 is none to Prometheus


def calls(service: str, verb: str, outcome: int | str) -> None:
    """Count one call."""
    CALLS.labels(service, verb, str(outcome)).inc()
