"""A hold on a provider key: while it counts, Keyturn does not delete that key. Pure."""

from datetime import UTC, date, datetime, time, timedelta

from bot.rotation.errors import BadInput, WrongState
from bot.rotation.frozen import Frozen

LONGEST = timedelta(days=366)
"""The furthest end of a hold: it must not be forgotten."""


class KeyHold(Frozen):
    """Who keeps a key from being deleted, why, and the last day on which they do."""

    key_id: str
    name: str = ""
    """The key's display name at that time."""

    reason: str
    by: str
    at: datetime
    until: date

    @property
    def ends(self) -> datetime:
        """Return when the last day has ended everywhere: no time zone has it for longer."""
        return datetime.combine(self.until + timedelta(days=1), time(12), UTC)

    def counts(self, now: datetime) -> bool:
        """Return whether the key must stay *now*."""
        return now < self.ends

    @property
    def end(self) -> str:
        """Say until when: "1 Dec 2026"."""
        return f"{self.until.day} {self.until:%b %Y}"


def unreadable(key_id: str, now: datetime) -> KeyHold:
    """Return the hold that stands for one that this version can't read: what nobody can read may still count."""
    reason = "this version of Keyturn can't read the hold"
    return KeyHold(key_id=key_id, reason=reason, by="", at=now, until=(now + LONGEST).date())


class OnHold(WrongState):
    """The key is on *hold*; the sentence leaves out what its giver typed."""

    def __init__(self, hold: KeyHold) -> None:
        super().__init__(kept(hold))
        self.hold = hold


def kept(hold: KeyHold) -> str:
    """Say that the old key stays."""
    return f"The old key is on hold until {hold.end}."


def end_of(typed: str, today: date) -> date:
    """Return the day that a person chose as the last one, or refuse it."""
    try:
        until = date.fromisoformat(typed)
    except ValueError:
        raise BadInput("Choose the last day of the hold.", field="until") from None
    if until < today:
        raise BadInput("That day is over: choose today or a later one.", field="until")
    if until - today > LONGEST:
        raise BadInput("Choose a day within a year: a hold can be set again.", field="until")
    return until
