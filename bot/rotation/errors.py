"""Every error that somebody reacts to differently; the sentence is written where it is raised.

KeyturnError
├── Refused              the person who asked is told, nothing changes
│   ├── NotAllowed       this person may not do it
│   ├── WrongState       the rotation has moved on meanwhile
│   │   └── Late         it came so late that Slack has called it failed
│   ├── UnknownKey       no provider key of that name; carries the nearest names
│   ├── AmbiguousKey     several provider keys answer to that name; carries them
│   ├── BadInput         what was typed into a form cannot be used; the sentence goes to the field
│   ├── Unanswerable     a service that is needed to answer does not answer
│   ├── CannotPost       nobody would see the card
│   └── NotOurRecord     another bot, or a newer version, has this rotation in hand
├── LeaseLost            another process has the rotation in hand: stop, and record nothing
├── Blocked              the rotation stops until a person decides; the channel is told
└── ApiError             the control plane said no
    ├── NotFound         it is not there
    ├── Unsupported      this tenant's control plane has no such call
    └── Uncertain        no usable answer: the effect may or may not have happened; look, then try again

Settings that are missing or wrong raise `bot.settings.WrongSettings` and end the process before all this.
"""

from typing import Any

from bot.rotation.states import StepName
from bot.rotation.stops import Cause


class KeyturnError(Exception):
    """Its text is a sentence for people."""


class Refused(KeyturnError):
    """Tell the person who asked; nothing has changed."""


class NotAllowed(Refused):
    """This person may not do this."""


class WrongState(Refused):
    """The rotation is no longer where the person saw it."""


class Late(WrongState):
    """What was pressed came so late that Slack has told the person that it failed."""


class UnknownKey(Refused):
    """No provider key answers to that name."""

    def __init__(self, asked: str, nearest: tuple[str, ...]) -> None:
        super().__init__(f"I know no provider key {asked!r}.")
        self.asked = asked
        self.nearest = nearest


class AmbiguousKey(Refused):
    """Several provider keys answer to that name; `choices` are (name, id) pairs."""

    def __init__(self, asked: str, choices: tuple[tuple[str, str], ...]) -> None:
        super().__init__(f"{len(choices)} provider keys match {asked!r}.")
        self.asked = asked
        self.choices = choices


class BadInput(Refused):
    """What was typed into a form cannot be used; the sentence, at *field*, never holds a piece of a secret."""

    def __init__(self, sentence: str, *, field: str = "secret") -> None:
        super().__init__(sentence)
        self.field = field


class Unanswerable(Refused):
    """A service that is needed to answer does not answer; nothing has changed."""


class CannotPost(Refused):
    """The card cannot be posted where it was asked for: nobody would see the progress."""


class NotOurRecord(Refused):
    """A record that another version of Keyturn has written, and this one must not touch."""


class LeaseLost(KeyturnError):
    """Another process has this rotation in hand, or has moved it on: whatever was seen here is not the newest."""


class Blocked(KeyturnError):
    """Stop until a person decides.

    *words* fill in the sentence of the *cause*; *resume* names another step where **Try again** begins than the cause
    does; *after* carries what was learned on the way.
    """

    def __init__(self, cause: Cause, *, resume: StepName | None = None, after: Any = None, **words: object) -> None:
        super().__init__(cause.sentence.format(**words))
        self.cause = cause
        self.resume = resume or cause.resume
        self.after = after


class ApiError(KeyturnError):
    """The control plane refused a call for good; `status` is its HTTP status, its body is not kept."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class NotFound(ApiError):
    """What was asked for is not there."""


class Unsupported(ApiError):
    """This control plane does not have the call at all."""


class Uncertain(ApiError):
    """No usable answer (no connection, time-out, 429, 5xx, not JSON): look before trying again.

    *retry_after* is what the server asked for, in seconds; not *arrived* means that it certainly had no effect.
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
