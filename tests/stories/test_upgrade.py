"""What an older version has left behind is taken up.

`stored/` holds what Keyturn left behind in every state: its whole store and its messages, by the form of the record.
A form is written down once, before it changes, by `tests/support/stored.py` of f9dc218; in v2 a policy has a start
approval and windows, and an approver pressed **Start**.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.rotation.record import SCHEMA, Rotation
from bot.rotation.starting import shown_at_start
from bot.rotation.states import State
from sandbox.slack import Message
from sandbox.slack.world import BOT_USER
from tests.support.players import Play, play
from tests.support.plug import Plug
from tests.support.stage import NEW_SECRET

FORMS = sorted((Path(__file__).parent / "stored").iterdir())
Json = dict[str, Any]
ENDS = {
    State.AWAITING_SECRET: State.COMPLETED,
    State.RUNNING: State.COMPLETED,
    State.BLOCKED: State.COMPLETED,
    State.AWAITING_START: State.COMPLETED,
    State.AWAITING_APPROVAL: State.COMPLETED,
    State.ROLLING_BACK: State.ROLLED_BACK,
    State.COMPLETED: State.COMPLETED,
    State.ROLLED_BACK: State.ROLLED_BACK,
    State.CANCELLED: State.CANCELLED,
}
"""What a rotation that was left in each state comes to."""


LATER = {"v1": frozenset({State.AWAITING_START})}
"""By form, the states that came later."""

WRITE: dict[str, Callable[[Any, str, Any], Any]] = {
    "string": lambda redis, key, value: redis.set(key, value),
    "hash": lambda redis, key, value: redis.hset(key, mapping=value),
    "list": lambda redis, key, value: redis.rpush(key, *value),
    "set": lambda redis, key, value: redis.sadd(key, *value),
    "zset": lambda redis, key, value: redis.zadd(key, dict(value)),
}


async def put_back(made: Play, left: Json) -> Rotation:
    """Make the world of *made* as it was left behind, and return the record; its own ids stand for those of then."""
    aisix, text = made.stage.aisix, json.dumps(left)
    (old, model) = next(iter(aisix.provider_keys.values())), next(iter(aisix.models.values()))
    theirs = {left["environment"]: aisix.environment("production").id, left["models"][0][0]: model.id}
    if "namespace" in left:
        theirs[left["namespace"]] = made.stage.namespace.name
    for key_id, name in left["keys"]:
        is_old = name == old.display_name
        theirs[key_id] = old.id if is_old else aisix.add_key(name, secret=made.secret).id
    marks = marks_of(record_in(left))
    for before, now in theirs.items():
        text = text.replace(before, now)
    for mark, now in zip(marks, marks_of(record_in(json.loads(text))), strict=True):
        text = text.replace(mark, now)
    left |= json.loads(text)
    aisix.edit(model, settled=True, provider_key_id=left["models"][0][1])
    for row in [old] if old.id not in dict(left["keys"]) else []:
        aisix.remove(row, settled=True)
    for key, (kind, value) in left["store"].items():
        await WRITE[kind](made.redis, key, value)
    world = made.stage.slack.site.world
    world.said += [Message("C_OPS", ts, BOT_USER, words, blocks, thread) for ts, thread, words, blocks in left["said"]]
    return record_in(left)


def marks_of(record: Rotation) -> tuple[str, str]:
    """Return the marks of what an approver saw; they depend on the ids."""
    return record.seen, shown_at_start(record)


def record_in(left: Json) -> Rotation:
    record = next(value for key, (_, value) in left["store"].items() if ":rotation:" in key)
    return Rotation.model_validate_json(record)


@asynccontextmanager
async def left(valkey: str, form: Path, state: State, later: timedelta) -> AsyncIterator[Play]:
    """Set the stage as it was left in *state*, and begin *later*."""
    async with play(valkey, 1, Plug(), secret=NEW_SECRET) as made:
        record = await put_back(made, json.loads((form / f"{state.lower()}.json").read_text()))
        made.followed, made.cancelled = record.id, state is State.CANCELLED
        said = [record.requested_at, record.secret_asked_at, record.asked_at, record.step_since, record.ended_at]
        said.append(record.start_asked_at)
        made.stage.began = max(at for at in said if at) + later
        yield made


def test_the_stored_records_cover_every_form_in_every_state() -> None:
    assert [form.name for form in FORMS] == [f"v{number}" for number in range(1, SCHEMA + 1)]
    for form in FORMS:
        later = LATER.get(form.name, frozenset())
        assert {file.stem.upper() for file in form.iterdir()} == set(State) - later


@pytest.mark.once("form")
@pytest.mark.parametrize(
    ("form", "state"),
    [(form, state) for form in FORMS for state in State if state not in LATER.get(form.name, ())],
    ids=lambda it: getattr(it, "name", it),
)
async def test_what_an_older_version_left_behind_goes_on_to_its_end(valkey: str, form: Path, state: State) -> None:
    later = timedelta(seconds=5) if state is State.AWAITING_SECRET else timedelta(days=3)
    async with left(valkey, form, state, later) as made:
        record = await made.to_the_end()

        assert record.state is ENDS[state]
        keys = {model.provider_key_id for model in made.stage.aisix.models.values()}
        assert keys == set(made.stage.aisix.provider_keys), "every model is on the one key that is left"
        assert (record.plan.old_key.id in keys) is (record.state is not State.COMPLETED)
