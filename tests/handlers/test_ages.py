"""The weekly list of old keys, without sockets."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from bot.rotation.age import DueKeys, by_age, due_keys
from bot.rotation.errors import Unanswerable
from bot.rotation.hours import Calendar, Quiet
from handlers.ages import AgeLists
from handlers.slack import ChannelShut
from handlers.views.ages import LISTED_MOST, age_list
from handlers.views.direct import Shut
from tests.bot.values import key
from tests.handlers.test_replies import Thread

DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 23, 6, 59, tzinfo=UTC)
WORK = MONDAY + timedelta(hours=2)
HOURS = Calendar(Quiet(time(22), time(7)), frozenset(range(5)), {"": "UTC"}).of("C_AGES", "")


class Week:
    """A store and a Slack that several processes share, and what is due."""

    def __init__(self) -> None:
        self.thread, self.time, self.is_away, self.shut = Thread(), MONDAY, False, False
        self.due = due_keys(
            by_age([key(created_at=MONDAY - 200 * DAY)], {}), lambda _: 90 * DAY, MONDAY, under_way=(), holds={}
        )

    async def due_keys(self) -> DueKeys:
        if self.is_away:
            raise Unanswerable("AISIX is not answering.")
        return self.due

    async def post(self, content: dict[str, Any], **_: str) -> dict[str, str]:
        if self.shut:
            raise ChannelShut(Shut.LEFT)
        return await self.thread.chat_postMessage(**content)

    async def edit(self, content: dict[str, Any], *, channel: str, ts: str) -> None:
        assert channel == "C_OPS"
        await self.thread.chat_update(ts=ts, **content)

    def process(self) -> AgeLists:
        this: Any = self
        store: Any = self.thread
        return AgeLists(this, store, this, this.thread.announcer, channel="C_AGES", hours=HOURS, now=lambda: self.time)

    async def at(self, moment: datetime, *processes: AgeLists) -> int:
        """Have each process look at this moment, twice; return how many messages there are by then."""
        self.time = moment
        for process in [*processes, *processes]:
            await process.refresh()
        return len(self.thread.channel)


@pytest.fixture
def week() -> Week:
    return Week()


async def test_the_list_is_posted_once_a_week_in_working_time_by_whichever_process_is_first(week):
    one, other = week.process(), week.process()

    assert await week.at(MONDAY, one, other) == 0, "it is night"
    assert await week.at(MONDAY + timedelta(minutes=1), one, other) == 1
    assert await week.at(WORK + 3 * DAY, one, other, week.process()) == 1, "a restart posts none"
    assert await week.at(WORK + 6 * DAY, one, other) == 1, "it is Sunday"
    assert await week.at(WORK + 8 * DAY, one, other) == 2
    assert week.thread.edited == ["0.0"], "the old one is taken out of the way"
    assert "is over" in week.thread.channel["0.0"]["text"]


async def test_where_nothing_is_due_nothing_is_posted_and_the_old_list_is_over(week):
    one = week.process()
    assert await week.at(WORK + DAY, one) == 1

    week.due = DueKeys((), 3)
    assert await week.at(WORK + 8 * DAY, one) == 1
    assert week.thread.edited == ["0.0"]
    assert await week.at(WORK + 15 * DAY, one) == 1
    assert week.thread.edited == ["0.0"]


@pytest.mark.parametrize("what", ["is_away", "shut"])
async def test_what_does_not_answer_is_tried_again_in_the_same_week(week, what):
    one = week.process()
    setattr(week, what, True)
    assert await week.at(WORK + DAY, one) == 0

    setattr(week, what, False)
    assert await week.at(WORK + DAY + timedelta(minutes=9), one) == 0
    assert await week.at(WORK + DAY + timedelta(minutes=10), one) == 1


def test_the_oldest_keys_are_listed_and_the_others_counted():
    keys = [key(f"pk_{n}", f"Key {n}", created_at=MONDAY - (100 + n) * DAY) for n in range(LISTED_MOST + 5)]
    due = due_keys(
        by_age([*keys, key("pk_x"), key("pk_new", created_at=MONDAY)], {}),
        lambda _: 90 * DAY,
        MONDAY,
        under_way=(),
        holds={},
    )
    blocks = age_list(due, {}, MONDAY)["blocks"]
    values = [block["accessory"]["value"] for block in blocks if "accessory" in block]

    assert values == [f"pk_{n}" for n in range(LISTED_MOST + 4, 4, -1)]
    assert "And 5 more" in str(blocks[-1])
    assert "1 more key of unknown age" in str(blocks[-1])
