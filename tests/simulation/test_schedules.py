"""Random schedules of people, faults, crashes and time: whatever happens, no law is broken and everything ends.

`make test ARGS="tests/simulation --seed 24"` runs one seed again, and prints what happened in it.
"""

import os
import time
from itertools import count

import pytest

from bot.steps.counters import MISSED
from tests.simulation.schedule import MIXES, Run, run

IN_FEW = (0, len(MIXES) - 1)
SEEDS = [seed if seed in IN_FEW else pytest.param(seed, marks=pytest.mark.rest) for seed in range(28)]
"""In `make test` one that is nasty with nothing and one with all; four of each mix with the rest."""

SOAK_FROM = 1_000_000
LAST = 150


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("seed")
        metafunc.parametrize("seed", wanted or SEEDS)


def told(found: Run) -> str:
    again = f'make test ARGS="tests/simulation --seed {found.seed}"'
    return "\n".join(["", *found.trace[-LAST:], "", f"Seed {found.seed}: {found.broken}", f"Again: {again}"])


def test_whatever_happens_no_law_is_broken_and_every_rotation_ends(seed, redis_url, tried):
    found = run(seed, redis_url)

    tried("schedules", seeds=1, actions=found.actions, calls=found.turns, faults=found.faults)
    assert not found.broken, told(found)
    assert not found.lucky, told(found)  # one in a thousand may be, by chance: the soak counts them


@pytest.mark.rest
def test_the_same_seed_tells_the_same_story(redis_url):
    assert run(IN_FEW[1], redis_url, steps=40).trace == run(IN_FEW[1], redis_url, steps=40).trace


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_long_soak_breaks_no_law(redis_url, tried):
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "60"))
    begin, broken, lucky, seed = int(os.environ.get("SOAK_FROM", SOAK_FROM)), list[str](), 0, 0
    for seed in count(begin):
        if time.monotonic() > end:
            break
        found = run(seed, redis_url)
        tried("schedules", seeds=1, actions=found.actions, calls=found.turns, faults=found.faults, missed=found.lucky)
        broken += [told(found)] if found.broken else []
        lucky += found.lucky

    assert not broken, "\n".join(broken)
    assert lucky <= 1 + 3 * MISSED * (seed - begin), f"{lucky} unlisted replicas were never met"
