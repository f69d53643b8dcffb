"""A message that Slack refuses comes again plainer, and holds up no other message of its rotation."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from structlog.testing import capture_logs

from bot.rotation.errors import CannotPost
from bot.rotation.record import Rotation
from bot.telemetry.metrics import REFUSED
from handlers.views.plainer import kinds
from tests.handlers import records as r
from tests.handlers.test_replies import Thread

Message = dict[str, Any]
ASKED = r.awaiting_approval()
POINTER = "unsupported block type: data_table [json-pointer:/blocks/{}/type]"


class Picky(Thread):
    """A Slack that refuses messages, by the word that `refuses` returns for each; and a clock that stands."""

    refuses: Callable[[Message], str | None] = staticmethod(lambda _: None)
    named = True
    """Whether it says which block it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = r.at(9000)
        self.tried: list[Message] = []
        self.direct: list[Message] = []
        self.gone: set[str] = set()

    def now(self) -> datetime:
        return self.clock

    async def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        if message["channel"] == r.REQUESTER:
            self.direct.append(message)
            return {"ts": "1.0", "channel": "D_REQUESTER"}
        if message.get("thread_ts") in self.gone:
            raise SlackApiError("", {"error": "thread_not_found"})
        self._judge(message)
        return await super().chat_postMessage(**message)

    async def chat_update(self, *, ts: str, **message: Any) -> None:
        if ts in self.gone:
            raise SlackApiError("", {"error": "message_not_found"})
        self._judge(message)
        await super().chat_update(ts=ts, **message)

    def _judge(self, message: Message) -> None:
        self.tried.append(message)
        if word := self.refuses(message):
            places = [at for at, block in enumerate(message.get("blocks", [])) if block["type"] == "data_table"]
            complaints = [POINTER.format(at) for at in places if self.named]
            answer = {"ok": False, "error": word, "response_metadata": {"messages": complaints}}
            raise SlackApiError("", answer)

    async def refused(self, rotation: Rotation = ASKED) -> timedelta | None:
        """Show the next version of a rotation; return when it is to be shown again."""
        with capture_logs():
            return await self.announcer.show(rotation.but(version=2))

    @property
    def card(self) -> Message:
        return self.channel[self.fields["card"]]


@pytest.fixture
def slack() -> Picky:
    return Picky()


def has(kind: str) -> Callable[[Message], str | None]:
    return lambda message: "invalid_blocks" if kind in kinds(message) else None


def counted() -> float:
    samples = (one for family in REFUSED.collect() for one in family.samples if one.name.endswith("_total"))
    return sum(one.value for one in samples)


def is_card(message: Message) -> str | None:
    return "invalid_blocks" if "waiting for an approver" in message["text"] and "thread_ts" not in message else None


@pytest.mark.parametrize("named", [True, False])
async def test_a_block_that_is_refused_comes_as_another_until_a_day_has_passed(slack: Picky, *, named: bool) -> None:
    slack.refuses, slack.named = has("data_table"), named
    before = counted()
    with capture_logs() as logs:
        await slack.show(r.awaiting_approval())
        tried = [message for message in slack.tried if "thread_ts" not in message]
        await slack.show(r.nudged(r.awaiting_approval(version=1), 14_000))

    assert "data_table" not in kinds(slack.card)
    assert {"actions", "context"} <= kinds(slack.card)
    assert ["data_table" in kinds(message) for message in tried] == [True, False]
    assert not any("data_table" in kinds(message) for message in slack.tried[len(tried) :]), "not tried again"
    assert "still waits" in str(slack.channel)
    (told,) = [log for log in logs if log["event"] == "message_refused"]
    assert (told["log_level"], told["reason"]) == ("error", "invalid_blocks")
    assert told["lacking"] == ["data_table"] if named else "data_table" in told["lacking"]
    assert told["said"].startswith("unsupported block type: data_table") is named
    assert counted() == before + 1

    slack.clock += timedelta(hours=25)
    slack.refuses = lambda _: None
    await slack.show(r.nudged(r.awaiting_approval(version=2), 15_000))
    assert "data_table" in kinds(slack.card), "Slack has brought it meanwhile"


async def test_a_card_that_is_refused_as_a_whole_holds_up_no_reply_and_tells_the_people_who_have_to_act(
    slack: Picky,
) -> None:
    await slack.show(r.running("verify"))
    slack.refuses = is_card

    waits = [await slack.refused()]
    tried = len(slack.tried)
    slack.clock += timedelta(seconds=5)
    assert await slack.refused() == timedelta(seconds=10)
    assert len(slack.tried) == tried, "not tried again at once"
    slack.clock -= timedelta(seconds=5)
    for _ in range(5):
        slack.clock += waits[-1] or timedelta()
        waits.append(await slack.refused())

    assert "Approval wanted" in str(slack.channel)
    (told,) = slack.direct
    assert "waiting for an approver" in told["text"]
    assert [wait.total_seconds() for wait in waits if wait] == [15, 15, 30, 60, 120, 240]
    slack.refuses = lambda _: None
    slack.clock += timedelta(hours=1)
    assert await slack.refused() is None
    assert "waiting for an approver" in slack.card["text"]


async def test_a_new_state_is_tried_at_once_though_the_one_before_was_refused(slack: Picky) -> None:
    await slack.show(r.running("verify"))
    slack.refuses = is_card
    assert await slack.refused()

    assert await slack.refused(r.completed()) is None
    assert "deleted" in slack.card["text"]


async def test_a_card_that_is_refused_for_a_week_after_the_end_is_given_up(slack: Picky) -> None:
    await slack.show(r.running("verify"))
    slack.refuses = lambda message: "invalid_blocks" if "thread_ts" not in message else None
    assert await slack.refused(r.completed())

    slack.clock += timedelta(days=6)
    assert await slack.refused(r.completed())
    slack.clock += timedelta(days=2)
    assert await slack.refused(r.completed()) is None


async def test_a_reply_that_is_refused_holds_up_neither_the_card_nor_the_other_replies(slack: Picky) -> None:
    await slack.show(r.running("verify"))
    slack.refuses = lambda message: "msg_too_long" if "is ready to finish" in message["text"] else None

    assert await slack.refused() == timedelta(seconds=15)

    assert "waiting for an approver" in slack.card["text"]
    assert slack.direct == []


async def test_a_card_that_is_gone_and_refused_leaves_no_reply_outside_its_thread(slack: Picky) -> None:
    await slack.show(r.running("verify"))
    slack.gone, slack.refuses = {slack.fields["card"]}, lambda _: "invalid_blocks"
    slack.tried.clear()

    assert await slack.refused()

    assert slack.direct
    assert not any("thread_ts" in message for message in slack.tried)


async def test_what_is_about_no_message_is_tried_with_one_message_alone(slack: Picky) -> None:
    await slack.show(r.running("verify"))
    slack.tried.clear()
    slack.refuses = lambda _: "invalid_auth"

    assert await slack.refused() == timedelta(seconds=15)

    assert len(slack.tried) == 1


async def test_a_first_card_that_is_refused_begins_nothing(slack: Picky) -> None:
    slack.refuses = lambda _: "invalid_blocks"

    with capture_logs(), pytest.raises(CannotPost, match="Slack refuses Keyturn's card"):
        await slack.announcer.first(r.awaiting_secret())
