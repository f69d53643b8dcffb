"""How this Slack behaves; every field can be changed at any time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sandbox.slack.totals import BLOCKS_TEXT

NEWER = frozenset(
    {
        *("alert", "container", "data_table", "data_visualization", "plan", "task_card"),
        "header.level",
    }
)
"""What Slack has brought since 2026, one workspace after the other."""


@dataclass
class Switches:
    """The switches; they are attributes of `Slack`."""

    events_url: str | None = None
    """The address to which HTTP mode posts."""

    plan_has_groups: bool = True
    """False: the workspace does not pay for user groups (`plan_upgrade_required`)."""

    tombstones: bool = False
    """A deleted message with replies leaves a placeholder, and its thread still accepts replies."""

    home_enabled: bool = True
    """False: the app has no Home tab, as one of an older manifest (`not_enabled`)."""

    keeps_messages: bool = False
    """The workspace exports its messages, so an app can't delete any (`compliance_exports_prevent_deletion`)."""

    deliver_twice: bool = False
    """Send every payload twice at the same time."""

    signing_fault: Literal["bad", "stale"] | None = None
    """Sign wrongly in HTTP mode: with a wrong signature, or a valid one that is ten minutes old."""

    escape_commands: bool = False
    """Send `&`, `<` and `>` in a command's text as entities; unconfirmed for Slack, so an app should handle both."""

    ack_within: float = 3.0
    """Seconds for an app to acknowledge."""

    scopes: frozenset[str] | None = None
    """The app's scopes; other methods answer `missing_scope`. None: all scopes."""

    missing_blocks: frozenset[str] = frozenset()
    """What the roll-out of Slack has not brought here yet: block types, or properties as `header.level`; `NEWER` is
    all of it. Anything with one of them is refused whole, as with any unknown block."""

    blocks_text: int = BLOCKS_TEXT
    """The most characters of all blocks of a message together (`msg_blocks_too_long`); 11,341 is the least that was
    ever refused."""

    now: Callable[[], float] = time.time
    """The clock of time stamps, tickets and signatures."""
