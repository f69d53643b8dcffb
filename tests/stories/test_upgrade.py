"""What an older version has left behind is taken up, and a rotation that waits survives a deploy that adds a step.

`stored/` holds what Keyturn left behind in every state: its whole store and its messages, by the form of the record.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot import steps
from bot.rotation import states
from bot.rotation.record import SCHEMA, Rotation
from bot.rotation.states import State, Step, StepName, Track
from bot.steps.outcomes import Done
from bot.steps.world import World
from tests.support.players import Play, play
from tests.support.plug import Plug
from tests.support.stage import NEW_SECRET
from tests.support.stored import FOLDER, put_back

FORMS = sorted(FOLDER.iterdir())
ENDS = {
    State.AWAITING_SECRET: State.COMPLETED,
    State.RUNNING: State.COMPLETED,
    State.BLOCKED: State.COMPLETED,
    State.AWAITING_APPROVAL: State.COMPLETED,
    State.ROLLING_BACK: State.ROLLED_BACK,
    State.COMPLETED: State.COMPLETED,
    State.ROLLED_BACK: State.ROLLED_BACK,
    State.CANCELLED: State.CANCELLED,
}
"""What a rotation that was left in each state comes to."""


@asynccontextmanager
async def left(valkey: str, form: Path, state: State, later: timedelta) -> AsyncIterator[Play]:
    """Set the stage as it was left in *state*, and begin *later*."""
    async with play(valkey, 1, Plug(), secret=NEW_SECRET) as made:
        record = await put_back(made, json.loads((form / f"{state.lower()}.json").read_text()))
        made.followed, made.cancelled = record.id, state is State.CANCELLED
        said = (record.requested_at, record.secret_asked_at, record.asked_at, record.step_since, record.ended_at)
        made.stage.began = max(at for at in said if at) + later
        yield made


def test_there_is_something_of_every_form_in_every_state() -> None:
    assert [form.name for form in FORMS] == [f"v{number}" for number in range(1, SCHEMA + 1)]
    for form in FORMS:
        assert {file.stem.upper() for file in form.iterdir()} == set(State)


@pytest.mark.every_case
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_what_an_older_version_left_behind_goes_on_to_its_end(valkey: str, form: Path, state: State) -> None:
    later = timedelta(seconds=5) if state is State.AWAITING_SECRET else timedelta(days=3)
    async with left(valkey, form, state, later) as made:
        record = await made.to_the_end()

        assert record.state is ENDS[state]
        keys = {model.provider_key_id for model in made.stage.aisix.models.values()}
        assert keys == set(made.stage.aisix.provider_keys), "every model is on the one key that is left"
        assert (record.plan.old_key.id in keys) is (record.state is not State.COMPLETED)


# --- a deploy that adds a step ---


NEW = StepName.POINT_BACK
"""A name that no step of this track has."""


def with_step(monkeypatch: pytest.MonkeyPatch, before: str) -> list[str]:
    """Deploy a version with one more step, *before* another; return whom it has seen."""
    seen: list[str] = []

    async def look(rotation: Rotation, _: World) -> Done:
        seen.append(rotation.state)
        return Done(rotation)

    place = [step.name for step in states.FORWARD].index(before)
    forward = (*states.FORWARD[:place], Step(NEW, "New", "doing what is new"), *states.FORWARD[place:])
    monkeypatch.setattr(states, "TRACKS", {**states.TRACKS, Track.FORWARD: (forward, State.COMPLETED)})
    monkeypatch.setitem(steps.RUN, NEW, look)
    return seen


@pytest.mark.parametrize("before", ["cut-over", "verify", "recheck", "delete", "watch"])
async def test_a_rotation_that_waits_for_approval_survives_a_deploy_that_adds_a_step(
    valkey: str, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    seen = with_step(monkeypatch, before)
    async with left(valkey, FORMS[-1], State.AWAITING_APPROVAL, timedelta(minutes=1)) as made:
        record = await made.to_the_end()

        assert record.state is State.COMPLETED
        assert seen, "the new step was taken"
        assert not made.deleted_early
        assert len([call for call in made.stage.aisix.calls if call.method == "POST" and "keys" in call.path]) == 0
