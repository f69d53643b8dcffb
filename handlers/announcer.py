"""Shows rotations in Slack. Every message is a projection of the record; nothing is read back out of Slack."""

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Refused
from bot.metrics import calls
from bot.rotation import Rotation, State
from bot.steps import WAVE_STEPS
from bot.store import Store
from bot.waiting import retry_after
from handlers.views.card import card
from handlers.views.replies import Reply
from handlers.views.thread import checklist, milestones

log = structlog.get_logger("keyturn.announcer")

LOST = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
CLOSED = frozenset({"not_in_channel", "channel_not_found", "is_archived", "restricted_action"})
PROGRESS_EVERY = 5.0
"""Seconds between two edits that show nothing but progress."""

RESERVED = 0.3
"""The part of the minute's edits that progress leaves to changes of state."""


LONGEST_PAUSE = 600.0
"""Seconds; what a server asks beyond that is not believed."""


class Later(Exception):
    """Not all could be shown yet; try again after *seconds*, and not before if Slack *insists*."""

    def __init__(self, seconds: float, *, insists: bool = False) -> None:
        super().__init__()
        self.seconds = seconds
        self.insists = insists


class CannotPost(Refused):
    """The card cannot be posted in this channel."""


class SlackAnnouncer:
    """Brings a card and its thread up to the record: posts what is missing, edits what differs."""

    def __init__(
        self,
        client: AsyncWebClient,
        store: Store,
        *,
        team_url: str,
        approvers: frozenset[str],
        edits_per_minute: int,
        lease: timedelta,
    ) -> None:
        self._client = client
        self._store = store
        self._team_url = team_url
        self._approvers = " ".join(mention(who) for who in sorted(approvers))
        self._budget = edits_per_minute
        self._lease = lease.total_seconds()

    async def show(self, rotation: Rotation) -> timedelta | None:
        """Show *rotation*; return how long to wait if Slack does not take all of it now."""
        async with self._store.leased("show:" + rotation.id, self._lease) as mine:
            return await self._try(rotation) if mine else timedelta(seconds=1)

    async def _try(self, rotation: Rotation) -> timedelta | None:
        try:
            await self._show(rotation)
        except Later as later:
            if later.insists:
                await self._store.remember_message(rotation.id, {"later": f"{time.time() + later.seconds:.3f}"})
            return timedelta(seconds=later.seconds)
        except CannotPost as closed:
            log.warning("not_shown", rotation=rotation.id, why=str(closed))
        return None

    async def first(self, rotation: Rotation) -> None:
        """Post the card of a new rotation, or raise `CannotPost`: nobody would see the progress."""
        try:
            async with self._store.leased("show:" + rotation.id, self._lease):
                await self._show(rotation)
        except Later:
            raise CannotPost("Slack does not take my messages at the moment. Try again in a minute.") from None
        await self._store.was_shown(rotation)

    async def link(self, rotation: Rotation) -> str:
        """Return a link to the card of *rotation*; empty if it has none yet."""
        shown = await self._store.messages(rotation.id)
        return self._permalink(shown["channel"], shown["card"]) if "card" in shown else ""

    def _permalink(self, channel: str, ts: str) -> str:
        return f"{self._team_url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"

    async def _show(self, rotation: Rotation) -> None:
        shown = await self._store.messages(rotation.id)
        if int(shown.get("version", 0)) > rotation.version:
            return
        if (wait := float(shown.get("later", 0)) - time.time()) > 0:
            raise Later(wait)
        urgent = shown.get("gist") != _gist(rotation)
        await self._bring("card", card(rotation, await self._others(rotation)), rotation, shown, urgent=urgent)
        if rotation.attempt:
            await self._bring("checklist", checklist(rotation), rotation, shown, urgent=urgent)
        for reply in milestones(rotation, self._approvers):
            await self._tell(reply, rotation, shown, urgent=urgent)
        await self._remember(rotation, shown, {"version": str(rotation.version), "gist": _gist(rotation)})

    async def _others(self, rotation: Rotation) -> tuple[str, ...]:
        """Return links to other rotations of the same key: while it can still be decided not to begin."""
        if rotation.state is not State.AWAITING_SECRET:
            return ()
        key = rotation.plan.old_key.id
        others = [r for r in await self._store.concerning(key) if r.plan.old_key.id == key and r.id != rotation.id]
        links = [await self.link(other) for other in others[:3]]
        return tuple(
            f"<{link}|asked for by> <@{other.requested_by}>" for other, link in zip(others, links, strict=False) if link
        )

    async def _tell(self, reply: Reply, rotation: Rotation, shown: dict[str, str], *, urgent: bool) -> None:
        """Post a reply that is missing; edit one that has come to another edition."""
        key, content, edition = reply
        if key not in shown:
            await self._post(key, content, rotation, shown)
        elif shown.get(key + ":edition", "") != edition:
            await self._edit(key, content, rotation, shown, urgent=urgent)
        if edition:
            await self._remember(rotation, shown, {key + ":edition": edition})

    async def _bring(
        self, key: str, content: Mapping[str, Any], rotation: Rotation, shown: dict[str, str], *, urgent: bool
    ) -> None:
        """Post or edit the message *key* so that it shows *content*."""
        digest = _digest(content)
        if key not in shown:
            await self._post(key, content, rotation, shown)
        elif shown.get(key + ":digest") != digest:
            await self._edit(key, content, rotation, shown, urgent=urgent)
        await self._remember(rotation, shown, {key + ":digest": digest})

    async def _post(self, key: str, content: Mapping[str, Any], rotation: Rotation, shown: dict[str, str]) -> None:
        place = {"channel": rotation.channel}
        if key != "card":
            place["thread_ts"] = shown["card"]
        answer = await self._call("chat.postMessage", self._client.chat_postMessage, **place, **content)
        found = {key: str(answer["ts"])}
        if key == "card":
            found["channel"] = str(answer.get("channel") or rotation.channel)
        await self._remember(rotation, shown, found)

    async def _edit(
        self, key: str, content: Mapping[str, Any], rotation: Rotation, shown: dict[str, str], *, urgent: bool
    ) -> None:
        if not urgent:
            _pace(shown.get(key + ":at"))
        await self._spend(urgent=urgent)
        try:
            await self._call(
                "chat.update", self._client.chat_update, channel=shown["channel"], ts=shown[key], **content
            )
        except MessageLost:
            await self._post(key, content, rotation, shown)
        await self._remember(rotation, shown, {key + ":at": f"{time.time():.3f}"})

    async def _spend(self, *, urgent: bool) -> None:
        """Take one edit from the workspace's budget for this minute, or wait for the next."""
        now = time.time()
        used = await self._store.edits_this_minute(int(now // 60))
        if used > self._budget * (1 if urgent else 1 - RESERVED):
            raise Later(60 - now % 60 + 0.1)

    async def _remember(self, rotation: Rotation, shown: dict[str, str], fields: dict[str, str]) -> None:
        if any(shown.get(name) != value for name, value in fields.items()):
            shown.update(fields)
            await self._store.remember_message(rotation.id, fields)

    async def _call(self, method: str, call: Any, **arguments: Any) -> Any:
        """Call Slack; a refusal becomes the one exception that says how to react."""
        try:
            answer = await call(**arguments)
        except SlackApiError as error:
            calls("slack", method, reason_of(error))
            raise _reaction(error) from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            calls("slack", method, "unreachable")
            raise Later(5) from None
        calls("slack", method, "ok")
        return answer


class MessageLost(Exception):
    """Somebody deleted the message."""


def reason_of(error: SlackApiError) -> str:
    """Return Slack's word for what is wrong; an answer that is no JSON has none."""
    answer = error.response
    return str(answer.get("error")) if hasattr(answer, "get") else "unreadable"


def _reaction(error: SlackApiError) -> Exception:
    reason = reason_of(error)
    if reason in LOST:
        return MessageLost()
    if reason in CLOSED:
        return CannotPost(
            "I am not in this channel, so nobody would see the progress. `/invite @keyturn`, then again."
            if reason != "is_archived"
            else "This channel is archived, so nobody would see the progress. Use another one."
        )
    if reason == "ratelimited" or getattr(error.response, "status_code", 0) == HTTPStatus.TOO_MANY_REQUESTS:
        asked = retry_after(error.response.headers.get("Retry-After"))
        return Later(min(asked or 1, LONGEST_PAUSE) + 0.1, insists=True)
    log.warning("slack_refused", reason=reason)
    return Later(15)


def _pace(last: str | None) -> None:
    left = float(last or 0) + PROGRESS_EVERY - time.time()
    if left > 0:
        raise Later(left)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _gist(rotation: Rotation) -> str:
    """Name what people must see at once: everything about a rotation but the progress within a step or among waves."""
    waves = set() if rotation.verified_at else WAVE_STEPS
    done = ",".join(step for step in rotation.done if step not in waves)
    return f"{rotation.state}/{rotation.track}/{done}/{len(rotation.approvals)}/{len(rotation.voids)}"


def mention(who: str) -> str:
    """Mention a person or a user group."""
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"
