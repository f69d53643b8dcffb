"""When something was pressed is read from what Slack sends, or bounded by how long the process was away."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.rotation.policy import Pressed
from handlers import socket
from handlers.people import SlackDirectory
from handlers.pressed import EVERY, JUST_BACK, Absence, pressed_of

AT = datetime(2026, 11, 23, 14, 2, 0, 250_000, UTC)
STAMP = f"{AT.timestamp():.6f}"
SENT = {"x-slack-request-timestamp": [f"{AT.timestamp():.0f}"]}
SECOND = AT.replace(microsecond=0)
AWAY = timedelta(seconds=90)


def click(stamp: Any) -> dict[str, Any]:
    return {"type": "block_actions", "actions": [{"action_ts": stamp}]}


@pytest.mark.parametrize(
    ("body", "headers", "pressed"),
    [
        (click(STAMP), {}, Pressed(at=AT)),
        (click(STAMP), {"x-slack-request-timestamp": ["1"]}, Pressed(at=AT)),
        (click(None), SENT, Pressed(at=SECOND)),
        *((click(stamp), {}, Pressed()) for stamp in (None, "", "soon", "-1", "1e9", 7, "9" * 40, "nan", [], {})),
        ({"type": "block_actions", "actions": []}, {}, Pressed()),
        ({"type": "view_submission"}, SENT, Pressed(at=SECOND, away=AWAY)),
        ({"type": "view_submission"}, {}, Pressed(away=AWAY)),
    ],
)
def test_a_click_tells_its_time_and_a_form_only_over_http(body, headers, pressed):
    assert pressed_of(body, headers, AWAY) == pressed


class Process:
    """A process that looks at itself, and how long it was away."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.absence = Absence(lambda: self.now)

    def looks(self, *, after: float, times: int = 1) -> timedelta:
        for _ in range(times):
            self.now += after
            self.absence.look()
        return self.absence.recent


def test_a_process_that_looks_at_itself_in_time_was_never_away():
    assert Process().looks(after=EVERY * 1.5, times=50) == timedelta(0)


def test_what_is_taken_right_after_an_absence_may_have_waited_for_all_of_it():
    process = Process()
    process.now += 90
    assert process.absence.recent == AWAY  # before its first look as well

    assert process.looks(after=0) == AWAY
    assert process.looks(after=EVERY, times=int(JUST_BACK / EVERY) - 1) == AWAY
    assert process.looks(after=EVERY) == timedelta(0)


@pytest.mark.parametrize(
    ("headers", "told_at"),
    [
        ({"Date": "Mon, 23 Nov 2026 14:02:00 GMT"}, SECOND),
        ({"Date": "Mon, 23 Nov 2026 15:02:00 +0100"}, SECOND),
        *(({"Date": date}, None) for date in ("", "soon", "1795442520", "Mon, 99 Nov 2026 14:02:00 GMT")),
        ({}, None),
        (None, None),
    ],
)
async def test_slacks_time_is_that_of_its_answer(headers, told_at):
    said = {"ok": True, "user": {"id": "U_APPROVER"}}
    answer = AsyncSlackResponse(
        client=None, http_verb="GET", api_url="", req_args={}, data=said, headers=headers, status_code=200
    )
    client = AsyncMock(**{"users_info.return_value": answer})

    assert (await SlackDirectory(client, "T1").person("U_APPROVER")).told_at == told_at


async def test_a_process_on_a_socket_keeps_looking_at_itself(monkeypatch):
    monkeypatch.setattr(socket, "WATCH_EVERY", 0)
    process = Process()
    app = AsyncApp(name="a test", client=AsyncWebClient("xoxb-1"), request_verification_enabled=False)
    kept = socket.Socket(app, app.client, "xapp-1", timeout=1, absence=process.absence)
    watch = asyncio.create_task(kept._keep())  # noqa: SLF001 - without a Slack to connect to
    for _ in range(20):
        process.now += EVERY
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    watch.cancel()
    await kept.close()

    assert process.absence.recent == timedelta(0)
