"""The demo's story: what a requester and an approver do. The narrator shows what they see."""

import asyncio

import httpx

from sandbox.caller import Callers
from sandbox.company import OLD_SECRET, Company
from sandbox.people import People
from sandbox.providers import OpenAI
from sandbox.slack import Message
from sandbox.terminal import Terminal

PAUSE = 1.5
"""Seconds for a person to read and move the mouse; without a screen there is no wait."""

CHOOSE, REVOKE = "Choose which one…", "Revoke at OpenAI…"

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
        await self.have_a_secret_made(card)
        await self.approve(card)
        await self.revoke(card)

    async def have_a_secret_made(self, card: Message) -> None:
        """Have the provider make the new secret; its first answer is lost, and so is the secret in it."""
        self._terminal.scene(
            "2  The provider makes the new secret: nobody types it. Its first answer is lost on the way"
        )
        provider = self._company.provider
        provider.faults.drop("POST", "service_accounts", after_effect=True)
        await self._people.press("Create it for me", card)
        await self._people.give({})
        await self._people.there("Delete old key", card)
        await self._quiet()

    async def approve(self, card: Message) -> None:
        """Try to approve as the requester, get refused, and let an approver do it."""
        self._terminal.scene("3  Another person approves the delete")
        requester, keys = self._people.requester, self._company.aisix.provider_keys
        heard = len(requester.ephemerals)
        await self._people.press("Delete old key", card)
        await self._people.until(lambda: len(requester.ephemerals) > heard, "the requester to be told no")
        await self._people.press("Delete old key", card, self._people.approver)
        await self._people.until(lambda: self._company.key.id not in keys, "the old key to go")
        await self._people.ended(card, "Receipt")
        await self._quiet()

    async def revoke(self, card: Message) -> None:
        """Say which credential at the provider is the old one, have the bot revoke it, and see it refused."""
        self._terminal.scene("4  The old API key is revoked at its provider")
        people, provider = self._people, self._company.provider
        old = provider.of_secret(OLD_SECRET)
        assert old is not None
        await people.press(CHOOSE, card, people.approver)
        await people.until(lambda: people.approver.modal, "the list of the provider")
        await people.approver.choose(f"{old.name} ({provider.hint(old)})")
        await people.give({}, people.approver)
        await people.press(REVOKE, card, people.approver)
        await people.give({}, people.approver)
        await people.until(lambda: old.status == "gone", "the old API key to go")
        await self._try_it(provider)
        await self._quiet()

    async def _try_it(self, provider: OpenAI) -> None:
        """Ask the provider with the old secret, as whoever still has it would."""
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {OLD_SECRET}"}) as curl:
            answer = await curl.get(f"{provider.base_url}/models")
        told = answer.json().get("error", {}).get("message", "")
        self._terminal.line(provider.title, f"to whoever has the old secret: {answer.status_code} {told}")

    async def _quiet(self) -> None:
        """Wait until the scene's last message, then print the callers' figures."""
        calls = self._company.slack.calls
        said = -1
        while said != len(calls):
            said = len(calls)
            await asyncio.sleep(QUIET)
        self._terminal.line("callers", f"{self._callers}", "dim")
