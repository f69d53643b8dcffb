"""Everything that the page shows and changes; it wakes browsers at every change."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from sandbox.caller import Callers
from sandbox.company import Company
from sandbox.page import provider
from sandbox.page.acts import Desk
from sandbox.page.gateways import Gateways
from sandbox.page.screen import screen
from sandbox.page.secrets import Secrets
from sandbox.page.switches import Switch, switches
from sandbox.page.traffic import Traffic

KEPT = 2000
"""Calls to remember, so that hours of play do not fill the memory."""

MISTYPED = "opnai prod"
QUIET = {"request"}
"""Events too frequent to wake browsers; the tick each second covers them."""


class Workshop:
    """A company with what the page adds: traffic, secrets, switches."""

    def __init__(self, company: Company, callers: Callers, more: list[Switch]) -> None:
        self.company = company
        self.traffic = Traffic(callers)
        self.secrets = Secrets(company.aisix, company.provider)
        self.switches = [*switches(company.aisix, company.slack), *provider.switches(company.provider), *more]
        self._gateways = Gateways(company.aisix, self.traffic)
        self._looking: set[asyncio.Event] = set()
        company.aisix.on_change(self.traffic.hear)
        company.aisix.on_change(lambda event: None if event.kind in QUIET else self.wake())
        company.slack.on_change(lambda *_: self.wake())
        company.provider.on_change(self.wake)

    def items(self, person: str) -> dict[str, Any]:
        """Return everything that *person* sees on the page, as items by key."""
        return {
            **screen(self.company.slack, person),
            **self._gateways.items(),
            "guide": self._guide(),
            "provider": provider.shown(self.company.provider),
            "secrets": self.secrets.shown(),
            "switches": [each.shown() for each in self.switches],
        }

    def _guide(self) -> dict[str, Any]:
        """Return what to type and paste next."""
        keys, model, first = self.company.aisix.provider_keys, self.company.models[0], self.company.key
        key = first if first.id in keys else keys.get(model.provider_key_id or "", first)
        texts = [key.display_name, "", "status", MISTYPED]
        return {"commands": [f"/rotate-key {text}".strip() for text in texts], "secrets": self.secrets.to_try()}

    def desk(self, person: str) -> Desk:
        """Return what *person* acts on."""
        return Desk(self.company.slack, self.company.slack.person(person), self.switches, self.secrets)

    def wake(self) -> None:
        """Wake every browser."""
        for event in self._looking:
            event.set()

    @contextmanager
    def woken(self) -> Iterator[asyncio.Event]:
        """Provide an event that is set at every change."""
        event = asyncio.Event()
        self._looking.add(event)
        try:
            yield event
        finally:
            self._looking.discard(event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Workshop"]:
        """Update the chart every second."""
        ticking = asyncio.create_task(self._tick())
        try:
            yield self
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.traffic.tick()
            self._forget()
            self.wake()

    def _forget(self) -> None:
        """Keep only the last calls."""
        aisix, slack = self.company.aisix, self.company.slack
        for calls in (aisix.gate.calls, aisix.upstream.calls, slack.calls, slack.payloads):
            del calls[:-KEPT]
        for replica in aisix.all_replicas():
            del replica.proxy.calls[:-KEPT]
