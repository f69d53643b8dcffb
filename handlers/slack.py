"""Call Slack's Web API, and turn each refusal into the exception that says how to react."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError

from bot.rotation.errors import CannotPost, Unanswerable
from bot.telemetry.metrics import calls
from handlers.payload import part, text
from handlers.views.direct import Shut

log = structlog.get_logger("keyturn.slack")

UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError, AttributeError, ValueError)
"""Exceptions of a call that Slack itself did not answer; the SDK raises the last two for invalid JSON."""

LOST = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
CLOSED = {
    **dict.fromkeys(("is_archived", "is_inactive"), Shut.ARCHIVED),
    **dict.fromkeys(("not_in_channel", "channel_not_found"), Shut.LEFT),
    "restricted_action": Shut.RESTRICTED,
    **{f"restricted_action_{how}": Shut.RESTRICTED
       for how in ("non_threadable_channel", "read_only_channel", "thread_locked", "thread_only_channel")},
}  # fmt: skip
"""The meaning of Slack's error codes for a channel that takes no messages."""

AWAY = frozenset({
    "access_denied", "account_inactive", "ekm_access_denied", "fatal_error", "internal_error", "invalid_auth",
    "missing_scope", "not_allowed_token_type", "not_authed", "org_login_required", "rate_limited", "request_timeout",
    "service_unavailable", "team_access_not_granted", "team_added_to_org", "token_expired", "token_revoked",
    "unreadable",
})  # fmt: skip
"""Slack's error codes that are about no message of ours: the next message would be refused too."""

OF_CONTENT = re.compile("attachment|block|invalid_arg|markdown|no_text|table|too_long")
"""In Slack's error codes for a message that it may take in a plainer form."""

ADVICE = {
    Shut.ARCHIVED: "This channel is archived, so nobody would see the progress. Use another one.",
    Shut.RESTRICTED: "Keyturn may not post in this channel, so nobody would see the progress. Use another one.",
    Shut.LEFT: "Keyturn is not in this channel, so nobody would see the progress. `/invite @keyturn`, then again.",
}
"""What to tell someone who asks for a card there."""

AGAIN = 15.0
"""Seconds after which a message is tried again that Slack has refused for an unknown reason."""

LONGEST_PAUSE = 600.0
"""Seconds. A longer `Retry-After` is not believed."""


class SlackAway(Unanswerable):
    """Slack does not answer, or refuses us, and what was asked for needs its answer."""


class Later(Exception):
    """Slack did not accept everything yet; retry after *seconds*, and not earlier if Slack *insists*."""

    def __init__(self, seconds: float, *, insists: bool = False) -> None:
        super().__init__()
        self.seconds = seconds
        self.insists = insists


class Refused(Later):
    """Slack refuses this message, and may accept others."""


class ContentRefused(Refused):
    """Slack refuses what this message says or how; *complaints* say what Slack objects to, and where."""

    def __init__(self, reason: str, complaints: tuple[str, ...]) -> None:
        super().__init__(AGAIN)
        self.reason = reason
        self.complaints = complaints


class ChannelShut(CannotPost):
    """The bot cannot post in this channel; *shut* is the reason."""

    def __init__(self, shut: Shut) -> None:
        super().__init__(ADVICE[shut])
        self.shut = shut


class MessageLost(Exception):
    """Someone deleted the message that was to be edited or answered."""


@contextmanager
def counted(method: str) -> Iterator[None]:
    """Count one call by how it ends."""
    try:
        yield
    except (SlackApiError, *UNREACHABLE) as error:
        calls("slack", method, _outcome(error))
        raise
    calls("slack", method, "ok")


def _outcome(error: Exception) -> str:
    match error:
        case SlackApiError():
            return reason_of(error)
        case TimeoutError():
            return "time-out"
        case aiohttp.ClientConnectionError() | OSError():
            return "unreachable"
        case _:
            return "broken"


async def called(call: Any, **arguments: Any) -> Any:
    """Call Slack; turn a refusal into the exception that says how to react."""
    try:
        return await call(**arguments)
    except SlackApiError as error:
        raise _reaction(error) from None
    except UNREACHABLE:
        raise Later(5) from None


def reason_of(error: SlackApiError) -> str:
    """Return Slack's error code; an answer that is not JSON has none."""
    answer = getattr(error.response, "data", error.response)
    return str(answer.get("error") or "unreadable") if isinstance(answer, dict) else "unreadable"


def pause_of(error: SlackApiError) -> float | None:
    """Return for how many seconds Slack asks to pause; None if this is no rate limit."""
    status = getattr(error.response, "status_code", getattr(error.response, "status", 0))
    if reason_of(error) != "ratelimited" and status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    return min(_seconds(error.response.headers.get("Retry-After")), LONGEST_PAUSE) + 0.1


def _seconds(retry_after: str | None) -> float:
    """Return how many seconds Slack asks to pause: it sends whole seconds; anything else counts as one."""
    return (float(retry_after) if retry_after and retry_after.isdecimal() else 0.0) or 1.0


def _reaction(error: SlackApiError) -> Exception:
    reason, pause = reason_of(error), pause_of(error)
    if pause is not None:
        return Later(pause, insists=True)
    if reason in LOST:
        return MessageLost()
    if reason in CLOSED:
        return ChannelShut(CLOSED[reason])
    if OF_CONTENT.search(reason):
        return ContentRefused(reason, complaints_of(error))
    log.warning("slack_refused", reason=reason)
    return Later(AGAIN) if reason in AWAY else Refused(AGAIN)


def complaints_of(error: SlackApiError) -> tuple[str, ...]:
    """Return what Slack objects to: `must provide a string [json-pointer:/blocks/0/title]`."""
    answer = getattr(error.response, "data", error.response)
    said = [*_listed(answer.get("errors")), *_listed(part(answer, "response_metadata").get("messages"))]
    return tuple(dict.fromkeys(complaint for one in said if (complaint := _complaint(one))))


def _complaint(one: Any) -> str:
    """Return one of them as a sentence; `blocks.validate` has an object for it."""
    if isinstance(one, str):
        return one.removeprefix("[ERROR] ")
    return f"{text(one, 'message')} [json-pointer:{pointer}]" if (pointer := text(one, "pointer")) else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
