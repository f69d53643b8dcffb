"""Replies are told once; a receipt is edited when it comes to another edition, and not before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.rotation.record import Rotation
from handlers.announcer import SlackAnnouncer
from handlers.commands import status
from tests.handlers import records as r


class Memory:
    """Remembers messages as the store does."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    @asynccontextmanager
    async def leased(self, *_: Any) -> AsyncIterator[bool]:
        yield True

    async def messages(self, _: str) -> dict[str, str]:
        return dict(self.fields)

    async def remember_message(self, _: str, fields: dict[str, str]) -> None:
        self.fields.update(fields)

    async def edits_this_minute(self, _: int) -> int:
        return 0

    async def concerning(self, _: str) -> list[Rotation]:
        return []


class Channel:
    """Keeps the messages of a channel, and which were edited."""

    def __init__(self) -> None:
        self.messages: dict[str, Any] = {}
        self.edited: list[str] = []

    async def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        ts = f"{len(self.messages)}.0"
        self.messages[ts] = message
        return {"ts": ts, "channel": "C_OPS"}

    async def chat_update(self, *, ts: str, **message: Any) -> None:
        self.messages[ts] = message
        self.edited.append(ts)


class Thread:
    """What a person sees of one rotation."""

    def __init__(self) -> None:
        self.memory, self.channel = Memory(), Channel()
        self.announcer = SlackAnnouncer(
            self.channel,  # type: ignore[arg-type] - a stand-in
            self.memory,  # type: ignore[arg-type] - a stand-in
            team_url="https://keyturn.slack.com",
            approvers=frozenset({"S_APPROVERS"}),
            edits_per_minute=40,
            lease=timedelta(seconds=30),
            now=lambda: datetime.now(UTC),
        )

    async def show(self, rotation: Rotation) -> None:
        self.channel.edited.clear()
        self.memory.fields = {k: v for k, v in self.memory.fields.items() if not k.endswith(":at")}
        assert await self.announcer.show(rotation) is None

    def edits(self, key: str) -> int:
        parts = [part for part in self.memory.fields if part == key or part.startswith(f"{key}:")]
        return sum(self.memory.fields[part] in self.channel.edited for part in parts)

    def said(self, key: str) -> str:
        return str(self.channel.messages[self.memory.fields[key]]["text"])


@pytest.fixture
def thread() -> Thread:
    return Thread()


async def test_the_receipt_is_edited_at_the_end_of_the_watch(thread: Thread) -> None:
    await thread.show(r.watched())
    assert "no problems so far" in thread.said("receipt")

    await thread.show(r.completed_after_watch(version=2))

    assert "Watched for 1 h: no problems." in thread.said("receipt")
    assert thread.edits("receipt") == 1


async def test_a_look_that_finds_nothing_edits_no_receipt(thread: Thread) -> None:
    await thread.show(r.watched(tally=r.CALLERS))
    await thread.show(r.watched(tally=r.FAILING_CALLERS, version=2))

    assert thread.edits("receipt") == 0
    assert thread.edits("card") == 1


async def test_trouble_is_told_and_edits_the_receipt(thread: Thread) -> None:
    await thread.show(r.watched())
    await thread.show(r.watched(troubles=(r.trouble(),), version=2))

    assert "1 problem so far, 1 still open" in thread.said("receipt")
    assert "There is no way back to the old key." in thread.said(f"trouble:{r.at(900).isoformat()}")


async def test_every_part_of_a_long_receipt_is_edited(thread: Thread) -> None:
    many = r.plan(r.many(700))
    await thread.show(r.watched(many))
    await thread.show(r.completed_after_watch(many, version=2))

    assert "receipt:2" in thread.memory.fields
    assert thread.edits("receipt") > 1


async def test_other_replies_are_told_once(thread: Thread) -> None:
    await thread.show(r.running("project", voids=(r.void(),)))
    told = len(thread.channel.messages)
    await thread.show(r.running("verify", voids=(r.void(),), version=2))

    assert len(thread.channel.messages) == told


async def test_the_first_wave_is_told_once_and_the_end_of_the_move_when_all_are_moved(thread: Thread) -> None:
    for version, wave, moved, verified in ((1, 0, 1, 0), (2, 1, 1, 1), (3, 2, 7, 4)):
        await thread.show(r.in_waves("verify", wave, moved, verified).but(version=version))

    assert "First wave: `chat-001`" in thread.said("wave:1")
    assert not any(key.startswith("moved:") for key in thread.memory.fields)

    await thread.show(r.in_waves("tidy", 2, 12, 12).but(version=4))

    assert sum(key.startswith("moved:") for key in thread.memory.fields) == 1


class Rotations:
    async def check_may_look(self, *_: str, by: str) -> None:
        assert by == "U_MEMBER"

    async def under_way(self) -> list[Rotation]:
        return [r.watched(), r.running("verify")]


async def test_the_list_tells_a_watch_from_what_is_still_to_come(thread: Thread) -> None:
    said = await status(Rotations(), thread.announcer, "U_MEMBER")  # type: ignore[arg-type] - a stand-in

    assert "`OpenAI production`: old key deleted, watching, asked for by" in said
    assert "`OpenAI production`: running, asked for by" in said
