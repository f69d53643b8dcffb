"""What callers met by the counters, which requests are ours, and answers that no listed replica has counted."""

import pytest

from bot.rotation.counted import Tally
from bot.rotation.finding import Finding, Throwaway
from bot.rotation.replica import Replica, Served
from bot.rotation.weighing import Window
from bot.steps.counters import noticed, rebased
from bot.steps.verdicts import recounted, uncounted
from tests.bot.values import NOW, later, running

THROWAWAY = "keyturn-rabc123-3"
URL = "http://r:9090"


def moved(**fields):
    return running(findings={"m1": Finding(moved_at=NOW)}, **fields)


def look(counts, *, seconds=60, **told):
    made = {"own": {}, "callers": ("ck",), "hears_upstream": True, "total": sum(map(sum, counts.values()))}
    return Replica(url=URL, at=later(seconds), counts=counts, **made | told)


def seen(counts, **told):
    return {"prod": (Window(before=look({}, seconds=0), now=look(counts, **told)),)}


@pytest.mark.parametrize(
    ("counts", "own", "met"),
    [
        # what the counters show, of it ours, what callers met: neither a cache hit nor what a limit turned away
        ({"m1": Served(new=9, reached=9)}, {"m1": Served(new=4)}, {"answered": 5}),
        ({"m1": Served(new=50, reached=2)}, {}, {"answered": 2}),
        ({"m1": Served(limited=83, new=9, reached=9)}, {}, {"answered": 9, "limited": 83}),
        ({"m1": Served(limited=83, refused=83)}, {}, {"failed": 83}),
        ({"m1": Served(limited=83, failed=3, refused=9)}, {}, {"failed": 9, "limited": 77}),
        ({"m1": Served(failed=3, refused=9)}, {"m1": Served(failed=1)}, {"failed": 2}),
        ({"m1": Served(limited=2)}, {"m1": Served(limited=2)}, {}),
        ({"": Served(new=7, reached=7)}, {}, {"answered": 7}),
        ({THROWAWAY: Served(new=19, reached=19)}, {THROWAWAY: Served(new=19)}, {}),
    ],
)
def test_callers_met_what_an_upstream_answered_or_refused_of_their_own_requests(counts, own, met):
    assert noticed(moved(), seen(counts, own=own)).tally == Tally(since=NOW, **met)


def test_where_the_upstreams_part_is_not_told_an_answer_counts_and_a_rate_limit_is_a_failure():
    counts = {"m1": Served(new=50, limited=3)}

    assert noticed(moved(), seen(counts, hears_upstream=False)).tally == Tally(since=NOW, answered=50, failed=3)


def test_the_figures_go_on_when_the_counters_count_from_another_look_and_our_requests_count_from_there_too():
    finding = Finding(moved_at=NOW, answered=7, lost=2, pending=1, pending_at=NOW)
    first = rebased(moved().learn({"m1": finding}), seen({"m1": Served(new=5, reached=5, limited=2)}))
    window = Window(before=first.looks["prod"][URL], now=look({"m1": Served(new=9, reached=9, limited=3)}, seconds=90))

    assert noticed(first, {"prod": (window,)}).tally == Tally(since=NOW, answered=9, limited=3)
    assert first.findings["m1"] == Finding(moved_at=NOW, pending_at=NOW, adrift=1, adrift_at=NOW)


@pytest.mark.parametrize(
    "last",
    [
        look({}, seconds=90, started=2.0),
        Replica(url=URL, at=later(90), trouble="no connection"),
    ],
)
def test_failures_are_not_forgotten_when_their_gateway_restarts_or_goes_dark(last):
    other = Window(
        before=look({}, seconds=0).but(url="http://s:9090"), now=look({}, seconds=90).but(url="http://s:9090")
    )
    first = noticed(moved(), seen({"m1": Served(new=5, reached=5, failed=3)}))
    before = look({}, seconds=0, started=1.0)

    assert noticed(first, {"prod": (Window(before=before, now=last), other)}).tally == first.tally
    assert first.tally.failed == 3


# --- a barrier has no callers, so each of its answers is counted somewhere ---


def barrier(answered: int) -> Throwaway:
    return Throwaway(name=THROWAWAY, environment="prod", sample="m1", answered=answered, everywhere=True)


def window(before: int, now: int, *, started: float = 1.0) -> Window:
    """Two looks at one replica, by how often it has counted the barrier."""
    early, late = look({THROWAWAY: Served(new=before)}, seconds=0), look({THROWAWAY: Served(new=now)})
    return Window(before=early.but(started=1.0), now=late.but(started=started, total=now + 50))


WENT_ON = (window(5, 5), window(4, 4))
BEGAN_AGAIN = (window(5, 0, started=2.0), window(4, 4))
DARK = (Window(before=None, now=Replica(url=URL, at=NOW)),)


@pytest.mark.parametrize(
    ("windows", "answered", "missing"),
    [(WENT_ON, 9, 0), (WENT_ON, 12, 3), (BEGAN_AGAIN, 9, 0), (BEGAN_AGAIN, 14, 5), (DARK, 9, 0), ((), 9, 0)],
)
def test_an_answer_that_no_replica_has_counted_was_given_by_one_that_is_not_told(windows, answered, missing):
    """A restart does not hide it."""
    assert uncounted(recounted(barrier(answered), windows), windows) == missing


def test_counters_that_went_on_are_expected_to_have_it_still():
    assert recounted(barrier(9), WENT_ON) == barrier(9)
