"""An approval counts while the person who gave it could give it now, under the stricter of the rules then and today."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from bot.engine import move
from bot.rotation.errors import NotAllowed, Unanswerable, Uncertain
from bot.rotation.people import NOBODY, People
from bot.rotation.policy import NO_MEMBER, Person
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.steps.delete import delete
from bot.steps.outcomes import Unapproved, Wait
from bot.steps.pacing import move_mark
from bot.steps.recheck import recheck
from bot.steps.world import World
from tests.bot.values import NOW, approval, rules, running
from tests.support.in_memory import Tenancy

SENDER, OTHER = "U_APPROVER", "U_OTHER"


class Directory:
    """Slack, as far as it knows who is who."""

    def __init__(self) -> None:
        self.people = {id_: Person(id=id_) for id_ in (SENDER, OTHER, "U_REQUESTER")}
        self.group = {SENDER, OTHER, "U_REQUESTER"}
        self.away = False
        self.asked: list[str] = []
        self.lists = 0

    async def person(self, user_id: str) -> Person:
        self.asked.append(user_id)
        if self.away:
            raise Unanswerable("Slack does not tell me who you are.")
        if user_id not in self.people:
            raise NotAllowed("I cannot find you.")
        return self.people[user_id]

    async def members(self, _: str) -> frozenset[str]:
        self.lists += 1
        return frozenset(self.group)


def people(directory: Directory, **given: Any) -> People:
    return People(directory, rules(**{"approvers": frozenset({"S_APPROVERS"})} | given))


def leaves(directory: Directory) -> None:
    directory.group.remove(SENDER)


def becomes(what: str, directory: Directory) -> None:
    directory.people[SENDER] = Person(id=SENDER, **{what: True})


CHANGES = {
    "left the group": leaves,
    "unknown": lambda directory: directory.people.pop(SENDER),
    **{name: partial(becomes, name) for name in NO_MEMBER},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_approval_of_somebody_who_could_not_give_it_now_is_dropped_and_the_others_stay(change):
    directory = Directory()
    given = running(approvals=(approval(SENDER), approval(OTHER)), approvals_required=2)
    assert await people(directory).reviewed(given, NOW) == given
    CHANGES[change](directory)

    after = await people(directory).reviewed(given, NOW)

    assert [kept.by for kept in after.approvals] == [OTHER]
    assert after.lacks_approval
    (void,) = after.voids
    assert (void.by, void.lapsed, void.at) == ((SENDER,), True, NOW)
    assert void.changes[0].endswith(".")


async def test_each_approval_that_is_dropped_has_its_own_reason():
    directory = Directory()
    directory.people |= {SENDER: Person(id=SENDER, guest=True), OTHER: Person(id=OTHER, guest=True)}
    given = running(approvals=(approval(SENDER), approval(OTHER)))

    (void,) = (await people(directory, approvals_required=2).reviewed(given, NOW)).voids

    assert void.by == (SENDER, OTHER)
    assert void.changes == ("This person is a guest now.",) * 2 + ("The settings ask for 2 approvals now.",)


async def test_an_own_approval_counts_only_while_both_rules_allow_it():
    allowing, forbidding = people(Directory(), self_approval=True), people(Directory())
    own = running(approvals=(approval("U_REQUESTER"),))

    assert (await allowing.reviewed(own.but(self_approval=True), NOW)).approvals == own.approvals
    assert (await forbidding.reviewed(own.but(self_approval=True), NOW)).approvals == ()
    assert (await allowing.reviewed(own, NOW)).approvals == ()


@pytest.mark.parametrize(("then", "now", "needed"), [(1, 2, 2), (2, 1, 2), (1, 1, 1)])
async def test_as_many_approvals_are_needed_as_the_larger_of_the_two_rules_says(then, now, needed):
    given = running(approvals=(approval(SENDER),), approvals_required=then)

    after = await people(Directory(), approvals_required=now).reviewed(given, NOW)

    assert (after.approvals_required, after.lacks_approval) == (needed, needed == 2)
    assert [change for void in after.voids for change in void.changes] == (
        ["The settings ask for 2 approvals now."] if now > then else []
    )


async def test_where_slack_cannot_tell_no_approval_is_judged_and_no_rotation_begins():
    directory = Directory()
    directory.away = True

    for whoever in (people(directory), NOBODY):
        with pytest.raises(Unanswerable):
            await whoever.reviewed(running(approvals=(approval(SENDER),)), NOW)
    with pytest.raises(Unanswerable):
        await people(directory).check_may_begin("U_REQUESTER")


# --- before a rotation begins ---


@pytest.mark.parametrize("change", CHANGES)
async def test_one_that_too_few_others_can_approve_is_refused_with_the_settings_and_the_numbers(change):
    directory = Directory()
    CHANGES[change](directory)

    with pytest.raises(NotAllowed, match=r"1 of the people in APPROVERS can .* APPROVALS_REQUIRED is 2"):
        await people(directory, approvals_required=2).check_may_begin("U_REQUESTER")
    await people(directory).check_may_begin("U_REQUESTER")
    await people(Directory(), approvals_required=2).check_may_begin("U_REQUESTER")


@pytest.mark.parametrize("named", ["U_REQUESTER", "S_APPROVERS"])
async def test_one_that_only_its_requester_could_approve_is_refused_unless_that_is_allowed(named):
    directory = Directory()
    directory.group = {"U_REQUESTER"}
    alone = frozenset({named})

    with pytest.raises(NotAllowed, match=r"Nobody of the people in APPROVERS can .*, with SELF_APPROVAL off"):
        await people(directory, approvers=alone).check_may_begin("U_REQUESTER")
    await people(directory, approvers=alone, self_approval=True).check_may_begin("U_REQUESTER")
    await people(directory, approvers=alone).check_may_begin(OTHER)


async def test_slack_is_asked_about_no_more_people_than_are_needed_and_about_each_once():
    directory = Directory()

    await people(directory).check_may_begin("U_REQUESTER")

    assert (directory.asked, directory.lists) == (["U_REQUESTER", SENDER], 1)


@pytest.mark.parametrize(
    ("rules", "short"),
    [
        ({}, ""),
        ({"approvals_required": 3}, ""),
        ({"approvals_required": 4}, "3 of the people in APPROVERS can approve, and APPROVALS_REQUIRED is 4"),
        ({"approvers": frozenset({"U_GONE"})}, "nobody of the people in APPROVERS can approve"),
        ({"approvals_required": 3, "requesters": frozenset({OTHER})}, "everybody in REQUESTERS is among the only 3"),
        ({"approvals_required": 3, "requesters": frozenset({"S_APPROVERS"})}, "everybody in REQUESTERS is among"),
        ({"approvals_required": 3, "requesters": frozenset({OTHER}), "self_approval": True}, ""),
        ({"approvals_required": 3, "requesters": frozenset({OTHER, "U_COLLEAGUE"})}, ""),
        ({"approvals_required": 2, "requesters": frozenset({OTHER})}, ""),
    ],
)
async def test_settings_under_which_nobodys_rotation_could_be_approved_are_told(rules, short):
    said = await people(Directory(), **rules).shortage()

    assert short in said
    assert bool(said) is bool(short)


# --- at the last look, and at the delete ---


class Ending(NamedTuple):
    """A rotation that one approver has released, before its last two steps."""

    tenancy: Tenancy
    directory: Directory
    world: World
    rotation: Rotation

    def looked(self, **fields: Any) -> Rotation:
        """Return it after its last look, before the delete."""
        return self.rotation.but(done=(*self.rotation.done, "recheck"), **fields)


@pytest.fixture
async def ending(tenancy: Tenancy) -> Ending:
    machine, directory = await tenancy.machine(), Directory()
    record = tenancy.approved(await tenancy.asked(machine))
    return Ending(tenancy, directory, replace(machine.world, people=people(directory)), record)


async def test_the_last_look_ends_before_it_asks_a_model_where_too_few_approvals_count(ending):
    probes = ending.tenancy.probes()
    both = ending.rotation.but(approvals=(*ending.rotation.approvals, approval(OTHER)), approvals_required=2)
    leaves(ending.directory)

    assert isinstance(await recheck(both, ending.world), Unapproved)
    after = await move(both, ending.world)

    assert (after.state, after.done, after.asked_at) == (State.AWAITING_APPROVAL, both.done, both.asked_at)
    assert [kept.by for kept in after.approvals] == [OTHER]
    assert ending.tenancy.probes() == probes


@pytest.mark.parametrize("asked_at", [None, NOW])
async def test_no_delete_is_sent_where_too_few_approvals_count(ending, asked_at):
    leaves(ending.directory)

    outcome = await delete(ending.looked(delete_asked_at=asked_at), ending.world)

    assert isinstance(outcome, Unapproved)
    assert ending.tenancy.deletes() == 0


async def test_approvals_are_looked_at_again_before_every_delete_that_is_sent(ending):
    now, mark = ending.tenancy.clock.now(), f"here/{ending.rotation.version}"

    outcome = await delete(ending.looked(delete_asked_at=now, delete_try=mark, last_look_at=now), ending.world)

    assert isinstance(outcome, Wait)
    assert (ending.tenancy.deletes(), ending.directory.asked) == (1, [SENDER])


async def test_a_look_that_goes_on_does_not_ask_slack_again(ending):
    here = move_mark(ending.rotation.version, ending.world)
    await recheck(ending.rotation.but(look="1234abcd", look_try=here), ending.world)

    assert ending.directory.asked == []


@pytest.mark.parametrize("step", [recheck, delete])
async def test_where_slack_cannot_tell_it_is_tried_again_and_nothing_is_deleted(ending, step):
    ending.directory.away = True

    with pytest.raises(Uncertain, match="Slack does not tell whether those who approved still may"):
        await step(ending.rotation.but(delete_asked_at=NOW), ending.world)
    assert ending.tenancy.deletes() == 0
