"""Which key somebody means: the surest way to mean one decides, and nothing is guessed between two."""

from contextlib import nullcontext

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
        (" pk_1\n", "pk_1"),
        ("openai PRODUCTION", "pk_1"),
        ("Case", "pk_5"),
        ("CASE", "pk_6"),
        ("anthropic eu", "pk_9"),
        ("anthropic e", "pk_9"),
        ("Anthropic (2026", "pk_8"),
        ("Zu\u0308rich", "pk_10"),
        ("hf-llama3-production", "pk_11"),
        ("Two blanks and more", "pk_12"),
    ],
)
def test_a_key_is_found_by_id_then_name_then_base_name_then_the_beginning_of_its_name(asked, found):
    assert find_key(KEYS, asked).id == found


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["OpenAI production (2026-11-29 rabc123)", "Other"], "OpenAI production", 0),
        (["OpenAI production", "openai"], "OpenAI", 1),
        (["A (2026-11-23 rabc123)", "A (2026-11-29 rxyz789)"], "A", None),
    ],
)
def test_the_name_that_people_gave_comes_first_and_two_of_one_base_name_are_not_told_apart(names, asked, found):
    keys = inventory((), [key(f"pk_{number}", name) for number, name in enumerate(names)])

    with nullcontext() if found is not None else pytest.raises(AmbiguousKey):
        assert find_key(keys, asked).id == f"pk_{found}"


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        ("twin", ["pk_3", "pk_4"]),
        ("case", ["pk_5", "pk_6"]),
        ("t", ["pk_3", "pk_4", "pk_12"]),
    ],
)
def test_an_ambiguous_name_carries_the_choices_in_the_order_of_their_names(asked, choices):
    with pytest.raises(AmbiguousKey) as refusal:
        find_key(KEYS, asked)

    assert [id_ for _, id_ in refusal.value.choices] == choices
    assert asked in str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("opnai produktion", "OpenAI production"),
        ("Antropic Eu", "Anthropic EU (2026-11-29 rxyz789-2)"),
        ("", None),
        ("zzzzzzzzzz", None),
    ],
)
def test_an_unknown_name_carries_the_nearest_ones_without_regard_to_what_rotations_added(asked, nearest):
    with pytest.raises(UnknownKey) as refusal:
        find_key(KEYS, asked)

    assert next(iter(refusal.value.nearest), None) == nearest
    assert len(set(refusal.value.nearest)) == len(refusal.value.nearest) <= 3


@pytest.mark.parametrize(
    ("typed", "found"),
    [
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


def test_an_empty_search_lists_keys_by_name_up_to_the_limit():
    shown = [k.display_name.strip().casefold() for k in search(KEYS, "")]

    assert shown == sorted(shown)
    assert len(shown) == len(KEYS.keys)
    assert len(search(KEYS, "", limit=2)) == 2
