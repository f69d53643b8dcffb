"""What Keyturn does beside a rotation's own course: when it is due, and what a provider that fails costs."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.engine import due_at, move
from bot.rotation import chores
from bot.rotation.errors import ApiError, LeaseLost, Uncertain
from bot.rotation.moves import told
from bot.rotation.parts import Chore
from bot.rotation.states import State
from bot.steps import aftercare
from bot.steps.world import World
from tests.bot.values import EVENT, NOW, later, limits, rotation, running

OVER = running(deleted_at=NOW).but(state=State.COMPLETED)
WAITS = running(retry_at=later(60), note="waiting")


def world(seconds: float = 0) -> World:
    nothing: Any = object()
    return World(nothing, nothing, nothing, limits(), lambda: later(seconds))


@pytest.fixture
def chore(monkeypatch):
    """Make a chore due at once, that raises an error or is done by a change."""

    def install(does: Exception | dict[str, Any]) -> None:
        async def do(record: Any, _: World) -> Any:
            if isinstance(does, Exception):
                raise does
            return record.but(**does)

        monkeypatch.setitem(chores.WANTED, Chore.CLEAR, lambda r: None if r.why else NOW)
        monkeypatch.setitem(aftercare.DO, Chore.CLEAR, do)

    return install


@pytest.mark.parametrize("record", [OVER, WAITS, rotation(State.ROLLED_BACK)])
async def test_a_chore_is_done_where_the_rotation_itself_is_not_due_also_once_it_is_over(chore, record):
    chore({"why": "done"})

    assert due_at(record, limits(), NOW) == NOW
    assert await move(record, world()) == record.but(why="done")
    assert due_at(record.but(why="done"), limits(), NOW) in (None, record.retry_at)


@pytest.mark.parametrize("error", [ApiError("It refuses."), Uncertain("It is away."), ZeroDivisionError("CANARY")])
async def test_a_chore_that_fails_stops_nothing_and_is_tried_again_at_growing_pauses(chore, error):
    chore(error)
    first = await move(WAITS, world())
    again = await move(first, world(10))

    assert (first.state, first.note, first.setbacks[0].retry_at) == (State.RUNNING, "waiting", later(10))
    assert (again.setbacks[0].number, again.setbacks[0].since, again.setbacks[0].retry_at) == (2, NOW, later(30))
    assert "CANARY" not in json.dumps(told(WAITS, first))
    assert told(WAITS, first)["what"] == "failed to clear"
    assert await move(first, world(9)) == first
    chore({"why": "done"})
    assert (await move(again, world(30))).setbacks == ()


def test_the_pauses_end_growing_and_a_provider_may_ask_for_more():
    record = OVER
    for _ in range(40):
        record = chores.failed(record, Chore.CLEAR, "It refuses.", NOW)

    assert record.setbacks[0].retry_at == NOW + chores.LONGEST
    assert chores.failed(OVER, Chore.CLEAR, "Wait.", NOW, 99).setbacks[0].retry_at == later(99)
    assert chores.failed(OVER, Chore.CLEAR, "Wait.", NOW, 1e12).setbacks[0].retry_at == NOW + timedelta(hours=1)


async def test_a_lost_lease_records_nothing(chore):
    chore(LeaseLost("gone"))

    with pytest.raises(LeaseLost):
        await move(OVER, world())


async def test_the_store_keeps_a_rotation_due_that_is_over_and_has_something_to_do(chore, desk):
    chore({"why": "done"})
    saved = await desk.save(OVER)

    assert [each.id async for each in desk.store.due(later(1))] == [saved.id]
    await desk.store.save(saved.but(why="done"), EVENT, at=NOW)
    assert [each async for each in desk.store.due(later(1))] == []
