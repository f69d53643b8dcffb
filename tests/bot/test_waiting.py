"""What waits for a person is what a click of theirs would do now."""

import pytest

from bot.rotation.actions import Action
from bot.rotation.overview import Sights, overview
from bot.rotation.policy import Permissions, Person
from bot.rotation.record import Rotation
from bot.rotation.stops import StopKind
from bot.rotation.waiting import CHECKS, TALK, waited_for
from handlers.views.home import DOES
from tests.handlers import records as r
from tests.handlers.cases import STOPS

REQUESTER = Permissions(person=Person(id=r.REQUESTER), may_request=True)
APPROVER = Permissions(person=Person(id=r.APPROVER), approver=True)
MEMBER = Permissions(person=Person(id="U_OTHER"), may_request=True)
GUEST = Permissions(person=Person(id=r.REQUESTER, guest=True), may_request=True, approver=True)


def test_every_button_has_its_check_and_the_words_for_whom_it_waits() -> None:
    assert set(CHECKS) == set(Action)
    assert set(DOES) == set(Action) - TALK


@pytest.mark.parametrize(
    ("rotation", "who", "first"),
    [
        (r.awaiting_secret(), REQUESTER, Action.ENTER_SECRET),
        (r.awaiting_secret(), APPROVER, None),
        (r.awaiting_secret(), MEMBER, None),
        (r.awaiting_secret(), GUEST, None),
        (r.running("verify"), REQUESTER, None),
        (r.awaiting_approval(), APPROVER, Action.DELETE_OLD_KEY),
        (r.awaiting_approval(), REQUESTER, None),
        (r.awaiting_approval(self_approval=True), REQUESTER.but(approver=True), Action.DELETE_OLD_KEY),
        (r.awaiting_approval(approvals_required=2, approvals=(r.approval(),)), APPROVER, None),
        (r.awaiting_approval(), GUEST, None),
        (STOPS["unverified"], MEMBER, None),
        (r.completed(), APPROVER, None),
        (r.in_trouble(r.watched()), MEMBER.but(may_request=False), None),
        (r.in_trouble(r.watched()), MEMBER.but(may_request=False, escalated=True), Action.ON_IT),
    ],
)
def test_a_rotation_waits_for_the_people_who_can_go_on_with_it(
    rotation: Rotation, who: Permissions, first: Action | None
) -> None:
    assert waited_for(rotation, who)[:1] == ((first,) if first else ())


def test_a_stopped_rotation_waits_for_its_requester_and_for_every_approver() -> None:
    for name, rotation in STOPS.items():
        assert rotation.stop
        assert rotation.stop.kind in StopKind
        assert waited_for(rotation, REQUESTER), name
        assert waited_for(rotation, APPROVER), name


def test_callers_who_fail_come_first() -> None:
    calm, harmful = r.awaiting_secret(), r.in_trouble(r.watched()).but(id="r2harm1")
    stopped = STOPS["rejected"].but(id="r3stop2")

    seen = overview(Sights((calm, harmful, stopped), ()), REQUESTER)

    assert [one.rotation.id for one in seen.waiting] == [harmful.id, stopped.id, calm.id]
    assert seen.others == ()
