"""How old keys are."""

from datetime import timedelta

import pytest

from bot.rotation.age import Age, Source, age_of, by_age, is_due, made_at
from bot.rotation.parts import Replacement
from bot.rotation.policies import NamedPolicy, Policy
from bot.rotation.states import State
from tests.bot.values import EVENT, NOW, key, later, rotation, rules, running

TAGGED = "OpenAI production (2026-11-23 rabc234)"


@pytest.mark.parametrize(
    ("listed", "recorded", "age"),
    [
        (NOW, later(9), Age(NOW, Source.LISTED)),
        (None, later(9), Age(later(9), Source.RECORDED)),
        (None, None, Age(None, Source.UNKNOWN)),
    ],
)
def test_a_key_is_as_old_as_aisix_says_or_else_as_our_records_say_or_of_unknown_age(listed, recorded, age):
    assert age_of(key(created_at=listed), recorded) == age


def test_a_rotation_made_a_key_only_if_it_is_its_replacement():
    ours = running(made=("pk_new", "pk_refused"))

    assert made_at(ours, key("pk_new")) == NOW
    assert made_at(ours, key("pk_refused")) is None, "nothing recorded says when it made an earlier one"
    assert made_at(rotation(), key("pk_new")) is None


def test_the_oldest_key_comes_first_and_one_of_unknown_age_last():
    keys = [key("pk_b"), key("pk_young", created_at=NOW), key("pk_ours"), key("pk_a", "A key")]

    assert [one.key.id for one in by_age(keys, {"pk_ours": later(-9)})] == ["pk_ours", "pk_young", "pk_a", "pk_b"]


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "every", "due"),
    [
        (NOW - DAY, DAY, False),
        (NOW - DAY - timedelta(seconds=1), DAY, True),
        (NOW + DAY, timedelta(0), False),  # clocks differ
        (NOW - 999 * DAY, None, False),
        (None, DAY, False),
    ],
)
def test_a_key_is_due_once_it_is_older_than_it_may_get(since, every, due):
    assert is_due(Age(since), every, NOW) is due


async def test_the_store_knows_when_our_rotations_made_the_keys_that_are_named_after_them(store):
    made = Replacement(name=TAGGED, asked_at=later(-60), key_id="pk_new")
    over = rotation(State.COMPLETED, id="rabc234", replacement=made, made=("pk_new",))
    await store.save(over, EVENT, at=NOW)
    keys = [key("pk_new", TAGGED), key("pk_copy", TAGGED), key("pk_x", "Other (2026-11-23 rzzz299)"), key("pk_old")]

    assert await store.made_at(keys) == {"pk_new": later(-60)}


async def test_the_keys_come_by_age_with_what_says_it(desk):
    old, undated = desk.tenant.key, desk.tenant.aisix.add_key("Undated", secret="sk-UNDATED-0123456789")
    old.created_at, undated.created_at = NOW.isoformat(), "long ago"

    found = {one.key.id: one.age for one in await desk.service.keys_by_age()}

    assert next(iter(found.items())) == (old.id, Age(NOW, Source.LISTED))
    assert found[undated.id] == Age()


async def test_the_shortest_age_of_all_that_touch_a_key_counts(desk):
    tenant = desk.tenant
    tenant.key.created_at = (NOW - 50 * DAY).isoformat()
    spare = tenant.aisix.add_key("Spare", secret="sk-SPARE-0123456789")
    spare.created_at = (NOW - 60 * DAY).isoformat()

    async def due(of_all: timedelta | None, *policies: tuple[str, timedelta]) -> list[str]:
        asked = tuple(NamedPolicy(keys=(name,), asks=Policy(rotate_every=every)) for name, every in policies)
        desk.service._rules = rules(approvers=frozenset({"U_A"}), rotate_every=of_all, policies=asked)  # noqa: SLF001 - the settings of this moment
        return [one.key.id for one in (await desk.service.due_keys()).keys]

    name = tenant.key.display_name
    assert await due(None) == []
    assert await due(55 * DAY) == [spare.id]
    assert await due(55 * DAY, (name, 40 * DAY)) == [spare.id, tenant.key.id]
    assert await due(55 * DAY, (name, 99 * DAY), ("Spare", 99 * DAY)) == [spare.id]
    assert await due(None, (name, 99 * DAY), (name, 45 * DAY)) == [tenant.key.id]
