"""The last look and the delete, without sockets: whose clock says what, and what an old look is worth."""

from collections.abc import AsyncIterator

import pytest

from bot.evidence import Verdict
from bot.rotation import Rotation, State
from bot.steps import common
from tests.support.in_memory import NEW_SECRET, Machine, Tenancy, tenancy_of

TEN_MINUTES = 600
CLOCKS = [(0, 0), (TEN_MINUTES, 0), (0, TEN_MINUTES), (-TEN_MINUTES, 0), (0, -TEN_MINUTES)]
"""By how many seconds the machine that verifies is ahead, and the one that looks for the last time."""


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of() as made:
        yield made


def has_ended(record: Rotation) -> bool:
    return record.state in (State.COMPLETED, State.BLOCKED, State.AWAITING_APPROVAL)


# --- the clocks of two machines ---


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_the_last_look_asks_every_model_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    before = tenancy.probes()
    here = await tenancy.machine(ahead=looker)
    await here.until(tenancy.approved(record, here.world.now()), lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == len(record.plan.models)


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_a_secret_that_is_refused_since_the_proof_is_found_out_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    here = await tenancy.machine(ahead=looker)
    ended = await here.until(tenancy.approved(record, here.world.now()), has_ended)

    assert ended.stop.headline == "the new secret was refused"
    assert tenancy.deletes() == 0


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_clocks_that_differ_are_no_reason_not_to_delete(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    here = await tenancy.machine(ahead=looker)
    ended = await here.until(tenancy.approved(record, here.world.now()), has_ended)

    assert ended.state is State.COMPLETED
    assert not tenancy.old_is_there


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_a_replica_that_shows_no_counters_any_more_is_missed_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    tenancy.aisix.replicas("staging")[0].metrics_available = False
    here = await tenancy.machine(ahead=looker)
    again = await here.until(tenancy.approved(record, here.world.now()), lambda r: r.voids)

    assert again.voids[0].changes == ("`staging.0` does not show its counters any more.",)


async def test_a_look_that_another_machine_goes_on_with_asks_each_model_once(tenancy, monkeypatch):
    record = await tenancy.asked(await tenancy.machine())
    before = tenancy.probes()
    monkeypatch.setattr(common, "SLICE", -1)
    first = await tenancy.machine(concurrency=1)
    begun = await first.notch(tenancy.approved(record))
    assert tenancy.probes() - before == 1

    monkeypatch.undo()
    second = await tenancy.machine(ahead=-TEN_MINUTES)
    await second.until(begun, lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == len(record.plan.models)


async def test_a_look_that_an_older_version_has_begun_is_begun_once_more(tenancy):
    """It marks nothing, and it drops the marks that it finds."""
    record = await tenancy.asked(here := await tenancy.machine())
    before = tenancy.probes()
    unmarked = {id_: finding.but(look="") for id_, finding in record.findings.items()}
    begun = tenancy.approved(record).but(step_since=here.world.now()).learn(unmarked)
    await here.until(begun, lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == len(record.plan.models)


async def soaking(tenancy: Tenancy, machine: Machine) -> Rotation:
    return await machine.until(await tenancy.begun(machine), lambda r: r.note == "soaking")


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_each_look_of_the_soak_asks_every_model_whatever_the_clocks_say(tenancy, verifier, looker):
    settings = {"soak": 3000, "look_interval": 30}
    record = await soaking(tenancy, await tenancy.machine(ahead=verifier, **settings))
    here = await tenancy.machine(ahead=looker, **settings)
    for _ in range(3):
        before = tenancy.probes()
        due = record.look_at
        record = await here.until(record, lambda r, due=due: r.look_at != due)
        assert tenancy.probes() - before == len(record.plan.models)


async def test_what_turns_bad_in_the_soak_is_found_by_the_next_look(tenancy):
    settings = {"soak": 300, "look_interval": 30}
    record = await soaking(tenancy, await tenancy.machine(ahead=TEN_MINUTES, **settings))
    tenancy.aisix.upstream.refuse(NEW_SECRET)
    here = await tenancy.machine(**settings)
    ended = await here.until(record, has_ended)

    assert ended.stop.headline == "the new secret was refused"
    assert {f.latest.verdict for f in ended.findings.values()} == {Verdict.REJECTED}
