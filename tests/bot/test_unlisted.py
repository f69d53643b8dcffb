"""Replicas that the settings do not name: a barrier has no callers, so each of its answers is counted somewhere."""

import pytest

from bot.evidence import Sight
from bot.replica import Replica, Served
from bot.rotation import Throwaway
from bot.steps.verdicts import has_unlisted, recounted
from tests.bot.values import NOW, later

NAME = "keyturn-rabc123-3"


def barrier(answered: int) -> Throwaway:
    return Throwaway(name=NAME, environment="prod", sample="m1", answered=answered, everywhere=True)


def sight(before: int, now: int, *, started: float = 1.0, number: int = 1) -> Sight:
    """Two looks at one replica, by how often it has counted the barrier."""
    url = f"http://replica-{number}:9090"
    early = Replica(url=url, at=NOW, counts={NAME: Served(new=before)}, total=before, started=1.0)
    late = Replica(url=url, at=later(60), counts={NAME: Served(new=now)}, total=now + 50, started=started)
    return Sight(before=early, now=late)


@pytest.mark.parametrize(("answered", "unlisted"), [(9, False), (10, True)])
def test_an_answer_that_no_replica_has_counted_was_given_by_one_that_is_not_told(answered, unlisted):
    sights = (sight(5, 5), sight(4, 4, number=2))

    assert has_unlisted(barrier(answered), sights, replicas=2) is unlisted


def test_a_replica_that_is_counted_in_the_settings_and_not_told_is_known_without_a_barrier():
    assert has_unlisted(None, (sight(0, 0),), replicas=2)
    assert not has_unlisted(None, (sight(0, 0),), replicas=1)


def test_without_counters_nothing_is_said():
    blind = Sight(before=None, now=Replica(url="http://replica-1:9090", at=NOW))

    assert not has_unlisted(barrier(9), (blind,), replicas=1)


@pytest.mark.parametrize(("answered", "unlisted"), [(9, False), (14, True)])
def test_a_restart_does_not_hide_that_somebody_else_has_answered(answered, unlisted):
    sights = (sight(5, 0, started=2.0), sight(4, 4, number=2))

    assert has_unlisted(recounted(barrier(answered), sights), sights, replicas=2) is unlisted


def test_counters_that_went_on_are_expected_to_have_it_still():
    assert recounted(barrier(9), (sight(5, 5), sight(4, 4, number=2))) == barrier(9)
