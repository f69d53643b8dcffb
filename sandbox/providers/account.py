"""What an account at a provider holds: credentials with their secrets, and when each is taken and was used."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Literal, NamedTuple

Status = Literal["active", "disabled", "gone"]


class Refusal(Exception):
    """The provider refuses a call."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Switches:
    """How the provider behaves where nobody knows, or where it changed; can be changed while it runs."""

    works_after: float = 0.0
    """Seconds after which a new secret is taken."""

    refused_after: float = 0.0
    """Seconds for which a secret is still taken after its end."""

    flaps: int = 0
    """How many answers, after that, alternate between taken and refused."""

    last_used_lag: float = 0.0
    """Seconds after which a use shows."""

    shows_use: bool = True
    """Whether there are any figures of use."""

    unique_names: bool = False
    """Whether a second credential of the same name is refused."""

    lists_hide: bool = True
    """Whether a list leaves credentials out unless a parameter asks for all."""

    most_active: int | None = None
    """How many credentials may be active; more can't be enabled."""

    longest: int | None = None
    """A policy: the most seconds that a credential may last; one without an end is refused."""

    single_delete: bool = True
    """OpenAI: whether one key of a service account can be deleted; before 2026-09, only the whole account could."""


class Use(NamedTuple):
    """A request that was served."""

    at: float
    model: str

    @property
    def kind(self) -> str:
        """The report in which it is."""
        return "embeddings" if "embed" in self.model else "completions"


@dataclass
class Credential:
    """One credential, its secret too."""

    id: str
    name: str
    secret: str
    created_at: float
    owner: str = ""
    """A service account, a user or a workspace."""

    owner_name: str = ""
    """What the service account is called that it was made with; empty for others."""

    status: Status = "active"
    ended_at: float = 0.0
    """When it was last disabled or deleted."""

    expires_at: float | None = None
    flaps: int = 0
    uses: list[Use] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    """What else it was made with: limits, scopes."""


class Account:
    """Credentials that serve at an upstream; `Issuer` of `sandbox.aisix.upstream`."""

    def __init__(self, switches: Switches | None = None, now: Callable[[], float] = time.time) -> None:
        self.switches, self.now = switches or Switches(), now
        self.credentials: dict[str, Credential] = {}
        """By id, in order; also those that are gone."""

        self._listeners: list[Callable[[], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call *callback* after every change of a credential."""
        self._listeners.append(callback)

    def changed(self) -> None:
        for callback in self._listeners:
            callback()

    def by_hand(self, name: str, secret: str = "", owner: str = "") -> Credential:
        """Make a credential as a person in the console does."""
        return self.make(name, secret=secret, owner=owner)

    def make(
        self, name: str, *, secret: str = "", owner: str = "", owner_name: str = "", expires_in: float | None = None
    ) -> Credential:
        """Make a credential; raise `Refusal` if it may not last so long."""
        longest, now = self.switches.longest, self.now()
        if longest is not None and (expires_in is None or expires_in > longest):
            raise Refusal(400, f"Your organization's policy asks for an expiration within {longest} s.")
        until = None if expires_in is None else now + expires_in
        made = Credential(self.new_id(), name, secret or self.new_secret(), now, owner, owner_name, expires_at=until)
        self.credentials[made.id] = made
        self.changed()
        return made

    def check_name(self, name: str, names: Iterable[str]) -> None:
        """Raise `Refusal` for a name that is taken, where names are unique."""
        if self.switches.unique_names and name in names:
            raise Refusal(400, f"There is one with the name {name!r}.", "duplicate_name")

    def become(self, credential: Credential, status: Status) -> None:
        """Disable, enable or end a credential; raise `Refusal` if too many are active."""
        most = self.switches.most_active
        active = sum(each.status == "active" for each in self.credentials.values())
        if status == "active" != credential.status and most is not None and active >= most:
            raise Refusal(400, "You have reached the limit of active API keys.", "limit")
        if status not in ("active", credential.status):
            credential.ended_at, credential.flaps = self.now(), self.switches.flaps
        credential.status = status
        self.changed()

    def new_id(self) -> str:
        return f"key_{token_hex(8)}"

    def new_secret(self) -> str:
        return f"sk-{token_hex(24)}"

    def hint(self, credential: Credential) -> str:
        """Return the pieces of a secret that people may see."""
        return f"{credential.secret[:11]}...{credential.secret[-4:]}"

    def listed(self) -> list[Credential]:
        """Return every credential that is not gone."""
        return [each for each in self.credentials.values() if each.status != "gone"]

    def is_expired(self, credential: Credential) -> bool:
        return credential.expires_at is not None and credential.expires_at <= self.now()

    def last_used(self, credential: Credential) -> float | None:
        """Return the last use that shows by now."""
        return max((use.at for use in self.shown_uses(credential)), default=None)

    def shown_uses(self, credential: Credential) -> list[Use]:
        """Return the uses that show by now."""
        until = self.now() - self.switches.last_used_lag
        return [use for use in credential.uses if use.at <= until] if self.switches.shows_use else []

    def of_secret(self, secret: str) -> Credential | None:
        return next((each for each in self.credentials.values() if each.secret == secret), None)

    def takes(self, secret: str) -> bool | None:
        """Return whether a secret is taken now; None if it is of nobody here."""
        found = self.of_secret(secret)
        if found is None:
            return None
        if self.is_expired(found):
            return False
        if found.status != "active":
            return self._still_taken(found)
        return self.now() >= found.created_at + self.switches.works_after

    def _still_taken(self, credential: Credential) -> bool:
        if self.now() < credential.ended_at + self.switches.refused_after:
            return True
        credential.flaps -= credential.flaps > 0
        return credential.flaps % 2 == 1

    def used(self, secret: str, model: str) -> None:
        """Note that an upstream has served with a secret."""
        found = self.of_secret(secret)
        if found is not None:
            found.uses = [*found.uses[-KEPT:], Use(self.now(), model)]


KEPT = 500
"""Uses to remember of each credential."""
