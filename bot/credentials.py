"""Which of Keyturn's own credentials a service has refused: one that was revoked makes the bot useless, and says so.

Each client reports what happens to its own credential. One that works again is well again, so that a new token needs no
restart where the token is renewed.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

log = structlog.get_logger("keyturn")

BOT_TOKEN, APP_TOKEN, ADMIN_TOKEN = "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "AISIX_ADMIN_TOKEN"
CALLER_KEY = "AISIX_GATEWAYS"

WHAT = {
    BOT_TOKEN: ("Slack", "bot token"),
    APP_TOKEN: ("Slack", "app-level token"),
    ADMIN_TOKEN: ("AISIX", "admin token"),
    CALLER_KEY: ("A gateway", "caller key"),
}
"""By setting: who refuses it, and what it is."""


class User(NamedTuple):
    """A client that uses a credential."""

    ask: Callable[[], Awaitable[object]]
    """Uses it once, harmlessly."""

    take: Callable[[Any], object]
    """Takes the one that other settings have."""

    away: tuple[type[Exception], ...]
    """What *ask* raises where the service is in trouble."""


class Credentials:
    """Our own credentials, by the setting that each is in, and where it is used if there are several.

    A command says itself what it finds, so only the bot has them *logged*.
    """

    def __init__(self, *, logged: bool = False) -> None:
        self._logged = logged
        self._refused: dict[tuple[str, str], str] = {}
        self.users: list[User] = []
        """The clients that use them."""

    def refused(self, setting: str, word: str, where: str = "") -> None:
        """Note that a service refused a credential, with its own *word* for it; log it the first time."""
        if self._logged and self._refused.get((setting, where)) != word:
            log.error("credential_refused", setting=setting, word=word, where=where)
        self._refused[setting, where] = word

    def works(self, setting: str, where: str = "") -> None:
        """Note that a credential was taken."""
        if self._refused.pop((setting, where), None) and self._logged:
            log.info("credential_works", setting=setting, where=where)

    async def tried(self, reread: Callable[[], Any]) -> str:
        """Use each once; if one is refused, give every client what *reread* settings have, and try again."""
        await self._try()
        if self.trouble and (settings := reread()):
            for user in self.users:
                user.take(settings)
            await self._try()
        return self.trouble

    async def _try(self) -> None:
        for user in self.users:
            with suppress(*user.away):  # whatever else is wrong is not ours to tell
                await user.ask()

    @property
    def trouble(self) -> str:
        """What to say to whoever wants something; empty while none is refused."""
        return _sentence(self._refused.items())


def _sentence(refused: Iterable[tuple[tuple[str, str], str]]) -> str:
    for (setting, _), word in refused:
        service, what = WHAT[setting]
        return (
            f"{service} refuses Keyturn's {what} ({word}), so nothing was done. "
            f"Tell whoever runs Keyturn: {setting} needs a new one."
        )
    return ""
