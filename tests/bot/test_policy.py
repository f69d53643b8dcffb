"""Who may do what, and when: one table, every cell filled in."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import product

import pytest

from bot.rotation import policy
from bot.rotation.actions import Action
from bot.rotation.credentials import Ability, Row
from bot.rotation.errors import Late, NotAllowed, WrongState
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.parts import Exposure, OnIt, Phase, Question, Review
from bot.rotation.policy import Permissions, Person, Pressed
from bot.rotation.record import Rotation, Trouble
from bot.rotation.revoking import asked, entered
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind
from bot.rotation.waiting import CHECKS
from tests.bot.values import NOW, affected, approval, later, revocation, rotation, running, stopped

S = State
A = Action

OUTSIDE = ("stranger", "guest", "bot", "deactivated")
PEOPLE = {
    "requester": Permissions(person=Person(id="U_REQUESTER"), may_request=True),
    "approver": Permissions(person=Person(id="U_APPROVER"), approver=True),
    "both": Permissions(person=Person(id="U_REQUESTER"), may_request=True, approver=True),
    "colleague": Permissions(person=Person(id="U_COLLEAGUE"), may_request=True),
    "removed": Permissions(person=Person(id="U_REQUESTER")),
    "bystander": Permissions(person=Person(id="U_BYSTANDER")),
    "on call": Permissions(person=Person(id="U_ONCALL"), escalated=True),
    **{
        it: Permissions(person=Person(id="U_REQUESTER", **{it: True}), may_request=True, approver=True, escalated=True)
        for it in OUTSIDE
    },
}

WHO = {
    A.ENTER_SECRET: {"requester", "both"},
    A.MINT: {"requester", "both"},
    A.ANOTHER_SECRET: {"requester", "both"},
    A.CANCEL: {"requester", "removed", "approver", "both"},
    A.TRY_AGAIN: {"requester", "removed", "approver", "both"},
    A.VERIFY_AGAIN: {"requester", "removed", "approver", "both"},
    A.ROLL_BACK: {"requester", "removed", "approver", "both"},
    A.START: {"approver"},
    A.DELETE_OLD_KEY: {"approver"},
    A.ACCEPT_UNPROVED: {"approver"},
    A.REVOKED: {"requester", "removed", "approver", "both"},
    A.NOT_NEEDED: {"approver"},
    A.REVOKE_THERE: {"approver"},
    A.CHOOSE_ROW: {"approver"},
    A.ENABLE_AGAIN: {"requester", "removed", "approver", "both"},
    A.ON_IT: {"requester", "removed", "approver", "both", "on call"},
    A.EXPOSED: {"requester", "removed", "approver", "both"},
    A.REVIEW: {"requester", "removed", "approver", "both"},
    A.NOT_YET: {"approver"},
    A.ASK: {"approver"},
    A.ANSWER: {"requester", "removed", "both"},
}
"""Who may press what, the state aside and without self-approval."""

OF_AN_APPROVER = {A.START, A.DELETE_OLD_KEY, A.ACCEPT_UNPROVED, A.NOT_NEEDED, A.NOT_YET, A.REVOKE_THERE, A.CHOOSE_ROW}

MAY_ASK = {"requester", "both", "colleague"}
"""Who may press **Another secret** after the delete: it is a request like any other."""

IN_TROUBLE = {"deleted_at": NOW, "troubles": (Trouble(at=NOW, about="a", sentence="a fails"),)}

UNCLEAR = Evidence(verdict=Verdict.INCONCLUSIVE, reason="the upstream limits the rate", at=NOW)
UNPROVED = Finding(moved_at=NOW, latest=UNCLEAR, verdict=UNCLEAR)

EXPOSURE = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(7200))
REVIEW = Review(by="U_APPROVER", at=NOW, what="a key", where="a log", since="unknown", reach="all models")
QUESTION = Question(by="U_APPROVER", at=NOW, text="is it the nightly job?")

MOMENTS: dict[str, Rotation] = {
    "AWAITING_SECRET": rotation(S.AWAITING_SECRET),
    "RUNNING": running(),
    "RUNNING, approved": running(approvals=(approval(),)),
    "RUNNING, withdrawing": running(track=Track.WITHDRAW),
    "AWAITING_START": running().but(state=S.AWAITING_START),
    "AWAITING_APPROVAL": running().but(state=S.AWAITING_APPROVAL),
    "AWAITING_APPROVAL, stale": running(stale_at=NOW).but(state=S.AWAITING_APPROVAL),
    "AWAITING_APPROVAL, parked": running(parked_at=NOW).but(state=S.AWAITING_APPROVAL),
    "ROLLING_BACK": running(track=Track.BACK).but(state=S.ROLLING_BACK),
    "COMPLETED": running().but(state=S.COMPLETED),
    "ROLLED_BACK": running().but(state=S.ROLLED_BACK),
    "CANCELLED": rotation(S.CANCELLED),
    "RUNNING, asked": running(questions=(QUESTION,)),
    "AWAITING_APPROVAL, asked": running(questions=(QUESTION,)).but(state=S.AWAITING_APPROVAL),
    "COMPLETED, asked": running(questions=(QUESTION,)).but(state=S.COMPLETED),
    "COMPLETED, to be revoked": running(deleted_at=NOW, revocation=revocation()).but(state=S.COMPLETED),
    "COMPLETED, revoked": running(deleted_at=NOW, revocation=revocation(ended_at=NOW)).but(state=S.COMPLETED),
    "ROLLED_BACK, to be revoked": running(revocation=revocation()).but(state=S.ROLLED_BACK),
    "BLOCKED, watched, to be revoked": stopped(deleted_at=NOW, revocation=revocation()),
    "RUNNING, watched": running(deleted_at=NOW),
    "RUNNING, watched, in trouble": running(**IN_TROUBLE),
    "RUNNING, watched, in trouble, taken": running(**IN_TROUBLE, on_it=OnIt(by="U_APPROVER", at=NOW)),
    "COMPLETED, in trouble": running(**IN_TROUBLE).but(state=S.COMPLETED),
    "BLOCKED, watched, in trouble": stopped(**IN_TROUBLE),
    "BLOCKED, rejected, watched": stopped(StopKind.REJECTED, deleted_at=NOW),
    **{f"BLOCKED, {kind}": stopped(kind) for kind in StopKind},
    "BLOCKED, unverified, with unproved models": stopped(StopKind.UNVERIFIED, findings={"m1": UNPROVED}),
    "BLOCKED, unproved models, on the way back": stopped(
        StopKind.UNVERIFIED, findings={"m1": UNPROVED}, track=Track.BACK
    ),
    **{f"BLOCKED, {kind}, on the way back": stopped(kind, track=Track.BACK) for kind in StopKind},
}

TABLE = """
                                             Ent Can Try Ano Rol Del Acc Ver Rev Nee Sta On  Not Ask Ans
AWAITING_SECRET                               x   x   .   .   .   .   .   .   .   .   .   .   .   .   .
RUNNING                                       .   .   .   .   x   .   .   .   .   .   .   .   .   .   .
RUNNING, asked                                .   .   .   .   x   .   .   .   .   .   .   .   .   .   x
RUNNING, approved                             .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
RUNNING, withdrawing                          .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
AWAITING_START                                .   .   .   .   x   .   .   .   .   .   x   .   x   x   .
AWAITING_APPROVAL                             .   .   .   .   x   x   .   x   .   .   .   .   x   x   .
AWAITING_APPROVAL, asked                      .   .   .   .   x   x   .   x   .   .   .   .   x   x   x
AWAITING_APPROVAL, stale                      .   .   .   .   x   .   .   x   .   .   .   .   x   x   .
AWAITING_APPROVAL, parked                     .   .   .   .   x   .   .   x   .   .   .   .   .   x   .
ROLLING_BACK                                  .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
COMPLETED                                     .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
COMPLETED, asked                              .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
COMPLETED, to be revoked                      .   .   .   .   .   .   .   .   x   x   .   .   .   .   .
COMPLETED, revoked                            .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
ROLLED_BACK                                   .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
ROLLED_BACK, to be revoked                    .   .   .   .   .   .   .   .   x   x   .   .   .   .   .
CANCELLED                                     .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
RUNNING, watched                              .   .   .   .   .   .   .   .   .   .   .   .   .   .   .
RUNNING, watched, in trouble                  .   .   .   x   .   .   .   .   .   .   .   x   .   .   .
RUNNING, watched, in trouble, taken           .   .   .   x   .   .   .   .   .   .   .   .   .   .   .
COMPLETED, in trouble                         .   .   .   x   .   .   .   .   .   .   .   x   .   .   .
BLOCKED, watched, in trouble                  .   .   x   x   .   .   .   .   .   .   .   x   .   x   .
BLOCKED, watched, to be revoked               .   .   x   .   .   .   .   .   x   x   .   .   .   x   .
BLOCKED, rejected, watched                    .   .   x   .   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, rejected                             .   .   x   x   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, refused                              .   .   .   x   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, difference                           .   .   x   .   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, projection                           .   .   x   .   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, unverified                           .   .   x   x   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, unverified, with unproved models     .   .   x   x   x   .   x   .   .   .   .   .   .   x   .
BLOCKED, drift                                .   .   x   .   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, trouble                              .   .   x   .   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, minting                              .   .   x   x   x   .   .   .   .   .   .   .   .   x   .
BLOCKED, rejected, on the way back            .   .   x   x   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, refused, on the way back             .   .   x   x   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, difference, on the way back          .   .   x   .   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, projection, on the way back          .   .   x   .   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, unverified, on the way back          .   .   x   x   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, unproved models, on the way back     .   .   x   x   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, drift, on the way back               .   .   x   .   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, trouble, on the way back             .   .   x   .   .   .   .   .   .   .   .   .   .   x   .
BLOCKED, minting, on the way back             .   .   x   x   .   .   .   .   .   .   .   .   .   x   .
"""
"""What each moment offers."""

COLUMNS = (A.ENTER_SECRET, A.CANCEL, A.TRY_AGAIN, A.ANOTHER_SECRET, A.ROLL_BACK, A.DELETE_OLD_KEY, A.ACCEPT_UNPROVED,
           A.VERIFY_AGAIN, A.REVOKED, A.NOT_NEEDED, A.START, A.ON_IT, A.NOT_YET, A.ASK, A.ANSWER)  # fmt: skip


def offers_of(line: str) -> tuple[str, set[Action]]:
    words = line.split()
    name, marks = words[: -len(COLUMNS)], words[-len(COLUMNS) :]
    return " ".join(name), {action for action, mark in zip(COLUMNS, marks, strict=True) if mark == "x"}


OF_A_LEAK = {
    A.EXPOSED: {
        "AWAITING_SECRET", "AWAITING_START", "RUNNING", "RUNNING, asked", "RUNNING, withdrawing",
        *(moment for moment in MOMENTS if moment.startswith("AWAITING_APPROVAL")),
        *(moment for moment in MOMENTS if moment.startswith("BLOCKED") and "watched" not in moment),
    },
    A.REVIEW: {"RUNNING, watched, exposed", "COMPLETED, exposed", "ROLLED_BACK, exposed"},
}  # fmt: skip
"""When a leak can be reported, and when its review is due."""

MINTS = "AWAITING_SECRET, from a provider that mints"
MOMENTS |= {
    MINTS: rotation(S.AWAITING_SECRET, abilities=(Ability.MINT,)),
    "RUNNING, watched, exposed": running(deleted_at=NOW, exposed=EXPOSURE),
    "COMPLETED, exposed": running(exposed=EXPOSURE).but(state=S.COMPLETED),
    "ROLLED_BACK, exposed": running(exposed=EXPOSURE).but(state=S.ROLLED_BACK),
    "COMPLETED, exposed and reviewed": running(exposed=EXPOSURE, review=REVIEW).but(state=S.COMPLETED),
}
"""Moments that offer nothing else."""

OF_AN_ACCOUNT = running(account="openai", abilities=(*Ability,), deleted_at=NOW, old_row=Row(id="r1")).but(
    state=S.COMPLETED, revocation=revocation()
)
DISABLED = asked(OF_AN_ACCOUNT, Row(id="r1"), (), None, NOW)
AT_A_PROVIDER = {
    "one that is known": (OF_AN_ACCOUNT, {A.REVOKE_THERE, A.REVOKED, A.NOT_NEEDED}),
    "one that nobody knows": (OF_AN_ACCOUNT.but(old_row=None), {A.CHOOSE_ROW, A.REVOKED, A.NOT_NEEDED}),
    "a provider that can only list": (OF_AN_ACCOUNT.but(abilities=(Ability.LIST,)), {A.REVOKED, A.NOT_NEEDED}),
    "the rotation is not past the delete": (OF_AN_ACCOUNT.but(deleted_at=None), {A.REVOKED, A.NOT_NEEDED}),
    "asked": (DISABLED, {A.ENABLE_AGAIN}),
    "disabled": (entered(DISABLED, Phase.DISABLED, NOW), {A.ENABLE_AGAIN}),
    "being deleted": (entered(DISABLED, Phase.ENDING, NOW), set()),
    "stopped": (entered(DISABLED, Phase.STOPPED, NOW), {A.REVOKE_THERE, A.REVOKED, A.NOT_NEEDED}),
    "stopped, disabled": (
        entered(DISABLED, Phase.STOPPED, NOW, disabled_at=NOW), {A.REVOKE_THERE, A.ENABLE_AGAIN, A.REVOKED}
    ),
}  # fmt: skip
"""What a task offers that Keyturn can do at the provider."""

MOMENTS |= {name: record for name, (record, _) in AT_A_PROVIDER.items()}
offers = dict(map(offers_of, TABLE.strip("\n").splitlines()[1:]))
OFFERED = {
    moment: offers.get(moment, set()) | {action for action, moments in OF_A_LEAK.items() if moment in moments}
    for moment in MOMENTS
} | {name: offered for name, (_, offered) in AT_A_PROVIDER.items()}
OFFERED[MINTS] = OFFERED["AWAITING_SECRET"] | {A.MINT}


def test_the_table_has_a_line_for_every_moment_and_a_column_for_every_action():
    assert [moment for moment in MOMENTS if moment not in {*offers, MINTS} and "exposed" not in moment] == [
        *AT_A_PROVIDER
    ]
    assert offers.keys() <= MOMENTS.keys()
    at_a_provider = {action for _, found in AT_A_PROVIDER.values() for action in found}
    assert set(COLUMNS) | {A.MINT, *OF_A_LEAK} | at_a_provider == set(WHO) == set(Action)
    assert {moment.state for moment in MOMENTS.values()} == set(State)


def outcome(action: Action, record: Rotation, who: str, *, self_approval: bool = False) -> str:
    """Return what comes of it when a person presses a button, as the service asks the policy."""
    try:
        CHECKS[action](record.but(self_approval=self_approval), PEOPLE[who])
        policy.check_offered(record, action)
    except NotAllowed:
        return "not allowed"
    except WrongState:
        return "too late"
    return "done"


def expected(action: Action, moment: str, who: str, *, self_approval: bool) -> str:
    able = MAY_ASK if action is A.ANOTHER_SECRET and MOMENTS[moment].deleted_at else WHO[action]
    may = who in able or (self_approval and who == "both" and action in OF_AN_APPROVER)
    if not may:
        return "not allowed"
    return "done" if action in OFFERED[moment] else "too late"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_press_does_what_the_tables_say_for_everybody(moment):
    for action, who, own in product(Action, PEOPLE, (False, True)):
        said = outcome(action, MOMENTS[moment], who, self_approval=own)
        assert said == expected(action, moment, who, self_approval=own), (action, who, own)


@pytest.mark.parametrize("gone", [{"delete_asked_at": NOW}, {"plan": rotation().plan.but(old_key_gone=True)}])
@pytest.mark.parametrize("moment", [name for name, offers in OFFERED.items() if A.ROLL_BACK in offers])
def test_nothing_rolls_back_to_a_key_that_may_be_gone(moment, gone):
    end = {A.CANCEL} if MOMENTS[moment].state in (S.BLOCKED, S.AWAITING_START) else set()

    assert set(policy.offered(MOMENTS[moment].but(**gone))) - {A.ON_IT} == OFFERED[moment] - {A.ROLL_BACK} | end
    assert A.CANCEL not in policy.offered(MOMENTS[moment].but(**gone, deleted_at=NOW))


def test_people_who_are_no_full_members_hear_why():
    def refused(check: Callable[[], None]) -> str:
        with pytest.raises(NotAllowed) as refusal:
            check()
        return str(refusal.value)

    outside = [PEOPLE[who] for who in OUTSIDE]
    sentences = [refused(partial(policy.check_member, who.person)) for who in outside]

    assert sentences == [refused(partial(policy.check_may_request, who)) for who in outside]
    assert len({*sentences, refused(partial(policy.check_may_request, PEOPLE["bystander"]))}) == 5
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("who", PEOPLE)
def test_an_approval_counts_for_as_long_as_it_could_be_given(who, own):
    may = outcome(A.ACCEPT_UNPROVED, running(), who, self_approval=own) != "not allowed"

    assert (policy.lapse(running(), PEOPLE[who], self_approval=own) == "") is may


def test_only_people_named_in_requesters_may_ask():
    policy.check_may_request(PEOPLE["requester"])
    with pytest.raises(NotAllowed, match="REQUESTERS"):
        policy.check_may_request(PEOPLE["approver"])


def test_one_approver_approves_once():
    record = MOMENTS["AWAITING_APPROVAL"].but(approvals=(approval(),), approvals_required=2)

    with pytest.raises(WrongState, match="another approver"):
        policy.check_may_approve(record, PEOPLE["approver"], self_approval=False)
    second = Permissions(person=Person(id="U_SECOND"), approver=True)
    policy.check_may_approve(record, second, self_approval=False)


def test_a_requester_who_is_an_approver_hears_who_else_has_to():
    with pytest.raises(NotAllowed, match="other than <@U_REQUESTER>"):
        policy.check_may_approve(MOMENTS["AWAITING_APPROVAL"], PEOPLE["both"], self_approval=False)


def test_what_is_no_longer_offered_is_refused_by_the_name_of_its_button():
    with pytest.raises(WrongState, match=r"“Delete old key”.*old key deleted"):
        policy.check_offered(MOMENTS["COMPLETED"], A.DELETE_OLD_KEY)


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_model_of_which_nothing_is_known_can_be_accepted(verdict):
    seen = UNCLEAR.but(verdict=verdict)
    record = stopped(StopKind.UNVERIFIED, findings={"m1": UNPROVED.but(latest=seen, verdict=seen)})

    says_nothing = verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED)
    assert bool(policy.acceptable(record)) is says_nothing
    assert (A.ACCEPT_UNPROVED in policy.offered(record)) is says_nothing


@pytest.mark.parametrize("verdict", Verdict)
def test_an_acceptance_ends_once_the_model_has_a_clear_verdict(verdict):
    word = Acceptance(by="U_APPROVER", at=NOW, reason="asked by hand", of="401")
    known = Evidence(verdict=verdict, reason="", at=NOW, signature="401")

    assert Finding(verdict=known, accepted=word).is_accepted is (verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED))


def test_a_model_is_accepted_once_and_only_after_it_was_moved():
    word = Acceptance(by="U_APPROVER", at=NOW, reason="tried by hand")

    assert not policy.acceptable(stopped(StopKind.UNVERIFIED, findings={"m1": UNPROVED.but(accepted=word)}))
    assert not policy.acceptable(stopped(StopKind.UNVERIFIED, findings={"m1": UNPROVED.but(moved_at=None)}))


def test_another_model_or_verdict_makes_the_form_out_of_date_and_a_later_look_does_not():
    before = stopped(StopKind.UNVERIFIED, findings={"m1": UNPROVED})
    plan = before.plan.but(models=(before.plan.models[0].but(upstream="gpt-5"),))
    second = before.learn({"m2": UNPROVED}).but(plan=before.plan.but(models=(*before.plan.models, affected("m2"))))
    words = [{"reason": "the upstream fails (500)"}, {"signature": "500"}, {"verdict": Verdict.SKIPPED}]
    others = [before.but(findings={"m1": UNPROVED.but(verdict=UNCLEAR.but(**word))}) for word in words]
    later_look = UNPROVED.but(verdict=UNCLEAR.but(at=later(60)), latest=UNCLEAR.but(at=later(60)))

    for other in (*others, second, before.but(plan=plan), before.but(findings={})):
        assert policy.shown_unproved(other) != policy.shown_unproved(before)
    assert policy.shown_unproved(before.but(findings={"m1": later_look})) == policy.shown_unproved(before)


MINUTE = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("pressed", "told", "sentence"),
    [
        (Pressed(at=NOW), NOW, ""),
        (Pressed(at=NOW), later(60), ""),
        (Pressed(at=NOW), later(61), "This reached Keyturn 61 s after you pressed it"),
        (Pressed(at=NOW), later(-2), ""),  # two of Slack's servers, and whole seconds
        (Pressed(at=NOW), later(-61), "Keyturn can't tell when you pressed this"),
        (Pressed(at=NOW), None, "Keyturn can't tell when you pressed this"),
        (Pressed(at=NOW, away=timedelta(0)), None, "Keyturn can't tell when you pressed this"),
        (Pressed(), NOW, "Keyturn can't tell when you pressed this"),
        (Pressed(away=timedelta(0)), None, ""),
        (Pressed(away=MINUTE), None, ""),
        (Pressed(away=timedelta(seconds=61)), None, "This reached Keyturn up to 61 s after you pressed it"),
        (Pressed(at=NOW, away=timedelta(hours=1)), later(5), ""),
    ],
)
def test_a_click_that_slack_has_reported_as_failed_does_not_count(pressed, told, sentence):
    person = Person(id="U_APPROVER", told_at=told)
    if not sentence:
        policy.check_in_time(pressed, person, MINUTE)
        return
    with pytest.raises(Late, match=sentence) as refusal:
        policy.check_in_time(pressed, person, MINUTE)
    assert str(refusal.value).lower().endswith("press again.")
