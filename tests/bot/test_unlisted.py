"""Replicas that the settings do not name: a barrier has no callers, so each of its answers is counted somewhere."""

import pytest

from bot.rotation.finding import Throwaway
from bot.rotation.replica import Replica, Served
from bot.rotation.weighing import Window
from bot.steps.verdicts import recounted, uncounted
from tests.bot.values import NOW, later

NAME = "keyturn-rabc123-3"


def barrier(answered: int) -> Throwaway:
    return Throwaway(name=NAME, environment="prod", sample="m1", answered=answered, everywhere=True)


def window(before: int, now: int, *, started: float = 1.0, number: int = 1) -> Window:
    """Two looks at one replica, by how often it has counted the barrier."""
    url = f"http://replica-{number}:9090"
    early = Replica(url=url, at=NOW, counts={NAME: Served(new=before)}, total=before, started=1.0)
    late = Replica(url=url, at=later(60), counts={NAME: Served(new=now)}, total=now + 50, started=started)
    return Window(before=early, now=late)


@pytest.mark.parametrize(("answered", "missing"), [(9, 0), (10, 1), (12, 3)])
def test_an_answer_that_no_replica_has_counted_was_given_by_one_that_is_not_told(answered, missing):
    windows = (window(5, 5), window(4, 4, number=2))

    assert uncounted(barrier(answered), windows) == missing


def test_without_counters_nothing_is_said():
    blind = Window(before=None, now=Replica(url="http://replica-1:9090", at=NOW))

    assert uncounted(barrier(9), (blind,)) == 0
    assert uncounted(barrier(9), ()) == 0


@pytest.mark.parametrize(("answered", "missing"), [(9, 0), (14, 5)])
def test_a_restart_does_not_hide_that_somebody_else_has_answered(answered, missing):
    windows = (window(5, 0, started=2.0), window(4, 4, number=2))

    assert uncounted(recounted(barrier(answered), windows), windows) == missing


def test_counters_that_went_on_are_expected_to_have_it_still():
    assert recounted(barrier(9), (window(5, 5), window(4, 4, number=2))) == barrier(9)
