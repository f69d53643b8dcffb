"""The accounts at providers: how people write them, what is refused, and which provider keys each is for."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr

from bot.rotation.families import BEDROCK, family
from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey
from bot.rotation.policies import is_named
from bot.settings.policies import unfit
from bot.settings.values import bare_page, sendable, structure, told

IAM = "aws-iam"
"""The kind of account whose credentials AISIX has for Bedrock."""

Kind = Literal["openai", "anthropic", "openrouter", "xai", "aws-iam"]


class ProviderSettings(Frozen):
    """One entry of `PROVIDERS`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Kind = Field(description="openai, anthropic, openrouter, xai or aws-iam")
    admin_key: SecretStr | None = Field(
        None, description="an admin key of that provider, of ASCII letters without blanks"
    )
    user: str = Field("", pattern=r"^[\w+=,.@-]{0,64}$", description="the name of an IAM user at AWS")
    project: str = Field("", description="the id of a project at OpenAI: proj_…")
    workspace: str = Field("", description="the id of a workspace at Anthropic or OpenRouter")
    keys: tuple[str, ...] | None = Field(None, description="a list of provider keys, by name (with * and ?) or id")
    url: str = Field("", description="another address of that provider's API, https://… with its path, without a user")

    def fits(self, key: ProviderKey, base: str) -> bool:
        """Return whether the credential of a provider key is of this account, whose API is at *base*.

        Without `keys`, all of that provider are; but not one whose requests go elsewhere, as to a proxy.
        """
        provider = IAM if family(key) == BEDROCK else key.provider.casefold()
        if self.keys is not None:
            is_others = provider in KNOWN and provider != self.kind
            return not is_others and any(is_named(key, each) for each in self.keys)
        there = urlsplit(key.base_url).hostname
        return provider == self.kind and (not key.base_url or there == urlsplit(base).hostname)


KNOWN: tuple[str, ...] = get_args(Kind)
"""What AISIX calls the providers here: a key of one of them is never of another's account, whatever its name."""

NAME_LOOKS = "use 1 to 40 letters, digits, blanks, - and _"


def _are_usable(written: Mapping[str, ProviderSettings]) -> Mapping[str, ProviderSettings]:
    for name in unfit(written):
        raise told(f"“{name}” can't be the name of an account: {NAME_LOOKS}")
    wrong = [f"at {name}.{field} {what}" for name, one in written.items() for field, what in _faults(one)]
    if wrong:
        raise told("; ".join(wrong))
    return written


def _faults(one: ProviderSettings) -> Iterator[tuple[str, str]]:
    fields, tries = ProviderSettings.model_fields, list[tuple[str, Callable[[], object]]]()
    if admin_key := one.admin_key:
        tries.append(("admin_key", lambda: sendable(admin_key)))
    if one.url:
        tries.append(("url", lambda: bare_page(one.url)))
    for field, attempt in tries:
        try:
            attempt()
        except ValueError:
            yield field, f"it should be {fields[field].description}"
    yield from _misplaced(one)


def _misplaced(one: ProviderSettings) -> Iterator[tuple[str, str]]:
    """Yield the fields that its kind lacks, or does not have."""
    for field, kinds in NEED.items():
        if one.kind in kinds and not getattr(one, field):
            yield field, f"it should be {ProviderSettings.model_fields[field].description}"
    for field, kinds in HAVE.items():
        if getattr(one, field) and one.kind not in kinds:
            yield field, f"leave it out: an account of kind {one.kind} has no {field}"


WITH_ADMIN_KEYS = tuple(kind for kind in KNOWN if kind != IAM)
NEED = {"admin_key": WITH_ADMIN_KEYS, "project": ("openai",), "user": (IAM,)}
"""Which kinds of account need a field."""

HAVE = NEED | {"workspace": ("anthropic", "openrouter")}
"""Which kinds of account have a field."""


ProvidersByName = Annotated[dict[str, ProviderSettings], BeforeValidator(structure), AfterValidator(_are_usable)]
