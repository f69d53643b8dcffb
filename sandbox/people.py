"""Simulate a requester and an approver, who act once they see what they need."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.company import KEY, Company
from sandbox.slack import Message, Person

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a wait counts as hanging."""

AT_WORK = "🔵"
"""The mark of a card while the bot works."""

WATCHING = "watching"
"""The word in a card's first line during the watch."""


class People:
    """Each action ends when its result is visible; before a click, people read for *pause* seconds."""

    def __init__(self, company: Company, pause: float = 0.0) -> None:
        self._company, self._pause = company, pause
        self.requester = company.slack.person("U_REQUESTER")
        self.approver = company.slack.person("U_APPROVER")

    async def ask(self) -> Message:
        """Ask for a rotation and return its card."""
        await self.requester.command(KEY)
        return await self.until(lambda: self._company.slack.messages("C_OPS")[0], "the card")

    async def press(self, button: str, card: Message, person: Person | None = None) -> None:
        await self.there(button, card)
        await asyncio.sleep(self._pause)
        await (person or self.requester).click(button, card)

    async def give(self, typed: dict[str, Any], person: Person | None = None) -> None:
        """Wait for the form, fill it in and submit it; raise RuntimeError if the bot refuses it."""
        who = person or self.requester
        await self.until(lambda: who.modal, "the form")
        await asyncio.sleep(self._pause)
        sent = await who.submit(typed)
        if problems := [*sent.errors.values(), *filter(None, [sent.error])]:
            raise RuntimeError(f"The form was not taken: {' '.join(problems)}")

    async def there(self, button: str, card: Message) -> None:
        await self.until(lambda: button in card.buttons, f"the button {button}; the card says: {card.plain}")

    async def gone(self, secret: str) -> None:
        """Wait until no key has *secret*."""
        keys = self._company.aisix.provider_keys
        await self.until(lambda: not any(key.secret == secret for key in keys.values()), "the refused key to go")

    async def ended(self, card: Message, words: str) -> None:
        """Wait until the bot has nothing left to do, and the card or its thread contains *words*."""
        await self.until(lambda: not _is_at_work(card) and self._says(card, words), words)

    def _says(self, card: Message, words: str) -> bool:
        return any(words in message.plain for message in (card, *self._company.slack.thread(card)))

    async def until(self, condition: Callable[[], T], what: str) -> T:
        return await self._company.slack.until(condition, PATIENCE, what)


def _is_at_work(card: Message) -> bool:
    headline = card.plain.split("\n")[0]
    return headline.startswith(AT_WORK) or WATCHING in headline
