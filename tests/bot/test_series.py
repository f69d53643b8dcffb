"""The series that a card draws: only what was read, never a zero for what was not."""

from itertools import pairwise

import pytest

from bot.rotation.replica import Replica, Served
from bot.rotation.series import MOST, Series, extended
from bot.rotation.states import State
from bot.rotation.weighing import Window
from bot.steps.counters import noticed
from tests.bot.values import later, running


def shown(seconds, old=0, new=0, failed=0, url="http://r:1", **told):
    """Return what a replica shows that many seconds on: all that it has counted since it started."""
    served = Served(old=old, new=new, reached=new, failed=failed)
    made = {"own": {}, "callers": ("ck",), "hears_upstream": True, "started": 1.0, "total": old + new + failed}
    made |= {"meters": {"a": old} if old else {}, "old": old, "counts": {"m1": served} if any(served) else {}}
    return Replica(url=url, at=later(seconds), **made | told)


def dark(seconds):
    return Replica(url="http://r:1", at=later(seconds), trouble="no connection")


def of(*looks, environment="prod"):
    """Return the series after *looks*: each is what one replica or several show."""
    series = Series()
    for look in looks:
        series = extended(series, {environment: look if isinstance(look, list) else [look]})
    return series


OURS = {"m1": Served(new=3, failed=1)}


def told(series):
    """Return the intervals as numbers: from when to when, on the old key, on the new key, failed."""
    zero = later(0)
    return [
        ((i.begin - zero).total_seconds(), (i.end - zero).total_seconds(), i.old, i.new, i.failed)
        for i in series.intervals
    ]


def test_an_interval_holds_what_every_replica_counted_between_two_looks():
    other = {"url": "http://r:2"}
    looks = (
        [shown(0, old=100), shown(0, old=7, **other)],
        [shown(10, old=130, new=5), shown(10, old=7, new=3, **other)],
        [shown(20, old=130, new=45, failed=2), shown(20, old=8, new=3, **other)],
    )

    assert told(of(*looks)) == [(0, 10, 30, 8, 0), (10, 20, 1, 40, 2)]


@pytest.mark.parametrize(
    ("looks", "intervals", "gaps"),
    [
        # one that can't be read makes the next interval longer
        ((shown(0), shown(10, new=5), dark(20), shown(30, new=9)), [(0, 10, 0, 5, 0), (10, 30, 0, 4, 0)], []),
        # so does one whose counters do not tell the key
        (
            (shown(0), shown(10, new=5, counts={"m1": Served(blind=5)}), shown(20, new=9)),
            [(0, 20, 0, 9, 0)],
            [],
        ),
        # one that restarted, or counts less, leaves a gap
        (
            (shown(0), shown(10, new=5), shown(20, new=50, started=2.0), shown(30, new=53, started=2.0)),
            [(0, 10, 0, 5, 0), (20, 30, 0, 3, 0)],
            [(10, 20)],
        ),
        ((shown(0), shown(10, new=5), shown(20, new=1)), [(0, 10, 0, 5, 0)], [(10, 20)]),
        ((shown(0, old=5), shown(10, old=9), shown(20, old=2, total=99)), [(0, 10, 4, 0, 0)], [(10, 20)]),
        # so does one that came
        (
            (shown(0), shown(10, new=5), [shown(20, new=5), shown(20, new=800, url="http://r:2")]),
            [(0, 10, 0, 5, 0)],
            [(10, 20)],
        ),
        # the same look noted twice is one; a very short interval belongs to the last one, or to the next
        ((shown(0), shown(10, new=5), shown(10, new=5)), [(0, 10, 0, 5, 0)], []),
        ((shown(0), shown(10, new=5), shown(10.5, failed=1, new=6)), [(0, 10.5, 0, 6, 1)], []),
        ((shown(0), shown(0.5, failed=1), shown(10, failed=1, new=6)), [(0, 10, 0, 6, 1)], []),
    ],
)
def test_what_was_not_read_is_never_a_zero(looks, intervals, gaps):
    series = of(*looks)

    assert told(series) == intervals
    assert series.gaps == [(later(begin), later(end)) for begin, end in gaps]


def test_since_when_a_gateway_cant_be_read_is_known_until_it_can():
    assert of(shown(0), shown(10), dark(20)).unread_at == later(20)
    assert of(shown(0), shown(10), dark(20), shown(30)).unread_at is None


def test_a_look_at_some_environments_tells_of_no_interval():
    series = extended(Series(), {"prod": [shown(0)], "stag": [shown(0, url="http://s:1")]})

    assert extended(series, {"prod": [shown(10, new=5)]}) == series
    assert extended(series, {}) == series


@pytest.mark.parametrize(
    ("early", "late", "intervals", "has_tests"),
    [
        (shown(0), shown(9, new=9, failed=2, own=OURS), (0, 9, 0, 6, 1), False),
        (shown(0, own=None), shown(9, new=9, failed=2, own=OURS), (0, 9, 0, 6, 1), False),  # there were none before
        (shown(0, own=None, new=4), shown(9, new=9, own=OURS), (0, 9, 0, 5, 0), True),
        (shown(0), shown(9, new=9, own=None), (0, 9, 0, 9, 0), True),
    ],
)
def test_our_own_requests_are_left_out_or_the_interval_says_that_they_are_in(early, late, intervals, has_tests):
    series = of(early, late)

    assert told(series) == [intervals]
    assert series.intervals[0].has_tests is has_tests


def test_what_is_refused_for_want_of_the_deleted_key_failed():
    assert told(of(shown(0), shown(9, orphaned={"m1": 4}))) == [(0, 9, 0, 0, 4)]


@pytest.mark.parametrize(("deleted_at", "failed"), [(None, 0), (later(0), 4)])
def test_what_was_refused_for_a_missing_key_before_the_delete_is_not_the_rotations_doing(deleted_at, failed):
    record = running(deleted_at=deleted_at, orphaned=("late",))
    for look in (shown(0, orphaned={"late": 9}), shown(9, orphaned={"late": 30, "m1": 4})):
        record = noticed(record, {"prod": (Window(before=None, now=look),)})

    assert told(record.series) == [(0, 9, 0, 0, failed)]


def test_more_than_twenty_intervals_are_joined_the_shortest_first_and_no_request_is_lost():
    looks = [shown(second, new=second) for second in (*range(0, 60, 2), *range(60, 600, 30))]
    series = of(*looks)
    lengths = [interval.length.total_seconds() for interval in series.intervals]

    assert len(series.intervals) == MOST
    assert sum(interval.new for interval in series.intervals) == looks[-1].counts["m1"].new
    assert all(one.end == after.begin for one, after in pairwise(series.intervals))
    assert lengths[-17:] == [30.0] * 17


def test_over_gaps_nothing_is_joined_so_the_oldest_goes():
    series = Series()
    for number in range(MOST + 3):
        for seconds in (0, 5):
            series = extended(series, {"prod": [shown(number * 10 + seconds, started=float(number + 1))]})

    assert told(series)[0][:2] == (30, 35)
    assert len(series.intervals) == MOST


def test_a_record_keeps_it_small_and_one_of_an_older_version_has_none():
    series = of(*(shown(seconds, old=9, new=seconds) for seconds in range(0, 300, 10)))
    record = running(series=series)
    older = {name: value for name, value in record.model_dump().items() if name != "series"}

    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert len(series.model_dump_json()) < 3500
    assert type(record).model_validate(older).series == Series()
    assert record.without_secret().series == Series()


async def test_a_rotation_has_a_series_of_what_its_callers_met_from_the_looks_that_it_takes_anyway(tenancy):
    machine = await tenancy.machine(soak=900)
    record = await machine.done(await tenancy.begun(machine), "baseline")
    await tenancy.ask("production", "chat-large")
    record = await machine.done(record, "verify")
    looks = []
    while record.state is State.RUNNING:
        await tenancy.ask("production", "chat-large")
        record, before = await machine.notch(record), record
        looks += [record.look_at] if record.look_at != before.look_at else []

    met = record.series.intervals
    assert 20 < len(looks) < 40
    assert len(met) == MOST
    assert sum(interval.old for interval in met) == met[0].old == 1
    assert sum(interval.new for interval in met) == record.tally.answered > MOST
    assert not any(interval.failed or interval.has_tests for interval in met)
    assert (record.series.gaps, record.series.unread_at) == ([], None)
