"""Revoking at the provider: which credential, when that is safe, what is done in which phase, and what stops it. Pure.

First disabled, where that can be undone; then, after `REVOKE_GRACE` and another look, deleted; then read again until it
is gone for good. Nothing in use is disabled: what the gateway needs never is, and use by anybody else stops it, unless
an approver has said why.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from bot.rotation.actions import Action
from bot.rotation.attention import fails_callers
from bot.rotation.credentials import Ability, Row, Status, Usage
from bot.rotation.exposure import Standing, needing, standing
from bot.rotation.parts import Approval, Chore, Look, Phase, Revocation, There, Which
from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName, Track

READS, BETWEEN_READS = 3, timedelta(minutes=1)
"""How often in a row, and how far apart, a provider has to say that a credential is gone: one answer proves nothing."""

USED, UNKNOWN = "used", "no data"
"""What an approver may allow for a reason, as their approval keeps it."""


def row_of(rotation: Rotation) -> Row | None:
    """Return the credential that the task is about; None as long as nobody knows which one it is."""
    task = rotation.revocation
    if task is None or task.which is Which.OLD:
        return rotation.old_row
    return rotation.replacement.row if rotation.replacement else None


def new_row(rotation: Rotation) -> Row | None:
    """Return the credential that must not be touched: that of the key that stays in use."""
    task, new = rotation.revocation, rotation.replacement
    if task and task.which is Which.NEW:
        return rotation.old_row
    return new.row if new else None


def can(rotation: Rotation, ability: Ability) -> bool:
    """Return whether the provider could do this when the rotation was requested."""
    return bool(rotation.account) and ability in rotation.abilities


def is_final(rotation: Rotation) -> bool:
    """Return whether no model goes back to the credential of the task."""
    task = rotation.revocation
    if task is None:
        return False
    if task.which is Which.NEW:
        return rotation.state in (State.ROLLED_BACK, State.CANCELLED)
    gone = rotation.deleted_at or rotation.plan.old_key_gone
    return bool(gone) or (rotation.delete_asked_at is not None and rotation.is_over)


def needed(rotation: Rotation) -> str:
    """Say why callers may need the credential of the task; empty once none do, as far as the record knows."""
    if is_final(rotation):
        return ""
    if rotation.exposed is None or rotation.track is not Track.FORWARD or rotation.is_over:
        return "The gateway may still need it: the rotation is not past the delete."
    if many := needing(rotation):
        return f"{many:,} model{'' if many == 1 else 's'} may still use it."
    if StepName.VERIFY not in rotation.done or standing(rotation) is not Standing.SAFE:
        return "Not every model is proved on the new key."
    return ""


def shares(rotation: Rotation, other: "Rotation", row_id: str) -> bool:
    """Return whether *other* knows that a key which may be in use has the credential *row_id* too."""
    if other.id == rotation.id or other.account != rotation.account:
        return False
    mine = rotation.plan.old_key.id
    made = other.replacement.row if other.replacement and other.replacement.row else None
    is_made_by_it = made is not None and made.id == row_id and other.state not in (State.ROLLED_BACK, State.CANCELLED)
    if is_made_by_it and other.replacement_id not in (mine, None) and not _is_revoked(rotation, other.replacement_id):
        return True
    is_its_old = other.old_row is not None and other.old_row.id == row_id and other.plan.old_key.id != mine
    return is_its_old and not other.is_over


def _is_revoked(rotation: Rotation, key_id: str | None) -> bool:
    """Return whether *key_id* is one of this rotation's own keys that it no longer needs."""
    return bool(rotation.revocation and rotation.revocation.which is Which.NEW and key_id in rotation.made)


# --- what people are offered ---


def offers(rotation: Rotation) -> tuple[Action, ...]:
    """Return the buttons of the task now; the one that Keyturn can do itself comes first."""
    task = rotation.revocation
    if task is None or not task.is_open:
        return ()
    there = task.there
    if there is None:
        return (*_begins(rotation), Action.REVOKED, Action.NOT_NEEDED)
    if there.gone >= READS:
        return (Action.REVOKED, Action.NOT_NEEDED)
    if there.phase is Phase.STOPPED and there.disabled_at:
        return (*_begins(rotation), Action.ENABLE_AGAIN, Action.REVOKED)
    if there.phase is Phase.STOPPED:
        return (*_begins(rotation), Action.REVOKED, Action.NOT_NEEDED)
    return (Action.ENABLE_AGAIN,) if may_enable(rotation) else ()


def _begins(rotation: Rotation) -> tuple[Action, ...]:
    """Return what begins a revocation at the provider, if it can revoke and nothing needs the credential."""
    able = can(rotation, Ability.DISABLE) or (is_final(rotation) and can(rotation, Ability.DELETE))
    if not able or needed(rotation):
        return ()
    if row_of(rotation):
        return (Action.REVOKE_THERE,)
    return (Action.CHOOSE_ROW,) if can(rotation, Ability.LIST) else ()


OF_A_TASK = (Action.REVOKE_THERE, Action.CHOOSE_ROW, Action.ENABLE_AGAIN, Action.REVOKED, Action.NOT_NEEDED)
"""The buttons of a credential that is still to be revoked at its provider."""


def may_enable(rotation: Rotation) -> bool:
    """Return whether what Keyturn did at the provider can be undone, or may not have been done yet."""
    task = rotation.revocation
    there = task.there if task and task.is_open else None
    if there is None or there.gone or not can(rotation, Ability.DISABLE):
        return False
    return there.phase in (Phase.ASKED, Phase.DISABLED) or (
        there.phase is Phase.STOPPED and there.disabled_at is not None
    )


def must_enable(rotation: Rotation) -> bool:
    """Return whether the old key may be disabled, so that no model may go back to it before it is enabled."""
    task = rotation.revocation
    return task is not None and task.is_open and task.which is Which.OLD and task.there is not None


def is_under_way(rotation: Rotation) -> bool:
    """Return whether Keyturn is revoking, and nothing about it waits for people."""
    task = rotation.revocation
    there = task.there if task and task.is_open else None
    return there is not None and there.phase is not Phase.STOPPED


MOST_FAILURES = 5
"""After so many failures in a row, people are reminded as if nobody had begun."""


def fails_long(rotation: Rotation) -> bool:
    """Return whether the provider refuses, or has not answered, so often that people should know."""
    return any(each.chore is Chore.REVOKE and each.number >= MOST_FAILURES for each in rotation.setbacks)


def choices(rotation: Rotation, rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows that an approver may choose as the credential of the task, the active ones first, oldest first.

    Not what stays in use, nor what is gone, nor, for the old key, what was made after the rotation was asked for.
    """
    kept = new_row(rotation)
    is_old = rotation.revocation is None or rotation.revocation.which is Which.OLD
    found = [
        row
        for row in rows
        if row.status is not Status.GONE
        and not (kept and row.id == kept.id)
        and not (is_old and row.created_at and row.created_at > rotation.requested_at)
    ]
    return tuple(
        sorted(found, key=lambda row: (row.status is not Status.ACTIVE, row.created_at is None, row.name, row.id))
    )


# --- evidence ---


def left_at(rotation: Rotation) -> datetime:
    """Return since when nothing of ours should use the credential of the task."""
    if rotation.revocation and rotation.revocation.which is Which.NEW:
        return rotation.ended_at or rotation.revocation.since
    moves = [moved for model in rotation.plan.models if (moved := rotation.finding(model).moved_at)]
    return max([*moves, *filter(None, [rotation.verified_at])], default=rotation.requested_at)


def looks_since(rotation: Rotation, lag: timedelta) -> datetime:
    """Return since when use counts: what was sent before may show up to *lag* later."""
    task = rotation.revocation
    there = task.there if task else None
    return max(left_at(rotation), there.disabled_at if there and there.disabled_at else left_at(rotation)) + lag


def doubts(look: Look) -> tuple[str, ...]:
    """Return what speaks against it, by a look: use, or that nobody knows of any."""
    if look.usage.last_at and look.usage.last_at >= look.since:
        return (USED,)
    return () if _tells(look.usage, look.since) else (UNKNOWN,)


def _tells(usage: Usage, since: datetime) -> bool:
    return usage.is_known and (usage.until is None or usage.until > since)


def objections(rotation: Rotation, there: There, look: Look) -> Iterator[str]:
    """Yield a sentence for each thing that speaks against going on, and that nobody has allowed."""
    allowed = [set(approval.flags) for approval in there.approvals]
    for doubt in () if there.by_itself else doubts(look):
        if any(doubt not in flags for flags in allowed):
            yield SAID[doubt]
    if fails_callers(rotation):
        yield "Callers fail: look into that first."


SAID: Mapping[str, str] = {
    USED: "Somebody else holds it: it was used after every model had left it.",
    UNKNOWN: "No data: nobody knows whether it is still used.",
}


def shown(row: Row, look: Look) -> str:
    """Return a mark of what an approver is shown: the credential, and what speaks against revoking it."""
    return hashlib.sha256(json.dumps((row.id, doubts(look))).encode()).hexdigest()[:16]


# --- the phases ---


def disables_itself(rotation: Rotation) -> bool:
    """Return whether a leak has the key disabled now: all models left it, proved, and an approver let them move."""
    task = rotation.revocation
    is_open = task is not None and task.is_open and task.there is None and task.enabled_at is None
    is_able = rotation.old_row is not None and can(rotation, Ability.DISABLE)
    is_live = rotation.exposed is not None and rotation.state in (State.RUNNING, State.AWAITING_APPROVAL)
    return bool(is_open and is_able and is_live and rotation.starts) and not needed(rotation)


def wanted(rotation: Rotation) -> datetime | None:
    """Return from when on something is to be done at the provider; None if nothing is."""
    task = rotation.revocation
    if task is None or not task.is_open:
        return None
    if task.there is None:
        return task.since if disables_itself(rotation) else None
    return DUE[task.there.phase](rotation, task.there)


def _ends_at(rotation: Rotation, there: There) -> datetime | None:
    return there.due_at if is_final(rotation) else None


DUE: Mapping[Phase, Callable[[Rotation, There], datetime | None]] = {
    Phase.ASKED: lambda _, there: there.since,
    Phase.DISABLED: _ends_at,
    Phase.ENDING: lambda _, there: there.since,
    Phase.PROVING: lambda _, there: there.due_at,
    Phase.STOPPED: lambda _, __: None,
    Phase.ENABLING: lambda _, there: there.since,
}
"""When each phase goes on; a test checks that none is missing."""


def chosen(rotation: Rotation, row: Row, by: str) -> Rotation:
    """Return *rotation* with the credential of its task, as an approver says."""
    task, new = _task(rotation), rotation.replacement
    if task.which is Which.NEW and new:
        return rotation.but(replacement=new.but(row=row))
    return rotation.but(old_row=row, old_row_by=by)


def asked(rotation: Rotation, row: Row, approvals: tuple[Approval, ...], look: Look | None, now: datetime) -> Rotation:
    """Return *rotation* with the revocation at the provider that *approvals* ask for; what was disabled stays so."""
    before = _task(rotation).there
    disabled = before.disabled_at if before else None
    there = There(
        row=row,
        phase=Phase.ASKED,
        since=now,
        approvals=approvals,
        look=look,
        disabled_at=disabled,
        by_itself=look is None,
    )
    return _with(rotation, there)


def entered(rotation: Rotation, phase: Phase, now: datetime, **fields: object) -> Rotation:
    """Return *rotation* in another phase."""
    there = _task(rotation).there
    assert there is not None
    return _with(rotation, there.but(phase=phase, since=now, **{"due_at": None, "stopped": ""} | fields))


def enabled(rotation: Rotation, now: datetime, by: str) -> Rotation:
    """Return *rotation* once the credential works again: the task is a person's again."""
    task = _task(rotation).but(there=None, approvals=(), enabled_at=now, enabled_by=by)
    return rotation.but(revocation=task)


def ended(rotation: Rotation, now: datetime) -> Rotation:
    """Return *rotation* once the provider has said often enough that the credential is gone."""
    task = _task(rotation)
    assert task.there is not None
    by = task.there.approvals[-1].by if task.there.approvals else task.owner
    return rotation.but(revocation=task.but(ended_at=now, ended_by=by))


def _with(rotation: Rotation, there: There) -> Rotation:
    return rotation.but(revocation=_task(rotation).but(there=there, approvals=()))


def _task(rotation: Rotation) -> Revocation:
    assert rotation.revocation is not None
    return rotation.revocation


def said(before: Rotation, after: Rotation) -> str:
    """Say for the audit trail how a revocation at the provider went on; empty if it did not."""
    was, task = before.revocation, after.revocation
    if was is None or task is None or was == task:
        return ""
    if not task.is_open:
        return "the credential is gone at the provider"
    if task.there is None:
        return "enabled the credential again" if was.there else ""
    row = task.there.row.id
    return f"{MOVED[task.there.phase]} {row}" if was.there is None or was.there.phase is not task.there.phase else ""


MOVED: Mapping[Phase, str] = {
    Phase.ASKED: "is about to disable or delete at the provider:",
    Phase.DISABLED: "disabled at the provider:",
    Phase.ENDING: "is about to delete at the provider:",
    Phase.PROVING: "deleted at the provider, and reads again:",
    Phase.STOPPED: "stopped the revocation at the provider:",
    Phase.ENABLING: "is about to enable again at the provider:",
}
