"""What callers met: what an upstream answered or refused; neither cache hits, nor what a rate limit turned away."""

import pytest

from bot.rotation.counted import Tally
from bot.rotation.finding import Finding
from bot.rotation.replica import Replica, Served
from bot.rotation.weighing import Window
from bot.steps.counters import noticed, rebased
from tests.bot.values import NOW, later, running

THROWAWAY = "keyturn-rabc123-3"
OWN = {"m1": Served(new=4), THROWAWAY: Served(new=19)}
URL = "http://r:9090"


def moved(**fields):
    return running(findings={"m1": Finding(moved_at=NOW)}, **fields)


def look(counts, *, seconds=60, **told):
    made = {"own": {}, "callers": ("ck",), "hears_upstream": True, "total": sum(map(sum, counts.values()))}
    return Replica(url=URL, at=later(seconds), counts=counts, **made | told)


def seen(counts, **told):
    before = look({}, seconds=0, **{name: None for name in ("own",) if told.get("own", 1) is None})
    return {"prod": (Window(before=before, now=look(counts, **told)),)}


MET = [
    # what the counters show, of it ours, what callers met
    ({"m1": Served(new=9, reached=9)}, {}, {"answered": 9}),
    ({"m1": Served(new=9, reached=9)}, {"m1": Served(new=4)}, {"answered": 5}),
    ({"m1": Served(new=50, reached=2)}, {}, {"answered": 2}),
    ({"m1": Served(limited=83, new=9, reached=9)}, {}, {"answered": 9, "limited": 83}),
    ({"m1": Served(limited=83, refused=83)}, {}, {"failed": 83}),
    ({"m1": Served(limited=83, refused=3)}, {}, {"failed": 3, "limited": 80}),
    ({"m1": Served(limited=83, failed=3, refused=9)}, {}, {"failed": 9, "limited": 77}),
    ({"m1": Served(failed=3, refused=9)}, {}, {"failed": 3}),
    ({"m1": Served(failed=3)}, {"m1": Served(failed=1)}, {"failed": 2}),
    ({"m1": Served(limited=2)}, {"m1": Served(limited=2)}, {}),
    ({"": Served(new=7, reached=7)}, {}, {"answered": 7}),
    ({THROWAWAY: Served(new=19, reached=19)}, {THROWAWAY: Served(new=19)}, {}),
]


@pytest.mark.parametrize(("counts", "own", "met"), MET)
def test_callers_met_what_an_upstream_answered_or_refused_of_their_own_requests(counts, own, met):
    assert noticed(moved(), seen(counts, own=own)).tally == Tally(since=NOW, **met)


def test_where_the_upstreams_part_is_not_told_an_answer_counts_and_a_rate_limit_is_a_failure():
    counts = {"m1": Served(new=50, limited=3)}

    assert noticed(moved(), seen(counts, hears_upstream=False)).tally == Tally(since=NOW, answered=50, failed=3)


def test_the_figures_go_on_when_the_counters_count_from_another_look():
    first = rebased(moved(), seen({"m1": Served(new=5, reached=5, limited=2)}))
    then = first.looks["prod"][URL]
    now = look({"m1": Served(new=9, reached=9, limited=3)}, seconds=90)
    met = noticed(first, {"prod": (Window(before=then, now=now),)}).tally

    assert met == Tally(since=NOW, answered=9, limited=3)


def test_our_test_requests_count_from_the_same_looks_as_the_counters():
    finding = Finding(moved_at=NOW, answered=7, lost=2, pending=1, pending_at=NOW)

    after = rebased(moved().learn({"m1": finding}), seen({}))

    assert after.findings["m1"] == Finding(moved_at=NOW, pending_at=NOW, adrift=1, adrift_at=NOW)


def test_whose_requests_are_ours_is_remembered_from_one_look_to_the_next():
    assert noticed(moved(), seen({}, callers=("ck-probe",))).callers == {"prod": ("ck-probe",)}
