"""The faults that a visitor can set, as a table: each switch with its texts, its value, and its effect."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.aisix import Aisix, Environment, Replica
from sandbox.company import LAG
from sandbox.gateways import RealReplica
from sandbox.page.gateways import name
from sandbox.slack import NEWER, Slack

Json = dict[str, Any]
Choices = Sequence[tuple[str, str]]

LATE = 8.0
"""Seconds of a late replica's lag: long enough to be visible, and shorter than the bot waits."""

SLOW = 1.5
"""Seconds that a slow control plane takes for each call."""

FOR_EVER = 1_000_000
ANSWERS = ("chat.postMessage", "chat.update", "chat.postEphemeral")


@dataclass
class Switch:
    """One switch; its first choice means that all is well."""

    name: str
    label: str
    hint: str
    choices: Choices
    throw: Callable[[str], None]
    value: str = field(default="")

    def __post_init__(self) -> None:
        self.value = self.choices[0][0]

    def set(self, value: str) -> None:
        """Set it; raise LookupError for an unknown value."""
        if value not in dict(self.choices):
            raise LookupError(f"{self.label} cannot be {value!r}.")
        self.throw(value)
        self.value = value

    def shown(self) -> Json:
        """Return what the page draws."""
        kept = {each: getattr(self, each) for each in ("name", "label", "hint", "value")}
        return {**kept, "choices": [list(choice) for choice in self.choices]}


REPLICA: Choices = (
    ("well", "works"),
    ("late", f"takes changes {LATE:g} s late"),
    ("cut off", "is cut off from the control plane"),
    ("rejects models", "rejects changed models, silently"),
    ("rejects keys", "rejects new keys, silently"),
    ("down", "is down"),
)
REAL: Choices = (
    ("well", "works"),
    ("closed", "is cut off from etcd"),
    ("silent", "hears nothing from etcd any more, on an open connection"),
    ("frozen", "is frozen (SIGSTOP)"),
)
"""Faults of a process that need no support by it."""

CONTROL_PLANE: Choices = (("well", "works"), ("slow", "is slow"), ("down", "is down"))
ONE_WAY: Choices = (("off", "off"), ("on", "on"))


def switches(aisix: Aisix, slack: Slack) -> list[Switch]:
    """Return every switch for the systems around the bot."""
    return [
        *_replicas(aisix),
        Switch(
            "control plane", "The control plane", "every read and change that the bot makes", CONTROL_PLANE,
            lambda value: _control_plane(aisix, value),
        ),
        *_cached(aisix),
        Switch(
            "slack", "Slack answers 429", "to every message and edit of the bot, for as long as this is on", ONE_WAY,
            lambda value: _slack(slack, busy=value == "on"),
        ),
        Switch(
            "newer blocks", "Slack refuses its newer blocks", "as a workspace that does not have them yet", ONE_WAY,
            lambda value: setattr(slack, "missing_blocks", NEWER if value == "on" else frozenset()),
        ),
    ]  # fmt: skip


def _replicas(aisix: Aisix) -> Iterator[Switch]:
    for replica in aisix.all_replicas():
        named = f"{replica.environment.name}, {name(replica)}"
        yield Switch(named, named, "a gateway process", *_ills(replica))


def _ills(replica: Replica) -> tuple[Choices, Callable[[str], None]]:
    if isinstance(replica, RealReplica):
        return REAL, replica.fall_ill
    return REPLICA, partial(_replica, replica)


def _cached(aisix: Aisix) -> Iterator[Switch]:
    """Yield the cache switch, which only the sandbox's own gateways support."""
    production = aisix.environment("production")
    if not any(isinstance(replica, RealReplica) for replica in aisix.all_replicas()):
        yield Switch(
            "cache", "production answers from a cache", "whatever is asked, even by those who forbid it", ONE_WAY,
            lambda value: _cache(aisix, production, on=value == "on"),
        )  # fmt: skip


def _replica(replica: Replica, value: str) -> None:
    replica.lag = {"late": LATE, "cut off": None}.get(value, LAG)
    replica.reject_rows = {"rejects models": {"models"}, "rejects keys": {"new keys"}}.get(value, set())
    replica.down = value == "down"


def _control_plane(aisix: Aisix, value: str) -> None:
    aisix.switches.latency = SLOW if value == "slow" else 0.005
    aisix.faults.clear()
    if value == "down":
        aisix.faults.fail("*", "/", 503, times=None)


def _cache(aisix: Aisix, environment: Environment, *, on: bool) -> None:
    aisix.switches.cache_ignores_no_cache = on
    environment.cache = "semantic" if on else False
    environment.answers.clear()


def _slack(slack: Slack, *, busy: bool) -> None:
    slack.faults.clear()
    for method in ANSWERS if busy else ():
        slack.faults.rate_limit(method, retry_after=3, times=FOR_EVER)
