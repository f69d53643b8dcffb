"""The last look and the delete, without sockets: whose clock says what, and what an old look is worth."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bot.rotation.actions import Action
from bot.rotation.errors import LeaseLost
from bot.rotation.evidence import Verdict
from bot.rotation.finding import Acceptance
from bot.rotation.policy import offered
from bot.rotation.ports import UNHELD
from bot.rotation.progress import undone_from
from bot.rotation.proof import unproved
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.steps import pacing
from bot.steps.counters import turns
from bot.steps.delete import TOOK_TOO_LONG, delete
from sandbox.aisix import Switches
from tests.bot.values import NOW
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

TEN_MINUTES = 600
CLOCKS = [(0, 0), (TEN_MINUTES, 0), (0, TEN_MINUTES), (-TEN_MINUTES, 0), (0, -TEN_MINUTES)]
"""By how many seconds the machine that verifies is ahead, and the one that looks for the last time."""


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of() as made:
        yield made


EVERYONE = turns(2 + 1, probes=3) + turns(1 + 1, probes=3)
"""Test requests of a last look: in each environment as many as meet a replica more than the settings list."""


def has_ended(record: Rotation) -> bool:
    return record.state in (State.COMPLETED, State.BLOCKED, State.AWAITING_APPROVAL)


# --- the clocks of two machines ---


@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_the_last_look_asks_every_model_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    before = tenancy.probes()
    here = await tenancy.machine(ahead=looker)
    await here.until(tenancy.approved(record, here.world.now()), lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == EVERYONE


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

    assert again.voids[0].changes[0] == "`staging.0` does not show its counters any more."


async def test_a_look_that_another_machine_goes_on_with_begins_where_it_was_left(tenancy, monkeypatch):
    record = await tenancy.asked(await tenancy.machine())
    before = tenancy.probes()
    monkeypatch.setattr(pacing, "SLICE", -1)
    first = await tenancy.machine(concurrency=1)
    begun = await first.notch(tenancy.approved(record))
    assert tenancy.probes() - before == 1

    monkeypatch.undo()
    second = await tenancy.machine(ahead=-TEN_MINUTES)
    await second.until(begun, lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == EVERYONE


async def test_a_look_that_an_older_version_has_begun_is_begun_once_more(tenancy):
    """It marks nothing, and it drops the marks that it finds."""
    record = await tenancy.asked(here := await tenancy.machine())
    before = tenancy.probes()
    unmarked = {id_: finding.but(look="") for id_, finding in record.findings.items()}
    begun = tenancy.approved(record).but(step_since=here.world.now()).learn(unmarked)
    await here.until(begun, lambda r: "recheck" in r.done)

    assert tenancy.probes() - before == EVERYONE


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


@pytest.mark.parametrize("found", ["refused", "the old key"])
async def test_an_approver_who_is_asked_between_the_look_and_the_delete_gets_a_look_of_their_own(tenancy, found):
    here, record = await looked(tenancy)
    asked = await here.until(record.but(approvals=()), has_ended)
    if found == "refused":
        tenancy.aisix.upstream.refuse(NEW_SECRET)
    else:
        tenancy.aisix.replicas("production")[0].astray = {tenancy.chat.id: tenancy.old.id}
    before = tenancy.probes()
    ended = await here.until(tenancy.approved(asked), lambda r: r.voids or has_ended(r))

    assert asked.state is State.AWAITING_APPROVAL
    assert tenancy.probes() - before >= len(ended.plan.models)
    assert ended.voids or ended.stop
    assert tenancy.deletes() == 0


# --- from the look to the delete ---


async def looked(tenancy: Tenancy, **settings: Any) -> tuple[Machine, Rotation]:
    """A rotation that is released and looked at for the last time: what is left is the delete."""
    here = await tenancy.machine(**settings)
    record = tenancy.approved(await tenancy.asked(here))
    record = await here.until(record, lambda r: "recheck" in r.done)
    tenancy.happened.clear()
    return here, record


def at(tenancy: Tenancy, asked: str, then: Callable[[], None], *, times: int = 1) -> None:
    """Have something happen just before the control plane is *asked* something."""
    left = [then] * times

    async def before(what: str) -> None:
        if asked in what and left:
            left.pop()()

    tenancy.before = before


def lose(tenancy: Tenancy) -> Callable[[], None]:
    return lambda: setattr(tenancy.hands, "lost", True)


async def test_the_delete_goes_out_after_the_lists_were_read_and_the_lease_was_verified_after_them(tenancy):
    here, record = await looked(tenancy)
    await here.until(record, lambda r: r.delete_sent_at)
    told = [what.split()[0] for what in tenancy.happened]
    sent = told.index("DELETE")

    assert told[sent - 2 : sent + 2] == ["GET", "verified", "DELETE", "verified"]
    assert told[:sent].count("verified") == 4, "before and after each of two looks"
    versions = {what for what in tenancy.happened if what.startswith("verified")}
    assert versions == {f"verified {record.version}", f"verified {record.version + 1}"}


@pytest.mark.parametrize("asked", ["GET /provider_keys", "/models", "/passthrough_routes"])
async def test_a_lease_that_is_lost_while_the_lists_are_read_is_the_end_of_it(tenancy, asked):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    at(tenancy, asked, lose(tenancy))
    with pytest.raises(LeaseLost):
        await here.notch(record)

    assert tenancy.deletes() == 0


async def test_a_lease_that_is_lost_while_the_delete_is_under_way_records_nothing(tenancy):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    at(tenancy, "DELETE", lose(tenancy))
    with pytest.raises(LeaseLost):
        await here.notch(record)

    assert tenancy.deletes() == 1


async def test_without_a_lease_nothing_is_deleted(tenancy):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    with pytest.raises(LeaseLost):
        await delete(record, replace(here.world, hold=UNHELD))

    assert tenancy.deletes() == 0


def let_pass(tenancy: Tenancy, seconds: float, standing_still: str) -> Callable[[], None]:
    def passing() -> None:
        tenancy.clock.seconds += seconds
        for clock in ("here", "there"):
            if standing_still == clock:
                setattr(tenancy.clock, f"missed_{clock}", seconds)

    return passing


@pytest.mark.parametrize("standing_still", ["", "here", "there"])
@pytest.mark.parametrize("asked", ["GET /provider_keys", "/models", "/cache_policies"])
async def test_a_list_that_is_older_than_two_seconds_is_read_again_by_whichever_clock_it_is(
    tenancy, asked, standing_still
):
    """A process that was paused, a virtual machine whose clock stood still with it, a Redis that failed over."""
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    at(tenancy, asked, let_pass(tenancy, 2.1, standing_still))
    again = await here.notch(record)
    assert "reading the lists took 2.1 s" in again.note
    assert tenancy.deletes() == 0

    tenancy.aisix.add_model("staging", "latecomer", key=tenancy.old, upstream="gpt-4o")
    ended = await here.until(again, has_ended)
    assert "`latecomer` in staging refers to the old key" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_lists_that_are_two_seconds_old_are_fresh(tenancy):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    at(tenancy, "GET /provider_keys", let_pass(tenancy, 2.0, ""))

    assert (await here.notch(record)).delete_sent_at
    assert tenancy.deletes() == 1


async def test_an_aisix_that_is_always_too_slow_stops_it_with_a_sentence_and_the_way_back_open(tenancy):
    here, record = await looked(tenancy)
    at(tenancy, "GET /provider_keys", let_pass(tenancy, 3, ""), times=1000)
    ended = await here.until(record, has_ended)

    assert ended.stop.headline == "AISIX answers too slowly for a safe delete"
    assert re.fullmatch(
        r"Not deleted\. Reading the lists took \d\.0 s, and Keyturn deletes only on lists that are at most 2 s old\.",
        ended.stop.sentence,
    )
    assert (tenancy.deletes(), ended.delete_asked_at) == (0, None)
    assert Action.ROLL_BACK in offered(ended)


async def test_a_delete_is_not_asked_for_once_its_time_is_over(tenancy):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    tenancy.hands.lasts = 0
    after = await here.notch(record)

    assert (tenancy.deletes(), after.delete_sent_at) == (0, None)
    assert "too much time had passed" in after.note


async def test_a_delete_that_takes_too_long_is_given_up_while_the_lease_lasts(tenancy):
    here, record = await looked(tenancy)
    record = await here.until(record, lambda r: r.delete_asked_at)
    waiting = asyncio.Event()

    async def hang(what: str) -> None:
        if what.startswith("DELETE"):
            await waiting.wait()

    tenancy.before, tenancy.hands.lasts = hang, 0.3
    after = await here.notch(record)

    assert after.delete_sent_at is None
    assert after.note == "AISIX is not answering (time-out). Trying again."


async def test_a_bot_that_was_away_between_the_last_look_and_the_delete_looks_once_more(tenancy):
    here, record = await looked(tenancy)
    for minutes in (11, -11):  # a clock that was set back knows no more
        tenancy.clock.seconds += minutes * 60
        again = await here.notch(record)
        tenancy.clock.seconds -= minutes * 60
        why = "The last look was more than 10 minutes ago when it came to the delete."
        assert [void.changes for void in again.voids] == [(why,)]
        assert not again.approvals

    ended = await here.until(record, has_ended)
    assert ended.state is State.COMPLETED


TOO_LONG_AGO = "The last look was more than 10 minutes ago when it came to the delete."
AGED = {
    "the end of the look": lambda record, ago: record.but(last_look_at=record.last_look_at - ago),
    "a replica's counters": lambda record, ago: record.but(
        silences=(record.silences[0].but(looked_at=record.silences[0].looked_at - ago), *record.silences[1:])
    ),
    "a model's answer": lambda record, ago: record.learn(
        {id_: f.but(latest=f.latest.but(at=f.latest.at - ago)) for id_, f in [*record.findings.items()][:1]}
    ),
}


@pytest.mark.parametrize("minutes", [11, -11])
@pytest.mark.parametrize("what", AGED)
async def test_each_part_of_the_last_look_has_to_be_of_the_last_minutes(tenancy, what, minutes):
    here, record = await looked(tenancy)
    again = await here.notch(AGED[what](record, timedelta(minutes=minutes)))

    assert [void.changes for void in again.voids] == [(TOOK_TOO_LONG if what == "a model's answer" else TOO_LONG_AGO,)]
    assert tenancy.deletes() == 0


async def test_without_a_last_look_nothing_is_deleted(tenancy):
    """An older version did not record when it ended."""
    here, record = await looked(tenancy)
    again = await here.notch(record.but(last_look_at=None))

    assert [void.changes for void in again.voids] == [("Nothing says when the last look was.",)]
    ended = await here.until(tenancy.approved(await here.until(again, has_ended)), has_ended)
    assert ended.state is State.COMPLETED


async def test_what_the_settings_demand_since_the_last_look_counts():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        _, record = await looked(tenancy)
        stricter = await tenancy.machine(require_proof=True)
        again = await stricter.until(record, lambda r: r.voids or has_ended(r))

        assert again.voids
        assert "`chat-large` in production: not proved: no status address" in again.voids[0].changes[0]
        assert not again.approvals
        assert tenancy.deletes() == 0


@pytest.mark.parametrize("step", ["recheck", "delete"])
async def test_an_environment_that_is_not_shown_any_more_may_hold_what_uses_the_key(tenancy, step):
    """The settings know it, and no planned model is there: nothing else would miss it."""
    here = await tenancy.machine()
    record = tenancy.approved(await tenancy.asked(here))
    if step == "delete":
        record = await here.until(record, lambda r: r.delete_asked_at)
    hidden = tenancy.aisix.environment("dev")
    tenancy.aisix.add_model("dev", "unseen", key=tenancy.old, upstream="gpt-4o")
    del tenancy.aisix.store.environments[hidden.id]
    ended = await here.until(record, has_ended)

    assert ended.stop, "a part of the tenant is not seen"
    assert (ended.stop.step, ended.stop.headline) == (step, "an environment cannot be seen")
    assert tenancy.deletes() == 0


# --- replicas that came since ---


async def test_a_replica_that_was_added_since_the_proof_is_met_by_the_last_look(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    late = tenancy.aisix.place_replica("production")
    late.astray = {tenancy.chat.id: tenancy.old.id}

    again = await machine.until(tenancy.approved(record), lambda r: r.voids)

    assert "a replica that is not in `status_urls` answered" in again.voids[0].changes[0]
    assert tenancy.old_is_there


@pytest.mark.parametrize("source", ["closed", "silent"])
async def test_a_replica_that_the_proof_did_not_see_and_that_is_back_has_to_be_proved_too(tenancy, source):
    """It was down while the others took the change, and it is back with the configuration that it had."""
    machine = await tenancy.machine()
    away = tenancy.aisix.replicas("production")[1]
    away.down = True
    tenancy.wire.behind.add(away)
    record = await tenancy.asked(machine)
    assert record.findings[tenancy.chat.id].verdict.verdict is Verdict.LIKELY

    away.down, away.lag, away.silent = False, (None if source == "closed" else 0.02), source == "silent"
    again = await machine.until(tenancy.approved(record), lambda r: r.voids or has_ended(r))

    assert "production.1 was not seen when the proof began" in again.voids[0].changes[0]
    assert tenancy.old_is_there


# --- what is believed of a key that is not listed ---

MISSING = "The old key no longer exists: someone deleted it."
EACH_LIST = ["recheck", "the delete, before it is recorded", "the delete"]


async def before(tenancy: Tenancy, moment: str) -> tuple[Machine, Rotation]:
    """A released rotation that is about to list everything for one of three times."""
    here = await tenancy.machine(patience=20)
    record = tenancy.approved(await tenancy.asked(here))
    if moment != "recheck":
        record = await here.until(record, lambda r: "recheck" in r.done)
    return here, record if moment != "the delete" else await here.until(record, lambda r: r.delete_asked_at)


def offering(single_get: str) -> Switches:
    offered = "ok" if single_get == "ok" else int(single_get)
    return Switches(status_urls=True, cooldown=0.0, metric_labels="full", single_get=offered)


@pytest.mark.parametrize("moment", EACH_LIST)
@pytest.mark.parametrize(("single_get", "lists"), [("ok", 1), ("ok", 2), ("404", 1), ("404", 2), ("405", 2)])
async def test_a_list_that_lacks_the_old_key_for_a_moment_is_no_delete(moment, single_get, lists):
    async with tenancy_of(offering(single_get)) as tenancy:
        here, record = await before(tenancy, moment)
        tenancy.lack(tenancy.old, lists)
        ended = await here.until(record, has_ended)

        assert ended.state is State.COMPLETED
        assert (tenancy.deletes(), tenancy.old_is_there) == (1, False)


@pytest.mark.parametrize("moment", EACH_LIST)
async def test_lists_that_go_on_to_lack_a_key_that_is_found_by_its_id_stop_it(tenancy, moment):
    here, record = await before(tenancy, moment)
    tenancy.lack(tenancy.old, 10_000)
    ended = await here.until(record, has_ended)

    assert "AISIX's lists of provider keys contradict each other." in ended.stop.sentence
    assert (ended.deleted_at, tenancy.deletes(), tenancy.old_is_there) == (None, 0, True)


@pytest.mark.parametrize("single_get", ["ok", "404", "405"])
async def test_an_old_key_that_somebody_deleted_is_said_to_be_gone(single_get):
    async with tenancy_of(offering(single_get)) as tenancy:
        here, record = await before(tenancy, "recheck")
        tenancy.aisix.remove(tenancy.old)
        ended = await here.until(record, has_ended)

        assert ended.stop.sentence == MISSING


@pytest.mark.parametrize("single_get", ["ok", "404", "405"])
async def test_a_delete_whose_answer_was_lost_is_found_to_have_come_true(single_get):
    async with tenancy_of(offering(single_get)) as tenancy:
        here, record = await before(tenancy, "the delete")
        tenancy.aisix.remove(tenancy.old)
        ended = await here.until(record, has_ended)

        assert ended.state is State.COMPLETED


async def test_a_control_plane_that_shows_deleted_keys_by_their_ids_is_believed_after_a_delete_of_ours(tenancy):
    here, record = await before(tenancy, "the delete")
    record = await here.notch(record)
    assert record.delete_granted
    tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    ended = await here.until(record, has_ended)

    assert ended.state is State.COMPLETED
    assert not [what for what in tenancy.happened if what.startswith("GET") and tenancy.old.id in what]


async def test_a_404_to_the_delete_is_no_delete_of_ours(tenancy):
    """The path may be unknown, or the key be somewhere else."""
    here, record = await before(tenancy, "the delete")
    serve = tenancy.wire.handle

    async def unknown(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={}) if request.method == "DELETE" else await serve(request)

    tenancy.wire.handle = unknown
    record = await here.notch(record)
    assert (record.delete_granted, record.delete_sent_at is None) == (False, False)
    tenancy.lack(tenancy.old, 1)
    ended = await here.until(record, has_ended)

    assert ended.deleted_at is None
    assert tenancy.old_is_there


NEITHER = "AISIX shows none of the environments of this rotation: AISIX_ADMIN_TOKEN may be another organization's."


async def elsewhere(here: Machine, record: Rotation) -> Rotation:
    """Move *record* on with the admin token of another organization, which has other keys and environments."""
    async with tenancy_of(of_its_own=True) as other:
        here.world = replace(here.world, control_plane=(await other.machine()).world.control_plane)
        return await here.until(record, lambda r: not r.waits_for_bot)


@pytest.mark.parametrize("moment", EACH_LIST)
async def test_what_another_organization_does_not_have_is_not_deleted(tenancy, moment):
    ended = await elsewhere(*await before(tenancy, moment))

    assert ended.stop.sentence.startswith(NEITHER)
    assert (ended.deleted_at, tenancy.old_is_there) == (None, True)


@pytest.mark.parametrize("answered", [True, False])
async def test_nor_is_a_replacement_that_it_does_not_have_asked_for_once_more(tenancy, answered):
    here = await tenancy.machine(patience=20, create_grace=5)
    record = await tenancy.begun(here)
    if not answered:
        record = record.but(replacement=record.replacement.but(key_id=None), made=())
    ended = await elsewhere(here, record)

    assert ended.stop.sentence.startswith(NEITHER)


async def test_a_list_that_lacks_a_key_for_a_moment_is_no_drift_in_the_cut_over(tenancy):
    here = await tenancy.machine()
    record = await here.until(await tenancy.begun(here), lambda r: r.barriers)
    for key in (tenancy.old, tenancy.new):
        tenancy.lack(key, 1)
        record = await here.notch(record)
        assert (record.state, record.note) == (
            State.RUNNING, "AISIX's lists of provider keys contradict each other. Trying again."
        )  # fmt: skip

    assert (await here.until(record, has_ended)).state is State.AWAITING_APPROVAL


async def test_a_list_that_lacks_the_old_key_for_a_moment_is_no_reason_not_to_go_back(tenancy):
    here = await tenancy.machine()
    record = await tenancy.asked(here)
    back = record.to(State.ROLLING_BACK).but(track=Track.BACK, done=())
    tenancy.lack(tenancy.old, 1)
    ended = await here.until(back, lambda r: not r.waits_for_bot)

    assert ended.state is State.ROLLED_BACK
    assert {m.provider_key_id for m in tenancy.aisix.models.values()} == {tenancy.old.id}


async def test_what_is_known_to_be_gone_is_not_asked_after_again(tenancy):
    """Another secret is waited for by callers that fail."""
    here = await tenancy.machine()
    record = await here.until(await tenancy.asked(here), has_ended)
    tenancy.aisix.remove(tenancy.old)
    back = record.but(state=State.RUNNING, track=Track.WITHDRAW, done=(), approvals=())
    gone = await here.until(back, lambda r: "point-back" in r.done)
    tenancy.happened.clear()
    await here.until(gone, lambda r: not r.waits_for_bot)

    assert gone.plan.old_key_gone
    assert not [what for what in tenancy.happened if what == f"GET /provider_keys/{tenancy.old.id}"]


@pytest.mark.parametrize("step", ["rehearse", "cut-over"])
async def test_a_list_that_lacks_the_old_key_for_a_moment_does_not_make_it_known_to_be_gone(tenancy, step):
    here = await tenancy.machine()
    done = {"rehearse": "baseline", "cut-over": "rehearse"}[step]
    record = await here.until(await tenancy.begun(here), lambda r: done in r.done)
    tenancy.lack(tenancy.old, 1)
    record = await here.until(record, lambda r: "contradict each other" in (r.note or "") or has_ended(r))
    assert record.state is State.RUNNING
    record = await here.until(record, has_ended)

    assert (record.state, record.plan.old_key_gone) == (State.AWAITING_APPROVAL, False)


async def test_a_way_back_without_an_old_key_ends_once_people_have_put_the_models_on_another(tenancy):
    here = await tenancy.machine()
    record = await tenancy.asked(here)
    tenancy.aisix.remove(tenancy.old)
    back = record.to(State.ROLLING_BACK).but(track=Track.BACK, done=())
    stopped = await here.until(back, lambda r: not r.waits_for_bot)
    assert stopped.stop.headline == "the old key is gone"

    other = tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    for model in (tenancy.chat, tenancy.staged):
        await here.world.control_plane.point(model.id, model.environment_id, other.id)
    assert Action.TRY_AGAIN in offered(stopped)
    again = undone_from(stopped, stopped.stop.resume).to(State.ROLLING_BACK)
    ended = await here.until(again, lambda r: not r.waits_for_bot)

    assert ended.state is State.ROLLED_BACK


async def test_a_list_that_lacks_the_replacement_for_a_moment_leaves_none_behind_on_the_way_back(tenancy):
    here = await tenancy.machine()
    record = await tenancy.asked(here)
    back = record.to(State.ROLLING_BACK).but(track=Track.BACK, done=())
    back = await here.until(back, lambda r: "verify-back" in r.done)
    tenancy.lack(tenancy.new, 1)
    ended = await here.until(back, lambda r: not r.waits_for_bot)

    assert ended.state is State.ROLLED_BACK
    assert list(tenancy.aisix.provider_keys) == [tenancy.old.id]


# --- what the approver saw of the models ---


@pytest.mark.parametrize("moment", EACH_LIST)
async def test_two_aliases_that_somebody_swapped_are_no_longer_what_was_approved(tenancy, moment):
    embed = tenancy.aisix.add_model("production", "chat-small", key=tenancy.old, upstream="gpt-4o-mini")
    here, record = await before(tenancy, moment)
    tenancy.aisix.edit(embed, display_name="chat-large", settled=True)
    tenancy.aisix.edit(tenancy.chat, display_name="chat-small", settled=True)
    ended = await here.until(record, has_ended)

    assert ended.stop
    assert ended.stop.headline == "someone else changed AISIX"
    assert "`chat-large` in production was changed by someone: its alias is `chat-small` now." in ended.stop.sentence
    assert (tenancy.deletes(), tenancy.old_is_there) == (0, True)
    assert [f.latest for f in ended.findings.values()].count(None) == 2, "what they answered, the other one did"


async def test_a_model_that_was_changed_after_its_move_gets_no_baseline_from_the_new_key(tenancy):
    here, record = await before(tenancy, "recheck")
    tenancy.aisix.edit(tenancy.chat, model_name="gpt-4o-mini", settled=True)
    stopped = await here.until(record, has_ended)
    again = undone_from(stopped, "replace").unproved().to(State.RUNNING)
    asked = await here.until(again, lambda r: "baseline" in r.done)

    assert asked.findings[tenancy.chat.id].baseline is None
    assert asked.findings[tenancy.staged.id].baseline is not None


# --- nothing proved is not proved ---


async def stopped_unproved(tenancy: Tenancy, **settings: Any) -> tuple[Machine, Rotation]:
    """A rotation of a key that no model uses, and that stopped at that."""
    here = await tenancy.machine(**settings)
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    record = await here.until(await tenancy.begun(here), has_ended)
    assert record.stop.sentence == "No model uses this key, so nothing proves the new secret."
    return here, record


def accepting(record: Rotation) -> Rotation:
    word = Acceptance(by="U_APPROVER", at=NOW, reason="tried with curl", of=unproved(record))
    return undone_from(record.but(accepted=word, version=record.version + 1), record.stop.step).to(State.RUNNING)


@pytest.mark.parametrize("require_proof", [True, False])
async def test_a_key_that_no_model_uses_is_not_offered_for_the_delete(tenancy, require_proof):
    here, record = await stopped_unproved(tenancy, require_proof=require_proof)
    again = await here.until(undone_from(record, "verify").to(State.RUNNING), has_ended)

    assert again.state is State.BLOCKED
    assert Action.ACCEPT_UNPROVED in offered(record)


async def test_once_an_approver_accepts_that_nothing_proves_it_it_goes_its_way(tenancy):
    here, record = await stopped_unproved(tenancy)
    asked = await here.until(accepting(record), has_ended)
    assert asked.state is State.AWAITING_APPROVAL
    ended = await here.until(tenancy.approved(asked), has_ended)

    assert (ended.state, tenancy.old_is_there) == (State.COMPLETED, False)


@pytest.mark.parametrize("minutes", [11, -11, 24 * 60])
async def test_a_last_look_at_a_key_that_no_model_uses_counts_no_longer_than_another(tenancy, minutes):
    here, record = await stopped_unproved(tenancy)
    asked = await here.until(accepting(record), has_ended)
    record = await here.until(tenancy.approved(asked), lambda r: "recheck" in r.done)
    tenancy.clock.seconds += minutes * 60
    again = await here.notch(record)

    assert [void.changes for void in again.voids] == [(TOO_LONG_AGO,)]
    assert tenancy.old_is_there


async def test_an_approver_of_a_key_that_no_model_uses_has_as_long_as_any_other(tenancy):
    here, record = await stopped_unproved(tenancy, evidence_max_age=3600)
    asked = await here.until(accepting(record), has_ended)
    tenancy.clock.seconds += 3601
    again = await here.until(tenancy.approved(asked), lambda r: r.voids or has_ended(r))

    assert [void.changes for void in again.voids] == [("The evidence was older than 1 hour.",)]
    assert tenancy.old_is_there


async def test_an_acceptance_that_is_of_something_else_by_the_last_look_is_void(tenancy):
    here, record = await stopped_unproved(tenancy)
    asked = await here.until(accepting(record), has_ended)
    released = tenancy.approved(asked.but(accepted=asked.accepted.but(of="No model in `production` is probed.")))
    again = await here.until(released, lambda r: r.voids or has_ended(r))

    why = "No model uses this key, so nothing proves the new secret."
    assert [void.changes for void in again.voids] == [(why,)]
    assert tenancy.old_is_there


async def test_a_rotation_that_lost_its_last_model_on_the_way_is_not_offered(tenancy):
    here = await tenancy.machine()
    record = await here.until(await tenancy.begun(here), lambda r: "rehearse" in r.done)
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    drifted = await here.until(record, has_ended)
    assert drifted.stop.headline == "someone else changed AISIX"
    ended = await here.until(undone_from(drifted, "replace").unproved().to(State.RUNNING), has_ended)

    assert ended.stop.sentence == "No model uses this key, so nothing proves the new secret."


async def test_a_test_request_of_somebody_else_during_the_last_look_hides_no_other_replica(tenancy):
    machine = await tenancy.machine()
    approved = tenancy.approved(await tenancy.asked(machine))
    carry, came = tenancy.wire.handle, list[httpx.Request]()

    async def handle(request: httpx.Request) -> httpx.Response:
        came.extend([request] * (request.method == "POST"))
        if request.method == "POST" and len(came) == 3:
            await carry(request)  # as somebody who uses the same caller key
        return await carry(request)

    tenancy.wire.handle = handle
    again = await machine.until(approved, lambda r: r.voids)

    assert "test requests that nobody has noted" in again.voids[0].changes[0]
    assert tenancy.old_is_there


async def test_a_replica_that_was_added_since_is_met_also_where_the_old_credential_fails_there(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    late = tenancy.aisix.place_replica("production")
    late.astray = {tenancy.chat.id: tenancy.old.id}
    tenancy.aisix.upstream.set(OLD_SECRET, 500)

    ended = await machine.until(tenancy.approved(record), lambda r: r.voids or has_ended(r))

    assert ended.voids or ended.state is State.BLOCKED
    assert tenancy.old_is_there
