"""The chart of a card: where it stands, what it says in words, and that no edit is made for its sake."""

from datetime import timedelta

import pytest

from bot.rotation.record import Rotation
from bot.rotation.series import MOST, Interval, Series
from bot.rotation.states import State
from handlers.views.blocks import Block, weight
from handlers.views.card import card
from handlers.views.chart import CHART_MOST, a_minute, chart
from handlers.views.plainer import NEWER, kinds, without
from tests.handlers import records as r
from tests.handlers.cases import ROTATIONS
from tests.handlers.test_replies import Thread

SOAKING = r.charted(r.running("soak"))


def of_kinds(rotation: Rotation) -> list[str]:
    blocks: list[Block] = card(rotation).content["blocks"]  # type: ignore[assignment]
    return [block["type"] for block in blocks]


@pytest.mark.parametrize(
    ("rotation", "is_shown"),
    [
        (r.running("soak"), True),
        (r.awaiting_approval(), True),
        (r.watched(), True),
        (ROTATIONS["stopped-rejected"], True),
        (ROTATIONS["stopped-projection"], False),
        (r.running("verify"), False),
        (r.running("recheck", approvals=(r.approval(),)), False),
        (r.going_back(), False),
        *((rotation, False) for rotation in ROTATIONS.values() if rotation.is_over),
    ],
)
def test_there_is_a_chart_where_someone_decides_or_watches_and_none_elsewhere(
    rotation: Rotation, *, is_shown: bool
) -> None:
    assert ("data_visualization" in of_kinds(r.charted(rotation))) is is_shown


def test_the_chart_stands_after_the_buttons_and_before_the_table_with_its_words_below_it() -> None:
    order = of_kinds(ROTATIONS["awaiting-approval-proved"])
    at = order.index("data_visualization")

    assert order[at - 1 : at + 3] == ["actions", "data_visualization", "context", "data_table"]


COURSE = SOAKING.series.intervals


@pytest.mark.parametrize(
    "intervals",
    [(), COURSE[:1], tuple(i.but(old=0, new=0, failed=0) for i in COURSE)],
    ids=["none", "one", "no request"],
)
def test_one_interval_is_no_course_and_nor_are_twenty_without_a_request(intervals: tuple[Interval, ...]) -> None:
    assert chart(SOAKING.but(series=SOAKING.series.but(intervals=intervals))) == ([], "")


@pytest.mark.parametrize(
    ("count", "seconds", "rate"), [(0, 5, 0), (1, 3600, 0.02), (1, 86_400, 0.01), (2, 30, 4), (500, 7, 4286)]
)
def test_a_rate_is_of_a_minute_and_a_few_requests_are_never_none(count: int, seconds: int, rate: float) -> None:
    assert a_minute(count, Interval(begin=r.at(0), end=r.at(seconds))) == rate


@pytest.mark.parametrize(
    ("rotation", "said"),
    [
        (r.charted(r.running("soak"), 37), ("old key 58 · new key 1,204 · *failed 37*.", "A minute at the end: 0,")),
        (r.charted(r.running("soak")), ("3 replicas: old key", "failed 0.")),
        (
            r.uncharted(r.running("soak")),
            (
                "1 of 2 environments: old key",
                "Keyturn's own test requests are among them.",
                "Left out, as a gateway restarted, came or went: <!date",
                "Not in it: requests since <!date",
                "Not in it: `production`, whose counters can't be read.",
            ),
        ),
    ],
)
def test_the_words_say_what_the_chart_shows_and_what_it_lacks_also_where_slack_refuses_it(
    rotation: Rotation, said: tuple[str, ...]
) -> None:
    content = card(rotation).content
    plainer = without(content, NEWER)

    assert [words for words in said if words not in str(content["text"])] == []
    assert [words for words in said if words not in str(plainer["blocks"])] == []
    assert "data_visualization" not in kinds(plainer)


def test_the_largest_chart_has_room_whatever_its_numbers() -> None:
    names = {f"env_{n}": f"{'e' * 60}-{n}" for n in range(40)}
    planned = r.plan().but(environments=names)
    day = timedelta(days=1)
    intervals = tuple(
        Interval(begin=r.ASKED + n * day, end=r.ASKED + (n + 0.9) * day, old=10**15, new=10**15, failed=10**15)
        for n in range(MOST)
    )
    read = ROTATIONS["awaiting-approval-proved"].series.read
    series = Series(intervals=intervals, read=read, unread_at=r.at(10**7))

    assert weight(chart(r.running("soak", planned, series=series)).blocks) <= CHART_MOST


def test_the_axis_counts_back_from_the_last_look_so_that_the_card_has_one_clock() -> None:
    ends = (-90_000, -598, -1.5, 0)
    intervals = tuple(Interval(begin=r.at(end - 1), end=r.at(end), old=1) for end in ends)
    drawn = chart(SOAKING.but(series=SOAKING.series.but(intervals=intervals))).blocks[0]["chart"]

    assert drawn["axis_config"]["categories"] == ["-25:00:00", "-0:09:58", "-0:00:02", "0:00:00"]
    assert [point["label"] for point in drawn["series"][0]["data"]] == drawn["axis_config"]["categories"]


async def test_a_look_that_only_adds_to_the_chart_edits_no_message_and_the_next_edit_has_it() -> None:
    thread = Thread()
    await thread.show(SOAKING, r.charted(SOAKING, failed=3))
    assert thread.edited == []

    await thread.show(r.charted(r.awaiting_approval(version=3), failed=3))
    assert "*failed 3*" in thread.said("card")


def test_a_table_of_500_models_is_the_same_whatever_the_chart_says() -> None:
    large = ROTATIONS["awaiting-approval-everything-500-models"]
    assert large.state is State.AWAITING_APPROVAL
    shown = [card(rotation) for rotation in (large, r.charted(large))]

    assert shown[0].content != shown[1].content
    assert shown[0].steady == shown[1].steady
