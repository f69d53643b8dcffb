"""The weekly list of the keys that are due for a rotation: one message, in working time, in place of the last one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.age import DueKeys, week_of
from bot.rotation.errors import CannotPost, Unanswerable
from bot.rotation.hours import Hours
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers
from handlers.commands import start
from handlers.errors import answered
from handlers.home import links_of
from handlers.payload import channel_of, text
from handlers.ports import ShownStore
from handlers.sending import Sender
from handlers.slack import Later, MessageLost
from handlers.views.ages import LISTED_MOST, age_list, replaced

log = structlog.get_logger("keyturn.ages")

LIST = "age-list"
"""Under what the store keeps which message the list is; no rotation has such an id."""

LEASE = 60.0
"""Seconds for which one process may post the list."""

AGAIN = timedelta(minutes=10)
"""The time until the next try after AISIX or Slack did not answer."""

Json = dict[str, Any]


class AgeLists:
    """Posts the list once a week, whichever process is first; nothing if nothing is due."""

    def __init__(
        self,
        sender: Sender,
        store: ShownStore,
        rotations: RotationService,
        announcer: SlackAnnouncer,
        *,
        channel: str,
        hours: Hours,
        now: Callable[[], datetime],
    ) -> None:
        self._sender = sender
        self._store = store
        self._rotations = rotations
        self._announcer = announcer
        self._channel = channel
        self._hours = hours
        self._now = now
        self._next = datetime.min.replace(tzinfo=hours.zone)
        self._done = ""

    async def refresh(self) -> None:
        """Post this week's list if it is time; called all the time."""
        now, week = self._now(), week_of(self._now().astimezone(self._hours.zone))
        if week == self._done or now < self._next or self._hours.next_open(now) > now:
            return
        self._next = now + AGAIN
        async with self._store.leased(LIST, LEASE) as mine:
            if mine:
                await self._listed(week)

    async def _listed(self, week: str) -> None:
        shown = await self._store.messages(LIST)
        if shown.get("week") != week:
            try:
                await self._list(week, await self._rotations.due_keys(), shown)
            except (CannotPost, MessageLost, Later, Unanswerable) as trouble:
                log.warning("ages_not_listed", why=str(trouble))
                return
        self._done = week

    async def _list(self, week: str, due: DueKeys, shown: dict[str, str]) -> None:
        """Post the list, note the week at once, and then take the buttons off the last one."""
        fields = {"week": week}
        if due.keys:
            links = await links_of((one.rotation for one in due.keys[:LISTED_MOST] if one.rotation), self._announcer)
            content = age_list(due, links, self._now())
            answer = await self._sender.post(content, channel=self._channel)
            fields |= {"channel": str(answer["channel"]), "ts": str(answer["ts"])}
        await self._store.remember_message(LIST, {"channel": "", "ts": ""} | fields)
        if shown.get("ts"):
            try:
                await self._sender.edit(replaced(), channel=shown["channel"], ts=shown["ts"])
            except (CannotPost, MessageLost, Later):
                log.info("old_list_stays", week=shown.get("week", ""))


@answered
async def rotate_listed(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    announcer: SlackAnnouncer,
    answers: Answers,
) -> None:
    """Begin a rotation of a listed key, in the channel of the list."""
    await ack()
    await start(text(action, "value"), channel_of(body), body, rotations, announcer)
