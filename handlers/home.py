"""The Home tab: drawn for the person who opens it, and again at changes for those who opened it lately."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.errors import NotAllowed, Unanswerable
from bot.rotation.overview import Overview
from bot.rotation.record import Rotation
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer
from handlers.errors import explain
from handlers.payload import text
from handlers.ports import ShownStore, Visitors
from handlers.slack import ChannelShut, Later, MessageLost, called
from handlers.views.blocks import Block
from handlers.views.direct import moment
from handlers.views.home import AS_OF, DUE_MOST, UNDER_WAY_MOST, WAITING_MOST, closed, home

log = structlog.get_logger("keyturn.home")

MOST = 20
"""How many people's tabs follow changes: the last ones who opened it."""

REFRESH_EVERY = timedelta(seconds=20)
"""The least time between two updates at changes: 20 people, 60 calls a minute, of which Slack takes 100 (Tier 4)."""

LEASE = 60.0
"""Seconds for which one process may update the tabs of all."""

KNOWN = 1000
"""Of how many rotations a process remembers what people have been shown."""

Json = dict[str, Any]


class HomeTab:
    """Draws Home for one person after the other."""

    def __init__(
        self,
        client: AsyncWebClient,
        rotations: RotationService,
        announcer: SlackAnnouncer,
        *,
        store: ShownStore,
        visitors: Visitors,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._rotations = rotations
        self._announcer = announcer
        self._store = store
        self._visitors = visitors
        self._now = now
        self._shown: dict[str, str] = {}
        self._is_stale = False
        self._next = datetime.min.replace(tzinfo=UTC)

    async def open(self, person: str) -> None:
        """Draw the tab for somebody who opens it; if they may see nothing, it says why."""
        try:
            seen = (await self._rotations.homes([person]))[person]
        except Exception as error:  # noqa: BLE001 - the tab has no other place to say it
            await self._publish(person, closed(explain(error)[0]))
            return
        view = await self._drawn(seen)
        if await self._publish(person, view) and isinstance(seen, Overview):
            await self._visitors.came(person, self._now(), _digest(view))

    def changed(self, rotation: Rotation) -> None:
        """Note that *rotation* has been shown: if more than its progress is new, Home follows."""
        known = moment(rotation)
        if self._shown.pop(rotation.id, "") != known:
            self._is_stale = True
        self._shown[rotation.id] = known
        if len(self._shown) > KNOWN:
            del self._shown[next(iter(self._shown))]

    async def refresh(self) -> None:
        """Draw the tab again for the people who opened it lately, if something has changed; called all the time."""
        if not self._is_stale or self._now() < self._next:
            return
        self._is_stale, self._next = False, self._now() + REFRESH_EVERY
        async with self._store.leased("home", LEASE) as mine:
            self._is_stale = self._is_stale or not (mine and await self._refreshed())

    async def _refreshed(self) -> bool:
        """Update each tab whose content is another one; return whether Slack took all of them."""
        visits = await self._visitors.lately(self._now(), MOST)
        found = await self._rotations.homes(visits) if visits else {}
        for person, seen in found.items():
            if isinstance(seen, Unanswerable):
                return False
            view = await self._drawn(seen)
            if _digest(view) == visits[person].digest:
                continue
            if not await self._publish(person, view):
                return False
            if isinstance(seen, Overview):
                await self._visitors.came(person, datetime.fromtimestamp(visits[person].at, UTC), _digest(view))
            else:
                await self._visitors.left(person)
        return True

    async def _drawn(self, seen: Overview | NotAllowed | Unanswerable) -> Block:
        if not isinstance(seen, Overview):
            return closed(str(seen))
        waiting = (one.rotation for one in seen.waiting[:WAITING_MOST])
        shown = [*waiting, *seen.others[:UNDER_WAY_MOST], *seen.due[:DUE_MOST], *seen.last]
        return home(seen, await links_of(shown, self._announcer), self._now(), self._announcer.places)

    async def _publish(self, person: str, view: Block) -> bool:
        try:
            await called(self._client.views_publish, user_id=person, view=view)
        except Later as later:
            self._next = max(self._next, self._now() + timedelta(seconds=later.seconds))
            log.warning("home_not_shown", person=person)
            return False
        except (ChannelShut, MessageLost):  # no answer of this method
            return False
        return True


async def links_of(rotations: Iterable[Rotation], announcer: SlackAnnouncer) -> dict[str, str]:
    """Return the link to each rotation's card, by its id."""
    known = {rotation.id: rotation for rotation in rotations}
    return dict(zip(known, await asyncio.gather(*map(announcer.link, known.values())), strict=True))


def _digest(view: Block) -> str:
    """Return a digest of what a tab shows, without the time at which it was drawn."""
    shown = [block for block in view["blocks"] if block.get("block_id") != AS_OF]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


async def opened(event: Json, home_tab: HomeTab) -> None:
    """Draw Home for the person who opens it; the tab of messages is no tab of ours."""
    if text(event, "tab") == "home" and (person := text(event, "user")):
        await home_tab.open(person)
