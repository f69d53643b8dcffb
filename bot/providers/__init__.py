"""What providers' own APIs can do with credentials: an adapter each, and the accounts that the settings name.

Paths, fields and traps are from `docs/providers.md`; no adapter was tried against a real provider.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import httpx

from bot.aisix.client import http_client
from bot.providers.account import Account
from bot.providers.anthropic import Anthropic
from bot.providers.aws_iam import AwsIam
from bot.providers.openai import OpenAI
from bot.providers.openrouter import OpenRouter
from bot.providers.xai import XAI
from bot.rotation.inventory import ProviderKey
from bot.settings.providers import ProviderSettings

KINDS: Mapping[str, type[Account]] = {each.kind: each for each in (OpenAI, Anthropic, OpenRouter, XAI, AwsIam)}
"""The adapters, by `kind` in the settings."""


class Entry(NamedTuple):
    """What the settings say of an account, and what asks it."""

    settings: ProviderSettings
    account: Account


class AtProviders:
    """The accounts of `PROVIDERS`. A provider key that several fit is nobody's: none of them is used for it."""

    def __init__(
        self,
        settings: Mapping[str, ProviderSettings],
        now: Callable[[], datetime],
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self._entries = {
            name: Entry(one, KINDS[one.kind](name, one, now, client=client)) for name, one in settings.items()
        }

    def __iter__(self) -> Iterator[Account]:
        return (entry.account for entry in self._entries.values())

    def of(self, key: ProviderKey) -> Account | None:
        """Return the account that a provider key's credential is of; None if none fits, or more than one."""
        found = self.fitting(key)
        return found[0] if len(found) == 1 else None

    def fitting(self, key: ProviderKey) -> tuple[Account, ...]:
        """Return every account that a provider key fits."""
        return tuple(entry.account for entry in self._entries.values() if entry.settings.fits(key, entry.account.base))

    def named(self, name: str) -> Account | None:
        """Return the account that the settings call so; None if there is none any more."""
        entry = self._entries.get(name)
        return entry.account if entry else None
