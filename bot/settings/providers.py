"""How people write the accounts at providers, and what is refused."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from bot.providers import ProviderSettings
from bot.settings.policies import unfit
from bot.settings.values import bare_page, sendable, structure, told

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
    tries.append(("admin_key", lambda: sendable(one.admin_key)))
    if one.url:
        tries.append(("url", lambda: bare_page(one.url)))
    for field, attempt in tries:
        try:
            attempt()
        except ValueError:
            yield field, f"it should be {fields[field].description}"
    if one.kind == "openai" and not one.project:
        yield "project", f"it should be {fields['project'].description}"
    for field in ("project", "workspace"):
        if getattr(one, field) and one.kind not in HAVE[field]:
            yield field, f"nothing should be: {one.kind} has none"


HAVE: Mapping[str, tuple[str, ...]] = {"project": ("openai",), "workspace": ("anthropic", "openrouter")}
"""Which kinds of account have a field."""


ProvidersByName = Annotated[dict[str, ProviderSettings], BeforeValidator(structure), AfterValidator(_are_usable)]
