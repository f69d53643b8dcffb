"""How this Slack behaves; every field may be set at any time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Switches:
    """Plain attributes of `Slack`."""

    events_url: str | None = None
    """Where HTTP mode posts to."""

    plan_has_groups: bool = True
    """False: the workspace does not pay for user groups (`plan_upgrade_required`)."""

    tombstones: bool = False
    """A deleted message that has replies stays as an empty place, and its thread can be answered in."""

    deliver_twice: bool = False
    """Send every payload two times, at once."""

    signing_fault: Literal["bad", "stale"] | None = None
    """Sign wrongly in HTTP mode: with a wrong signature, or a right one that is ten minutes old."""

    escape_commands: bool = False
    """Send `&`, `<` and `>` of a command's text as entities; unconfirmed of Slack, so an app should bear both."""

    ack_within: float = 3.0
    """Seconds an app has for an acknowledgement."""

    per_minute: dict[str, int] = field(default_factory=dict)
    """Answers a method gives within a minute before it says 429; empty: nobody counts."""

    scopes: frozenset[str] | None = None
    """What the app was granted: methods beyond it answer `missing_scope`; None: everything."""

    now: Callable[[], float] = time.time
    """The clock of time stamps, tickets and signatures."""
