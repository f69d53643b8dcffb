"""The last look and the delete, without sockets: whose clock says what, and what an old look is worth."""

import asyncio
import re
from collections.abc import Callable
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
from bot.rotation.progress import undone_from
from bot.rotation.proof import unproved
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.steps.counters import turns
from bot.steps.delete import TOOK_TOO_LONG
from sandbox.aisix import Switches
from sandbox.aisix.store import Environment
from tests.bot.values import NOW, back, tried_again
from tests.support.in_memory import NEW_SECRET, Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

TEN_MINUTES = 600
CLOCKS = [(TEN_MINUTES, 0), (0, 0), (0, TEN_MINUTES), (-TEN_MINUTES, 0), (0, -TEN_MINUTES)]
"""By how many seconds the machine that verifies is ahead, and the one that looks for the last time."""

EVERYONE = turns(2 + 1, probes=3) + turns(1 + 1, probes=3)
"""Test requests of a last look: in each environment as many as meet a replica more than the settings list."""


# --- the clocks of two machines ---


@pytest.mark.once
@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_the_last_look_asks_every_model_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    before = tenancy.probes()
    here = await tenancy.machine(ahead=looker)
    record = await here.done(tenancy.approved(record, here.world.now()), "recheck")
    assert tenancy.probes() - before == EVERYONE

    assert (await here.ended(record)).state is State.COMPLETED
    assert not tenancy.old_is_there


@pytest.mark.once
@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_a_replica_that_shows_no_counters_any_more_is_missed_whatever_the_clocks_say(tenancy, verifier, looker):
    record = await tenancy.asked(await tenancy.machine(ahead=verifier))
    tenancy.aisix.replicas("staging")[0].metrics_available = False
    here = await tenancy.machine(ahead=looker)
    again = await here.voided(tenancy.approved(record, here.world.now()))

    assert again.voids[0].changes[0] == "`staging.0` does not show its counters any more."


@pytest.mark.once
@pytest.mark.parametrize(("verifier", "looker"), CLOCKS)
async def test_each_look_of_the_soak_asks_every_model_whatever_the_clocks_say(tenancy, verifier, looker):
    settings = {"soak": 3000, "look_interval": 30}
    there = await tenancy.machine(ahead=verifier, **settings)
    record = await there.until(await tenancy.begun(there), lambda r: r.note == "soaking")
    here = await tenancy.machine(ahead=looker, **settings)
    for _ in range(2):
        before, due = tenancy.probes(), record.look_at
        record = await here.until(record, lambda r, due=due: r.look_at != due)
        assert tenancy.probes() - before == len(record.plan.models)

    tenancy.aisix.upstream.refuse(NEW_SECRET)
    ended = await here.stopped(record)
    assert ended.stop.headline == "the new secret was refused"
    assert {f.latest.verdict for f in ended.findings.values()} == {Verdict.REJECTED}


# --- from the look to the delete ---


async def looked(tenancy: Tenancy, **settings: Any) -> tuple[Machine, Rotation]:
    """A rotation that is released and looked at for the last time: what is left is the delete."""
    here = await tenancy.machine(**settings)
    record = await tenancy.released(here, done="recheck")
    tenancy.happened.clear()
    return here, record


async def test_the_delete_goes_out_after_the_lists_were_read_and_the_lease_was_verified_after_them(tenancy):
    here, record = await looked(tenancy)
    await here.until(record, lambda r: r.delete_sent_at)
    told = [what.split()[0] for what in tenancy.happened]
    sent = told.index("DELETE")

    assert told[sent - 2 : sent + 2] == ["GET", "verified", "DELETE", "verified"]
    assert told[:sent].count("verified") == 4, "before and after each of two looks"
    versions = {what for what in tenancy.happened if what.startswith("verified")}
    assert versions == {f"verified {record.version}", f"verified {record.version + 1}"}


@pytest.mark.parametrize(("asked", "deletes"), [("GET /provider_keys", 0), ("/passthrough_routes", 0), ("DELETE", 1)])
async def test_a_lease_that_is_lost_before_or_during_the_delete_ends_it(tenancy, asked, deletes):
    here, record = await tenancy.about_to_delete()
    tenancy.at(asked, lambda: setattr(tenancy.hands, "lost", True))
    with pytest.raises(LeaseLost):
        await here.notch(record)

    assert tenancy.deletes() == deletes


def let_pass(tenancy: Tenancy, seconds: float, standing_still: str = "") -> Callable[[], None]:
    def passing() -> None:
        tenancy.clock.seconds += seconds
        if standing_still:
            setattr(tenancy.clock, f"missed_{standing_still}", seconds)

    return passing


@pytest.mark.once("asked")
@pytest.mark.parametrize("standing_still", ["", "here", "there"])
@pytest.mark.parametrize("asked", ["GET /provider_keys", "/cache_policies"])
async def test_a_list_that_is_older_than_two_seconds_is_read_again_by_whichever_clock_it_is(
    tenancy, asked, standing_still
):
    """A process that was paused, a virtual machine whose clock stood still with it, a Redis that failed over."""
    here, record = await tenancy.about_to_delete()
    tenancy.at(asked, let_pass(tenancy, 2.1, standing_still))
    again = await here.notch(record)
    assert "reading the lists took 2.1 s" in again.note
    assert tenancy.deletes() == 0

    tenancy.aisix.add_model("staging", "latecomer", key=tenancy.old, upstream="gpt-4o")
    ended = await here.stopped(again)
    assert "`latecomer` in staging refers to the old key" in ended.stop.sentence
    assert tenancy.deletes() == 0


async def test_lists_that_are_two_seconds_old_are_fresh(tenancy):
    here, record = await tenancy.about_to_delete()
    tenancy.at("GET /provider_keys", let_pass(tenancy, 2.0))

    assert (await here.notch(record)).delete_sent_at
    assert tenancy.deletes() == 1


@pytest.mark.parametrize("is_noted", [False, True], ids=["at once", "whenever the delete is noted"])
async def test_an_aisix_that_is_always_too_slow_stops_the_delete_and_leaves_the_way_back_open(tenancy, is_noted):
    here, record = await looked(tenancy)

    def is_over(record: Rotation) -> bool:
        seconds = 3 if bool(record.delete_asked_at) is is_noted else 0
        tenancy.at("GET /provider_keys", let_pass(tenancy, seconds), times=1000)
        return not record.waits_for_bot

    ended = await here.until(record, is_over)

    assert ended.stop
    assert ended.stop.headline == "AISIX answers too slowly for a safe delete"
    assert re.fullmatch(
        r"Not deleted\. Reading the lists took \d\.0 s, and Keyturn deletes only on lists that are at most 2 s old\.",
        ended.stop.sentence,
    )
    assert (tenancy.deletes(), ended.delete_asked_at, ended.delete_try) == (0, None, "")
    assert Action.ROLL_BACK in offered(ended)


async def test_a_delete_is_not_asked_for_once_its_time_is_over(tenancy):
    here, record = await tenancy.about_to_delete()
    tenancy.hands.lasts = 0
    after = await here.notch(record)

    assert (tenancy.deletes(), after.delete_sent_at) == (0, None)
    assert "too much time had passed" in after.note


async def test_a_delete_that_takes_too_long_is_given_up_while_the_lease_lasts(tenancy):
    here, record = await tenancy.about_to_delete()

    async def hang(what: str) -> None:
        if what.startswith("DELETE"):
            await asyncio.sleep(1)  # the timer of the limit is due before, however late both are

    tenancy.before, tenancy.hands.lasts = hang, 0.3
    after = await here.notch(record)

    assert after.delete_sent_at is None
    assert after.note == "AISIX is not answering (time-out). Trying again."


TOO_LONG_AGO = "The last look was more than 10 minutes ago when it came to the delete."
AGED = {
    "the end of the look": (lambda record, ago: record.but(last_look_at=record.last_look_at - ago), TOO_LONG_AGO),
    "a replica's counters": (
        lambda record, ago: record.but(
            silences=(record.silences[0].but(looked_at=record.silences[0].looked_at - ago), *record.silences[1:])
        ),
        TOO_LONG_AGO,
    ),
    "a model's answer": (
        lambda record, ago: record.learn(
            {id_: f.but(latest=f.latest.but(at=f.latest.at - ago)) for id_, f in [*record.findings.items()][:1]}
        ),
        TOOK_TOO_LONG,
    ),
    "no look, of an older version": (
        lambda record, _: record.but(last_look_at=None),
        "Nothing says when the last look was.",
    ),
}


@pytest.mark.once("minutes")
@pytest.mark.parametrize("minutes", [11, -11], ids=["long ago", "a clock that was set back"])
@pytest.mark.parametrize("what", AGED)
async def test_each_part_of_the_last_look_has_to_be_of_the_last_minutes(tenancy, what, minutes):
    here, record = await looked(tenancy)
    age, why = AGED[what]
    again = await here.notch(age(record, timedelta(minutes=minutes)))

    assert [void.changes for void in again.voids] == [(why,)]
    assert not again.approvals
    assert {finding.latest for finding in again.findings.values()} == {None}, "all is verified anew"
    assert tenancy.deletes() == 0


async def test_stricter_settings_since_the_last_look_count():
    async with tenancy_of(Switches(status_urls=False, cooldown=0.0)) as tenancy:
        _, record = await looked(tenancy)
        again = await (await tenancy.machine(require_proof=True)).voided(record)

        assert "`chat-large` in production: not proved: no status address" in again.voids[0].changes[0]
        assert not again.approvals
        assert tenancy.deletes() == 0


@pytest.mark.parametrize("step", ["recheck", "delete"])
@pytest.mark.parametrize(("name", "said"), [("dev", "AISIX_GATEWAYS"), ("lab", "AISIX listed `lab` to this rotation")])
async def test_an_environment_that_is_not_shown_any_more_may_hold_what_uses_the_key(tenancy, step, name, said):
    """The settings know it, or it was listed; no planned model is there: nothing else would miss it."""
    here = await tenancy.machine()
    lab = Environment("lab")
    tenancy.aisix.store.environments[lab.id] = lab
    record = await tenancy.released(here)
    if step == "delete":
        record = await here.until(record, lambda r: r.delete_asked_at)
    hidden = next(one for one in tenancy.aisix.store.environments.values() if one.name == name)
    hidden.is_visible = False
    ended = await here.stopped(record)

    assert (ended.stop.step, ended.stop.headline) == (step, "an environment cannot be seen")
    assert said in ended.stop.sentence
    assert tenancy.deletes() == 0


# --- replicas that came since ---


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
    again = await machine.voided(tenancy.approved(record))

    assert "production.1 was not seen when the proof began" in again.voids[0].changes[0]
    assert tenancy.old_is_there


# --- what is believed of a key that is not listed ---

EACH_LIST = ["recheck", "the delete, before it is recorded", "the delete"]


async def before(tenancy: Tenancy, moment: str) -> tuple[Machine, Rotation]:
    """A released rotation that is about to list everything for one of three times."""
    if moment == "the delete":
        return await tenancy.about_to_delete(patience=20)
    here = await tenancy.machine(patience=20)
    return here, await tenancy.released(here, done="soak" if moment == "recheck" else "recheck")


def offering(single_get: str) -> Switches:
    offered = "ok" if single_get == "ok" else int(single_get)
    return Switches(status_urls=True, cooldown=0.0, metric_labels="full", single_get=offered)


@pytest.mark.once("moment")
@pytest.mark.parametrize("moment", EACH_LIST)
@pytest.mark.parametrize(("single_get", "lists"), [("ok", 1), ("ok", 2), ("404", 1), ("404", 2), ("405", 2)])
async def test_a_list_that_lacks_the_old_key_for_a_moment_is_no_delete(moment, single_get, lists):
    async with tenancy_of(offering(single_get)) as tenancy:
        here, record = await before(tenancy, moment)
        tenancy.lack(tenancy.old, lists)
        ended = await here.ended(record)

        assert ended.state is State.COMPLETED
        assert (tenancy.deletes(), tenancy.old_is_there) == (1, False)


@pytest.mark.parametrize("moment", EACH_LIST)
async def test_lists_that_keep_lacking_a_key_found_by_its_id_stop_the_delete(tenancy, moment):
    here, record = await before(tenancy, moment)
    tenancy.lack(tenancy.old, 10_000)
    ended = await here.stopped(record)

    assert "AISIX's lists of provider keys contradict each other." in ended.stop.sentence
    assert (ended.deleted_at, tenancy.deletes(), tenancy.old_is_there) == (None, 0, True)


@pytest.mark.parametrize("single_get", ["ok", "404", "405"])
@pytest.mark.parametrize(
    ("moment", "said"), [("recheck", "The old key no longer exists: someone deleted it."), ("the delete", None)]
)
async def test_an_old_key_that_is_gone_was_deleted_by_somebody_or_by_a_delete_that_was_noted(moment, said, single_get):
    async with tenancy_of(offering(single_get)) as tenancy:
        here, record = await before(tenancy, moment)
        tenancy.aisix.remove(tenancy.old)
        ended = await here.ended(record)

        assert (ended.stop and ended.stop.sentence, ended.state is State.COMPLETED) == (said, said is None)


async def test_a_control_plane_that_shows_deleted_keys_by_their_ids_is_believed_after_a_delete_of_ours(tenancy):
    here, record = await before(tenancy, "the delete")
    record = await here.notch(record)
    assert record.delete_granted
    tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    ended = await here.ended(record)

    assert ended.state is State.COMPLETED
    assert not [what for what in tenancy.happened if what.startswith("GET") and tenancy.old.id in what]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={}),
        httpx.Response(200, json={"success": False, "error": "still referenced"}),
    ],
    ids=["the path may be unknown, or the key be somewhere else", "it complains in its body"],
)
async def test_an_answer_that_confirms_no_delete_grants_none(tenancy, answer):
    here, record = await before(tenancy, "the delete")

    async def refused(request, carry):
        return answer if request.method == "DELETE" else await carry(request)

    tenancy.intercept(refused)
    record = await here.notch(record)
    tenancy.lack(tenancy.old, 1)
    ended = await here.ended(record)

    assert (record.delete_granted, ended.deleted_at, tenancy.old_is_there) == (False, None, True)


NEITHER = "AISIX shows none of the environments of this rotation: AISIX_ADMIN_TOKEN may be another organization's."


async def elsewhere(here: Machine, record: Rotation) -> Rotation:
    """Move *record* on with the admin token of another organization, which has other keys and environments."""
    async with tenancy_of(of_its_own=True) as other:
        here.world = replace(here.world, control_plane=(await other.machine()).world.control_plane)
        return await here.stopped(record)


@pytest.mark.once
@pytest.mark.parametrize("moment", EACH_LIST)
async def test_what_another_organization_does_not_have_is_not_deleted(tenancy, moment):
    ended = await elsewhere(*await before(tenancy, moment))

    assert ended.stop.sentence.startswith(NEITHER)
    assert (ended.deleted_at, tenancy.old_is_there) == (None, True)


@pytest.mark.parametrize("lost", [{}, {"key_id": None}], ids=["created", "its answer was lost"])
async def test_a_replacement_that_another_organization_lacks_is_not_created_again(tenancy, lost):
    here = await tenancy.machine(patience=20, create_grace=5)
    record = await tenancy.begun(here)
    record = record.but(replacement=record.replacement.but(**lost), made=() if lost else record.made)

    assert (await elsewhere(here, record)).stop.sentence.startswith(NEITHER)


@pytest.mark.once("done")
@pytest.mark.parametrize("done", ["baseline", "rehearse"])
@pytest.mark.parametrize("lacked", ["old", "new"])
async def test_a_list_that_lacks_a_key_for_a_moment_is_no_drift_on_the_way(tenancy, done, lacked):
    here = await tenancy.machine()
    record = await here.done(await tenancy.begun(here), done)
    tenancy.lack(getattr(tenancy, lacked), 1)
    record = await here.until(record, lambda r: "contradict each other" in (r.note or "") or not r.waits_for_bot)
    assert record.state is State.RUNNING
    record = await here.ended(record)

    assert (record.state, record.plan.old_key_gone) == (State.AWAITING_APPROVAL, False)


@pytest.mark.parametrize(("lacked", "done"), [("old", ""), ("new", "verify-back")])
async def test_a_list_that_lacks_a_key_for_a_moment_blocks_no_roll_back(tenancy, lacked, done):
    here = await tenancy.machine()
    record = await here.until(back(await tenancy.asked(here)), lambda r: not done or done in r.done)
    tenancy.lack(getattr(tenancy, lacked), 1)
    ended = await here.ended(record)

    assert ended.state is State.ROLLED_BACK
    assert {m.provider_key_id for m in tenancy.aisix.models.values()} == {tenancy.old.id}
    assert list(tenancy.aisix.provider_keys) == [tenancy.old.id]


async def test_a_way_back_without_an_old_key_ends_once_people_have_put_the_models_on_another(tenancy):
    here = await tenancy.machine()
    record = await tenancy.asked(here)
    tenancy.aisix.remove(tenancy.old)
    stopped = await here.stopped(back(record))
    assert stopped.stop.headline == "the old key is gone"

    other = tenancy.aisix.add_key("Other", secret="sk-other-0123456789abcdef")
    for model in (tenancy.chat, tenancy.staged):
        await here.world.control_plane.point(model.id, model.environment_id, other.id)
    assert Action.TRY_AGAIN in offered(stopped)
    again = undone_from(stopped, stopped.stop.resume).to(State.ROLLING_BACK)

    assert (await here.ended(again)).state is State.ROLLED_BACK


@pytest.mark.once
@pytest.mark.parametrize("moment", EACH_LIST)
async def test_two_swapped_aliases_stop_the_rotation(tenancy, moment):
    small = tenancy.aisix.add_model("production", "chat-small", key=tenancy.old, upstream="gpt-4o-mini")
    here, record = await before(tenancy, moment)
    tenancy.aisix.edit(small, display_name="chat-large", settled=True)
    tenancy.aisix.edit(tenancy.chat, display_name="chat-small", settled=True)
    ended = await here.stopped(record)

    assert ended.stop.headline == "someone else changed AISIX"
    assert "`chat-large` in production was changed by someone: its alias is `chat-small` now." in ended.stop.sentence
    assert (tenancy.deletes(), tenancy.old_is_there) == (0, True)
    assert [f.latest for f in ended.findings.values()].count(None) == 2, "what they answered, the other one did"


# --- nothing proved is not proved ---

NO_MODEL = "No model uses this key, so nothing proves the new secret."


async def asked_unproved(tenancy: Tenancy, **settings: Any) -> tuple[Machine, Rotation]:
    """A rotation of a key that no model uses, and that an approver has accepted so."""
    here = await tenancy.machine(**settings)
    for model in (tenancy.chat, tenancy.staged):
        tenancy.aisix.remove(model)
    record = await here.stopped(await tenancy.begun(here))
    assert record.stop.sentence == NO_MODEL
    word = Acceptance(by="U_APPROVER", at=NOW, reason="tried with curl", of=unproved(record))
    return here, await here.ended(tried_again(record.but(accepted=word, version=record.version + 1)))


@pytest.mark.parametrize(
    ("passing", "of", "whys"),
    [
        (0, NO_MODEL, []),
        (3601, NO_MODEL, [("The evidence was older than 1 hour.",)]),
        (0, "No model in `production` is probed.", [(NO_MODEL,)]),
    ],
    ids=["as it was accepted", "as old as any other evidence may not be", "accepted for something else"],
)
async def test_accepting_that_nothing_proves_the_key_covers_only_that_and_lasts_as_long_as_evidence(
    tenancy, passing, of, whys
):
    here, asked = await asked_unproved(tenancy, evidence_max_age=3600)
    assert asked.state is State.AWAITING_APPROVAL
    tenancy.clock.seconds += passing
    ended = await here.answered(tenancy.approved(asked.but(accepted=asked.accepted.but(of=of))))

    assert [void.changes for void in ended.voids] == whys
    assert (ended.state is State.COMPLETED) is (not whys) is (not tenancy.old_is_there)
