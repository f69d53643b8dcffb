"""Put the receipt's file into the thread, where the app has the scope `files:write`."""

import asyncio

import structlog
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.record import Rotation
from handlers.connect import may_attach
from handlers.slack import UNREACHABLE, reason_of
from handlers.views.export import export

log = structlog.get_logger("keyturn.attaching")

UNGRANTED = "missing_scope"

WITHIN = 10.0
"""Seconds for the three calls together: the receipt waits for them."""


async def attach(client: AsyncWebClient, rotation: Rotation, *, channel: str, thread_ts: str) -> bool:
    """Share the file once; tell whether it is known to be there. Nobody tries again: it might be there twice."""
    if may_attach(client) is False:
        return False
    file = export(rotation)
    try:
        async with asyncio.timeout(WITHIN):
            await client.files_upload_v2(
                filename=file.name, title=file.title, content=file.content, channel=channel, thread_ts=thread_ts
            )
    except SlackApiError as error:
        reason = reason_of(error)
    except SlackRequestError:  # its text has the body of an answer
        reason = "not_uploaded"
    except (*UNREACHABLE, TypeError) as error:  # the SDK raises the last for an answer that names no file
        reason = type(error).__name__
    else:
        return True
    if reason != UNGRANTED:
        log.error("file_not_attached", rotation=rotation.id, reason=reason)
    return False
