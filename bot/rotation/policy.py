"""Who may do what, and when. Pure. A card offers a button if `offered` has it; a click runs the `check_` functions."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.attention import fails_callers, open_troubles
from bot.rotation.credentials import Ability
from bot.rotation.errors import Late, NotAllowed, WrongState
from bot.rotation.exposure import may_be_reported, review_is_due
from bot.rotation.finding import Finding
from bot.rotation.frozen import Frozen
from bot.rotation.labels import UNPROVED, label_of
from bot.rotation.nudges import harmful, leaking
from bot.rotation.plan import AffectedModel
from bot.rotation.proof import unproved
from bot.rotation.record import Rotation
from bot.rotation.revoking import OF_A_TASK, offers
from bot.rotation.states import MEANING, State, Track
from bot.rotation.stops import HELP
from bot.rotation.talking import talk
from bot.rotation.windows import is_open, opening_said


class Person(Frozen):
    """A member as Slack describes them."""

    id: str
    team: str = ""
    guest: bool = False
    bot: bool = False
    deactivated: bool = False
    stranger: bool = False
    zone: str = ""
    """Their time zone; empty if Slack does not say."""

    told_at: datetime | None = None
    """When Slack said this, by Slack's clock."""

    name: str = ""
    email: str = ""
    """Empty if Slack does not tell it: the app may not have `users:read.email`."""


class Pressed(NamedTuple):
    """When a click happened, by Slack's clock; if unknown, how long it may have waited for this process."""

    at: datetime | None = None
    away: timedelta | None = None


class Permissions(Frozen):
    """A person with their present permissions."""

    person: Person
    may_request: bool = False
    approver: bool = False
    escalated: bool = False
    """Whether they are in ESCALATION; only known where somebody says that they take care of harm, and on Home."""


IN_STATE: Mapping[State, tuple[Action, ...]] = {
    State.AWAITING_SECRET: (Action.ENTER_SECRET, Action.CANCEL),
    State.RUNNING: (Action.ROLL_BACK,),
    State.BLOCKED: (),
    State.AWAITING_START: (Action.START, Action.ROLL_BACK),
    State.AWAITING_APPROVAL: (Action.DELETE_OLD_KEY, Action.ROLL_BACK, Action.VERIFY_AGAIN),
    State.ROLLING_BACK: (),
    State.COMPLETED: (),
    State.ROLLED_BACK: (),
    State.CANCELLED: (),
}
"""The buttons in each state; a stop offers those of its kind."""


def offered(rotation: Rotation) -> tuple[Action, ...]:
    """Return the buttons of *rotation* now; **I'm on it** comes second, or first if no other is advised."""
    buttons = _useful(rotation)
    if not (harmful(rotation) or leaking(rotation)):
        return buttons
    place = 1 if buttons and is_advised(buttons[0], rotation) else 0
    return (*buttons[:place], Action.ON_IT, *buttons[place:])


def is_advised(first: Action, rotation: Rotation) -> bool:
    """Return whether *first* is what helps now: a roll back only while callers fail."""
    return fails_callers(rotation) if first is Action.ROLL_BACK else first not in BESIDE | {Action.REVIEW}


def _useful(rotation: Rotation) -> tuple[Action, ...]:
    """Return the buttons that move *rotation*; there is no roll back to a key that may be gone.

    A stop offers **Cancel** instead: the only other way to an end may be a secret that the requester never gives, or
    a start that no approver gives.
    What moves no rotation comes last: a task, also of a rotation that is over, what people say to each other, and
    what is pressed once: the report of a leak, or its review.
    """
    return (*_for_the_rotation(rotation), *offers(rotation), *talk(rotation), *_of_a_leak(rotation))


BESIDE = frozenset({Action.NOT_YET, Action.ASK, Action.ANSWER, *OF_A_TASK})
"""The buttons that move no rotation."""


def _of_a_leak(rotation: Rotation) -> tuple[Action, ...]:
    if review_is_due(rotation):
        return (Action.REVIEW,)
    return (Action.EXPOSED,) if may_be_reported(rotation) else ()


def _for_the_rotation(rotation: Rotation) -> tuple[Action, ...]:
    if rotation.deleted_at:
        return _after_the_delete(rotation)
    if not is_way_back_closed(rotation):
        return _back_first(_offers(rotation)) if fails_callers(rotation) else _offers(rotation)
    left = tuple(action for action in _offers(rotation) if action is not Action.ROLL_BACK)
    stop = rotation.stop if rotation.state is State.BLOCKED else None
    is_stuck = rotation.state is State.AWAITING_START or (stop and Action.ROLL_BACK in HELP[stop.kind].offers)
    return (*left, Action.CANCEL) if is_stuck else left


def _after_the_delete(rotation: Rotation) -> tuple[Action, ...]:
    """Offer **Another secret** while something is wrong: it starts a rotation of the new key, and this one stays."""
    left = (action for action in _offers(rotation) if action not in (Action.ROLL_BACK, Action.ANOTHER_SECRET))
    return (*left, *((Action.ANOTHER_SECRET,) if open_troubles(rotation) else ()))


def _back_first(offers: tuple[Action, ...]) -> tuple[Action, ...]:
    """Put **Roll back** first: while callers fail, it is what helps them."""
    return tuple(sorted(offers, key=lambda action: action is not Action.ROLL_BACK))


def is_way_back_closed(rotation: Rotation) -> bool:
    """Return whether the old key is gone or may be gone: no model goes back to it."""
    return rotation.plan.old_key_gone or bool(rotation.delete_asked_at or rotation.deleted_at)


def takes_back(rotation: Rotation) -> bool:
    """Return whether **Another secret** first puts models back on the old key."""
    return bool(rotation.moved) and not is_way_back_closed(rotation)


def _offers(rotation: Rotation) -> tuple[Action, ...]:
    if rotation.state is State.BLOCKED and rotation.stop:
        offers = HELP[rotation.stop.kind].offers
        if rotation.track is not Track.FORWARD or not (acceptable(rotation) or acceptable_as_a_whole(rotation)):
            offers = tuple(a for a in offers if a is not Action.ACCEPT_UNPROVED)
        if not rotation.plan.models:  # nothing to try: only an acceptance or another secret helps
            offers = tuple(sorted(offers, key=lambda action: action is not Action.ACCEPT_UNPROVED))
        if rotation.track is Track.BACK:  # already rolling back: go on, or give up the way back
            left = tuple(a for a in offers if a is not Action.ROLL_BACK)
            return left if Action.TRY_AGAIN in left else (*left, Action.TRY_AGAIN)
        return offers
    if rotation.state is State.RUNNING and (rotation.track is Track.WITHDRAW or rotation.approvals):
        return ()
    if rotation.state is State.AWAITING_APPROVAL and (rotation.stale_at or rotation.parked_at):
        return (Action.VERIFY_AGAIN, Action.ROLL_BACK)
    return (*_made(rotation), *IN_STATE[rotation.state])


def _made(rotation: Rotation) -> tuple[Action, ...]:
    """Offer first, where that is possible, what needs no secret in Slack."""
    waits = rotation.state is State.AWAITING_SECRET and Ability.MINT in rotation.abilities
    return (Action.MINT,) if waits else ()


def acceptable(rotation: Rotation) -> tuple[AffectedModel, ...]:
    """Return the models that an approver may accept unproved: nothing speaks for or against them."""
    return tuple(model for model in rotation.moved if label_of(rotation.finding(model)) in UNPROVED)


class Chosen(NamedTuple):
    """What an approver accepts: models by their ids, and every model of some causes by the causes' marks."""

    models: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()


def causes(rotation: Rotation) -> list[tuple[str, tuple[AffectedModel, ...]]]:
    """Return why models are unproved, and the models of each cause; the cause of the most models comes first."""
    found: dict[str, list[AffectedModel]] = {}
    for model in acceptable(rotation):
        known = rotation.finding(model).current
        found.setdefault(known.reason if known else "", []).append(model)
    return sorted(((cause, tuple(models)) for cause, models in found.items()), key=lambda one: -len(one[1]))


def mark_of(cause: str) -> str:
    """Return a short mark of a cause, for a form."""
    return hashlib.sha256(cause.encode(errors="surrogatepass")).hexdigest()[:16]


def picked(rotation: Rotation, chosen: Chosen) -> tuple[AffectedModel, ...]:
    """Return the models that are *chosen*; none if one of the choices is not there."""
    by_mark = {mark_of(cause): models for cause, models in causes(rotation)}
    of_causes = {model.id for mark in chosen.causes for model in by_mark.get(mark, ())}
    there = acceptable(rotation)
    if not (chosen.causes <= by_mark.keys() and chosen.models <= {model.id for model in there}):
        return ()
    return tuple(model for model in there if model.id in chosen.models | of_causes)


def acceptable_as_a_whole(rotation: Rotation) -> str:
    """Return the sentence that an approver may accept if there is no model to name: that nothing is proved."""
    why = "" if acceptable(rotation) else unproved(rotation)
    return why if rotation.stop and rotation.stop.sentence == why else ""


def shown_unproved(rotation: Rotation) -> str:
    """Return a digest of what the acceptance form shows: each model with its verdict, or that there is none."""
    rows = [
        (model.model_dump_json(exclude={"live"}), _known(rotation.finding(model))) for model in acceptable(rotation)
    ]
    whole = [why] if (why := acceptable_as_a_whole(rotation)) else []
    return hashlib.sha256(json.dumps([*rows, *whole]).encode()).hexdigest()[:16]


def _known(finding: Finding) -> tuple[str, str, str]:
    known = finding.current
    return (known.verdict.value, known.signature, known.reason) if known else ("", "", "")


def check_offered(rotation: Rotation, action: Action) -> None:
    """Refuse an action that *rotation* does not offer now."""
    if action not in offered(rotation):
        raise WrongState(f"“{action.value}” no longer applies: this rotation is {MEANING[rotation.state]}.")


NO_MEMBER: Mapping[str, tuple[str, str]] = {
    "bot": ("Only people can use Keyturn.", "A bot can't approve."),
    "deactivated": ("This account is deactivated.", "This account is deactivated."),
    "stranger": (
        "Only members of this workspace can use Keyturn; you are from another one.",
        "This person is from another workspace.",
    ),
    "guest": ("Guests cannot use Keyturn. Ask a full member of this workspace.", "This person is a guest now."),
}
"""For each reason why a person is no full member: what Keyturn tells them, and what it tells others about them."""


def _outside(person: Person) -> tuple[str, str] | None:
    return next((told for name, told in NO_MEMBER.items() if getattr(person, name)), None)


def check_in_time(pressed: Pressed, person: Person, most: timedelta) -> None:
    """Refuse a click that came too late: Slack has told the person that it failed.

    Both times are by Slack's clock: that of the click, and that of Slack's later answer about the person. So no other
    clock has to be right. If either time is missing, the click does not count.
    """
    age = person.told_at - pressed.at if person.told_at and pressed.at else None
    age = pressed.away if pressed.at is None else age
    if age is None or age < -most:
        raise Late("Keyturn can't tell when you pressed this, so it did not count. Press again.")
    if age > most:
        about = "" if pressed.at else "up to "
        raise Late(
            f"This reached Keyturn {about}{age.total_seconds():,.0f} s after you pressed it, so it did not count. "
            "Look at the card, then press again."
        )


def check_member(person: Person) -> None:
    """Refuse everybody who is not a full member of this workspace."""
    if told := _outside(person):
        raise NotAllowed(told[0])


def check_may_request(permissions: Permissions) -> None:
    """Refuse anyone who may not ask for a rotation."""
    check_member(permissions.person)
    if not permissions.may_request:
        raise NotAllowed("You may not rotate keys: the settings (REQUESTERS) do not name you.")


def check_may_give_secret(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse everybody but the requester: the person who asked gives the secret."""
    check_may_request(permissions)
    if permissions.person.id != rotation.requested_by:
        raise NotAllowed(f"Only <@{rotation.requested_by}>, who asked for this rotation, can give the secret.")


def check_may_replace(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse anyone who may not press **Another secret**: after the delete it is a request for a new rotation."""
    if rotation.deleted_at:
        check_may_request(permissions)
    else:
        check_may_give_secret(rotation, permissions)


def check_may_steer_batch(by: str, permissions: Permissions) -> None:
    """Refuse anyone who is neither the person who asked for a batch (*by*) nor an approver."""
    check_member(permissions.person)
    if permissions.person.id != by and not permissions.approver:
        raise NotAllowed(f"Only <@{by}> or an approver can do this.")


def check_may_hold(permissions: Permissions) -> None:
    """Refuse anyone who may not put a key on hold, or lift that."""
    check_member(permissions.person)
    if not permissions.approver:
        raise NotAllowed("Only an approver can put a key on hold, or lift that.")


def check_may_steer(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse anyone who is neither the requester nor an approver."""
    check_member(permissions.person)
    if permissions.person.id != rotation.requested_by and not permissions.approver:
        raise NotAllowed(f"Only <@{rotation.requested_by}> or an approver can do this.")


def check_may_take(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse anyone who is not paged about this rotation: its requester, approvers, and the people in ESCALATION."""
    check_member(permissions.person)
    if not permissions.escalated:
        check_may_steer(rotation, permissions)


def check_may_accept(rotation: Rotation, permissions: Permissions, *, self_approval: bool) -> None:
    """Refuse anyone who may not vouch for this rotation: approvers may; the requester needs *self_approval* too.

    That is also who may press **Start**: four eyes before the first model moves.
    """
    check_member(permissions.person)
    if lapse(rotation, permissions, self_approval=self_approval):
        other = "" if self_approval else f" other than <@{rotation.requested_by}>"
        raise NotAllowed(f"Only an approver{other} can do this.")


def check_may_ask(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse anyone who may not ask the requester: approvers may, and nobody asks themselves."""
    check_may_accept(rotation, permissions, self_approval=False)


def check_may_answer(rotation: Rotation, permissions: Permissions) -> None:
    """Refuse everybody but the requester, whom an approver has asked."""
    check_member(permissions.person)
    if permissions.person.id != rotation.requested_by:
        raise NotAllowed(f"Only <@{rotation.requested_by}>, who asked for this rotation, can answer.")


def lapse(rotation: Rotation, permissions: Permissions, *, self_approval: bool) -> str:
    """Say why this person's approval no longer counts; empty if they could give it now."""
    if told := _outside(permissions.person):
        return told[1]
    if not permissions.approver:
        where = "APPROVERS, POLICY" if rotation.policy.approvers else "APPROVERS"
        return f"The settings ({where}) no longer name this person."
    if permissions.person.id == rotation.requested_by and not self_approval:
        return "The requester can't approve."
    return ""


def check_window(rotation: Rotation, now: datetime) -> None:
    """Refuse a delete outside the windows of the policy."""
    if closed := closed_window(rotation, now):
        raise WrongState(f"{closed} Press again then.")


def closed_window(rotation: Rotation, now: datetime) -> str:
    """Say that the old key may not be deleted now, and from when it may; empty if it may."""
    windows = rotation.policy.delete
    if is_open(windows, now):
        return ""
    return f"The delete window is closed: it opens {opening_said(windows, now)}."


def check_may_approve(rotation: Rotation, permissions: Permissions, *, self_approval: bool) -> None:
    """Refuse anyone who may not approve the delete."""
    check_may_accept(rotation, permissions, self_approval=self_approval)
    if any(approval.by == permissions.person.id for approval in rotation.approvals):
        raise WrongState("You have approved this already; another approver is needed.")
