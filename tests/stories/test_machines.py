"""Two web and three worker processes on one Redis, killed at random, with Slack delivering some envelopes twice."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from bot.rotation import audit
from bot.rotation.naming import tag_of
from bot.rotation.states import State
from sandbox.aisix import Aisix
from sandbox.slack import Slack
from tests.support.machines import Kill, Machines, People, doubled, environ_of

TAKEN_OVER_WITHIN = 30.0
"""Seconds; what a dead worker had in hand."""


class Run(NamedTuple):
    """How long, how many rotations at a time, how often a process is killed, and the settings that matter."""

    seconds: float
    at_a_time: int
    pause: tuple[float, float]
    settings: dict[str, str]


SHORT = Run(4, 2, (0.5, 1.5), {"LEASE": "3", "SWEEP_INTERVAL": "1"})
SOAK = Run(float(os.environ.get("SOAK_SECONDS", "120")), 6, (2.0, 6.0), {"LEASE": "15", "SWEEP_INTERVAL": "5"})
"""As it runs with nothing chosen."""


class Town:
    """Everything that a run acts on and looks at."""

    def __init__(self, slack: Slack, aisix: Aisix, machines: Machines, people: People, redis: Redis) -> None:
        self.slack, self.aisix, self.machines, self.people, self.redis = slack, aisix, machines, people, redis

    async def live(self, run: Run) -> None:
        """Let people rotate keys and processes die, until the time is up and all is done."""
        end = time.monotonic() + run.seconds
        rotations = [self.people.rotate_until(lambda: time.monotonic() > end) for _ in range(run.at_a_time)]
        killing = self.machines.kill_until(lambda: time.monotonic() > end, run.pause)
        await asyncio.gather(killing, *rotations)

    def creations(self) -> Counter[str]:
        """How many replacements were created for each rotation and secret."""
        made = [c for c in self.aisix.calls if c.method == "POST" and c.path.endswith("/provider_keys") and _well(c)]
        return Counter(str(tag_of(call.body["display_name"])) for call in made)

    def deletions(self) -> Counter[str]:
        """How often each provider key was deleted."""
        gone = [c for c in self.aisix.calls if c.method == "DELETE" and "/provider_keys/" in c.path and _well(c)]
        return Counter(call.path.rpartition("/")[2] for call in gone)


def _well(call: object) -> bool:
    status = getattr(call, "status", None)
    return status is None or status < 300


@pytest.fixture
async def seed() -> int:
    return int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)


@pytest.fixture(
    params=[
        pytest.param(SHORT, id="short", marks=pytest.mark.timeout(300)),
        pytest.param(SOAK, id="soak", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ]
)
async def run(request: pytest.FixtureRequest) -> Run:
    return request.param


@pytest.fixture
async def town(redis_url: str, tmp_path: Path, seed: int, run: Run) -> AsyncIterator[Town]:
    async with (
        Slack() as slack,
        Aisix(environments={"production": 2, "staging": 1}) as aisix,
        Redis.from_url(redis_url, decode_responses=True) as redis,
    ):
        machines = Machines(environ_of(slack, aisix, redis_url, **run.settings), tmp_path, redis, random.Random(seed))
        await machines.start()
        yield Town(slack, aisix, machines, People(slack, aisix, random.Random(seed + 1)), redis)
        await machines.end()


async def test_whoever_dies_every_rotation_completes_and_has_every_effect_once(
    town: Town, run: Run, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    await town.live(run)
    await town.machines.end()

    machines, names = town.machines, town.people.names
    longest = max((over.seconds for over in machines.takeovers), default=0.0)
    orphans = Counter(kill.half for kill in machines.kills)
    twice = [pair for name in names for replies in town.people.threads(name) for pair in doubled(replies)]
    with capfd.disabled():
        sys.stderr.write(
            f"\nmachines: seed {seed}: {len(names)} rotations in {time.monotonic() - began:.0f} s; "
            f"{orphans['worker']} workers and {orphans['web']} webs killed; {len(machines.takeovers)} take-overs, "
            f"the longest {longest:.1f} s; {len(twice)} messages twice\n"
        )
    assert names, "nothing was rotated"
    assert orphans, "nobody was killed"
    assert longest < TAKEN_OVER_WITHIN
    await ended_well(town)
    assert [pair for pair in twice if not _spans_a_kill(pair, machines.kills)] == []


async def ended_well(town: Town) -> None:
    """Look at what there is, in AISIX, in Redis and in the audit trail."""
    names = town.people.names
    keys = {key.id: key for key in town.aisix.provider_keys.values()}
    begun = [record for record in await town.machines.records() if record.attempt]
    assert sorted(record.plan.old_key.display_name for record in begun) == sorted(names)
    assert {record.state for record in begun} == {State.COMPLETED}
    assert len(keys) == len(names), "one replacement each, and no old key"
    assert all(m.provider_key_id in keys for m in town.aisix.models.values())
    assert not [m.display_name for m in town.aisix.models.values() if m.display_name.startswith("keyturn-")]
    assert max(town.creations().values()) == 1
    assert {key for key, times in town.deletions().items() if times > 1} == set()
    assert {record.plan.old_key.id for record in begun} <= set(town.deletions())
    trail = audit.verified(await town.redis.lrange(town.machines.key("audit"), 0, -1))
    assert [entry["why"] for entry in trail if entry["state"] == State.BLOCKED] == [], "a death is no reason to stop"
    for record in begun:
        approvals = [
            e for e in trail if e["rotation"] == record.id and (e["kind"], e["what"]) == ("change", "approved")
        ]
        assert [e["by"] for e in approvals] == ["U_APPROVER"] * len(approvals)
        assert len({call["version"] for call in approvals}) == len(approvals) >= 1


def _spans_a_kill(pair: tuple[float, float], kills: list[Kill]) -> bool:
    """Tell whether a process died between the first time and the second: after the post, and before noting it."""
    return any(pair[0] - 5 <= kill.at <= pair[1] for kill in kills)
