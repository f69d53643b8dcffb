"""One account at a provider, as `PROVIDERS` describes it, and which provider keys are of it."""

from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr

from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey
from bot.rotation.policies import is_named

Kind = Literal["openai", "anthropic", "openrouter", "xai"]


class ProviderSettings(Frozen):
    """One entry of `PROVIDERS`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Kind = Field(description="openai, anthropic, openrouter or xai")
    admin_key: SecretStr = Field(description="an admin key of that provider, of ASCII letters without blanks")
    project: str = Field("", description="the id of a project at OpenAI: proj_…")
    workspace: str = Field("", description="the id of a workspace at Anthropic or OpenRouter")
    keys: tuple[str, ...] | None = Field(None, description="a list of provider keys, by name (with * and ?) or id")
    url: str = Field("", description="another address of that provider's API, https://… with its path, without a user")

    def fits(self, key: ProviderKey, base: str) -> bool:
        """Return whether the credential of a provider key is of this account, whose API is at *base*.

        Without `keys`, all of that provider are; but not one whose requests go elsewhere, as to a proxy.
        """
        provider = key.provider.casefold()
        if self.keys is not None:
            is_others = provider in KNOWN and provider != self.kind
            return not is_others and any(is_named(key, each) for each in self.keys)
        there = urlsplit(key.base_url).hostname
        return provider == self.kind and (not key.base_url or there == urlsplit(base).hostname)


KNOWN: tuple[str, ...] = get_args(Kind)
"""What AISIX calls the providers here: a key of one of them is never of another's account, whatever its name."""
