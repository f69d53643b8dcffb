"""Every error that somebody handles differently; the sentence is written where it is raised.

KeyturnError
├── Refused              tell the person who asked; nothing changes
│   ├── NotAllowed       this person may not do it
│   ├── WrongState       the rotation has moved on
│   │   └── Late         it came so late that Slack has reported it as failed
│   ├── UnknownKey       no provider key has that name; carries the nearest names
│   ├── AmbiguousKey     several provider keys match that name; carries them
│   ├── BadInput         a form has unusable text; the sentence goes to the field
│   ├── Unanswerable     a service that Keyturn needs for an answer is not answering
│   ├── CannotPost       nobody would see the card
│   └── NotOurRecord     another bot, or a newer version, owns this rotation
├── LeaseLost            another process owns the rotation: stop, and record nothing
├── Blocked              the rotation stops until a person decides; tell the channel
└── ApiError             the control plane refused
    ├── NotFound         it does not exist
    ├── Unsupported      this tenant's control plane has no such call
    └── Uncertain        no usable answer: it may or may not have had an effect; check, then retry

Missing or wrong settings raise `bot.settings.WrongSettings` and end the process before all this.
"""

from typing import Any

from bot.rotation.states import StepName
from bot.rotation.stops import Cause


class KeyturnError(Exception):
    """The base of all errors here; its text is a sentence for people."""


class Refused(KeyturnError):
    """Tell the person who asked; nothing has changed."""


class NotAllowed(Refused):
    """This person may not do this."""


class WrongState(Refused):
    """The rotation is no longer where the person saw it."""


class Late(WrongState):
    """The click arrived so late that Slack has told the person that it failed."""


class UnknownKey(Refused):
    """No provider key has that name."""

    def __init__(self, asked: str, nearest: tuple[str, ...]) -> None:
        super().__init__(f"Keyturn knows no provider key {asked!r}.")
        self.asked = asked
        self.nearest = nearest


class AmbiguousKey(Refused):
    """Several provider keys match that name; `choices` are (name, id) pairs."""

    def __init__(self, asked: str, choices: tuple[tuple[str, str], ...]) -> None:
        super().__init__(f"{len(choices)} provider keys match {asked!r}.")
        self.asked = asked
        self.choices = choices


class BadInput(Refused):
    """A form has unusable text; the sentence, at *field*, never holds a piece of a secret."""

    def __init__(self, sentence: str, *, field: str = "secret") -> None:
        super().__init__(sentence)
        self.field = field


class Unanswerable(Refused):
    """A service that Keyturn needs for an answer is not answering; nothing has changed."""


class CannotPost(Refused):
    """Keyturn can't post the card where it was asked for: nobody would see the progress."""


class NotOurRecord(Refused):
    """Another version of Keyturn wrote this record; this version must not touch it."""


class LeaseLost(KeyturnError):
    """Another process owns or has moved this rotation: what this process read is out of date."""


class Blocked(KeyturnError):
    """Stop until a person decides.

    *words* fill in the sentence of the *cause*. *resume* overrides the step where **Try again** begins. *after* is the
    rotation with what the step learned.
    """

    def __init__(self, cause: Cause, *, resume: StepName | None = None, after: Any = None, **words: object) -> None:
        super().__init__(cause.sentence.format(**words))
        self.cause = cause
        self.resume = resume or cause.resume
        self.after = after


class ApiError(KeyturnError):
    """The control plane refused a call for good. `status` is its HTTP status; Keyturn does not keep the body."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.after: Any = None
        """The rotation to record instead of the one that the step began with."""


class NotFound(ApiError):
    """The requested object does not exist."""


class Unsupported(ApiError):
    """This control plane does not have the call."""


class Uncertain(ApiError):
    """No usable answer (no connection, time-out, 429, 5xx, not JSON): check before a retry.

    *retry_after* is the server's wish in seconds; *arrived* is False if the call certainly had no effect.
    """

    def __init__(
        self,
        sentence: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        arrived: bool = True,
    ) -> None:
        super().__init__(sentence, status)
        self.retry_after = retry_after
        self.arrived = arrived
