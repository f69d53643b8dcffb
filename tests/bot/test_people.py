"""An approval counts while the person who gave it could give it now, under the stricter of the rules then and today."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from bot.engine import move
from bot.rotation.errors import NotAllowed, Unanswerable, Uncertain
from bot.rotation.people import NOBODY, People
from bot.rotation.policy import NO_MEMBER
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.steps.approvals import other_than_shown
from bot.steps.delete import delete
from bot.steps.outcomes import Unapproved, Wait
from bot.steps.pacing import move_mark
from bot.steps.recheck import recheck
from bot.steps.world import World
from tests.bot.conftest import Slack
from tests.bot.values import NOW, approval, rules, running
from tests.support.in_memory import Tenancy

SENDER, OTHER = "U_APPROVER", "U_OTHER"


def people(slack: Slack, **given: Any) -> People:
    return People(slack, rules(**{"approvers": frozenset({"S_APPROVERS"})} | given))


CHANGES = ["left the group", "unknown", *NO_MEMBER]


def leaves(slack: Slack, how: str = CHANGES[0]) -> None:
    """Let the one who approved be no approver any more."""
    if how == "left the group":
        slack.approvers.remove(SENDER)
    elif how == "unknown":
        slack.unknown.add(SENDER)
    else:
        slack.said[SENDER] = {how: True}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_approval_of_somebody_who_could_not_give_it_now_is_dropped_and_the_others_stay(change):
    slack = Slack()
    given = running(approvals=(approval(SENDER), approval(OTHER)), approvals_required=2)
    assert await people(slack).reviewed(given, NOW) == given
    leaves(slack, change)

    after = await people(slack).reviewed(given, NOW)

    assert [kept.by for kept in after.approvals] == [OTHER]
    assert after.lacks_approval
    (void,) = after.voids
    assert (void.by, void.lapsed, void.at) == ((SENDER,), True, NOW)
    assert len(void.changes) == 1
    assert void.changes[0].endswith(".")
    slack.said[OTHER] = {"deactivated": True}
    assert (await people(slack).reviewed(given, NOW)).approvals == ()


async def test_an_own_approval_counts_only_while_both_rules_allow_it():
    allowing, forbidding = people(Slack(), self_approval=True), people(Slack())
    own = running(approvals=(approval("U_REQUESTER"),))

    assert (await allowing.reviewed(own.but(self_approval=True), NOW)).approvals == own.approvals
    assert (await forbidding.reviewed(own.but(self_approval=True), NOW)).approvals == ()
    assert (await allowing.reviewed(own, NOW)).approvals == ()


@pytest.mark.parametrize(("then", "now", "needed"), [(1, 2, 2), (2, 1, 2), (1, 1, 1)])
async def test_as_many_approvals_are_needed_as_the_larger_of_the_two_rules_says(then, now, needed):
    given = running(approvals=(approval(SENDER),), approvals_required=then)

    after = await people(Slack(), approvals_required=now).reviewed(given, NOW)

    assert (after.approvals_required, after.lacks_approval) == (needed, needed == 2)
    assert [change for void in after.voids for change in void.changes] == (
        ["The settings ask for 2 approvals now."] if now > then else []
    )


async def test_where_slack_cannot_tell_no_approval_is_judged_and_no_rotation_begins():
    slack = Slack()
    slack.is_away = True

    for known in (people(slack), NOBODY):
        with pytest.raises(Unanswerable):
            await known.reviewed(running(approvals=(approval(SENDER),)), NOW)
    with pytest.raises(Unanswerable):
        await people(slack).check_may_begin("U_REQUESTER")


@pytest.mark.parametrize("change", CHANGES)
async def test_a_rotation_that_too_few_people_can_approve_is_refused_with_the_settings_and_numbers(change):
    slack = Slack()
    leaves(slack, change)

    with pytest.raises(NotAllowed, match=r"1 of the people in APPROVERS can .* APPROVALS_REQUIRED is 2"):
        await people(slack, approvals_required=2).check_may_begin("U_REQUESTER")
    await people(slack).check_may_begin("U_REQUESTER")
    await people(Slack(), approvals_required=2).check_may_begin("U_REQUESTER")


@pytest.mark.parametrize("named", ["U_REQUESTER", "S_APPROVERS"])
async def test_a_rotation_that_only_its_requester_could_approve_is_refused_unless_that_is_allowed(named):
    slack = Slack()
    slack.approvers = {"U_REQUESTER"}
    alone = frozenset({named})

    with pytest.raises(NotAllowed, match=r"Nobody of the people in APPROVERS can .*, with SELF_APPROVAL off"):
        await people(slack, approvers=alone).check_may_begin("U_REQUESTER")
    await people(slack, approvers=alone, self_approval=True).check_may_begin("U_REQUESTER")
    await people(slack, approvers=alone).check_may_begin(OTHER)


async def test_slack_is_asked_about_no_more_people_than_are_needed_and_about_each_once():
    slack = Slack()

    slack.approvers.remove("U_REQUESTER")
    await people(slack, approvers=frozenset({"S_APPROVERS", "U_ZED"})).check_may_begin("U_REQUESTER")

    assert slack.asked == ["U_REQUESTER", "S_APPROVERS", SENDER]


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
    said = await people(Slack(), **rules).shortage()

    assert short in said
    assert bool(said) is bool(short)


class Ending(NamedTuple):
    """A rotation that one approver has released, before its last two steps."""

    tenancy: Tenancy
    slack: Slack
    world: World
    rotation: Rotation

    def looked(self, **fields: Any) -> Rotation:
        """Return it after its last look, before the delete."""
        return self.rotation.but(done=(*self.rotation.done, "recheck"), **fields)


@pytest.fixture
async def ending(tenancy: Tenancy) -> Ending:
    machine, slack = await tenancy.machine(), Slack()
    record = tenancy.approved(await tenancy.asked(machine))
    return Ending(tenancy, slack, replace(machine.world, people=people(slack)), record)


async def test_the_last_look_ends_before_it_asks_a_model_where_too_few_approvals_count(ending):
    probes = ending.tenancy.probes()
    both = ending.rotation.but(approvals=(*ending.rotation.approvals, approval(OTHER)), approvals_required=2)
    leaves(ending.slack)

    assert isinstance(await recheck(both, ending.world), Unapproved)
    after = await move(both, ending.world)

    assert (after.state, after.done, after.asked_at) == (State.AWAITING_APPROVAL, both.done, both.asked_at)
    assert [kept.by for kept in after.approvals] == [OTHER]
    assert ending.tenancy.probes() == probes


def test_one_approval_of_something_else_is_enough_to_ask_again():
    record = running()
    same, other = (approval().but(digest=digest) for digest in (record.digest, "of something else"))

    assert [len([*other_than_shown(record.but(approvals=words))]) for words in ((same,), (same, other))] == [0, 1]


@pytest.mark.parametrize("asked_at", [None, NOW])
async def test_no_delete_is_sent_where_too_few_approvals_count(ending, asked_at):
    leaves(ending.slack)

    outcome = await delete(ending.looked(delete_asked_at=asked_at), ending.world)

    assert isinstance(outcome, Unapproved)
    assert ending.tenancy.deletes() == 0


async def test_approvals_are_looked_at_again_before_every_delete_that_is_sent(ending):
    now, mark = ending.tenancy.clock.now(), f"here/{ending.rotation.version}"

    outcome = await delete(ending.looked(delete_asked_at=now, delete_try=mark, last_look_at=now), ending.world)

    assert isinstance(outcome, Wait)
    assert (ending.tenancy.deletes(), ending.slack.asked) == (1, [SENDER, "S_APPROVERS"])


async def test_a_look_that_goes_on_does_not_ask_slack_again(ending):
    here = move_mark(ending.rotation.version, ending.world)
    await recheck(ending.rotation.but(look="1234abcd", look_try=here), ending.world)

    assert ending.slack.asked == []


@pytest.mark.parametrize("step", [recheck, delete])
async def test_where_slack_cannot_tell_it_is_tried_again_and_nothing_is_deleted(ending, step):
    ending.slack.is_away = True

    with pytest.raises(Uncertain, match="Slack does not tell whether those who approved still may"):
        await step(ending.rotation.but(delete_asked_at=NOW), ending.world)
    assert ending.tenancy.deletes() == 0
