"""One rule says what a wildcard alias answers for, whoever asks: the probes, the counters or the throw-away models."""

import httpx
import pytest

from bot.aisix.probes import probe_for
from bot.rotation.evidence import Verdict
from bot.rotation.replica import Served
from bot.rotation.states import State
from bot.rotation.wildcards import filled, is_wildcard, matches
from sandbox.aisix import Switches
from tests.bot.test_counters import NEW, counts, line
from tests.bot.values import affected
from tests.support.in_memory import NEW_SECRET, tenancy_of

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


NAMELESS = "some models cannot be verified"


@pytest.mark.whole
@pytest.mark.parametrize(
    ("probes", "used", "offered", "headline"),
    [
        ({"openai/*": "openai/mini"}, [], {"mini"}, ""),
        ({}, ["mini"], {"mini"}, ""),
        ({}, ["mini", "large"], {"mini", "large"}, NAMELESS),
        ({}, [], {"mini"}, NAMELESS),
        ({"openai/*": "openai/mini"}, [], {"large"}, "the new account lacks a model"),
    ],
    ids=["a name in the settings", "one name in use", "two names in use", "no name", "a name that is not offered"],
)
async def test_a_wildcard_is_rehearsed_and_verified_under_one_name(probes, used, offered, headline):
    async with tenancy_of(Switches(metric_labels="full", cooldown=0.0)) as tenancy:
        aisix, here = tenancy.aisix, tenancy.chat.environment_id
        tenancy.aisix.remove(tenancy.chat, settled=True)
        tenancy.aisix.remove(tenancy.staged, settled=True)
        wild = aisix.add_model("production", "openai/*", key=tenancy.old, upstream="*")
        settings = tenancy.wire.settings()
        tenancy.wire.settings = lambda: settings | {here: settings[here] | {"probes": probes}}
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {aisix.app_caller_key('production')}"}) as http:
            for name in used:
                body = {"model": f"openai/{name}", "messages": [{"role": "user", "content": "Hello"}]}
                assert (await http.post("http://production/v1/chat/completions", json=body)).is_success
        aisix.upstream.models_for(NEW_SECRET, offered)
        machine = await tenancy.machine()
        record = await machine.until(
            await tenancy.begun(machine), lambda r: r.state in (State.BLOCKED, State.AWAITING_APPROVAL)
        )

        assert (record.stop.headline if record.stop else "") == headline
        if headline:
            assert not any("PATCH" in asked for asked in tenancy.happened)
        else:
            assert record.finding(record.plan.models[0]).verdict.verdict is Verdict.PROVED
            assert record.plan.models[0].id == wild.id
            assert {call.model for call in aisix.upstream.calls if call.secret == NEW_SECRET} == {"mini"}
