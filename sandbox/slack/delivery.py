"""The app's answer to a payload."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Ack:
    """The app's acknowledgement: a body, or Slack's error code if there was none."""

    body: Any = None
    error: str | None = None
