"""How a method of the Web API is written down, and how it reads what it was sent."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site

Json = dict[str, Any]


@dataclass(frozen=True)
class Args:
    """The arguments of one call; a form's strings and JSON's own types read alike."""

    given: Json

    def get(self, name: str) -> str:
        """An argument as text; the empty string when it is absent."""
        value = self.given.get(name)
        return "" if value is None else str(value)

    def need(self, name: str) -> str:
        """An argument that the method cannot do without."""
        if not self.get(name):
            raise Refusal("invalid_arguments", [f"[ERROR] missing required field: {name}"])
        return self.get(name)

    def flag(self, name: str) -> bool:
        """A boolean, in any of the spellings of a form."""
        return self.get(name).lower() in ("true", "1")

    def structure(self, name: str, error: str) -> Any:
        """An argument that is JSON, or a string holding JSON; *error* when it is neither."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise Refusal(error) from None


@dataclass(frozen=True)
class Method:
    """What runs, and which scope and token it asks for."""

    run: Callable[[Site, Args], Json]
    scopes: tuple[str, ...] = ()
    """Scopes of which one is enough; none are asked for when empty."""

    token: Literal["bot", "app", "none"] = "bot"
