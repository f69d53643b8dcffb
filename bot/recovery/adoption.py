"""The record that a half rotation is given: to go on from where it is, or to be taken back. Pure."""

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
"""The steps that are behind each: what models answered on the old key cannot be learned once some have left it."""


class Sponsor(Frozen):
    """What no control plane shows: who asked and has not to approve, where it is to be seen, and the rules."""

    team: str
    channel: str
    requester: str
    approvals_required: int = 1
    self_approval: bool = False


NOBODY = Sponsor(team="", channel="", requester="")
"""Of what is only taken back, and never shown."""


def adopted(half: Orphan, inventory: Inventory, gateways: Iterable[str], sponsor: Sponsor, now: datetime) -> Rotation:
    """Return the rotation that goes on from where *half* is; from there on all is as ever, the approval too."""
    check_adoptable(half)
    rotation = _record(half, inventory, gateways, sponsor, now)
    there = (m.id for m in half.moved if half.replacement and half.replacement.is_meant_by(m.provider_key))
    return rotation.but(state=State.RUNNING, done=DONE[half.kind], findings=_moved(there, now))


def taken_back(half: Orphan, inventory: Inventory, gateways: Iterable[str], now: datetime) -> Rotation:
    """Return the rotation that is rolled back from where *half* is; every model is asked whether the old key serves."""
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
    """Name the environments that are known of and not shown; the replacement may be allowed in more of them."""
    known = list(gateways)
    plans = (plan.but(old_key=key) for key in (plan.old_key, *half.keys))
    return {name for each in plans for name in unlisted_environments(each, inventory, known)}


def check_adoptable(half: Orphan) -> None:
    """Refuse what cannot be brought forward."""
    check_cleanable(half)
    if half.kind not in BEGUN:
        raise Refused("There is no old key any more, so there is nothing to bring forward.")


def check_cleanable(half: Orphan) -> None:
    """Refuse where nothing is left over, or a person has to say first which key is the old one."""
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
        throwaways_used=int(now.timestamp()),  # beyond any number that was used before: each name is used once
        approvals_required=sponsor.approvals_required,
        self_approval=sponsor.self_approval,
        started_at=now,
        adopted_at=now,
    )


def _plan(half: Orphan, inventory: Inventory, gateways: Iterable[str]) -> Plan:
    """Plan as if no model had been moved yet."""
    assert half.old is not None, "of what is begun the old key is known"
    moved, gone = {model.id for model in half.moved}, {model.id for model in half.throwaways}
    back = (m.but(provider_key=half.old.id) if m.id in moved else m for m in inventory.models)
    return make_plan(inventory.but(models=tuple(m for m in back if m.id not in gone)), half.old, gateways)


def _moved(ids: Iterable[str], now: datetime) -> dict[str, Finding]:
    return {id_: Finding(moved_at=now) for id_ in ids}
