"""Look up people in Slack, at each click, so that a person removed a second ago has no rights."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.errors import NotAllowed
from bot.rotation.policy import Person
from handlers.payload import text
from handlers.slack import UNREACHABLE, SlackAway, reason_of

UNKNOWN = frozenset({"user_not_found", "user_not_visible"})

REMEMBERED = 30.0
"""Seconds for which a user group's list may refuse people: a crowd of them must not use up Slack's limit."""


class _Known(NamedTuple):
    """The members of a user group, and when Slack was asked."""

    at: float
    members: frozenset[str]


NOTHING = _Known(float("-inf"), frozenset())


class SlackDirectory:
    """People and user groups. Raises `SlackAway` if Slack does not say, so that nobody gets rights by a guess."""

    def __init__(
        self, client: AsyncWebClient, team: str, enterprise: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._home = {team, enterprise} - {""}
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, asyncio.Future[frozenset[str]]] = {}

    async def person(self, user_id: str) -> Person:
        """Return what Slack says about a person."""
        if not user_id:
            raise _away()
        try:
            answer = await self._client.users_info(user=user_id)
        except SlackApiError as error:
            raise self._unanswerable(error) from None
        except UNREACHABLE:
            raise _away() from None
        user = answer.get("user")
        if not isinstance(user, dict) or user.get("id") != user_id:
            raise _away()
        return self._read(user).but(told_at=_date_of(answer))

    def _read(self, user: dict[str, Any]) -> Person:
        team = str(user.get("team_id") or "")
        enterprise = str((user.get("enterprise_user") or {}).get("enterprise_id") or "")
        at_home = not team or bool({team, enterprise} & self._home)
        return Person(
            id=str(user["id"]),
            team=team,
            guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            bot=bool(user.get("is_bot")),
            deactivated=bool(user.get("deleted")),
            stranger=bool(user.get("is_stranger")) or not at_home,
            zone=text(user, "tz"),
            name=text(user, "profile", "real_name") or text(user, "name"),
            email=text(user, "profile", "email"),
        )

    @staticmethod
    def _unanswerable(error: SlackApiError) -> Exception:
        if reason_of(error) in UNKNOWN:
            return NotAllowed("Only members of this workspace can use Keyturn; Keyturn cannot find you in it.")
        return _away()

    async def members(self, group_id: str) -> frozenset[str]:
        """Return the current members of a user group."""
        asked = self._asked[group_id] = asyncio.ensure_future(self._members(group_id))
        return await asyncio.shield(asked)  # others may wait for it too

    async def recent(self, group_id: str) -> frozenset[str] | None:
        """Return a list that is at most `REMEMBERED` old, or the one that is on its way; None if there is none."""
        known = self._known.get(group_id)
        if known and self._clock() - known.at <= REMEMBERED:
            return known.members
        asked = self._asked.get(group_id)
        return await asyncio.shield(asked) if asked and not asked.done() else None

    async def _members(self, group_id: str) -> frozenset[str]:
        at = self._clock()
        try:
            answer = await self._client.usergroups_users_list(usergroup=group_id)
        except (SlackApiError, *UNREACHABLE):
            raise SlackAway(
                "Slack does not tell Keyturn who is in the user group that decides this, so nothing was done. "
                "Try again in a minute; if it stays, see `python -m bot check`."
            ) from None
        users = answer.get("users")
        members = frozenset(filter(_is_id, users)) if isinstance(users, list) else frozenset()
        self._known[group_id] = max(_Known(at, members), self._known.get(group_id, NOTHING), key=lambda known: known.at)
        return members


def _date_of(answer: Any) -> datetime | None:
    """Return when Slack answered, by the same clock as the time stamps in its payloads."""
    try:
        said = parsedate_to_datetime((getattr(answer, "headers", None) or {}).get("Date", ""))
    except (TypeError, ValueError):
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _is_id(value: Any) -> bool:
    return isinstance(value, str)


def _away() -> SlackAway:
    return SlackAway("Slack does not tell Keyturn who you are, so nothing was done. Try again in a minute.")
