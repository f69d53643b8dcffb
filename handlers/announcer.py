"""Show rotations in Slack. Every message is derived from the record; nothing is read back from Slack."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.attention import fails_callers, gist, is_watched
from bot.rotation.errors import CannotPost, NotOurRecord
from bot.rotation.naming import tag_of
from bot.rotation.nudges import Kind
from bot.rotation.people import People
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.attaching import attach
from handlers.channel_unavailable import CLEAR, GIVE_UP, ChannelUnavailable
from handlers.direct_messages import DirectMessages, Pushes
from handlers.ports import ShownStore
from handlers.sending import Sender
from handlers.slack import AGAIN, ChannelShut, Later, MessageLost, Refused
from handlers.views.around import Around, in_batch, told
from handlers.views.blocks import message, section
from handlers.views.card import card
from handlers.views.composed import composed
from handlers.views.direct import Shut
from handlers.views.links import Places
from handlers.views.pushes import REMINDER, over
from handlers.views.replies import Reply, reply
from handlers.views.words import adopted

CARD_EVERY = 10.0
"""The least number of seconds between two edits that only show progress, of the card."""

CHECKLIST_EVERY = 30.0
"""The same of the checklist, as long as Keyturn works: the card leads."""

REFUSED_EVERY = 5.0
"""The least number of seconds between two looks whether a refused card may be tried again."""

PROGRESS_PART = 0.5
"""The pause between such edits is also at least this part of the time since the last news, so long steps get few."""

SETTLES = 2.0
"""Seconds that the card waits after the delete for the end or the first look: without a watch, the end follows."""

REFUSED_MOST = 3600.0
"""Seconds. A message that Slack refuses is tried again after a pause that grows with the time since, up to this."""

NEVER = float("inf")

ASK_AGAIN = 60.0
"""Seconds until Keyturn asks Slack again who the approvers are."""

NEWER = "A newer reminder is below."
NOTHING_MORE = MappingProxyType[str, str]({})

UNSURE, ATTACHED = "unsure", "attached"
"""What is known of the receipt's file: that it was tried, and that it is there."""

Show = Callable[..., Awaitable[None]]

THREAD_LOST = {"card": "", "checklist": ""}
"""The messages to post again if the card was deleted; replies are not repeated."""

BUSY = "Slack does not take Keyturn's messages at the moment. Try again in a minute."
REFUSES = "Slack refuses Keyturn's card, so nobody would see the progress. Keyturn's log says why."


class Early(Later):
    """It is too early for an edit that only shows progress."""


class SlackAnnouncer:
    """Updates a card and its thread to match the record: posts what is missing, edits what differs."""

    def __init__(
        self,
        client: AsyncWebClient,
        store: ShownStore,
        *,
        team_url: str,
        approvers: frozenset[str],
        people: People,
        edits_per_minute: int,
        lease: timedelta,
        now: Callable[[], datetime],
        places: Places,
        pushes: Pushes,
    ) -> None:
        self._client = client
        self._sender = Sender(client, store, edits_per_minute=edits_per_minute, now=now)
        self._store = store
        self._now = now
        self.places = places
        self._direct = DirectMessages(self._sender, store, people, now, places=places, pushes=pushes)
        self._escalation = " ".join(mention(who) for who in sorted(pushes.escalation))
        self._unavailable = ChannelUnavailable(self._direct, store, now)
        self._team_url = team_url
        self._approvers = tuple(sorted(approvers))
        self._lease = lease.total_seconds()
        self._unsaved: dict[str, dict[str, str]] = {}
        """By rotation: what was shown but could not be stored, so that nothing is posted twice."""

    async def show(self, rotation: Rotation) -> timedelta | None:
        """Show *rotation*; return how long to wait if Slack did not accept all of it yet."""
        async with self._store.leased("show:" + rotation.id, self._lease) as mine:
            return await self._try(rotation) if mine else timedelta(seconds=1)

    async def _try(self, rotation: Rotation) -> timedelta | None:
        if 0 < (left := _settling(rotation, self._now())) <= SETTLES:
            return timedelta(seconds=left)
        try:
            return await self._show_or_reach(rotation)
        except Later as later:
            if later.insists:
                await self._store.remember_message(rotation.id, {"later": f"{self._time() + later.seconds:.3f}"})
            return timedelta(seconds=later.seconds)
        except MessageLost:  # the card was posted only just now
            return timedelta(seconds=5)

    async def _show_or_reach(self, rotation: Rotation) -> timedelta | None:
        try:
            refused = await self._show(rotation)
        except ChannelShut as closed:
            return await self._unavailable.reach(rotation, closed.shut)
        if "card" in refused:
            await self._direct.tell(rotation, Shut.REFUSED)
        pauses = [pause for pause in refused.values() if pause < NEVER]
        return timedelta(seconds=min(pauses)) if pauses else None

    def _mentions(self, rotation: Rotation) -> str:
        """Mention the approvers: those whom the policies name, if they do."""
        return " ".join(map(mention, rotation.policy.named(self._approvers)))

    def _time(self) -> float:
        return self._now().timestamp()

    async def first(self, rotation: Rotation) -> None:
        """Post the card of a new rotation; raise `CannotPost` if that fails, as nobody would see the progress."""
        try:
            async with self._store.leased("show:" + rotation.id, self._lease):
                refused = await self._show(rotation)
        except Later:
            raise CannotPost(BUSY) from None
        if refused:
            raise CannotPost(REFUSES)
        await self._store.was_shown(rotation)

    async def introduce(self, rotation: Rotation) -> None:
        """Tell the channel about a rebuilt rotation, before its card; raise `CannotPost` if that fails."""
        content = message(text := adopted(rotation), [section(text)])
        try:
            await self._sender.post(content, channel=rotation.channel)
        except Later:
            raise CannotPost(BUSY) from None

    async def link(self, rotation: Rotation, to: str = "card") -> str:
        """Return a link to the card of *rotation*, or to a reply by its key; an empty string if there is none yet."""
        shown = await self._store.messages(rotation.id)
        thread = f"?thread_ts={shown.get('card')}&cid={shown.get('channel')}" if to != "card" else ""
        return f"{self._permalink(shown['channel'], shown[to])}{thread}" if shown.get(to) else ""

    def _permalink(self, channel: str, ts: str) -> str:
        return f"{self._team_url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"

    async def _show(self, rotation: Rotation) -> dict[str, float]:
        """Show *rotation*; return for how many seconds to leave each message that Slack refuses."""
        shown = await self._store.messages(rotation.id) | self._unsaved.get(rotation.id, {})
        if int(shown.get("version", 0)) > rotation.version:
            return {}
        if (wait := float(shown.get("later", 0)) - self._time()) > 0:
            raise Later(wait)
        if shut := self._unavailable.still(rotation, shown):
            raise ChannelShut(shut)
        try:
            refused = await self._show_all(rotation, shown)
        except MessageLost:  # the card is gone, and its thread with it
            shown |= THREAD_LOST
            refused = await self._show_all(rotation, shown)
        seen = {"version": str(rotation.version), "gist": gist(rotation)}
        if shown.get("gist") != seen["gist"]:
            seen["since"] = f"{self._time():.3f}"
        await self._remember(rotation, shown, seen | (CLEAR if shown.get("shut") else {}))
        if "card" not in refused:
            known = await self._direct.push(rotation, shown, self._permalink(shown["channel"], shown["card"]))
            refused |= {} if known else {"direct": ASK_AGAIN}
        return refused

    async def _show_all(self, rotation: Rotation, shown: dict[str, str]) -> dict[str, float]:
        urgent = shown.get("gist") != gist(rotation)
        if not urgent:  # before composing: with 500 models that costs more than moving them
            self._pace("card", shown)
        said = told(rotation, shown)
        links = await self._others(rotation), await self._maker(rotation)
        around = Around(*links, said, self.places, self._team_url, escalation=self._escalation)
        batch = await self._store.messages(f"batch:{rotation.batch}") if rotation.batch else {}
        around = around._replace(batch=in_batch(rotation, batch, self._permalink))
        if not (rotation.deleted_at or rotation.is_over):
            around = around._replace(hold=await self._store.hold_on(rotation.plan.old_key.id, self._now()))
        messages = composed(rotation, self._mentions(rotation), around)
        parts = [("card", partial(self._update, "card", messages.card, messages.steady))]
        if messages.checklist:
            parts.append(("checklist", partial(self._update, "checklist", messages.checklist, messages.checklist)))
        pauses = await self._show_each(parts, rotation, shown, urgent=urgent)
        replies = [*messages.replies(attached=await self._attached(rotation, shown))]
        parts = [(reply.key, partial(self._reply, reply)) for reply in (*replies, *settled(rotation, replies, shown))]
        pauses |= await self._show_each(parts, rotation, shown, urgent=urgent)
        if (said := told(rotation, shown)) != around.told:
            after = card(rotation, around._replace(told=said))
            task = partial(self._update, "card", after.content, after.steady, rotation, shown, urgent=urgent)
            pauses["card"] = await self._alone("card", task, rotation, shown, urgent=urgent)
        return {key: pause for key, pause in pauses.items() if pause}

    async def _show_each(
        self, parts: Sequence[tuple[str, Show]], rotation: Rotation, shown: dict[str, str], *, urgent: bool
    ) -> dict[str, float]:
        pauses = {}
        for key, show in parts:
            if key == "card" or shown.get("card"):  # there is no thread without one
                hurries = urgent and not (key == "checklist" and rotation.waits_for_bot)
                task = partial(show, rotation, shown, urgent=hurries)
                pauses[key] = await self._alone(key, task, rotation, shown, urgent=hurries)
        return pauses

    async def _attached(self, rotation: Rotation, shown: dict[str, str]) -> bool:
        """Tell whether a file in the thread has every model; attach it with the first receipt."""
        is_due = rotation.deleted_at and rotation.plan.models and shown.get("card")
        if is_due and not shown.get("receipt") and not shown.get("csv"):
            await self._remember(rotation, shown, {"csv": UNSURE})  # should this process die, nobody attaches another
            there = await attach(self._client, rotation, channel=shown["channel"], thread_ts=shown["card"])
            await self._remember(rotation, shown, {"csv": ATTACHED if there else UNSURE})
        return shown.get("csv") == ATTACHED

    async def _alone(
        self, key: str, task: Callable[[], Awaitable[None]], rotation: Rotation, shown: dict[str, str], *, urgent: bool
    ) -> float:
        """Show one message; if Slack refuses it, return for how long to leave it: no other message waits for it."""
        now = self._time()
        left = float(shown.get(key + ":again") or 0) - now
        if left > 0 and not urgent:
            await self._remember(rotation, shown, {key + ":at": f"{now:.3f}"})
            return left
        try:
            await task()
        except Early as early:
            if key == "card":
                raise
            return early.seconds
        except Refused:
            since = float(shown.get(key + ":refused") or now)
            pause = min(max(now - since, AGAIN), REFUSED_MOST)
            times = {"refused": since, "again": now + pause, "at": now}
            await self._remember(rotation, shown, {f"{key}:{name}": f"{time:.3f}" for name, time in times.items()})
            return NEVER if rotation.is_over and now - since > GIVE_UP else pause
        if shown.get(key + ":refused"):
            await self._remember(rotation, shown, {key + ":refused": "", key + ":again": ""})
        return 0

    async def _others(self, rotation: Rotation) -> tuple[str, ...]:
        """Return links to other rotations of the same key, as long as people can still decide not to start."""
        if rotation.state is not State.AWAITING_SECRET:
            return ()
        key = rotation.plan.old_key.id
        others = [r for r in await self._store.concerning(key) if r.plan.old_key.id == key and r.id != rotation.id]
        linked = [(other.requested_by, await self.link(other)) for other in others[:3]]
        return tuple(f"<{link}|asked for by> <@{who}>" for who, link in linked if link)

    async def _maker(self, rotation: Rotation) -> str:
        """Return a link to the rotation that made the key, if Keyturn knows it."""
        key = rotation.plan.old_key
        tag = tag_of(key.display_name)
        with suppress(NotOurRecord):
            maker = await self._store.load(tag.rotation) if tag else None
            return await self.link(maker) if maker and key.id in maker.made else ""
        return ""

    async def _reply(self, reply: Reply, rotation: Rotation, shown: dict[str, str], *, urgent: bool) -> None:
        """Post a reply that is missing; edit one that has a new edition."""
        key, content, edition = reply.key, reply.content, reply.edition
        if reply.replaces:
            await self._replace(reply, rotation, shown)
        elif not shown.get(key):
            await self._post(key, content, rotation, shown)
        elif shown.get(key + ":edition", "") != edition:
            await self._edit(key, content, rotation, shown, urgent=urgent)
        if edition:
            await self._remember(rotation, shown, {key + ":edition": edition})

    async def _update(
        self,
        key: str,
        content: Mapping[str, Any],
        steady: Mapping[str, Any],
        rotation: Rotation,
        shown: dict[str, str],
        *,
        urgent: bool,
    ) -> None:
        """Post or edit the message *key* so that it shows *content*, once what is *steady* in it differs."""
        digest = _digest(steady)
        if not shown.get(key):
            await self._post(key, content, rotation, shown)
        elif shown.get(key + ":digest") != digest:
            await self._edit(key, content, rotation, shown, urgent=urgent)
        await self._remember(rotation, shown, {key + ":digest": digest})

    async def _replace(self, reply: Reply, rotation: Rotation, shown: dict[str, str]) -> None:
        """Post a new edition, and delete the one before it, or leave a line of it where that is not allowed."""
        key, edition, old = reply.key, f"{reply.key}:edition", f"{reply.key}:old"
        if shown.get(edition) != reply.edition:
            more = {edition: reply.edition, old: shown.get(key, "")}
            await self._post(key, reply.content, rotation, shown, more)
        if shown.get(old):
            channel, ts = shown["channel"], shown[old]
            with suppress(MessageLost):
                try:
                    await self._sender.delete(channel=channel, ts=ts)
                except Refused:
                    await self._sender.edit(message(NEWER, [section(NEWER)]), channel=channel, ts=ts)
            await self._remember(rotation, shown, {old: ""})

    async def _post(
        self,
        key: str,
        content: Mapping[str, Any],
        rotation: Rotation,
        shown: dict[str, str],
        more: Mapping[str, str] = NOTHING_MORE,
    ) -> None:
        place = {"channel": rotation.channel}
        if key != "card":
            place["thread_ts"] = shown["card"]
        answer = await self._sender.post(content, **place)
        found = {key: str(answer["ts"]), key + ":at": f"{self._time():.3f}", **more}
        if key == "card":
            found |= {"channel": str(answer.get("channel") or rotation.channel), "checklist": ""}
        await self._remember(rotation, shown, found)

    async def _edit(
        self, key: str, content: Mapping[str, Any], rotation: Rotation, shown: dict[str, str], *, urgent: bool
    ) -> None:
        if not urgent:
            self._pace(key, shown)
        try:
            await self._sender.edit(content, urgent=urgent, channel=shown["channel"], ts=shown[key])
        except MessageLost:
            await self._post(key, content, rotation, shown)
        await self._remember(rotation, shown, {key + ":at": f"{self._time():.3f}"})

    def _pace(self, key: str, shown: Mapping[str, str]) -> None:
        now = self._time()
        since_news = now - float(shown.get("since", now))
        pause = max(CHECKLIST_EVERY if key == "checklist" else CARD_EVERY, PROGRESS_PART * since_news)
        pause = REFUSED_EVERY if shown.get(key + ":refused") else pause
        left = float(shown.get(key + ":at", 0)) + pause - now
        if left > 0:
            raise Early(left)

    async def _remember(self, rotation: Rotation, shown: dict[str, str], fields: dict[str, str]) -> None:
        news = {name: value for name, value in fields.items() if shown.get(name) != value}
        shown.update(news)
        unsaved = self._unsaved.get(rotation.id, {}) | news
        if unsaved:
            self._unsaved[rotation.id] = unsaved
            await self._store.remember_message(rotation.id, unsaved)
            del self._unsaved[rotation.id]


def settled(rotation: Rotation, replies: Sequence[Reply], shown: Mapping[str, str]) -> Iterator[Reply]:
    """Yield what is left of each reminder that reminds of nothing any more: a line on what became of it."""
    told = {reply.key for reply in replies}
    for key in (REMINDER + kind for kind in Kind):
        if shown.get(key) and key not in told and shown.get(f"{key}:edition") != OVER:
            yield reply(key, over(rotation))._replace(edition=OVER)


OVER = "over"
"""The edition of a reminder that reminds of nothing any more."""


def _settling(rotation: Rotation, now: datetime) -> float:
    """Return how many seconds are left for what follows the delete at once."""
    if not is_watched(rotation) or rotation.watch_until or not rotation.deleted_at or fails_callers(rotation):
        return 0
    return (rotation.deleted_at - now).total_seconds() + SETTLES


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def mention(who: str) -> str:
    """Mention a person or a user group."""
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"
