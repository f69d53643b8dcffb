"""Which key somebody means: the surest way to mean one decides, and nothing is guessed between two."""

import pytest

from bot.rotation.errors import AmbiguousKey, UnknownKey
from bot.rotation.lookup import find_key, search
from tests.bot.values import inventory, key

KEYS = inventory(
    (),
    [
        key("pk_1", "OpenAI production"),
        key("pk_2", "OpenAI staging"),
        key("pk_3", "twin"),
        key("pk_4", "twin"),
        key("pk_5", "Case"),
        key("pk_6", "CASE"),
        key("pk_7", "pk_1"),
        key("pk_8", "Anthropic (2026-11-23 rabc123)", provider="anthropic"),
        key("pk_9", "Anthropic EU (2026-11-29 rxyz789-2)", provider="anthropic"),
        key("pk_10", "Zürich", provider="mistral"),
        key("pk_11", "hf-llama3-production", provider="hf"),
        key("pk_12", " Two  blanks\u00a0and more ", provider="mistral"),
    ],
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("pk_1", "pk_1"),
        (" pk_1\n", "pk_1"),
        ("OpenAI production", "pk_1"),
        ("  OpenAI production ", "pk_1"),
        ("openai PRODUCTION", "pk_1"),
        ("Case", "pk_5"),
        ("CASE", "pk_6"),
        ("Anthropic ", "pk_8"),
        ("anthropic eu", "pk_9"),
        ("anthropic e", "pk_9"),
        ("Anthropic (2026", "pk_8"),
        ("openai prod", "pk_1"),
        ("Z\u00fcrich", "pk_10"),
        ("Zu\u0308rich", "pk_10"),
        ("ZU\u0308", "pk_10"),
        ("hf-llama3-production", "pk_11"),
        ("Two blanks and more", "pk_12"),
    ],
)
def test_a_key_is_found_by_id_then_name_then_base_name_then_the_beginning_of_its_name(asked, found):
    assert find_key(KEYS, asked).id == found


def test_a_key_that_a_rotation_has_renamed_is_found_by_the_name_that_people_gave_it():
    renamed = inventory((), [key("pk_new", "OpenAI production (2026-11-29 rabc123)"), key("pk_x", "Other")])

    assert find_key(renamed, "OpenAI").id == "pk_new"
    assert find_key(renamed, "OpenAI production").id == "pk_new"


def test_a_key_of_exactly_that_name_is_not_hidden_by_one_that_only_begins_with_it():
    both = inventory((), [key("pk_long", "OpenAI production"), key("pk_short", "openai")])

    assert find_key(both, "OpenAI").id == "pk_short"


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        ("twin", ["pk_3", "pk_4"]),
        ("case", ["pk_5", "pk_6"]),
        ("OpenAI", ["pk_1", "pk_2"]),
        ("t", ["pk_3", "pk_4", "pk_12"]),
    ],
)
def test_an_ambiguous_name_carries_the_choices_in_the_order_of_their_names(asked, choices):
    with pytest.raises(AmbiguousKey) as refusal:
        find_key(KEYS, asked)

    assert [id_ for _, id_ in refusal.value.choices] == choices
    assert asked in str(refusal.value)


def test_two_keys_of_one_base_name_are_not_told_apart_by_a_guess():
    orphans = inventory((), [key("pk_1", "A (2026-11-23 rabc123)"), key("pk_2", "A (2026-11-29 rxyz789)")])

    with pytest.raises(AmbiguousKey):
        find_key(orphans, "A")


@pytest.mark.parametrize("asked", ["opnai produktion", "Antropic Eu"])
def test_an_unknown_name_carries_the_nearest_ones_without_regard_to_what_rotations_added(asked):
    with pytest.raises(UnknownKey) as refusal:
        find_key(KEYS, asked)

    assert refusal.value.nearest[0] in ("OpenAI production", "Anthropic EU (2026-11-29 rxyz789-2)")
    assert len(refusal.value.nearest) <= 3
    assert len(set(refusal.value.nearest)) == len(refusal.value.nearest)


@pytest.mark.parametrize("asked", ["", " ", "zzzzzzzzzz", "production"])
def test_what_no_name_begins_with_is_unknown(asked):
    with pytest.raises(UnknownKey):
        find_key(KEYS, asked)


@pytest.mark.parametrize("asked", ["", "zzzzzzzzzz"])
def test_a_name_that_is_near_to_none_has_no_nearest(asked):
    with pytest.raises(UnknownKey) as refusal:
        find_key(KEYS, asked)

    assert refusal.value.nearest == ()


# --- the picker ---


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("staging", ["pk_2"]),
        (" OPENAI ", ["pk_1", "pk_2", "pk_5", "pk_6", "pk_7", "pk_3", "pk_4"]),
        ("anthropic eu", ["pk_9"]),
        ("anthropic", ["pk_8", "pk_9"]),
        ("zu\u0308", ["pk_10"]),
        ("pk_6", ["pk_6"]),
        ("pk_1", ["pk_1", "pk_7", "pk_11", "pk_12", "pk_10"]),
        ("two blanks and", ["pk_12"]),
        ("nothing", []),
    ],
)
def test_a_search_shows_first_what_the_command_would_find_then_the_rest_by_name(typed, found):
    assert [k.id for k in search(KEYS, typed)] == found


def test_a_search_for_nothing_shows_all_in_the_order_of_their_names():
    shown = [k.display_name.strip().casefold() for k in search(KEYS, "")]

    assert shown == sorted(shown)
    assert len(shown) == len(KEYS.keys)


def test_a_search_returns_no_more_than_it_may():
    assert len(search(KEYS, "", limit=2)) == 2
