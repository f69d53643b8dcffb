"""What comes back when a payload is brought to the app."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Ack:
    """The app's answer: a body, or Slack's word for its absence."""

    body: Any = None
    error: str | None = None
