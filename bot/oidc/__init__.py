"""The company's OpenID Connect provider: the sign-in that an approval may take. All but this file needs PyJWT."""

import importlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.settings import Settings, WrongSettings

if TYPE_CHECKING:
    from bot.oidc.provider import Provider

LINK, SECRET_LINK, BACK = "approve/link/", "secret/link/", "approve/signed-in"
"""Below `APPROVAL_LINK`: where a link to either page begins, and where the provider sends people back."""

TIMEOUT = 10.0
"""Seconds for one call to the provider."""


def provider_of(settings: Settings, now: Callable[[], datetime]) -> "Provider | None":
    """Return the provider, or None without `APPROVAL_LINK`; raise `WrongSettings` if the extra is not installed."""
    if settings.approval_link is None:
        return None
    try:
        provider = importlib.import_module("bot.oidc.provider")
    except ModuleNotFoundError as error:
        raise WrongSettings(
            f"APPROVAL_LINK needs {error.name}, which is not installed: make install-oidc, or the extra oidc."
        ) from None
    client = provider.Client(
        settings.oidc_issuer or "",
        settings.oidc_client_id or "",
        settings.oidc_client_secret or SecretStr(""),
        settings.approval_link + BACK,
    )
    return provider.Provider(client, timeout=TIMEOUT, now=now)  # type: ignore[no-any-return]
