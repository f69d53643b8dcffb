"""Before the first model moves: an approver's start, for the plan that was shown, in the window."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.engine import due_at, move
from bot.rotation.errors import Unanswerable, WrongState
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.parts import Exposure
from bot.rotation.people import People
from bot.rotation.policies import NamedPolicy, Policy
from bot.rotation.policy import check_window
from bot.rotation.record import Approval, Rotation
from bot.rotation.starting import lacks_start, shown_at_start
from bot.rotation.states import State, Track
from bot.rotation.stops import Cause
from bot.rotation.windows import Windows, read_opening
from bot.service.resuming import tried_again
from bot.steps.permitted import CLOSED, OF_A_LEAK, OTHER_PLAN
from bot.steps.verdicts import doubtful
from sandbox.aisix import Switches
from tests.bot.conftest import Slack
from tests.bot.values import NOW, affected, later, limits, rules, running
from tests.support.in_memory import Machine, Tenancy, tenancy_of

GOOD = Evidence(verdict=Verdict.LIKELY, reason="answered", at=NOW)
START = NamedPolicy(asks=Policy(names=("production",), start=True))


def under(machine: Machine, *policies: NamedPolicy, slack: Slack | None = None) -> Machine:
    """Let today's settings have these policies."""
    approvers = frozenset({"U_APPROVER", "U_REQUESTER"})
    people = People(slack or Slack(), rules(approvers=approvers, policies=policies))
    machine.world = replace(machine.world, people=people)
    return machine


def started(record: Rotation, by: str = "U_APPROVER") -> Rotation:
    word = Approval(by=by, at=NOW, digest=shown_at_start(record))
    return record.to(State.RUNNING).but(starts=(word,))


async def asked(tenancy: Tenancy, *policies: NamedPolicy, slack: Slack | None = None) -> tuple[Machine, Rotation]:
    machine = under(await tenancy.machine(), *(policies or (START,)), slack=slack)
    return machine, await machine.ended(await tenancy.begun(machine))


async def test_no_model_moves_before_an_approver_has_started_it(tenancy):
    machine, waiting = await asked(tenancy)

    assert (waiting.state, waiting.moved, waiting.rehearsal is not None) == (State.AWAITING_START, (), True)
    assert waiting.start_asked_at is not None
    assert due_at(waiting, machine.world.limits, NOW) == waiting.start_asked_at + timedelta(hours=4)
    moved = await machine.ended(started(waiting))
    assert (moved.state, moved.all_moved) == (State.AWAITING_APPROVAL, True)


async def test_without_a_policy_nobody_has_to_start_it(tenancy):
    machine = under(await tenancy.machine())

    assert (await machine.ended(await tenancy.begun(machine))).state is State.AWAITING_APPROVAL


@pytest.mark.parametrize("way", ["by hand", "requester", "left"])
async def test_a_start_of_somebody_who_could_not_give_it_now_moves_nothing(tenancy, way):
    slack = Slack()
    machine, waiting = await asked(tenancy, slack=slack)
    by = "U_REQUESTER" if way == "requester" else "U_APPROVER"
    if way == "left":
        slack.said["U_APPROVER"] = {"deactivated": True}
    given = waiting.to(State.RUNNING) if way == "by hand" else started(waiting, by)

    again = await machine.ended(given)

    assert (again.state, again.moved, again.starts) == (State.AWAITING_START, (), ())
    why = {"by hand": "", "requester": "The requester can't approve.", "left": "This account is deactivated."}[way]
    assert again.note == (f"The start approval no longer counts. {why}" if why else None)


async def test_a_start_waits_while_slack_does_not_say_who_may(tenancy, monkeypatch):
    slack = Slack()
    machine, waiting = await asked(tenancy, slack=slack)

    async def away(_: str) -> None:
        raise Unanswerable("Slack is away.")

    monkeypatch.setattr(slack, "person", away)
    after = await move(started(waiting), machine.world)

    assert (after.state, after.moved) == (State.RUNNING, ())
    assert "Slack does not tell whether those who pressed Start still may." in (after.note or "")


async def test_a_start_counts_after_the_first_move_though_its_giver_has_left(tenancy):
    slack = Slack()
    machine, waiting = await asked(tenancy, slack=slack)
    machine.world = replace(machine.world, limits=limits(waves=(1,), settle=1))
    half = await machine.until(started(waiting), lambda r: r.moved)
    slack.said["U_APPROVER"] = {"deactivated": True}

    assert (await machine.ended(half)).state is State.AWAITING_APPROVAL


OTHERS = {
    "another new key": lambda r: r.but(replacement=r.replacement.but(key_id="pk_2")),
    "another model": lambda r: r.but(plan=r.plan.but(models=(*r.plan.models, affected("m9")))),
    "a model that was changed": lambda r: r.but(plan=r.plan.but(models=(affected(upstream="gpt-5"),))),
    "a model less": lambda r: r.but(plan=r.plan.but(models=())),
    "a passthrough route": lambda r: r.but(plan=r.plan.but(routes=("r",))),
    "another rehearsal": lambda r: r.but(rehearsal="it worked elsewhere"),
    "no rehearsal": lambda r: r.but(unrehearsed="AISIX refused the admin token."),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_start_counts_only_for_what_was_shown(other):
    record = running(policy=START.asks, rehearsal="it worked")
    record = record.but(starts=(Approval(by="U_APPROVER", at=NOW, digest=shown_at_start(record)),))

    assert not lacks_start(record)
    assert lacks_start(OTHERS[other](record))


def test_another_secret_forgets_the_start():
    record = running(starts=(Approval(by="U_APPROVER", at=NOW),), start_asked_at=NOW, opens_at=NOW)
    fresh = record.without_secret()

    assert (fresh.starts, fresh.start_asked_at, fresh.opens_at) == ((), None, None)


async def test_try_again_after_a_drift_asks_for_another_start(tenancy):
    machine, waiting = await asked(tenancy)
    tenancy.aisix.add_model("production", "late", key=tenancy.old)
    stopped = await machine.until(started(waiting), lambda r: r.state is State.BLOCKED)

    again = await machine.ended(tried_again(stopped))

    assert (again.state, again.moved, again.note) == (State.AWAITING_START, (), OTHER_PLAN)


# --- windows ---

NOON = Windows(openings=(read_opening("tue 09:00-12:00", "UTC"),))
"""On Mondays, as `NOW` is, it is closed."""


async def test_models_wait_for_the_change_window_and_patience_does_not_end_it(tenancy):
    _, waiting = await asked(tenancy, NamedPolicy(asks=Policy(names=("p",), move=(NOON,))))
    assert waiting.state is State.AWAITING_APPROVAL
    moves = [finding.moved_at for finding in waiting.findings.values()]

    assert all(moved_at and NOON.is_open(moved_at) for moved_at in moves)


async def test_a_closed_window_says_until_when(tenancy):
    machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), move=(NOON,))))
    waits = await machine.until(await tenancy.begun(machine), lambda r: r.opens_at)

    assert (waits.moved, waits.note) == ((), CLOSED)
    assert waits.opens_at == later(0).replace(day=24, hour=9, minute=0)
    assert waits.retry_at == waits.opens_at


async def test_a_leak_waits_for_no_window_if_one_approver_starts_it_and_that_is_recorded(tenancy):
    machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), move=(NOON,))))
    leak = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200))
    waiting = await machine.ended((await tenancy.begun(machine)).but(exposed=leak))
    assert (waiting.state, waiting.moved, waiting.note) == (State.AWAITING_START, (), OF_A_LEAK)

    other = await machine.ended(started(waiting, "U_COLLEAGUE"))
    assert (other.state, other.moved) == (State.AWAITING_START, ())
    moved = await machine.ended(started(waiting))
    assert (moved.state, moved.all_moved) == (State.AWAITING_APPROVAL, True)
    assert moved.exposed.waived_by == "U_APPROVER"


@pytest.mark.parametrize("start", [True, False])
async def test_a_report_opens_no_window_on_a_start_that_was_given_before_it(tenancy, start):
    policy = NamedPolicy(asks=Policy(names=("p",), start=start, move=(NOON,)))
    machine, waiting = await asked(tenancy, START)
    under(machine, policy)
    started_before = started(waiting).but(policy=policy.asks)
    waits = await machine.until(started_before, lambda r: r.opens_at)
    reported = waits.but(
        exposed=Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200)), retry_at=None, retry_in=None
    )

    again = await machine.ended(reported)

    assert (again.state, again.moved, again.note) == (State.AWAITING_START, (), OF_A_LEAK)
    assert not lacks_start(reported)
    assert shown_at_start(reported) != shown_at_start(waits)
    assert (again.starts, again.opens_at) == (reported.starts, waits.opens_at), "once it opens, the start counts"


@pytest.mark.parametrize("parked", [None, NOW])
async def test_a_leak_that_nobody_started_moves_once_the_window_opens(tenancy, parked):
    machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), move=(NOON,))))
    leak = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200))
    waiting = await machine.ended((await tenancy.begun(machine)).but(exposed=leak))
    tenancy.clock.seconds = NEXT_DAY - 300
    still = await move(waiting.but(parked_at=NOW), machine.world)
    tenancy.clock.seconds = NEXT_DAY

    moved = await machine.ended(await move(waiting.but(parked_at=parked), machine.world))

    assert (still.state, moved.state, moved.all_moved) == (State.AWAITING_START, State.AWAITING_APPROVAL, True)
    assert moved.exposed.waived_by == ""
    assert (await move(waiting.but(policy=START.asks, parked_at=NOW), machine.world)).state is State.AWAITING_START


async def test_a_rehearsal_that_is_old_by_the_time_of_the_start_is_done_again_and_the_start_counts(tenancy):
    machine, waiting = await asked(tenancy)
    tenancy.clock.seconds += 3 * 86_400
    begun = tenancy.clock.now()

    moved = await machine.ended(started(waiting))

    assert (moved.state, moved.all_moved) == (State.AWAITING_APPROVAL, True)
    assert moved.rehearsed_at is not None
    assert moved.rehearsed_at >= begun
    assert moved.throwaways_used > waiting.throwaways_used


@pytest.mark.parametrize("track", [Track.BACK, Track.WITHDRAW])
async def test_no_window_holds_up_the_way_back(tenancy, track):
    shut = NamedPolicy(asks=Policy(names=("p",), start=True, move=(NOON,), delete=(NOON,)))
    machine = under(await tenancy.machine())
    moved = await machine.until(await tenancy.begun(machine), lambda r: r.all_moved)
    state = State.ROLLING_BACK if track is Track.BACK else State.RUNNING
    back = moved.but(state=state, track=track, done=())
    before = tenancy.clock.seconds

    ended = await under(machine, shut).ended(back)

    assert ended.state in (State.ROLLED_BACK, State.AWAITING_SECRET)
    assert tenancy.clock.seconds - before < 3600


# --- the delete ---

NEXT_DAY = 19 * 3600
"""Seconds from `NOW` until the window is open."""


async def released(tenancy: Tenancy, **asks) -> tuple[Machine, Rotation]:
    """Return a rotation that an approver has just released, under a policy that asks this."""
    machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), **asks)))
    waiting = await machine.ended(await tenancy.begun(machine))
    assert waiting.state is State.AWAITING_APPROVAL
    return machine, tenancy.approved(waiting)


async def test_a_key_is_deleted_in_the_window(tenancy):
    tenancy.clock.seconds = NEXT_DAY
    machine, given = await released(tenancy, delete=(NOON,))

    assert (await machine.ended(given)).state is State.COMPLETED


@pytest.mark.parametrize("step", ["recheck", "delete"])
async def test_if_the_window_closes_after_the_approval_nothing_is_deleted_and_an_approver_is_asked_again(tenancy, step):
    tenancy.clock.seconds = NEXT_DAY
    machine, given = await released(tenancy, delete=(NOON,))
    if step == "delete":
        given = await machine.until(given, lambda r: r.delete_asked_at)
    tenancy.clock.seconds += 3 * 3600 if step == "recheck" else 0
    if step == "delete":
        shut = Windows(openings=(read_opening("fri 09:00-12:00", "UTC"),))
        machine = under(machine, NamedPolicy(asks=Policy(names=("p",), delete=(shut,))))

    again = await machine.answered(given)
    asked_again = await machine.ended(again)

    assert tenancy.deletes() == 0
    assert (asked_again.state, asked_again.approvals) == (State.AWAITING_APPROVAL, ())
    (void,) = [one for one in again.voids if one.lapsed]
    assert void.changes[0].startswith("The delete window is closed: it opens ")


def test_a_press_outside_the_window_is_refused_with_when_it_opens():
    waiting = running(policy=Policy(delete=(NOON,)))

    with pytest.raises(WrongState, match=r"it opens Tue 2026-11-24 09:00 UTC\. Press again then\."):
        check_window(waiting, NOW)
    check_window(waiting, later(NEXT_DAY))
    check_window(running(), NOW)


async def test_a_policy_makes_the_soak_longer(tenancy):
    machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), soak=timedelta(minutes=10))))

    waiting = await machine.ended(await tenancy.begun(machine))

    assert waiting.asked_at is not None
    assert waiting.verified_at is not None
    assert waiting.asked_at - waiting.verified_at >= timedelta(minutes=10)


async def test_a_policy_that_wants_a_proof_stops_where_none_is_possible_and_takes_nothing_less():
    async with tenancy_of(Switches(status_urls=False)) as tenancy:
        machine = under(await tenancy.machine(), NamedPolicy(asks=Policy(names=("p",), require_proof=True)))

        stopped = await machine.stopped(await tenancy.begun(machine))

        assert (stopped.stop.headline, stopped.moved) == (Cause.NOT_PROVABLE.headline, ())
        likely = [Finding(moved_at=NOW, latest=GOOD, verdict=GOOD)]
        record = running(findings={"m1": likely[0]})
        assert not doubtful(record, machine.world)
        assert doubtful(record.but(policy=Policy(require_proof=True)), machine.world)
