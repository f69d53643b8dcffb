"""Count what callers saw each second, and which key served them."""

from collections import Counter, deque
from typing import Any, NamedTuple

from sandbox.aisix import Event, GatewayCall
from sandbox.caller import Callers

SECONDS = 60
CACHED = ""
"""The key id for an answer from a cache."""


class Second(NamedTuple):
    """The requests in one second: answered ones by the key that served, and failed ones."""

    served: dict[str, int]
    failed: int


class Traffic:
    """Counts the gateways' good answers to applications, and the callers' failures."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._served: Counter[str] = Counter()
        self._failed = 0
        self.seconds: deque[Second] = deque([Second({}, 0)] * SECONDS, maxlen=SECONDS)

    def hear(self, event: Event) -> None:
        """Count a request that a gateway answered well."""
        call = event.subject
        if event.kind == "request" and isinstance(call, GatewayCall) and call.caller == "app" and call.type is None:
            self._served[call.key_id or CACHED] += 1

    def tick(self) -> None:
        """Close the current second."""
        failed = self._callers.failed
        self.seconds.append(Second(dict(self._served), failed - self._failed))
        self._served.clear()
        self._failed = failed

    def totals(self) -> dict[str, Any]:
        return {"good": self._callers.ok, "failed": self._callers.failed}
