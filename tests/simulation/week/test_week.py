"""A week in the life: forty rotations of all kinds, and people who answer late, leave, or are asleep.

Every message is counted and judged by the laws in `laws.py`.
"""

from collections import Counter

import pytest

from bot.rotation.states import TERMINAL
from tests.simulation.week.laws import LAWS
from tests.simulation.week.week import Week, played

SEED = 1


SETTINGS = {"as installed": {}, "asked directly, far away": {"APPROVER_DM": "true", "TIME_ZONE": "America/New_York"}}


@pytest.fixture(scope="module", params=SETTINGS)
def week(valkey: str, request: pytest.FixtureRequest) -> Week:
    return played(SEED, valkey, SETTINGS[request.param])


@pytest.mark.rest
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_in_a_whole_week_every_message_keeps_the_law(week, law):
    assert [*law(week.log)] == []


@pytest.mark.rest
def test_in_a_whole_week_every_rotation_ends_as_its_people_decide(week, tried):
    log = week.log
    kinds = Counter(said.kind for said in log.said)
    tried("the week", rotations=len(week.rotas), messages=len(log.said), acts=len(log.acts))
    tried("the week", pushes=sum(1 for _ in log.pings()), **kinds)
    last = {id_: versions[-1].record.state for id_, versions in log.records().items()}
    other = [f"{r.key}, {r.kind.name}: {last.get(r.id)}" for r in week.rotas if last.get(r.id) is not r.kind.ends]
    assert other == []
    assert [*week.faults, *week.office.hints.faults, *week.errors, *week.office.slack.complaints] == []


@pytest.mark.rest
def test_at_the_end_of_a_week_whatever_waits_is_on_the_home_of_somebody_who_can_act(week):
    left = [rota.key for rota in week.rotas if rota.kind.ends not in TERMINAL]
    unseen = [key for key in left if not any(key in home for home in week.homes.values())]
    assert left
    assert unseen == []
