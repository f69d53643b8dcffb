"""Advance rotations, one move at a time; each move is recorded before the next."""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from bot.rotation import chores, nudges
from bot.rotation.errors import ApiError, Blocked, LeaseLost, Unanswerable, Uncertain
from bot.rotation.moves import told
from bot.rotation.phrases import MOVED_IS_BACK, said
from bot.rotation.policy import is_way_back_closed
from bot.rotation.ports import UNHELD
from bot.rotation.progress import before_approval, how_left, next_step, rolled_back, undone_from
from bot.rotation.record import Rotation, Stop
from bot.rotation.revocation import with_task
from bot.rotation.starting import lacks_start
from bot.rotation.states import TRACKS, State, Step, Track
from bot.rotation.stops import Cause
from bot.steps import RUN, aftercare
from bot.steps.outcomes import Again, Ask, Done, Outcome, Unapproved, Unstarted, Wait
from bot.steps.world import Limits, World
from bot.storage.jobs import Jobs
from bot.storage.records import Conflict, Store
from bot.telemetry.metrics import STEPS, stops
from bot.telemetry.tracing import tracer

log = structlog.get_logger("keyturn.engine")

SHORT = timedelta(seconds=2)
"""The engine sleeps through a wait up to this; a longer one becomes a scheduled job."""

LONGEST_BACKOFF = timedelta(seconds=30)

AT_ONCE = datetime.fromtimestamp(0, UTC)
"""The due time of what has no time: it is past on every clock."""

CLOCKS_DIFFER = timedelta(seconds=2)
"""The most that two machines' clocks may differ before one of them counts as wrong."""


def due_at(rotation: Rotation, limits: Limits, now: datetime) -> datetime | None:
    """Return when the bot must advance *rotation* next, or push people about it; None if only a person can.

    A rotation that is over may have something to push people about, or to do at its provider.
    """
    dues = (_own_due(rotation, limits, now), aftercare.due_at(rotation), nudges.due_at(rotation, limits.paces, now))
    return min((due for due in dues if due), default=None)


def _own_due(rotation: Rotation, limits: Limits, now: datetime) -> datetime | None:
    """Return when *rotation* itself goes on.

    If the remaining wait is longer than the recorded one, a machine with a fast clock recorded it: it is due at once.
    """
    match rotation.state:
        case State.RUNNING | State.ROLLING_BACK:
            at, wait = rotation.retry_at or AT_ONCE, rotation.retry_in
            return AT_ONCE if wait is not None and at - now > wait + CLOCKS_DIFFER else at
        case State.AWAITING_SECRET:
            asked = rotation.secret_asked_at or rotation.requested_at
            return _by_day(rotation, asked + limits.secret_expiry, limits, now)
        case State.AWAITING_START:
            return _start_due(rotation, limits, now)
        case State.AWAITING_APPROVAL:
            return None if rotation.parked_at else _expires_at(rotation, limits, now)
        case _:
            return None


def _asked(rotation: Rotation) -> datetime:
    return rotation.asked_at or rotation.requested_at


def _start_asked(rotation: Rotation) -> datetime:
    return rotation.start_asked_at or rotation.requested_at


def _start_due(rotation: Rotation, limits: Limits, now: datetime) -> datetime | None:
    """Return when **Start** has taken too long, or the change window opens that a leak waits for without one."""
    expires = _by_day(rotation, _start_asked(rotation) + limits.approval_expiry, limits, now)
    dues = (_opens_at(rotation), None if rotation.parked_at else expires)
    return min((due for due in dues if due), default=None)


def _opens_at(rotation: Rotation) -> datetime | None:
    return None if lacks_start(rotation) else rotation.opens_at


def _expires_at(rotation: Rotation, limits: Limits, now: datetime) -> datetime:
    """Return when the evidence is too old for an approval, or the approval has taken too long."""
    ends, stale = _ends_at(rotation, limits, now), _asked(rotation) + limits.evidence_max_age
    return ends if rotation.stale_at else min(ends, stale)


def _ends_at(rotation: Rotation, limits: Limits, now: datetime) -> datetime:
    return _by_day(rotation, _asked(rotation) + limits.approval_expiry, limits, now)


def _by_day(rotation: Rotation, at: datetime, limits: Limits, now: datetime) -> datetime:
    """Return when an end of which people are told may come: not in the night."""
    return limits.calendar.of(rotation.channel, rotation.zone).due(at, now)


async def move(rotation: Rotation, world: World) -> Rotation:
    """Return *rotation* after its next move, or unchanged if there is nothing to do."""
    after = await _moved(rotation, world)
    if after == rotation or (rotation.is_over and not rotation.mints):
        return after
    now = world.now()
    return nudges.hushed(rotation, with_task(after, now, world.limits.revoke_within), world.limits.paces, now)


async def _moved(rotation: Rotation, world: World) -> Rotation:
    now = world.now()
    due = _own_due(rotation, world.limits, now)
    if due is None or due > now:
        return await _beside(rotation, world)
    match rotation.state:
        case State.AWAITING_SECRET:
            where = MOVED_IS_BACK if rotation.left_alone else "no model is on a refused one"
            again = f"Nobody gave another secret in time; {where}."
            note = again if rotation.attempt else "Nobody gave a secret in time; nothing was changed."
            return rotation.to(State.CANCELLED).but(ended_at=world.now(), note=note)
        case State.AWAITING_START:
            opens = _opens_at(rotation)
            is_open = opens is not None and opens <= now
            return rotation.to(State.RUNNING).but(parked_at=None) if is_open else _given_up(rotation, world.limits, now)
        case State.AWAITING_APPROVAL:
            return _expired(rotation, world.limits, now)
        case _:
            return await _take_step(rotation, world)


async def _pushed(rotation: Rotation, world: World) -> Rotation:
    """Push people about what is due; approvers hear nothing of an approval that they can't give, as the key is held."""
    after, key = nudges.pushed(rotation, world.limits.paces, world.now()), rotation.plan.old_key.id
    with suppress(Unanswerable):
        if nudges.reminds_of_approval(rotation, after) and (hold := await world.holds.hold_on(key, world.now())):
            return rotation.but(held_until=hold.ends)
    return after


async def _beside(rotation: Rotation, world: World) -> Rotation:
    """Do what is due beside the rotation's own course; nothing of that stops it."""
    now = world.now()
    chore = aftercare.due(rotation, now)
    if chore is None:
        return await _pushed(rotation, world)
    try:
        return await aftercare.aftercare(rotation, world)
    except (Unanswerable, LeaseLost):
        raise
    except Exception as surprise:  # noqa: BLE001 - it is tried again
        return chores.failed(
            rotation, chore, str(Blocked(Cause.OUR_FAULT, reference=_logged(rotation, surprise, chore))), now
        )


def _expired(rotation: Rotation, limits: Limits, now: datetime) -> Rotation:
    """Say that the evidence is too old; once the approval has taken too long, park the rotation or roll it back.

    Evidence is gathered again when somebody asks for it, not again and again while nobody looks.
    """
    if now < _ends_at(rotation, limits, now):
        return rotation.but(stale_at=now)
    return _given_up(rotation, limits, now)


def _given_up(rotation: Rotation, limits: Limits, now: datetime) -> Rotation:
    """Park a rotation that nobody approved or started in time, or roll it back."""
    if limits.after_expiry == "roll-back" and not is_way_back_closed(rotation):
        return rolled_back(rotation, by=None).but(parked_at=now)
    return rotation.but(parked_at=now)


async def _take_step(rotation: Rotation, world: World) -> Rotation:
    step = next_step(rotation)
    if step is None:
        return finished(rotation, world.now())
    if step.gated and rotation.lacks_approval:
        return _awaiting_approval(rotation).but(asked_at=world.now(), stale_at=None, parked_at=None)
    rotation = world.people.governed(rotation).but(step_since=rotation.step_since or world.now())
    with tracer().step(rotation.id, step.name) as ended:
        after = await _outcome(rotation, step, world)
        ended(how_left(rotation, after) or "goes on")
    return after


def _awaiting_approval(rotation: Rotation) -> Rotation:
    return before_approval(rotation).to(State.AWAITING_APPROVAL).but(reminded_at=None)


def finished(rotation: Rotation, now: datetime) -> Rotation:
    """Return *rotation* after the last step of its track."""
    after = rotation.to(TRACKS[rotation.track][1])
    if rotation.track is not Track.WITHDRAW:
        return after.but(ended_at=now)
    return after.without_secret().but(track=Track.FORWARD, secret_asked_at=now)


async def _outcome(rotation: Rotation, step: Step, world: World) -> Rotation:
    """Run one step; only this function catches a step's exceptions."""
    try:
        return _after(rotation, await RUN[step.name](rotation, world), step, world)
    except Blocked as stop:
        return _stop(stop.after or rotation, stop, step, world)
    except Uncertain as trouble:
        return _trouble(trouble.after or rotation, trouble, step, world)
    except ApiError as refusal:
        return _stop(refusal.after or rotation, Blocked(Cause.STEP_REFUSED, error=refusal), step, world)
    except (LeaseLost, Unanswerable):
        raise  # nothing can or may be recorded
    except Exception as surprise:  # noqa: BLE001 - the channel must learn of our own faults too
        return _unexpected(rotation, surprise, step, world)


def _after(before: Rotation, outcome: Outcome, step: Step, world: World) -> Rotation:
    match outcome:
        case Done(after):
            done = tuple(dict.fromkeys((*after.done, step.name)))
            return _fresh(after).but(done=done, note=None)
        case Again(after, name, reason):
            return _fresh(undone_from(after, name)).but(note=reason)
        case Wait(after, reason, retry_in, is_calm, is_for_time):
            since = None if is_calm else after.trouble_since
            waiting = _due_in(after, retry_in, world).but(note=reason, trouble_since=since)
            return waiting.but(stalled_since=None) if is_for_time else _with_an_end(before, waiting, step, world)
        case Unapproved(after):
            return _awaiting_approval(after)
        case Unstarted(after, reason):
            asked = after.to(State.AWAITING_START)
            return asked.but(note=reason, start_asked_at=world.now(), parked_at=None)
        case Ask(after, reason):
            asked = after.to(State.AWAITING_SECRET)
            return asked.but(
                note=reason, replacement=None, same_secret_checked=False, done=(), secret_asked_at=world.now()
            )


def _fresh(rotation: Rotation) -> Rotation:
    """Return *rotation* at the start of a step, due at once."""
    return rotation.but(retry_at=None, retry_in=None, step_since=None, look="", trouble_since=None, stalled_since=None)


def _due_in(rotation: Rotation, wait: timedelta, world: World) -> Rotation:
    return rotation.but(retry_at=world.now() + wait, retry_in=wait)


def _with_an_end(before: Rotation, waiting: Rotation, step: Step, world: World) -> Rotation:
    """Stop a step that makes no progress for longer than `PATIENCE`, so that no wait is endless."""
    if _knowledge(waiting) != _knowledge(before):
        return waiting.but(stalled_since=None)
    since = before.stalled_since or world.now()
    if world.now() - since <= world.limits.patience or step.waits_for_time:
        return waiting.but(stalled_since=since)
    stop = Blocked(Cause.NO_PROGRESS, time=said(world.limits.patience), note=waiting.note)
    return _stop(waiting, stop, step, world)


def _knowledge(rotation: Rotation) -> Rotation:
    """Return *rotation* without the fields that change as time passes: equal values mean no progress."""
    return rotation.but(
        note=None,
        retry_at=None,
        retry_in=None,
        step_since=None,
        trouble_since=None,
        stalled_since=None,
        delete_sent_at=None,
        delete_try="",
        look_try="",
    )


def _stop(rotation: Rotation, stop: Blocked, step: Step, world: World) -> Rotation:
    at = Stop(
        kind=stop.cause.kind,
        headline=stop.cause.headline,
        sentence=str(stop),
        step=step.name,
        resume=stop.resume or step.resume or step.name,
        at=world.now(),
    )
    return rotation.but(stop=at).to(State.BLOCKED)


def _trouble(rotation: Rotation, trouble: Uncertain, step: Step, world: World) -> Rotation:
    """Retry after as long as the trouble has lasted, within limits; stop after `PATIENCE`."""
    now = world.now()
    since = rotation.trouble_since or now
    if now - since > world.limits.patience:
        stop = Blocked(Cause.NO_ANSWER, trouble=trouble, time=said(world.limits.patience))
        return _stop(rotation, stop, step, world)
    wait = min(max(now - since, timedelta(seconds=1)), LONGEST_BACKOFF)
    asked = min(trouble.retry_after or 0, world.limits.patience.total_seconds())
    wait = max(wait, timedelta(seconds=asked))
    return _due_in(rotation, wait, world).but(note=f"{trouble} Trying again.", trouble_since=since)


def _unexpected(rotation: Rotation, surprise: Exception, step: Step, world: World) -> Rotation:
    stop = Blocked(Cause.OUR_FAULT, reference=_logged(rotation, surprise, step.name))
    return _stop(rotation, stop, step, world)


def _logged(rotation: Rotation, surprise: Exception, step: str) -> str:
    """Log a fault of ours; return the reference that people are given instead."""
    reference = secrets.token_hex(4)
    log.error("step_failed", rotation=rotation.id, step=step, reference=reference, exc_info=surprise)
    return reference


class Engine:
    """Advances stored rotations; a lease keeps two processes from the same one."""

    def __init__(self, store: Store, jobs: Jobs, world: World, *, lease: timedelta) -> None:
        self._store = store
        self._jobs = jobs
        self._world = world
        self._lease = lease.total_seconds()

    async def advance(self, rotation_id: str) -> None:
        """Advance a rotation until it waits for time or for a person."""
        news = News(self._jobs)
        async with self._store.leased(rotation_id, self._lease) as lease:
            world = replace(self._world, hold=lease or UNHELD, pocket={})
            with suppress(LeaseLost):  # the process that has it now continues from the record
                while lease and await self._move_once(rotation_id, world, news):
                    pass

    async def _move_once(self, rotation_id: str, world: World, news: "News") -> bool:
        """Make one move and record it; return whether to continue at once."""
        before = await self._store.load(rotation_id)
        if before is None:
            return False
        began = self._world.now()
        after = await move(before, world)
        if after == before:
            await news.catch_up()
            return await self._wait_out(before)
        with suppress(Conflict):  # a person changed it first: continue from their change
            saved = await self._store.save(after, told(before, after), at=self._world.now())
            log.info("moved", rotation=saved.id, state=saved.state, done=len(saved.done), note=saved.note)
            _count(before, saved, self._world.now() - (before.step_since or began))
            await news.of(saved)
        return True

    async def _wait_out(self, rotation: Rotation) -> bool:
        """Sleep through a short wait; schedule a job for a longer one."""
        now = self._world.now()
        due = due_at(rotation, self._world.limits, now)
        if due is None:
            return False
        wait = due - now
        if wait <= SHORT:
            await asyncio.sleep(max(wait.total_seconds(), 0))
            return True
        await self._jobs.advance(rotation, at=due)
        return False


class News:
    """Has the record shown to people: a finished step or a new state at once, mere progress every `EVERY` seconds.

    The sweep shows later what this misses because the bot dies.
    """

    EVERY = 0.5
    """Seconds between two announcements of mere progress."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._shown: Rotation | None = None
        self._shown_at = 0.0
        self._pending: Rotation | None = None

    async def of(self, rotation: Rotation) -> None:
        """Announce *rotation*, unless that can wait."""
        shown, self._pending = self._shown, rotation
        is_progress = shown is not None and (shown.state, shown.done) == (rotation.state, rotation.done)
        if not is_progress or asyncio.get_running_loop().time() - self._shown_at >= self.EVERY:
            await self.catch_up()

    async def catch_up(self) -> None:
        """Announce what has waited."""
        if self._pending is not None:
            await self._jobs.announce(self._pending)
            self._shown, self._shown_at, self._pending = self._pending, asyncio.get_running_loop().time(), None


def _count(before: Rotation, after: Rotation, took: timedelta) -> None:
    """Count the end of a step, once it is recorded."""
    outcome, step = how_left(before, after) if nudges.pushes(before) == nudges.pushes(after) else "", next_step(before)
    if outcome and step:
        STEPS.labels(step.name, outcome).observe(max(took.total_seconds(), 0))
    if after.stop and after.stop != before.stop:
        stops(after.stop.kind, moved=bool(after.moved))
