"""The demo's story: what a requester and an approver do. The narrator shows what they see."""

import asyncio

from sandbox.caller import Callers
from sandbox.company import GOOD_SECRET, OLD_SECRET, WRONG_SECRET, Company
from sandbox.people import People
from sandbox.slack import Message
from sandbox.terminal import Terminal

PAUSE = 1.5
"""Seconds for a person to read and move the mouse; without a screen there is no wait."""

REVOKED = "I've revoked it"

QUIET = 0.3
"""The next scene begins after this many seconds without a call to Slack."""


class Play:
    """The scenes; each ends when its result is visible."""

    def __init__(self, company: Company, callers: Callers, terminal: Terminal) -> None:
        self._company, self._callers, self._terminal = company, callers, terminal
        self._people = People(company, PAUSE if terminal.alive else 0)

    async def run(self) -> None:
        """Play all scenes."""
        self._terminal.scene("1  A team member asks for a rotation")
        card = await self._people.ask()
        await self.give_a_wrong_secret(card)
        await self.give_the_right_one(card)
        await self.approve(card)
        await self.revoke(card)

    async def give_a_wrong_secret(self, card: Message) -> None:
        """Give a secret that the provider refuses; the rehearsal catches it."""
        self._terminal.scene("2  The first secret is a wrong one")
        await self._people.press("Enter new secret", card)
        await self._people.give(WRONG_SECRET)
        await self._people.there("Another secret", card)
        await self._quiet()

    async def give_the_right_one(self, card: Message) -> None:
        """Take the wrong secret back, give the right one, and wait until it is verified."""
        self._terminal.scene("3  The wrong secret is taken back, the right one is given")
        await self._people.press("Another secret", card)
        await self._people.gone(WRONG_SECRET)
        await self._people.there("Enter new secret", card)
        await self._people.give(GOOD_SECRET)
        await self._people.there("Delete old key", card)
        await self._quiet()

    async def approve(self, card: Message) -> None:
        """Try to approve as the requester, get refused, and let an approver do it."""
        self._terminal.scene("4  Another person approves the delete")
        requester, keys = self._people.requester, self._company.aisix.provider_keys
        heard = len(requester.ephemerals)
        await self._people.press("Delete old key", card)
        await self._people.until(lambda: len(requester.ephemerals) > heard, "the requester to be told no")
        await self._people.press("Delete old key", card, self._people.approver)
        await self._people.until(lambda: self._company.key.id not in keys, "the old key to go")
        await self._people.ended(card, "Receipt")
        await self._quiet()

    async def revoke(self, card: Message) -> None:
        """Revoke the old API key at its provider, which only a person can do here, and say so on the card."""
        self._terminal.scene("5  The old API key is revoked at its provider")
        self._company.aisix.upstream.refuse(OLD_SECRET)
        self._terminal.line("provider", "the old API key is refused from here on")
        await self._people.press(REVOKED, card)
        await self._people.until(lambda: REVOKED not in card.buttons, "the end of the task")
        await self._quiet()

    async def _quiet(self) -> None:
        """Wait until the scene's last message, then print the callers' figures."""
        calls = self._company.slack.calls
        said = -1
        while said != len(calls):
            said = len(calls)
            await asyncio.sleep(QUIET)
        self._terminal.line("callers", f"{self._callers}", "dim")
