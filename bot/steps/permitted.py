"""What the policy allows now: whether a model may move."""

from datetime import datetime

from bot.rotation.errors import Unanswerable, Uncertain
from bot.rotation.parts import Exposure
from bot.rotation.phrases import said
from bot.rotation.record import Rotation
from bot.rotation.starting import lacks_start, start_of
from bot.rotation.states import StepName
from bot.rotation.windows import is_open, next_open
from bot.steps.outcomes import Again, Outcome, Unstarted, Wait
from bot.steps.pacing import A_WHILE
from bot.steps.world import World

OTHER_PLAN = "What moves is not what the card showed when it was started."
OF_A_LEAK = "The change window is closed. The old key is exposed, so one approver may start all the same."
CLOSED = "Waits for the change window."
NEVER_OPENS = "The change window does not open any more: have the settings (POLICY) changed, or roll back."


async def may_move(rotation: Rotation, world: World) -> Rotation | Outcome:
    """Return *rotation* if a model may move now; otherwise what comes first.

    Before the first move, those who pressed **Start** must still be approvers; after it, only the plan matters.
    """
    started = rotation
    if rotation.starts and not rotation.moved:
        try:
            started = await world.people.started(rotation)
        except Unanswerable:
            raise Uncertain("Slack does not tell whether those who pressed Start still may.") from None
    if lacks_start(started):
        lapsed = started.note if started.starts != rotation.starts else OTHER_PLAN
        return Unstarted(started.but(starts=()), lapsed if rotation.starts else None)
    return _in_the_window(started, world)


def _waived(rotation: Rotation, exposed: Exposure, now: datetime) -> Rotation | Outcome:
    """Let models move outside the window because of a leak, if one approver pressed **Start** since its report.

    A start from before it counts once the window opens, for which nobody has to press again.
    """
    start = start_of(rotation)
    if start is None:
        return Unstarted(rotation.but(opens_at=next_open(rotation.policy.move, now)), OF_A_LEAK)
    return rotation.but(opens_at=None, exposed=exposed.but(waived_by=start.by))


def _freshly_rehearsed(rotation: Rotation, world: World) -> Rotation | Outcome:
    """Rehearse again before the first move if people or a window have taken so long that the result is old."""
    since = rotation.rehearsed_at
    if rotation.moved or since is None or world.now() - since <= world.limits.evidence_max_age:
        return rotation
    why = f"The rehearsal was more than {said(world.limits.evidence_max_age)} ago."
    return Again(rotation.but(throwaways=(), rehearsal=None, unrehearsed=""), StepName.REHEARSE, why)


def _in_the_window(rotation: Rotation, world: World) -> Rotation | Outcome:
    now = world.now()
    if is_open(rotation.policy.move, now):
        return _freshly_rehearsed(rotation.but(opens_at=None), world)
    if rotation.exposed:
        return _waived(rotation, rotation.exposed, now)
    opens_at = next_open(rotation.policy.move, now)
    reason, pause = (CLOSED, opens_at - now) if opens_at else (NEVER_OPENS, A_WHILE)
    return Wait(rotation.but(opens_at=opens_at), reason, pause, is_for_time=True)
