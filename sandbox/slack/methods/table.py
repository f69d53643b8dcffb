"""The definition of a Web API method, and of its arguments."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site

Json = dict[str, Any]


@dataclass(frozen=True)
class Args:
    """The arguments of one call, from a form or from JSON."""

    given: Json

    def get(self, name: str) -> str:
        """Return an argument as text, or an empty string if it is missing."""
        value = self.given.get(name)
        return "" if value is None else str(value)

    def need(self, name: str) -> str:
        """Return a required argument as text."""
        if not self.get(name):
            raise Refusal("invalid_arguments", [f"[ERROR] missing required field: {name}"])
        return self.get(name)

    def structure(self, name: str, error: str) -> Any:
        """Return an argument that is JSON, or a string of JSON; raise *error* if it is neither."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise Refusal(error) from None


@dataclass(frozen=True)
class Method:
    """The function to run, and the scope and token that it needs."""

    run: Callable[[Site, Args], Json]
    scopes: tuple[str, ...] = ()
    """Scopes, of which one is enough; empty: none is needed."""

    token: Literal["bot", "app", "any"] = "bot"
    """`any`: also none."""
