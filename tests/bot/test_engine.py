"""Moving a rotation one notch, with a clock that the test holds and steps that do no I/O."""

import json
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import time, timedelta
from inspect import iscoroutinefunction
from typing import Any

import pytest
from saq.queue.redis import RedisQueue

import bot.steps
from bot.engine import AT_ONCE, Engine, News, due_at, finished, move
from bot.rotation import states
from bot.rotation.actions import Action
from bot.rotation.errors import ApiError, Blocked, LeaseLost, Unanswerable, Uncertain
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.hours import Calendar, Quiet
from bot.rotation.moves import told
from bot.rotation.parts import Nudge
from bot.rotation.policy import offered
from bot.rotation.progress import next_step, undone_from, verified_again
from bot.rotation.record import Rotation, Stop, Void
from bot.rotation.states import BACK, FORWARD, TERMINAL, TRACKS, WITHDRAW, State, Step, StepName, Track
from bot.rotation.stops import Cause, StopKind
from bot.steps.delete import delete
from bot.steps.outcomes import Ask, Done, Outcome, Wait
from bot.steps.world import World
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from bot.telemetry.metrics import REGISTRY
from tests.bot.values import EVENT, NOW, SOAKED, approval, later, limits, rotation, running, stopped

Run = Callable[[Rotation, World], Awaitable[Outcome]]
HOUR, DAY = 3600, 86_400


def world(seconds: float = 0, **given: Any) -> World:
    """A world with a clock, and with nothing that could be called."""
    nothing: Any = object()
    return World(nothing, nothing, nothing, limits(**given), lambda: later(seconds))


@pytest.fixture
def only_step(monkeypatch) -> Callable[..., None]:
    """Make one step the whole way forward: it raises an error, gives an outcome or runs a function."""

    def install(does: Exception | Callable[[Rotation], Outcome] | Run, *, gated: bool = False) -> None:
        async def run(moving: Rotation, at: World) -> Outcome:
            if isinstance(does, Exception):
                raise does
            return await does(moving, at) if iscoroutinefunction(does) else does(moving)

        way = (Step(StepName.TIDY, "Only", "doing the only thing", gated=gated),)
        monkeypatch.setattr(states, "TRACKS", {**TRACKS, Track.FORWARD: (way, State.COMPLETED)})
        monkeypatch.setitem(bot.steps.RUN, StepName.TIDY, run)

    return install


# --- when a rotation is due ---


def awaiting_approval(**fields: Any) -> Rotation:
    return running(**{"asked_at": NOW} | fields).but(state=State.AWAITING_APPROVAL)


def reminder(hours: int, number: int) -> Nudge:
    return Nudge(about=f"waits:approval:{NOW.isoformat()}", at=later(hours * HOUR), number=number)


def waits(ahead: float) -> Rotation:
    """A rotation that a machine whose clock is that far ahead has told to wait for 7 seconds."""
    return rotation(State.RUNNING, retry_at=later(ahead + 7), retry_in=timedelta(seconds=7))


@pytest.mark.parametrize(
    ("record", "due"),
    [
        (rotation(State.RUNNING, requested_at=later(HOUR)), AT_ONCE),
        (rotation(State.RUNNING, retry_at=later(7)), later(7)),
        (rotation(State.ROLLING_BACK, retry_at=later(7)), later(7)),
        (waits(1), later(8)),
        (waits(600), AT_ONCE),
        (rotation(State.AWAITING_SECRET), later(DAY)),
        (rotation(State.AWAITING_SECRET, secret_asked_at=later(100)), later(4 * HOUR + 100)),
        (awaiting_approval(), later(4 * HOUR)),
        (awaiting_approval(nudges=(reminder(4, 1),)), later(12 * HOUR)),
        (awaiting_approval(nudges=(reminder(12, 2),)), later(24 * HOUR)),
        (awaiting_approval(nudges=(reminder(12, 2),), stale_at=NOW), later(28 * HOUR)),
        (awaiting_approval(nudges=(reminder(60, 5),), stale_at=NOW), later(72 * HOUR)),
        (awaiting_approval(stale_at=NOW, parked_at=NOW), None),
        (stopped(), later(4 * HOUR)),
        *((rotation(state), None) for state in TERMINAL),
    ],
)
async def test_each_state_says_when_the_bot_has_to_look_again_and_until_then_nothing_is_done(record, due):
    assert due_at(record, limits(), NOW) == due
    if due != AT_ONCE:
        seconds = (due - NOW).total_seconds() - 0.1 if due else 10**7
        assert await move(record, world(seconds)) is record


@pytest.mark.parametrize(
    "record", [rotation(requested_at=later(HOUR * 10)), awaiting_approval(asked_at=later(-38 * HOUR), stale_at=NOW)]
)
async def test_no_time_runs_out_in_the_night_as_people_are_told_of_it(record):
    by_day = Calendar(Quiet(time(22), time(7)))  # NOW is 14:02

    for night in (34 * HOUR, 40 * HOUR):
        assert await move(record, world(night, calendar=by_day)) == record
    assert await move(record, world(41 * HOUR, calendar=by_day)) != record


async def test_what_people_are_asked_at_night_is_noted_for_the_morning_and_is_no_reminder(only_step):
    only_step(Done(running()), gated=True)
    given = {"calendar": Calendar(Quiet(time(22), time(7)))}
    asked = await move(running(), world(9 * HOUR, **given))  # at 23:02
    called = await move(asked, world(17 * HOUR, **given))

    assert (asked.state, [nudge.number for nudge in asked.nudges]) == (State.AWAITING_APPROVAL, [0])
    assert (told(running(), asked)["what"], told(asked, called)["what"]) == (
        "RUNNING -> AWAITING_APPROVAL",
        "reminded",
    )


async def test_a_secret_that_nobody_gives_ends_the_rotation():
    after = await move(rotation(), world(DAY))

    assert (after.state, after.ended_at) == (State.CANCELLED, later(DAY))
    assert "nothing was changed" in (after.note or "")


async def test_an_approval_is_reminded_of_at_growing_pauses_and_stays_wanted():
    after = await move(awaiting_approval(), world(4 * HOUR))

    assert (after.state, after.nudges) == (State.AWAITING_APPROVAL, (reminder(4, 1),))
    assert await move(after, world(12 * HOUR - 1)) is after
    assert (await move(after, world(12 * HOUR))).nudges == (reminder(12, 2),)


async def test_evidence_that_is_too_old_is_said_to_be_and_not_renewed_while_nobody_looks():
    after = await move(awaiting_approval(approvals=(approval(),)), world(24 * HOUR))

    assert (after.state, after.stale_at, after.done) == (State.AWAITING_APPROVAL, later(24 * HOUR), after.done)
    assert Action.DELETE_OLD_KEY not in offered(after)
    assert offered(after)[:2] == (Action.VERIFY_AGAIN, Action.ROLL_BACK)
    assert await move(after.but(nudges=(reminder(20, 5),)), world(71 * HOUR)) == after.but(nudges=(reminder(20, 5),))


@pytest.mark.parametrize(
    ("setting", "fields", "state"),
    [
        ("park", {}, State.AWAITING_APPROVAL),
        ("roll-back", {}, State.ROLLING_BACK),
        ("roll-back", {"delete_asked_at": NOW}, State.AWAITING_APPROVAL),
    ],
)
async def test_an_approval_that_does_not_come_parks_the_rotation_or_rolls_it_back(setting, fields, state):
    before = awaiting_approval(stale_at=later(24 * HOUR), **fields)
    after = await move(before, world(72 * HOUR, after_expiry=setting))

    assert (after.state, after.parked_at, after.ended_by) == (state, later(72 * HOUR), None)
    if state is State.AWAITING_APPROVAL:
        assert Action.DELETE_OLD_KEY not in offered(after)
        assert await move(after, world(10_000 * HOUR)) is after
    else:
        assert (after.track, after.done) == (Track.BACK, ())


async def test_verify_again_gathers_fresh_evidence_of_a_parked_rotation():
    seen = Evidence(verdict=Verdict.LIKELY, reason="answered", at=NOW)
    findings = {"m1": Finding(baseline=seen, moved_at=NOW, latest=seen, passes=3)}
    before = awaiting_approval(
        findings=findings,
        approvals=(approval(),),
        approvals_required=2,
        voids=(Void(by=("U_OTHER",), at=NOW, changes=("It changed.",)),),
        done=("replace", "baseline", "cut-over", "project", "verify", "tidy", "soak"),
    )
    after = verified_again(before.but(stale_at=NOW, parked_at=NOW))

    assert (after.state, after.done, after.approvals) == (State.RUNNING, ("replace", "baseline", "cut-over"), ())
    assert after.findings["m1"] == Finding(baseline=seen, moved_at=NOW)
    assert (after.asked_at, after.stale_at, after.parked_at, after.voids[0].over) == (None, None, None, False)


@pytest.mark.parametrize(("given", "required"), [(0, 1), (1, 2)])
async def test_a_gated_step_waits_for_enough_approvals(only_step, given, required):
    only_step(AssertionError("it ran"), gated=True)
    approvals = tuple(approval(f"U{n}") for n in range(given))
    after = await move(running(approvals=approvals, approvals_required=required, stale_at=NOW), world(5))

    assert (after.state, after.asked_at, after.stale_at) == (State.AWAITING_APPROVAL, later(5), None)
    assert after.approvals == approvals
    only_step(Done, gated=True)
    assert (await move(running(approvals=approvals, approvals_required=given), world())).done == ("tidy",)


async def test_a_step_that_is_done_is_recorded_and_its_troubles_forgotten(only_step):
    only_step(Done)
    after = await move(running(note="n", trouble_since=NOW, step_since=NOW, look="a look"), world(9))

    assert after.done == ("tidy",)
    assert (after.note, after.retry_at, after.step_since, after.trouble_since) == (None, None, None, None)
    assert (after.retry_in, after.look) == (None, "")


async def test_a_step_that_waits_says_why_and_until_when(only_step):
    only_step(lambda r: Wait(r, "not yet", timedelta(seconds=3)))
    after = await move(running(), world(9))

    assert (after.state, after.note, after.retry_at, after.done) == (State.RUNNING, "not yet", later(12), ())
    assert after.step_since == later(9)
    assert (await move(after, world(12))).step_since == later(9)


async def test_a_step_that_asks_hands_the_move_to_the_requester(only_step):
    only_step(lambda r: Ask(r, "once more, please"))
    after = await move(running(done=("replace",), same_secret_checked=True), world(9))

    assert (after.state, after.note, after.same_secret_checked) == (State.AWAITING_SECRET, "once more, please", False)
    assert (after.replacement, after.done, after.secret_asked_at) == (None, (), later(9))


async def test_the_way_forward_ends_completed_the_way_back_rolled_back_and_a_withdrawal_begins_anew():
    there = finished(running(), NOW)
    back = finished(rotation(State.ROLLING_BACK, track=Track.BACK), NOW)
    withdrawn = running(track=Track.WITHDRAW, done=("point-back",), findings={"m1": Finding(passes=1)})
    again = finished(withdrawn, later(5 * DAY))

    assert (there.state, there.ended_at) == (State.COMPLETED, NOW)
    assert (back.state, back.ended_at) == (State.ROLLED_BACK, NOW)
    assert (again.state, again.track, again.ended_at) == (State.AWAITING_SECRET, Track.FORWARD, None)
    assert (again.done, again.findings, again.replacement) == ((), {}, None)
    assert await move(again, world(5 * DAY + 1)) == again, "it has as long as the first one had"


# --- what steps raise ---


@pytest.mark.parametrize(("says", "resume"), [({}, "project"), ({"resume": StepName.REHEARSE}, "rehearse")])
async def test_a_block_stops_with_its_sentence_and_what_was_learnt_and_says_where_to_resume(only_step, says, resume):
    learned = running(findings={"m1": Finding(passes=2)})
    only_step(Blocked(Cause.NOT_PROVED, after=learned, why="It was refused", **says))
    after = await move(running(), world(9))

    assert after.state is State.BLOCKED
    assert after.findings == learned.findings
    assert after.stop == Stop(
        kind=StopKind.UNVERIFIED,
        headline="the new secret is not proved",
        sentence="It was refused.",
        step="tidy",
        resume=resume,
        at=later(9),
    )


async def test_a_refusal_of_the_control_plane_stops_at_once_in_its_words_and_resumes_where_it_stopped(only_step):
    refusal = ApiError("AISIX refused (403).", 403)
    refusal.after = running(attempt=2)
    only_step(refusal)
    after = await move(running(), world())

    assert (after.stop.kind, after.stop.sentence, after.stop.resume) == (
        StopKind.TROUBLE,
        "AISIX refused (403).",
        "tidy",
    )
    assert after.attempt == 2


@pytest.mark.parametrize(
    ("lasted", "asked", "wait"),
    [(0, None, 1), (8, None, 8), (300, None, 30), (0, 7, 7), (8, 3, 8), (0, 1e12, 600)],
)
async def test_trouble_is_tried_again_after_as_long_as_it_has_lasted(only_step, lasted, asked, wait):
    trouble = Uncertain("AISIX had an error (500).", 500, asked)
    trouble.after = running(trouble_since=NOW, attempt=2)
    only_step(trouble)
    after = await move(running(trouble_since=NOW), world(lasted))

    assert (after.state, after.trouble_since, after.attempt) == (State.RUNNING, NOW, 2)
    assert after.retry_at == later(lasted + wait)
    assert after.note == "AISIX had an error (500). Trying again."


async def test_trouble_that_stays_stops_the_rotation(only_step):
    only_step(Uncertain("AISIX is not answering."))
    stop = (await move(running(trouble_since=NOW), world(601))).stop

    assert stop is not None
    assert (stop.kind, stop.sentence) == (StopKind.TROUBLE, "AISIX is not answering. Keyturn has tried for 10 minutes.")


async def test_patience_begins_anew_once_a_step_gets_through(only_step):
    only_step(lambda r: Wait(r, "going on"))

    assert (await move(running(trouble_since=NOW), world(500))).trouble_since is None


async def test_a_fault_of_ours_stops_with_a_reference_and_without_its_text(only_step, capsys):
    only_step(ZeroDivisionError("CANARY text"))
    after = await move(running(), world())

    assert after.stop is not None
    assert (after.state, after.stop.kind) == (State.BLOCKED, StopKind.TROUBLE)
    assert "CANARY" not in after.model_dump_json()
    reference = after.stop.sentence.split("`")[1]
    assert reference in capsys.readouterr().out


# --- the order of the work ---

NAMES = tuple(step.name for step in FORWARD)


def test_every_irreversible_step_is_gated_and_comes_right_after_the_last_look():
    assert {step.name for step in FORWARD if step.gated} == {"recheck", "delete"}
    assert NAMES[: len(SOAKED) + 2] == (*SOAKED, "recheck", "delete")
    assert [name for name, run in bot.steps.RUN.items() if run is delete] == ["delete"]


@pytest.mark.parametrize("way", [BACK, WITHDRAW])
def test_on_the_way_back_the_models_go_first_and_then_the_replacement_with_nobodys_approval(way):
    names = [step.name for step in way]

    assert names.index("point-back") < names.index("remove")
    assert StepName.DELETE not in names
    assert not any(step.gated for step in way)


@pytest.mark.parametrize("track", Track)
def test_the_next_step_is_the_first_that_is_not_done(track):
    way = TRACKS[track][0]
    for count, step in enumerate((*way, None)):
        assert next_step(running(track=track, done=tuple(s.name for s in way[:count]))) is step


@pytest.mark.parametrize(("to", "kept"), [(name, count) for count, name in enumerate(NAMES)])
def test_rewinding_undoes_a_step_and_all_after_it_and_voids_the_approval(to, kept):
    after = undone_from(running(done=NAMES, approvals=(approval(),), last_look_at=NOW), to)

    assert after.done == NAMES[:kept]
    assert after.approvals == ()
    assert (after.last_look_at is None) is ("recheck" not in after.done)


@pytest.mark.parametrize("given", [(), (approval(),)])
async def test_an_approver_is_asked_before_the_last_look(given):
    before = running(done=(*SOAKED, StepName.RECHECK), approvals=given, approvals_required=2)
    after = await move(before, world())

    assert (after.state, after.done) == (State.AWAITING_APPROVAL, SOAKED)
    assert after.approvals == given


def test_rewinding_to_a_step_that_is_not_on_the_track_is_an_error():
    with pytest.raises(ValueError, match="the track forward has no step point-back"):
        undone_from(running(done=("replace", "baseline")), StepName.POINT_BACK)


class Desk:
    """An engine over a real store and a real queue."""

    def __init__(self, store: Store, queue: RedisQueue) -> None:
        self.store, self.queue = store, queue

    async def put(self, record: Rotation) -> Rotation:
        return await self.store.save(record, EVENT, at=NOW)

    async def advanced(self, lease: float = 30) -> Rotation:
        """Have the rotation moved as far as it goes, and return it."""
        engine = Engine(self.store, Jobs(self.queue), world(), lease=timedelta(seconds=lease))
        await engine.advance("rabc123")
        found = await self.store.load("rabc123")
        assert found is not None
        return found

    async def told(self) -> list[tuple[str, str]]:
        """Return what each entry of the audit trail says, and why."""
        entries = [json.loads(line) async for line in self.store.trail()]
        return [(entry["what"], entry["why"]) for entry in entries]


@pytest.fixture
def desk(store: Store, queue: RedisQueue) -> Desk:
    return Desk(store, queue)


async def test_a_rotation_is_moved_to_its_end_and_each_move_is_logged(desk, only_step):
    only_step(Done)
    await desk.put(running())

    assert (await desk.advanced()).state is State.COMPLETED
    assert await desk.told() == [("asked", ""), ("step", "tidy"), ("RUNNING -> COMPLETED", "")]


async def test_a_step_is_counted_at_its_end_with_its_whole_duration(desk, only_step):
    def counted(what: str) -> float:
        return REGISTRY.get_sample_value(f"keyturn_{what}", {"step": "tidy", "outcome": "done"}) or 0

    only_step(Done)
    await desk.put(running(step_since=later(-40)))
    before = counted("step_duration_seconds_count"), counted("step_duration_seconds_sum")
    await desk.advanced()

    assert (counted("step_duration_seconds_count"), counted("step_duration_seconds_sum")) == (
        before[0] + 1,
        before[1] + 40,
    )


async def test_a_stop_counts_by_its_kind_and_whether_a_model_had_moved(desk, only_step):
    def counted() -> float:
        labels = {"kind": StopKind.REJECTED, "moved": "true"}
        return REGISTRY.get_sample_value("keyturn_stops_total", labels) or 0

    only_step(Blocked(Cause.SECRET_REFUSED, why="It is refused"))
    await desk.put(running(findings={"m1": Finding(moved_at=NOW)}))
    before = counted()
    await desk.advanced()

    assert counted() == before + 1


async def test_people_see_the_first_and_the_last_progress(desk, only_step, monkeypatch):
    monkeypatch.setattr(News, "EVERY", 60)
    notes = iter(range(1, 6))

    async def run(moving: Rotation, _: World) -> Outcome:
        number = next(notes, None)
        return Wait(moving, f"{number} of 5") if number else Wait(moving, "later", timedelta(hours=1))

    only_step(run)
    await desk.put(running())

    versions = range(1, (await desk.advanced()).version + 1)
    assert [v for v in versions if await desk.queue.job(f"announce:rabc123:{v}")] == [2, 7]


async def test_a_rotation_under_another_workers_lease_is_left_alone(desk, only_step):
    only_step(AssertionError("it ran twice"))
    saved = await desk.put(running())
    async with desk.store.leased("rabc123", 30):
        assert await desk.advanced(lease=0.1) == saved


async def test_a_persons_change_beats_the_result_of_a_step(desk, only_step):
    async def run(moving: Rotation, _: World) -> Outcome:
        await desk.put(moving.but(step_since=None).to(State.BLOCKED).but(note="a person"))
        return Done(moving)

    only_step(run)
    await desk.put(running())
    found = await desk.advanced()

    assert (found.state, found.note, found.done) == (State.BLOCKED, "a person", ())


@pytest.mark.parametrize("error", [LeaseLost("Another has it."), Unanswerable("Redis is away.")])
async def test_a_step_whose_lease_is_lost_or_cannot_be_verified_records_nothing(desk, only_step, error):
    only_step(error)
    saved = await desk.put(running())
    with nullcontext() if isinstance(error, LeaseLost) else pytest.raises(Unanswerable):
        await desk.advanced()

    assert await desk.store.load("rabc123") == saved


async def test_a_step_is_lent_the_lease_that_it_runs_under(desk, only_step):
    lent: list[float] = []

    async def run(moving: Rotation, at: World) -> Outcome:
        lent.append((await at.hold.verified(moving.version)).left)
        return Done(moving)

    only_step(run)
    await desk.put(running())
    await desk.advanced()

    assert len(lent) == 1


async def test_a_long_wait_is_handed_to_a_job_for_later(desk, only_step):
    only_step(lambda r: Wait(r, "not yet", timedelta(seconds=60)))
    await desk.put(running())
    found = await desk.advanced()
    job = await desk.queue.job(f"advance:rabc123:{found.version}@")

    assert found.note == "not yet"
    assert (await desk.told())[-1] == ("step", "not yet")
    assert job is not None
    assert job.scheduled == later(60).timestamp()
