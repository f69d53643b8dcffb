"""Plan faults of the Web API."""

from dataclasses import dataclass


@dataclass
class Fault:
    """One fault, for the next *times* calls of *method* (`*`: any)."""

    kind: str
    method: str
    times: int
    status: int = 200
    retry_after: int = 1
    error: str | None = None
    after_effect: bool = False
    text: str = "<html>Something went wrong</html>"
    content_type: str = "text/html"


class Faults:
    """The faults for coming calls; the oldest matching one is used first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def rate_limit(self, method: str = "*", retry_after: int = 1, times: int = 1) -> None:
        """Answer 429 with Retry-After."""
        self._waiting.append(Fault("rate_limit", method, times, status=429, retry_after=retry_after))

    def fail(self, method: str = "*", status: int = 500, times: int = 1, error: str | None = None) -> None:
        """Answer with *status* or, with *error*, with 200 and `ok: false`."""
        self._waiting.append(Fault("fail", method, times, status=200 if error else status, error=error))

    def garble(self, method: str, text: str, content_type: str = "application/json", status: int = 200) -> None:
        """Answer with *text*, as a proxy might."""
        self._waiting.append(Fault("fail", method, 1, status, text=text, content_type=content_type))

    def hang(self, method: str = "*", times: int = 1) -> None:
        """Accept the call and never answer; it has no effect."""
        self._waiting.append(Fault("hang", method, times))

    def drop(self, method: str = "*", times: int = 1, *, after_effect: bool = False) -> None:
        """Close the connection instead of answering, before or after the effect."""
        self._waiting.append(Fault("drop", method, times, after_effect=after_effect))

    def clear(self) -> None:
        """Remove all faults."""
        self._waiting.clear()

    def take(self, method: str) -> Fault | None:
        """Return the first fault for *method*, and count it as used."""
        for fault in self._waiting:
            if fault.method in ("*", method) and fault.times > 0:
                fault.times -= 1
                return fault
        return None
