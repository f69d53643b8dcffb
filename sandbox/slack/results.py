"""What a person gets to know of what they did."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Result:
    """What became of something sent to the app: Slack's word for what went wrong, and what was sent."""

    error: str | None = None
    payload: Json = field(default_factory=dict)

    @property
    def timed_out(self) -> bool:
        """Whether nobody acknowledged within three seconds."""
        return self.error == "operation_timeout"


@dataclass
class Answer(Result):
    """What came back to a slash command; `text` and `blocks` are the acknowledgement's body, if any."""

    text: str = ""
    blocks: list[Json] = field(default_factory=list)


@dataclass
class Press(Result):
    """A button pressed, or an option chosen: the dialog that asked first, and whether anything was sent."""

    button: str = ""
    confirm: dict[str, str] | None = None
    sent: bool = False


@dataclass
class Submission(Result):
    """A form sent: what is wrong at which block, or that the form is gone."""

    errors: dict[str, str] = field(default_factory=dict)
    closed: bool = False
