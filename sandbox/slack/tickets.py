"""Tickets that Slack hands out, for a limited time and number of uses."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

TRIGGER_SECONDS = 3.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5
UPLOAD_SECONDS = 10 * 60.0


class Spent(Exception):
    """A refused ticket; *error* is Slack's code for the reason."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class Ticket:
    """One ticket: for whom (or for which file), where, and how often it was used."""

    person: str
    until: float
    channel: str | None = None
    uses: int = 0


@dataclass
class Words:
    """Slack's error codes for refused tickets."""

    unknown: str
    late: str
    used: str


TRIGGER_WORDS = Words("invalid_trigger_id", "expired_trigger_id", "exchanged_trigger_id")
RESPONSE_URL_WORDS = Words("invalid_url", "expired_url", "used_url")
UPLOAD_WORDS = Words("unknown_upload", "expired_upload", "used_upload")
LINK_WORDS = Words("unknown_ticket", "expired_ticket", "used_ticket")


@dataclass
class Tickets:
    """All tickets of one kind."""

    words: Words
    seconds: float
    uses: int
    now: Callable[[], float]
    prefix: str = ""
    given: dict[str, Ticket] = field(default_factory=dict)

    def give(self, person: str, channel: str | None = None) -> str:
        """Hand out a new ticket."""
        name = f"{self.prefix}{secrets.token_hex(12)}"
        self.given[name] = Ticket(person, self.now() + self.seconds, channel)
        return name

    def take(self, name: str) -> Ticket:
        """Use a ticket once, or raise `Spent` with Slack's code for the reason."""
        ticket = self.given.get(name)
        if ticket is None:
            raise Spent(self.words.unknown)
        if ticket.uses >= self.uses:
            raise Spent(self.words.used)
        if self.now() > ticket.until:
            raise Spent(self.words.late)
        ticket.uses += 1
        return ticket
