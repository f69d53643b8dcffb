"""The results that a person sees after an action."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Result:
    """The result of something sent to the app: the payload, and Slack's error code if it failed."""

    error: str | None = None
    payload: Json = field(default_factory=dict)

    @property
    def timed_out(self) -> bool:
        """Whether nobody acknowledged within three seconds."""
        return self.error == "operation_timeout"


@dataclass
class Answer(Result):
    """The answer to a slash command; `text` and `blocks` are the acknowledgement's body, if any."""

    text: str = ""
    blocks: list[Json] = field(default_factory=list)


@dataclass
class Press(Result):
    """A pressed button or chosen option: its confirm dialog, and whether anything was sent."""

    button: str = ""
    confirm: dict[str, str] | None = None
    sent: bool = False


@dataclass
class Submission(Result):
    """A submitted form: the errors by block, and whether the form was closed."""

    errors: dict[str, str] = field(default_factory=dict)
    closed: bool = False
