"""Where a new secret can be read by reference: Vault and OpenBao, AWS Secrets Manager, a folder of files."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from bot.rotation.inventory import ProviderKey
from bot.rotation.references import (
    NO_SOURCES,
    Allowance,
    Kind,
    Prefix,
    Reference,
    Sourced,
    Sources,
    allowed,
    permitted,
)
from bot.settings.sources import SecretSources
from bot.sources.aws import Identity
from bot.sources.aws_sm import SecretsManager
from bot.sources.file import Folder
from bot.sources.vault import Vault


class Store(Protocol):
    """One place where secrets are."""

    async def read(self, reference: Reference) -> Sourced:
        """Read what a reference names."""

    async def tried(self) -> str:
        """Use the bot's identity harmlessly, and return as what it is known."""


class AtStores:
    """The `Sources` of the settings."""

    def __init__(self, stores: Mapping[Kind, Store], allowances: tuple[Allowance, ...]) -> None:
        self._stores = stores
        self._allowances = allowances

    def allowed(self, key: ProviderKey) -> tuple[Prefix, ...]:
        """Return what may be read for a key."""
        return allowed(key, self._allowances)

    async def read(self, text: str, key: ProviderKey) -> Sourced:
        """Read what a text refers to, if that may be read for a key."""
        reference = permitted(text, self.allowed(key))
        return await self._stores[reference.kind].read(reference)


def sources_of(settings: SecretSources | None, now: Callable[[], datetime]) -> Sources:
    """Return what the settings describe."""
    if settings is None:
        return NO_SOURCES
    stores = dict(stores_of(settings, now))
    if vault := stores.get(Kind.VAULT):
        stores[Kind.WRAPPED] = vault
    return AtStores(stores, settings.allowances)


def stores_of(settings: SecretSources, now: Callable[[], datetime]) -> Iterator[tuple[Kind, Store]]:
    """Yield each store that the settings describe."""
    if settings.vault:
        yield Kind.VAULT, Vault(settings.vault, now)
    if settings.aws_sm:
        yield Kind.AWS, SecretsManager(settings.aws_sm, now, Identity(settings.aws_sm.region, now))
    if settings.file:
        yield Kind.FILE, Folder(settings.file.folder)
