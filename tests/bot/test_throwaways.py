"""Throw-away models: what they are like, that none is left over, and what is said where there can be none."""

import pytest

from bot.rotation.states import State
from tests.bot.values import tried_again
from tests.support.in_memory import NEW_SECRET, Tenancy, tenancy_of

pytestmark = pytest.mark.whole


def made(tenancy: Tenancy) -> list[dict]:
    return [call.body for call in tenancy.aisix.calls if call.method == "POST" and call.path.endswith("/models")]


async def test_no_throw_away_model_outlives_a_rotation_and_no_name_is_used_twice():
    async with tenancy_of() as tenancy:
        models = set(tenancy.aisix.models)
        tenancy.aisix.upstream.refuse(NEW_SECRET)
        machine = await tenancy.machine(waves=(1,))
        record = await tenancy.begun(machine)
        for _ in range(2):
            record = await machine.stopped(record)
            assert record.stop.headline == "the new secret was refused"
            assert set(tenancy.aisix.models) == models
            record = tried_again(record)
        tenancy.aisix.upstream.accept(NEW_SECRET)
        record = await machine.ended(record)

    names = [body["display_name"] for body in made(tenancy)]
    assert record.state is State.AWAITING_APPROVAL
    assert set(tenancy.aisix.models) == models
    assert len(names) == len(set(names)) == 3 * 2 + 2, "three rehearsals of two models, and a barrier for each wave"
    assert all(name.startswith("keyturn-") for name in names)


async def test_a_throw_away_model_is_like_the_model_it_stands_for():
    told = {"timeout": 700, "retries": 1, "allowed_cidrs": ["0.0.0.0/0"]}
    async with tenancy_of() as tenancy:
        for model in (tenancy.chat, tenancy.staged):
            tenancy.aisix.remove(model, settled=True)
        tenancy.aisix.add_model("staging", "alone", key=tenancy.old, upstream="gpt-4.1", **told)
        machine = await tenancy.machine()
        await machine.ended(await tenancy.begun(machine))

    assert made(tenancy)
    assert all(told.items() <= body.items() for body in made(tenancy))
    assert {(body["model_name"], body["provider_key_id"]) for body in made(tenancy)} == {("gpt-4.1", tenancy.new.id)}


async def test_a_probe_key_that_may_not_use_throw_away_models_is_said():
    async with tenancy_of() as tenancy:
        for name in ("production", "staging"):
            environment = tenancy.aisix.environment(name)
            environment.callers[tenancy.aisix.caller_key(name)].allowed[:] = ["chat-large"]
        machine = await tenancy.machine()
        record = await machine.ended(await tenancy.begun(machine))

    assert record.state is State.AWAITING_APPROVAL
    assert "the probe's caller key may not use `keyturn-*`; allow it that" in record.rehearsal
