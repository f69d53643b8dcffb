"""What an older version has left behind is taken up.

`stored/` holds what Keyturn left behind in every state: its whole store and its messages, by the form of the record.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.rotation.record import SCHEMA
from bot.rotation.states import State
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
