"""The demo's story: a requester and an approver at their keyboards. What they see, the narrator shows."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sandbox.caller import Callers
from sandbox.company import GOOD_SECRET, KEY, WRONG_SECRET, Company
from sandbox.figures import Window
from sandbox.slack import Message, Person
from sandbox.terminal import Terminal

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which something is taken for hanging."""

PAUSE = 1.5
"""Seconds in which a person would read and move the mouse; without a screen there is nobody to wait for."""

QUIET = 0.3
"""Seconds in which nothing is said any more before the next scene begins."""

UNTOUCHED = "No model has been moved, so they have noticed nothing."


class Play:
    """Each scene ends when its result is there."""

    def __init__(self, company: Company, callers: Callers, window: Window, terminal: Terminal) -> None:
        self._company, self._callers, self._window, self._terminal = company, callers, window, terminal
        self._requester = company.slack.person("U_REQUESTER")
        self._approver = company.slack.person("U_APPROVER")

    async def run(self) -> None:
        """Play all of it."""
        card = await self.ask()
        await self.give_a_wrong_secret(card)
        await self.give_the_right_one(card)
        await self.approve(card)

    async def ask(self) -> Message:
        """Ask for a rotation and return its card."""
        self._terminal.scene("1  A team member asks for a rotation")
        await self._requester.command(KEY)
        return await self._until(lambda: self._company.slack.messages("C_OPS")[0], "the card")

    async def give_a_wrong_secret(self, card: Message) -> None:
        """Give a secret that the provider refuses, and see it caught."""
        self._terminal.scene("2  The first secret is a wrong one")
        await self._press("Enter new secret", card)
        await self._submit(WRONG_SECRET)
        await self._there("Another secret", card)
        await self._quiet()
        failed = self._callers.failed_between(*self._window.bounds)
        told = f"{failed} requests have failed since the first model moved." if self._window.start else UNTOUCHED
        self._terminal.line("callers", told, "dim")

    async def give_the_right_one(self, card: Message) -> None:
        """Take the wrong one back, give the right one, and see it verified."""
        self._terminal.scene("3  The wrong secret is taken back, the right one is given")
        keys = self._company.aisix.provider_keys
        await self._press("Another secret", card)
        await self._until(lambda: not any(key.secret == WRONG_SECRET for key in keys.values()), "the refused key to go")
        await self._there("Enter new secret", card)
        await self._company.aisix.until(lambda: not self._window.open, PATIENCE, "every gateway on the old key again")
        took = f"They are on the old key again, after {self._window.seconds:.1f} s."
        self._terminal.line("callers", took if self._window.start else UNTOUCHED, "dim")
        await self._submit(GOOD_SECRET)
        await self._there("Delete old key", card)
        await self._quiet()

    async def approve(self, card: Message) -> None:
        """Try to approve as the requester, be told no, and have an approver do it."""
        self._terminal.scene("4  Another person approves the delete")
        heard = len(self._requester.ephemerals)
        await self._press("Delete old key", card)
        await self._until(lambda: len(self._requester.ephemerals) > heard, "the requester to be told no")
        await self._press("Delete old key", card, self._approver)
        await self._until(lambda: self._company.key.id not in self._company.aisix.provider_keys, "the old key to go")
        await self._until(lambda: not card.buttons and self._says(card, "Receipt"), "the receipt")
        await self._quiet()

    async def _press(self, button: str, card: Message, person: Person | None = None) -> None:
        await self._there(button, card)
        await self._pause()
        await (person or self._requester).click(button, card)

    async def _submit(self, secret: str) -> None:
        """Fill in the form, once it is there, and send it; what is wrong with it ends the demo."""
        await self._until(lambda: self._requester.modal, "the form")
        await self._pause()
        sent = await self._requester.submit({"secret": secret})
        if problems := [*sent.errors.values(), *filter(None, [sent.error])]:
            raise RuntimeError(f"The form was not taken: {' '.join(problems)}")

    async def _there(self, button: str, card: Message) -> None:
        await self._until(lambda: button in card.buttons, f"the button {button}")

    def _says(self, card: Message, words: str) -> bool:
        return any(words in reply.plain for reply in self._company.slack.thread(card))

    async def _until(self, condition: Callable[[], T], what: str) -> T:
        return await self._company.slack.until(condition, PATIENCE, what)

    async def _quiet(self) -> None:
        """Wait until all that belongs to a scene has been said."""
        calls = self._company.slack.calls
        said = -1
        while said != len(calls):
            said = len(calls)
            await asyncio.sleep(QUIET)

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE if self._terminal.alive else 0)
