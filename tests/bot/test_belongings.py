"""What a rotation made is told by its name, and nothing that somebody else made is taken for it."""

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rotation.naming import Tag, base_of, day_of, new_id, rotation_of, tag_of, throwaways_of
from tests.bot.values import inventory, key, model

NEW = key("pk_new", "OpenAI production (2026-11-23 r7k2abc)")
OTHER = key("pk_other", "Another key")


@pytest.mark.parametrize(
    ("name", "tag", "base"),
    [
        ("OpenAI production", None, "OpenAI production"),
        ("OpenAI production (2026-11-23 r7k2abc-2)", Tag("r7k2abc", 2), "OpenAI production"),
        ("X (2026-10-01 raaaaa2) (2026-11-23 rbbbbb3)", Tag("rbbbbb3", 1), "X"),
        ("X r7k2abc by hand", Tag("r7k2abc", 1), "X r7k2abc by hand"),
        ("OpenAI (rev2024)", None, "OpenAI (rev2024)"),
        ("OpenAI (r7k2abc-1)", None, "OpenAI"),
        ("OpenAI r7k2abcd", None, "OpenAI r7k2abcd"),
        ("OpenAI R7K2ABC", None, "OpenAI R7K2ABC"),
    ],
)
def test_a_name_tells_the_rotation_that_gave_it_and_what_it_was_before(name, tag, base):
    assert (tag_of(name), base_of(name)) == (tag, base)


@pytest.mark.parametrize(
    ("tells", "name", "said"),
    [
        (day_of, "X (2026-11-23 r7k2abc)", date(2026, 11, 23)),
        (day_of, "X (2026-13-45 r7k2abc)", None),
        (day_of, "X (r7k2abc)", None),
        (day_of, "X", None),
        (rotation_of, "keyturn-r7k2abc-0", "r7k2abc"),
        (rotation_of, "keyturn-r7k2abc", None),
        (rotation_of, "keyturn-r7k2abc-x", None),
        (rotation_of, "keyturn-reserve-1", None),
        (rotation_of, "my-keyturn-r7k2abc-0", None),
    ],
)
def test_a_key_name_tells_its_day_and_a_throw_away_name_its_exact_rotation(tells, name, said):
    assert tells(name) == said


@given(st.integers(0, 50))
def test_every_new_id_is_recognized_in_the_names_that_hold_it(number):
    made = new_id()

    assert tag_of(f"X (2026-11-23 {made})") == Tag(made, 1)
    assert tag_of(f"X ({made}-{number + 2})") == Tag(made, number + 2)
    assert rotation_of(f"keyturn-{made}-{number}") == made
    assert re.search(r"\d", made)


@pytest.mark.parametrize(
    ("others", "on", "own"),
    [
        ({}, "pk_new", True),
        ({}, NEW.display_name, True),
        ({}, "pk_gone", True),
        ({}, None, True),
        ({}, "pk_other", False),
        ({}, OTHER.display_name, False),
        ({"refers_to": (("target", "m1"),)}, "pk_new", False),
        ({"refers_to": (("target", "keyturn-r7k2abc-0"),)}, "pk_new", False),
        ({"refers_to": (("target", "m1"),), "environment": "stag"}, "pk_new", True),
    ],
    ids=[
        "on its replacement", "on it by name", "on a key that is gone", "on none", "on another", "on another by name",
        "a router's target", "a router's target by alias", "another environment's router",
    ],
)  # fmt: skip
def test_a_throw_away_model_is_a_rotations_own_if_it_is_on_its_key_and_nothing_refers_to_it(others, on, own):
    throwaway = model("m1", alias="keyturn-r7k2abc-0", provider_key=on)
    router = model("m2", **{"kind": "routing"} | others)
    world = inventory([throwaway, router], [key(), NEW, OTHER])

    assert (throwaway in throwaways_of("r7k2abc", [NEW], world)) is own


@pytest.mark.parametrize(
    ("alias", "fields"),
    [
        ("keyturn-r7k2abc-mine", {"provider_key": "pk_new"}),
        ("keyturn-rother2-0", {"provider_key": "pk_new"}),
        ("keyturn-", {"provider_key": "pk_new"}),
        ("keyturn-r7k2abc-0", {"kind": "routing", "refers_to": (("target", "m2"),)}),
    ],
)
def test_a_model_of_another_name_or_a_router_is_never_a_rotations_own(alias, fields):
    assert throwaways_of("r7k2abc", [NEW], inventory([model("m1", alias=alias, **fields)], [NEW])) == ()
