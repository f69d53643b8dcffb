"""One call of Slack's Web API, and the one exception that says how to react to each thing it may answer."""

from http import HTTPStatus
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError

from bot.metrics import calls
from bot.rotation.errors import CannotPost
from handlers.views.direct import Shut

log = structlog.get_logger("keyturn.slack")

UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError, AttributeError, ValueError)
"""How a call fails that Slack itself does not answer; the SDK raises the last two on what is no JSON object."""

LOST = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
CLOSED = {
    **dict.fromkeys(("is_archived", "is_inactive"), Shut.ARCHIVED),
    **dict.fromkeys(("not_in_channel", "channel_not_found"), Shut.LEFT),
    "restricted_action": Shut.RESTRICTED,
    **{f"restricted_action_{how}": Shut.RESTRICTED
       for how in ("non_threadable_channel", "read_only_channel", "thread_locked", "thread_only_channel")},
}  # fmt: skip
"""What Slack's words for a channel that takes no message mean."""

ADVICE = {
    Shut.ARCHIVED: "This channel is archived, so nobody would see the progress. Use another one.",
    Shut.RESTRICTED: "I may not post in this channel, so nobody would see the progress. Use another one.",
    Shut.LEFT: "I am not in this channel, so nobody would see the progress. `/invite @keyturn`, then again.",
}
"""What somebody hears who asks for a card there."""

LONGEST_PAUSE = 600.0
"""Seconds; what a server asks beyond that is not believed."""


class Later(Exception):
    """Not all could be shown yet; try again after *seconds*, and not before if Slack *insists*."""

    def __init__(self, seconds: float, *, insists: bool = False) -> None:
        super().__init__()
        self.seconds = seconds
        self.insists = insists


class Refusal(Later):
    """Slack refuses, and for none of the reasons that are known here."""


class ChannelShut(CannotPost):
    """Nothing can be posted in this channel, for the reason *shut*."""

    def __init__(self, shut: Shut) -> None:
        super().__init__(ADVICE[shut])
        self.shut = shut


class MessageLost(Exception):
    """Somebody deleted the message that is edited or answered."""


async def called(method: str, call: Any, **arguments: Any) -> Any:
    """Call Slack; a refusal becomes the one exception that says how to react."""
    try:
        answer = await call(**arguments)
    except SlackApiError as error:
        calls("slack", method, reason_of(error))
        raise _reaction(error) from None
    except UNREACHABLE:
        calls("slack", method, "unreachable")
        raise Later(5) from None
    calls("slack", method, "ok")
    return answer


def reason_of(error: SlackApiError) -> str:
    """Return Slack's word for what is wrong; an answer that is no JSON has none."""
    answer = getattr(error.response, "data", error.response)
    return str(answer.get("error")) if isinstance(answer, dict) else "unreadable"


def pause_of(error: SlackApiError) -> float | None:
    """Return the seconds that Slack asks to be left alone for; None where it does not limit the rate."""
    status = getattr(error.response, "status_code", getattr(error.response, "status", 0))
    if reason_of(error) != "ratelimited" and status != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    return min(_seconds(error.response.headers.get("Retry-After")), LONGEST_PAUSE) + 0.1


def _seconds(retry_after: str | None) -> float:
    """Read how long Slack asks to be left alone: it says whole seconds; anything else counts as one."""
    return (float(retry_after) if retry_after and retry_after.isdecimal() else 0.0) or 1.0


def _reaction(error: SlackApiError) -> Exception:
    reason, pause = reason_of(error), pause_of(error)
    if pause is not None:
        return Later(pause, insists=True)
    if reason in LOST:
        return MessageLost()
    if reason in CLOSED:
        return ChannelShut(CLOSED[reason])
    log.warning("slack_refused", reason=reason)
    return Refusal(15)
