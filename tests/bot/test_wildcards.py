"""One rule says what a wildcard alias answers for, to the probes, the counters and the throw-away models."""

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


@pytest.mark.parametrize(
    ("alias", "name", "does"),
    [
        ("openai/*", "openai/gpt-4o", True),
        ("openai/*", "openai/", True),
        ("openai/*", "OpenAI/gpt-4o", False),
        ("openai/*", "my-openai/gpt-4o", False),
        ("*-large", "chat-large-2", False),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abde", False),
        ("chat", "chat", True),
        ("chat", "chat-large", False),
        ("chat-[ab]*", "chat-a1", False),
        ("gpt-4.*", "gpt-4o1", False),
        ("openai/*", "openai/two\nlines", True),
    ],
)
def test_only_the_star_stands_for_other_characters_in_every_place(alias, name, does):
    assert matches(alias, name) is does
    if not is_wildcard(alias) or not name.isprintable():
        return

    model = affected("m1", alias=alias)
    assert probe_for(model, {name: "chat"}).name == (name if does else "")
    assert (counts(line(1, model=name, **NEW), models=(model,)).get("m1") == Served(new=1)) is does


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
async def test_g20_a_wildcard_is_rehearsed_and_verified_under_one_name(probes, used, offered, headline):
    async with tenancy_of(Switches(metric_labels="full", cooldown=0.0)) as tenancy:
        aisix, here = tenancy.aisix, tenancy.chat.environment_id
        for model in (tenancy.chat, tenancy.staged):
            aisix.remove(model, settled=True)
        wild = aisix.add_model("production", "openai/*", key=tenancy.old, upstream="*")
        settings = tenancy.wire.settings()
        tenancy.wire.settings = lambda: settings | {here: settings[here] | {"probes": probes}}
        for name in used:
            assert (await tenancy.ask("production", f"openai/{name}")).is_success
        aisix.upstream.models_for(NEW_SECRET, offered)
        machine = await tenancy.machine()
        record = await machine.ended(await tenancy.begun(machine))

        assert (record.stop.headline if record.stop else "") == headline
        if headline:
            assert not any("PATCH" in asked for asked in tenancy.happened)
            return
        assert record.state is State.AWAITING_APPROVAL
        assert record.findings[wild.id].verdict.verdict is Verdict.PROVED
        assert {call.model for call in aisix.upstream.calls if call.secret == NEW_SECRET} == {"mini"}


@pytest.mark.once("kind")
@pytest.mark.whole
@pytest.mark.parametrize("kind", ["direct", "ensemble"])
@pytest.mark.parametrize(("after", "counters"), [("project", True), ("soak", True), ("soak", False)])
async def test_a_model_that_takes_the_name_of_a_wildcard_later_stops_the_rotation(after, counters, kind):
    async with tenancy_of(Switches(metric_labels="full", cooldown=0.0, status_urls=counters)) as tenancy:
        aisix, here = tenancy.aisix, tenancy.chat.environment_id
        aisix.remove(tenancy.chat, settled=True)
        aisix.add_model("production", "openai/*", key=tenancy.old, upstream="*")
        settings = tenancy.wire.settings()
        probes = {"openai/*": "openai/gpt-4o"}
        tenancy.wire.settings = lambda: settings | {here: settings[here] | {"probes": probes}}
        machine = await tenancy.machine()
        record = await machine.until(await tenancy.begun(machine), lambda r: after in r.done)
        other = aisix.add_key("Other key", secret="sk-other-0123456789abc")
        spare = aisix.add_model("production", "spare", key=other, upstream="gpt-4o")
        parts = {"key": other, "upstream": "gpt-4o"} if kind == "direct" else {"panel": [spare], "judge": spare}
        aisix.add_model("production", "openai/gpt-4o", kind=kind, **parts)
        record = await machine.ended(record)
        record = record if record.stop else await machine.ended(tenancy.approved(record))

    assert record.stop.headline == NAMELESS
    where = ", which is on another key" if kind == "direct" else ""
    assert f"`openai/*` in production to another model, `openai/gpt-4o`{where}, so" in record.stop.sentence
