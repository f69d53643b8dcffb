"""A week in the life: forty rotations of all kinds, and people who answer late, leave, or are asleep.

Every message is counted and judged by the laws in `laws.py`.
"""

from collections import Counter

import pytest

from bot.rotation.states import TERMINAL
from tests.conftest import Tried
from tests.simulation.week.laws import LAWS
from tests.simulation.week.week import Week, played

SEED = 1


SETTINGS = {"as installed": {}, "asked directly, far away": {"APPROVER_DM": "true", "TIME_ZONE": "America/New_York"}}


@pytest.mark.rest
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_in_a_whole_week_every_message_keeps_every_law_and_every_rotation_ends_as_its_people_decide(
    valkey, settings, subtests, tried
):
    week = played(SEED, valkey, settings)

    for law in LAWS:
        with subtests.test(law.__name__):
            assert [*law(week.log)] == []
    with subtests.test("every rotation ends as its people decide"):
        ends_as_its_people_decide(week)
    with subtests.test("what waits at the end is on the Home of somebody who can act"):
        is_on_a_home(week)
    counted(week, tried)  # last: each subtest would report it again


def counted(week: Week, tried: Tried) -> None:
    kinds = Counter(said.kind for said in week.log.said)
    tried("the week", rotations=len(week.rotas), messages=len(week.log.said), acts=len(week.log.acts))
    tried("the week", pushes=sum(1 for _ in week.log.pings()), **kinds)


def ends_as_its_people_decide(week: Week) -> None:
    last = {id_: versions[-1].record.state for id_, versions in week.log.records().items()}
    assert [f"{r.key}, {r.kind.name}: {last.get(r.id)}" for r in week.rotas if last.get(r.id) is not r.kind.ends] == []
    assert [*week.faults, *week.office.hints.faults, *week.errors, *week.office.slack.complaints] == []


def is_on_a_home(week: Week) -> None:
    left = [rota.key for rota in week.rotas if rota.kind.ends not in TERMINAL]
    assert left
    assert [key for key in left if not any(key in home for home in week.homes.values())] == []
