"""An account at a provider, in memory: rows, secrets and faults are data, and its clock is given."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import SecretStr

from bot.rotation.credentials import Ability, Minted, Provider, Row, Status, Usage
from bot.rotation.errors import ApiError, Uncertain
from bot.rotation.inventory import ProviderKey

MINTED_SECRET = "sk-minted-CANARY0123456789abcdef{:04d}"
"""The secrets that it mints, by number."""


class Fault(NamedTuple):
    """What comes of one call: an error, *before* the call has its effect or *after* it. Any error, also a crash's."""

    when: Literal["before", "after"]
    error: BaseException


def lost(when: Literal["before", "after"] = "after") -> Fault:
    """Return an answer that is lost; nobody can tell on which way."""
    return Fault(when, Uncertain("OpenAI gave no usable answer."))


def unreached() -> Fault:
    """Return a call that certainly did not arrive."""
    return Fault("before", Uncertain("OpenAI can't be reached.", arrived=False))


def refused(status: int = 403) -> Fault:
    """Return a refusal."""
    return Fault("before", ApiError(f"OpenAI refuses this ({status}).", status))


@dataclass
class Account:
    """A `Provider`. Set `abilities`, `faults` and the rest as a test needs them; it is an upstream's issuer too."""

    now: Callable[[], datetime]
    name: str = "openai"
    title: str = "OpenAI"
    console: str = "https://platform.example/api-keys"
    abilities: frozenset[Ability] = frozenset(Ability)
    usage_lag: timedelta = timedelta(0)
    """How late a use shows, in `usage` and in the rows."""

    is_usage_known: bool = True
    works_after: timedelta = timedelta(0)
    """How long after the mint its secret is taken."""

    flaps: int = 0
    """After an end, how many more answers alternate between taken and refused."""

    hidden: set[str] = field(default_factory=set)
    """Ids of rows that the list leaves out."""

    most_active: int | None = None
    """More active rows than these can't be enabled."""

    names_are_unique: bool = False
    copied: tuple[str, ...] = ()
    uncopied: tuple[str, ...] = ()
    faults: defaultdict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """For each call of `Provider` (`mint`, `rows`, …) what comes of the next ones."""

    calls: list[str] = field(default_factory=list)
    """What it was asked, in order: "mint keyturn-abc-1", "rows", "disable row-1"."""

    kept: dict[str, Row] = field(default_factory=dict)
    """Every row there ever was, by its id, gone ones too."""

    secrets: dict[str, str] = field(default_factory=dict)
    """The secret of each row."""

    uses: defaultdict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    """When each row was used."""

    def holds(self, secret: str, name: str = "made by hand", **fields: object) -> Row:
        """Add a credential that people have made, and return its row."""
        row_id = f"row-{len(self.kept) + 1}"
        shown = {"id": row_id, "name": name, "hint": f"{secret[:6]}...{secret[-4:]}", "created_at": self.now()}
        self.kept[row_id] = row = Row.model_validate(shown | fields)
        self.secrets[row_id] = secret
        return row

    def use(self, row_id: str) -> None:
        """Have somebody use a credential now."""
        self.uses[row_id].append(self.now())

    @property
    def active(self) -> list[Row]:
        return [row for row in self.kept.values() if row.status is Status.ACTIVE]

    # --- what the bot calls ---

    async def mint(self, name: str, like: Row | None) -> Minted:
        with self._asked("mint", name):
            if self.names_are_unique and any(row.name == name for row in self._listed()):
                raise ApiError(f"{self.title} has this name already.", 400)
            row = self.holds(MINTED_SECRET.format(len(self.kept) + 1), name, owner=like.owner if like else "")
            return Minted(row, SecretStr(self.secrets[row.id]), self.copied, self.uncopied)

    async def rows(self) -> tuple[Row, ...]:
        with self._asked("rows"):
            return tuple(self._seen(row) for row in self._listed() if row.id not in self.hidden)

    async def read(self, row_id: str) -> Row:
        with self._asked("read", row_id):
            row = self.kept.get(row_id)
            return self._seen(row) if row else Row(id=row_id, status=Status.GONE)

    async def usage(self, row: Row, since: datetime) -> Usage:
        with self._asked("usage", row.id):
            if not self.is_usage_known:
                return Usage()
            until = self.now() - self.usage_lag
            used = [at for at in self.uses[row.id] if since <= at <= until]
            return Usage(is_known=True, last_at=max(used, default=None), until=until)

    async def disable(self, row_id: str) -> None:
        self._become("disable", row_id, Status.DISABLED)

    async def enable(self, row_id: str) -> None:
        self._become("enable", row_id, Status.ACTIVE)

    async def delete(self, row_id: str) -> None:
        self._become("delete", row_id, Status.GONE)

    async def works(self, secret: SecretStr) -> bool:
        with self._asked("works"):
            return bool(self.takes(secret.get_secret_value()))

    def _become(self, call: str, row_id: str, status: Status) -> None:
        with self._asked(call, row_id):
            row = self.kept.get(row_id)
            if row is None or row.status is Status.GONE:
                if status is Status.GONE:
                    return
                raise ApiError(f"{self.title} knows no such credential.", 404)
            if status is Status.ACTIVE is not row.status and len(self.active) == self.most_active:
                raise ApiError(f"{self.title} allows no more active credentials.", 400)
            self.kept[row_id] = row.model_copy(update={"status": status})

    @contextmanager
    def _asked(self, call: str, *about: str) -> Iterator[None]:
        self.calls.append(" ".join((call, *about)))
        fault = self.faults[call].pop(0) if self.faults[call] else None
        if fault and fault.when == "before":
            raise fault.error
        yield
        if fault:
            raise fault.error

    def _listed(self) -> list[Row]:
        return [row for row in self.kept.values() if row.status is not Status.GONE]

    def _seen(self, row: Row) -> Row:
        until = self.now() - self.usage_lag
        used = [at for at in self.uses[row.id] if at <= until]
        known = max(used, default=row.last_used_at) if self.is_usage_known else None
        return row.model_copy(update={"last_used_at": known})

    # --- what an upstream asks ---

    def takes(self, secret: str) -> bool | None:
        """Return whether a secret is taken now; None if it is of nobody here."""
        row = next((self.kept[row_id] for row_id, each in self.secrets.items() if each == secret), None)
        if row is None:
            return None
        if row.status is not Status.ACTIVE:
            self.flaps -= self.flaps > 0
            return self.flaps % 2 == 1
        return row.created_at is None or self.now() >= row.created_at + self.works_after

    def used(self, secret: str, _: str) -> None:
        """Note that an upstream has served with a secret."""
        for row_id, each in self.secrets.items():
            if each == secret:
                self.use(row_id)


class Accounts:
    """The `Providers` of a test: accounts by the `provider` of the keys that they are for."""

    def __init__(self, **accounts: Account) -> None:
        self.accounts = accounts

    def of(self, key: ProviderKey) -> Provider | None:
        """Return the account for a provider key."""
        return self.accounts.get(key.provider)

    def named(self, name: str) -> Provider | None:
        """Return the account of that name."""
        return next((each for each in self.accounts.values() if each.name == name), None)
