"""Makes a record for an orphaned rotation, which then continues or is rolled back. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from bot.recovery.orphans import BEGUN, Kind, Orphan
from bot.rotation.drift import unlisted_environments
from bot.rotation.errors import Refused
from bot.rotation.finding import Finding
from bot.rotation.frozen import Frozen
from bot.rotation.inventory import Inventory
from bot.rotation.naming import tag_of
from bot.rotation.plan import Plan, make_plan
from bot.rotation.record import Replacement, Rotation
from bot.rotation.states import State, StepName, Track

DONE: Mapping[Kind, tuple[StepName, ...]] = {
    Kind.UNUSED: (),
    Kind.SPLIT: (StepName.BASELINE,),
    Kind.MOVED: (StepName.BASELINE, StepName.REHEARSE),
}
"""The steps that each kind has behind it: once models have moved, there is no baseline to gather."""


class Sponsor(Frozen):
    """What the control plane can't show: the requester (who must not approve), the channel and the rules."""

    team: str
    channel: str
    requester: str
    approvals_required: int = 1
    self_approval: bool = False


NOBODY = Sponsor(team="", channel="", requester="")
"""The sponsor of a rotation that is only rolled back and never shown."""


def adopted(half: Orphan, inventory: Inventory, gateways: Iterable[str], sponsor: Sponsor, now: datetime) -> Rotation:
    """Return the rotation that continues from the state of *half*; from then on it is a normal one."""
    check_adoptable(half)
    rotation = _record(half, inventory, gateways, sponsor, now)
    there = (m.id for m in half.moved if half.replacement and half.replacement.is_meant_by(m.provider_key))
    return rotation.but(state=State.RUNNING, done=DONE[half.kind], findings=_moved(there, now))


def taken_back(half: Orphan, inventory: Inventory, gateways: Iterable[str], now: datetime) -> Rotation:
    """Return the rotation that rolls back from the state of *half*; it probes every model on the old key."""
    check_cleanable(half)
    rotation = _record(half, inventory, gateways, NOBODY, now)
    hidden = _hidden(half, rotation.plan, inventory, gateways)
    if hidden:
        raise Refused(
            f"A key or AISIX_GATEWAYS names an environment that AISIX does not list ({', '.join(sorted(hidden))}): "
            "a model there may use the replacement, so nothing was done."
        )
    every = _moved((model.id for model in rotation.plan.models), now)
    return rotation.but(state=State.ROLLING_BACK, track=Track.BACK, findings=every)


def _hidden(half: Orphan, plan: Plan, inventory: Inventory, gateways: Iterable[str]) -> set[str]:
    """Return the environments that are known and not shown; the replacement may be allowed in more of them."""
    known = list(gateways)
    plans = (plan.but(old_key=key) for key in (plan.old_key, *half.keys))
    return {name for each in plans for name in unlisted_environments(each, inventory, known)}


def check_adoptable(half: Orphan) -> None:
    """Refuse a rotation that can't be completed."""
    check_cleanable(half)
    if half.kind not in BEGUN:
        raise Refused("There is no old key any more, so there is nothing to bring forward.")


def check_cleanable(half: Orphan) -> None:
    """Refuse if nothing is left over, or if a person has to name the old key first."""
    if half.kind is Kind.FINISHED:
        raise Refused(f"Nothing is left over of rotation {half.rotation}.")
    if half.kind is Kind.UNCLEAR:
        raise Refused("Which key is the old one cannot be told from the names: say it with --old ID.")


def _record(half: Orphan, inventory: Inventory, gateways: Iterable[str], sponsor: Sponsor, now: datetime) -> Rotation:
    assert half.replacement is not None, "what is left to bring forward or take back has keys"
    tag = tag_of(half.replacement.display_name)
    return Rotation(
        id=half.rotation,
        team=sponsor.team,
        channel=sponsor.channel,
        requested_by=sponsor.requester,
        requested_at=now,
        plan=_plan(half, inventory, gateways),
        attempt=tag.attempt if tag else 1,
        replacement=Replacement(name=half.replacement.display_name, asked_at=now, key_id=half.replacement.id),
        names=tuple(dict.fromkeys(key.display_name for key in half.keys)),
        made=tuple(key.id for key in half.keys),
        throwaways_used=int(now.timestamp()),  # above every earlier number: each name is used once
        approvals_required=sponsor.approvals_required,
        self_approval=sponsor.self_approval,
        started_at=now,
        adopted_at=now,
    )


def _plan(half: Orphan, inventory: Inventory, gateways: Iterable[str]) -> Plan:
    """Make the plan as if no model had been moved yet."""
    assert half.old is not None, "of what is begun the old key is known"
    moved, gone = {model.id for model in half.moved}, {model.id for model in half.throwaways}
    back = (m.but(provider_key=half.old.id) if m.id in moved else m for m in inventory.models)
    return make_plan(inventory.but(models=tuple(m for m in back if m.id not in gone)), half.old, gateways)


def _moved(ids: Iterable[str], now: datetime) -> dict[str, Finding]:
    return {id_: Finding(moved_at=now) for id_ in ids}
