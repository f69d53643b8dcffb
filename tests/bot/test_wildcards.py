"""One rule says what a wildcard alias answers for, whoever asks: the probes, the counters or the throw-away models."""

import pytest

from bot.aisix.probes import probe_for
from bot.rotation.replica import Served
from bot.rotation.wildcards import filled, is_wildcard, matches
from tests.bot.test_counters import NEW, counts, line
from tests.bot.values import affected

RULE = [
    ("openai/*", "openai/gpt-4o", True),
    ("openai/*", "openai/", True),
    ("openai/*", "openai/a/b", True),
    ("openai/*", "openai/*", True),
    ("openai/*", "OpenAI/gpt-4o", False),
    ("openai/*", "my-openai/gpt-4o", False),
    ("*", "anything at all", True),
    ("*-large", "chat-large", True),
    ("*-large", "chat-large-2", False),
    ("a*c*e", "abcde", True),
    ("a*c*e", "abde", False),
    ("chat", "chat", True),
    ("chat", "chat-large", False),
    ("chat-?*", "chat-?x", True),
    ("chat-?*", "chat-xx", False),
    ("chat-[ab]*", "chat-[ab]1", True),
    ("chat-[ab]*", "chat-a1", False),
    ("gpt-4.*", "gpt-4.1", True),
    ("gpt-4.*", "gpt-4o1", False),
    ("openai/*", "openai/two\nlines", True),
]


@pytest.mark.parametrize(("alias", "name", "does"), RULE)
def test_only_the_star_stands_for_other_characters(alias, name, does):
    assert matches(alias, name) is does


WILD = [row for row in RULE if is_wildcard(row[0]) and row[0] != row[1] and row[1].isprintable() and " " not in row[1]]


@pytest.mark.parametrize(("alias", "name", "does"), WILD)
def test_a_model_is_asked_under_a_name_in_the_settings_by_the_same_rule(alias, name, does):
    probe = probe_for(affected("m1", alias=alias), {name: "chat"})

    assert probe is not None
    assert probe.name == (name if does else "")


@pytest.mark.parametrize(("alias", "name", "does"), WILD)
def test_a_count_is_of_the_model_whose_alias_answers_by_the_same_rule(alias, name, does):
    counted = counts(line(1, model=name, **NEW), models=(affected("m1", alias=alias),))

    assert (counted.get("m1") == Served(new=1)) is does


@pytest.mark.parametrize(
    ("alias", "name", "pattern", "upstream"),
    [
        ("openai/*", "openai/gpt-4o", "*", "gpt-4o"),
        ("openai/*", "openai/gpt-4o", "models/*", "models/gpt-4o"),
        ("*-eu", "chat-eu", "azure-*", "azure-chat"),
        ("openai/*", "openai/gpt-4o", "gpt-4o", "gpt-4o"),
    ],
)
def test_what_the_star_stands_for_is_passed_on(alias, name, pattern, upstream):
    assert filled(alias, name, pattern) == upstream
