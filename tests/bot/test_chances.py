"""Without status addresses: the chance that Delete is offered while one replica is stuck, over a whole rotation."""

from random import Random

import pytest

from bot.steps.counters import MISSED, most_turns, turns
from bot.steps.pacing import AT_ONCE

PROBES = 3
POLLS = 480
"""Tests in one step: four a second for as long as PROJECTION_TIMEOUT lasts, where each fails at once."""

STEPS = 12
"""Steps of one rotation: three waves, and three times **Try again** for each."""

REPLICAS = range(2, 11)


def run_of(replicas: int, attempt: int) -> int:
    """How many good answers in a row a test takes: as `bot.steps.project` has it, for a replica more than told."""
    return turns(replicas + 1, PROBES, attempt)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_the_chances_of_all_tests_of_a_rotation_add_up_to_one_in_a_thousand_at_most(replicas):
    missed = 1 - 1 / replicas  # that one answer comes from another replica than the one that is stuck
    fooled = sum(missed ** run_of(replicas, attempt) for attempt in range(1, POLLS * STEPS + 1))

    assert fooled <= MISSED


@pytest.mark.parametrize("replicas", REPLICAS)
def test_a_hundred_models_miss_a_replica_with_at_most_the_stated_chance(replicas):
    unmet = 100 * replicas * (1 - 1 / replicas) ** most_turns(replicas, PROBES)

    assert unmet <= MISSED


def by_chance(_: int, replicas: int, chance: Random) -> int:
    """A balancer that casts a die for each request."""
    return chance.randrange(replicas)


def by_turns(place: int, replicas: int, chance: Random) -> int:
    """One that deals in turn, to us and to callers between us; or by a cookie, as we send none back."""
    return (place + 1 + chance.randrange(3 * replicas)) % replicas


def is_fooled(replicas: int, balancer, chance: Random, polls: int) -> bool:
    """Play the tests of a step, as they are asked: a handful at a time, until one meets the stuck replica."""
    place = 0
    for attempt in range(1, polls + 1):
        passes = 0
        while True:
            left = run_of(replicas, attempt) - passes
            most = max(1, min(left, AT_ONCE))
            handful = most if passes else chance.randint(1, most)
            met = [place := balancer(place, replicas, chance) for _ in range(handful)]
            if 0 in met:  # the first one is stuck: it does not know the barrier
                break
            passes += handful
            if passes >= run_of(replicas, attempt):
                return True
    return False


@pytest.mark.parametrize("balancer", [by_chance, by_turns])
@pytest.mark.parametrize("replicas", [2, 3, 5, 10])
def test_a_stuck_replica_is_met_however_often_the_test_is_repeated(replicas, balancer):
    chance = Random(replicas)
    fooled = sum(is_fooled(replicas, balancer, chance, polls=100) for _ in range(100))

    assert fooled <= 1


def test_the_figures_of_the_guide_are_those_of_the_first_test():
    assert [run_of(n, 1) for n in (1, 2, 3, 4, 5, 6, 8, 10)] == [11, 19, 27, 35, 42, 50, 65, 80]
