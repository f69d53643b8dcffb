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

    setting: str
    """Where the credential is."""

    ask: Callable[[], Awaitable[object]]
    """Uses it once, harmlessly."""

    take: Callable[[Any], Awaitable[object]]
    """Takes the one that other settings have, if it is for the same service: no other may see it."""

    away: tuple[type[Exception], ...]
    """What both raise where the service is in trouble."""


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
        """Use each once; take a new one for each that is refused from the *reread* settings, and try again.

        The others stay: somebody may be in the middle of writing the file.
        """
        await self._try(self.users)
        if self._refused and (settings := reread()):
            refused = [user for user in self.users if self.trouble_of(user.setting)]
            for user in refused:
                with suppress(*user.away):
                    await user.take(settings)
            await self._try(refused)
        return self.trouble

    @staticmethod
    async def _try(users: Iterable[User]) -> None:
        for user in users:
            with suppress(*user.away):  # whatever else is wrong is not ours to tell
                await user.ask()

    @property
    def trouble(self) -> str:
        """Why this process is not ready; empty while none is refused."""
        return _sentence(self._refused.items())

    def trouble_of(self, setting: str) -> str:
        """Say the same of one setting, to a person whose request needs it."""
        return _sentence(each for each in self._refused.items() if each[0][0] == setting)


def _sentence(refused: Iterable[tuple[tuple[str, str], str]]) -> str:
    for (setting, _), word in refused:
        service, what = WHAT[setting]
        return (
            f"{service} refuses Keyturn's {what} ({word}), so nothing was done. "
            f"Tell the people who run Keyturn: {setting} needs a new one."
        )
    return ""
