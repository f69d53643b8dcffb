"""Check the company's provider, as far as that goes without a person."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bot.app import utc_now
from bot.check.findings import Try, ok, wrong
from bot.oidc import provider_of
from bot.rotation.errors import Unanswerable
from bot.rotation.plan import plural
from bot.settings import Settings
from bot.terminal import Finding

if TYPE_CHECKING:
    from bot.oidc.provider import Provider


def tries(settings: Settings) -> list[Try]:
    """Return what can be tried: nothing without `APPROVAL_LINK`."""
    if settings.approval_link is None:
        return []
    return [Try("sign-in", "OIDC_ISSUER", partial(sign_in, partial(provider_of, settings, utc_now)))]


async def sign_in(provider: Callable[[], "Provider | None"]) -> list[Finding]:
    """Try discovery and the keys; say what is wrong."""
    found = provider()
    if found is None:
        return []
    try:
        keys = await found.tried()
    except Unanswerable as away:
        return [wrong(f"OIDC_ISSUER {getattr(away, 'why', away)}.")]
    return [ok(f"it can sign people in: {plural(keys, 'key')}.")]
