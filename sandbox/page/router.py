"""A trap in the settings: the bot probes through a router that answers with another key."""

from collections.abc import Callable
from dataclasses import replace

from sandbox.company import Company
from sandbox.page.switches import ONE_WAY, Switch

SAFE = "chat-safe"
FIRST = "claude"
"""The first target, which has its own key."""


def with_router(there: Company) -> Company:
    """Add an alias that falls back to one of the affected models."""
    aisix, (_, small, *_) = there.aisix, there.models
    first = next(model for model in aisix.models.values() if model.display_name == FIRST)
    safe = aisix.add_model("production", SAFE, kind="routing", targets=[first, small], strategy="failover")
    return replace(there, dependents=(*there.dependents, safe))


def switch(there: Company, restart: Callable[[], None]) -> Switch:
    """Return the switch that makes the bot probe a model through the router; the bot reads settings at its start."""
    probes, probed = there.aisix.environment("production").probes, there.models[1].display_name

    def throw(value: str) -> None:
        probes.pop(probed, None)
        if value == "on":
            probes[probed] = f"chat {SAFE}"
        restart()

    hint = f"which falls back: it answers by {FIRST}, on another key (starts the bot again with that setting)"
    return Switch("fallback", f"The bot probes {probed} through {SAFE}", hint, ONE_WAY, throw)
