"""Credentials as their provider's own API shows them, and what that API can do: a port and its types. Pure.

Nothing here holds a secret but `Minted`, which no record holds.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey


class Ability(StrEnum):
    """What a provider's API can do with its credentials."""

    MINT = "mint"
    LIST = "list"
    LAST_USED = "last used"
    DISABLE = "disable"
    """Disable a credential so that it can be enabled again."""

    DELETE = "delete"
    """End a credential for good: delete it, or archive it."""


class Status(StrEnum):
    """How a provider says that a credential stands."""

    ACTIVE = "active"
    DISABLED = "disabled"
    GONE = "gone"
    """Deleted, archived or expired: nothing brings it back."""


class Row(Frozen):
    """A credential as its provider lists it."""

    id: str
    name: str = ""
    hint: str = ""
    """The pieces of the secret that the provider itself shows, as it shows them; empty if it shows none."""

    status: Status = Status.ACTIVE
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    owner: str = ""
    """The account, project or workspace that has it, as a person would look for it."""


class Minted(NamedTuple):
    """A credential that a provider has just made; its secret is shown this once."""

    row: Row
    secret: SecretStr
    copied: tuple[str, ...] = ()
    """What it took over from the old one: "limit", "workspace"."""

    uncopied: tuple[str, ...] = ()
    """What the old one may have and nothing could read or copy."""


class Usage(Frozen):
    """What a provider knows of the use of a credential since a moment."""

    is_known: bool = False
    """False: it has no data. That is not "unused"."""

    last_at: datetime | None = None
    """The latest use since then that it knows of; None: it knows of none."""

    until: datetime | None = None
    """Up to when it knows; None if it does not say."""


class Provider(Protocol):
    """One account at a provider. Calls raise `ApiError`, and `Uncertain` if nobody can tell whether they had effect."""

    @property
    def name(self) -> str:
        """Return its name in the settings; records hold it."""

    @property
    def title(self) -> str:
        """Return what people call the provider: "OpenAI"."""

    @property
    def console(self) -> str:
        """Return the address of the page where people manage its credentials."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """Return what it can do."""

    async def mint(self, name: str, like: Row | None) -> Minted:
        """Make a credential called *name*, with the limits of *like* where they can be read. Sent once."""

    async def rows(self) -> tuple[Row, ...]:
        """List every credential, also those that are disabled; one that is gone may be missing."""

    async def read(self, row_id: str) -> Row:
        """Return a credential as it is now; `Status.GONE` if the provider knows none of that id any more."""

    async def usage(self, row: Row, since: datetime) -> Usage:
        """Return what it knows of the use of a credential since a moment."""

    async def disable(self, row_id: str) -> None:
        """Disable a credential so that it can be enabled again; repeating it does no harm."""

    async def enable(self, row_id: str) -> None:
        """Enable a disabled credential again; repeating it does no harm."""

    async def delete(self, row_id: str) -> None:
        """End a credential for good; that it is gone already is no error."""

    async def works(self, secret: SecretStr) -> bool:
        """Return whether the provider takes a secret; False is a refusal, anything unclear raises `Uncertain`."""

    @property
    def usage_lag(self) -> timedelta:
        """Return how late the provider's figures of use may be."""


class Providers(Protocol):
    """The providers in the settings."""

    def of(self, key: ProviderKey) -> Provider | None:
        """Return the provider of a provider key; None if the settings name none for it."""

    def named(self, name: str) -> Provider | None:
        """Return the provider that the settings call so; None if there is none any more."""


class NoProviders:
    """No provider's API is in the settings: people make and revoke credentials by hand."""

    def of(self, _: ProviderKey) -> Provider | None:
        """Return none."""
        return None

    def named(self, _: str) -> Provider | None:
        """Return none."""
        return None


NO_PROVIDERS = NoProviders()


def matching(rows: Iterable[Row], secret: SecretStr) -> Row | None:
    """Return the one row whose hint fits a secret; None if none fits, or more than one."""
    found = [row for row in rows if fits(row.hint, secret.get_secret_value())]
    return found[0] if len(found) == 1 else None


def fits(hint: str, secret: str) -> bool:
    """Return whether a hint like "sk-...abcd" shows the beginning and the last four characters of a secret, or more.

    The dots, stars or "…" between stand for what the provider hides. A hint with fewer than four characters at its end
    tells too little. At AWS the hint is the whole id of an access key, which people give together with its secret.
    """
    if ACCESS_KEY_ID.fullmatch(hint):
        return re.search(rf"(?<![\w+/]){hint}(?![\w+/])", secret) is not None
    pieces = [piece for piece in hint.replace("…", ".").replace("*", ".").split(".") if piece]
    if len(pieces) != 2 or len(pieces[1]) < LAST_FOUR:  # noqa: PLR2004 - a beginning and an end
        return False
    begin, end = pieces
    return len(secret) > len(begin) + len(end) and secret.startswith(begin) and secret.endswith(end)


LAST_FOUR = 4
ACCESS_KEY_ID = re.compile(r"AKIA[A-Z0-9]{12,28}")
