"""What approvers and the requester say to each other moves no rotation, and no approver deletes past a "not yet"."""

import json

import pytest

from bot.rotation.attention import objections, open_questions
from bot.rotation.errors import BadInput, NotAllowed, WrongState
from bot.rotation.flags import SAID, Flag, not_weighed, shown_of
from bot.rotation.parts import PutOff, Question
from bot.rotation.policies import Policy
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.starting import asked_at_start, lacks_start, shown_at_start
from bot.rotation.states import State
from bot.rotation.talking import QUESTIONS_MOST
from tests.bot.conftest import AT_ONCE
from tests.bot.values import NOW, approval, later, running, stopped

SECRET = "sk-proj-A1b2C3d4E5f6G7h8"
SAID_BEFORE = PutOff(by="U_OTHER", at=later(-9), reason="the vendor looks into it")


def waiting(**fields) -> Rotation:
    return running(**fields).but(state=State.AWAITING_APPROVAL)


async def told(desk):
    *_, last = [json.loads(line) async for line in desk.store.trail()]
    return last["by"], last["what"], last["why"]


@pytest.mark.parametrize("record", [waiting(), stopped()], ids=["waiting", "stopped"])
async def test_an_approver_asks_and_the_requester_answers_once(desk, record):
    saved = await desk.save(record)
    asked = await desk.service.ask(saved.id, " is the nightly\n job on it? ", by="U_APPROVER")
    assert [(one.by, one.text, one.is_open) for one in asked.questions] == [
        ("U_APPROVER", "is the nightly job on it?", True)
    ]
    assert await told(desk) == ("U_APPROVER", "asked the requester", "is the nightly job on it?")
    assert await desk.service.offer_answer(saved.id, 0, by="U_REQUESTER") == (asked, 1)

    answered = await desk.service.answer(saved.id, 1, "no, since March", by="U_REQUESTER")
    assert (answered.questions[0].answer, open_questions(answered)) == ("no, since March", ())
    assert await told(desk) == ("U_REQUESTER", "answered", "no, since March")
    assert (answered.state, answered.done, answered.approvals) == (saved.state, saved.done, saved.approvals)
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.answer(saved.id, 1, "yes", by="U_REQUESTER")


async def test_an_answer_is_to_the_question_of_its_form_and_no_other(desk):
    saved = await desk.save(waiting())
    await desk.service.ask(saved.id, "one?", by="U_APPROVER")
    both = await desk.service.ask(saved.id, "two?", by="U_APPROVER")

    assert await desk.service.offer_answer(saved.id, 0, by="U_REQUESTER") == (both, 2)
    assert await desk.service.offer_answer(saved.id, 1, by="U_REQUESTER") == (both, 1)
    after = await desk.service.answer(saved.id, 1, "first", by="U_REQUESTER")
    assert [one.answer for one in after.questions] == ["first", ""]
    for gone in (1, 3, 0):
        with pytest.raises(WrongState, match="This question is answered"):
            await desk.service.answer(saved.id, gone, "again", by="U_REQUESTER")


@pytest.mark.parametrize(
    ("verb", "words", "who", "field"),
    [
        ("ask", (), "U_APPROVER", "question"),
        ("answer", (1,), "U_REQUESTER", "answer"),
        ("not_yet", (), "U_APPROVER", "reason"),
    ],
)
async def test_what_people_write_is_neither_empty_nor_a_secret(desk, verb, words, who, field):
    saved = await desk.save(waiting(questions=(Question(by="U_APPROVER", at=NOW, text="one?"),)))

    for text in (" \n", f"it is {SECRET}"):
        with pytest.raises(BadInput) as refusal:
            await getattr(desk.service, verb)(saved.id, *words, text, by=who)
        assert refusal.value.field == field
        assert SECRET not in str(refusal.value)
    assert await desk.store.load(saved.id) == saved


async def test_nobody_asks_themselves_and_nobody_answers_for_another(desk):
    saved = await desk.save(waiting(self_approval=True, questions=(Question(by="U_APPROVER", at=NOW, text="one?"),)))

    with pytest.raises(NotAllowed, match="Only an approver other than"):
        await desk.service.ask(saved.id, "two?", by="U_REQUESTER")
    with pytest.raises(NotAllowed, match="who asked for this rotation, can answer"):
        await desk.service.answer(saved.id, 1, "no", by="U_APPROVER")
    assert await desk.store.load(saved.id) == saved


@pytest.mark.parametrize("by", ["U_REQUESTER", "U_MEMBER"])
async def test_only_an_approver_other_than_the_requester_puts_a_delete_off(desk, by):
    saved = await desk.save(waiting())

    with pytest.raises(NotAllowed, match="Only an approver other than"):
        await desk.service.not_yet(saved.id, "the vendor looks into it", by=by)
    assert await desk.store.load(saved.id) == saved


def test_a_record_holds_so_many_questions():
    one = Question(by="U_APPROVER", at=NOW, text="one?")

    assert "Ask the requester" in offered(waiting(questions=(one,) * (QUESTIONS_MOST - 1)))
    assert "Ask the requester" not in offered(waiting(questions=(one,) * QUESTIONS_MOST))


async def test_after_a_not_yet_another_approver_has_to_see_it_and_give_a_reason(desk):
    before = await desk.save(waiting())
    after = await desk.service.not_yet(before.id, "the vendor looks into it", by="U_OTHER")

    assert await told(desk) == ("U_OTHER", "said not yet", "the vendor looks into it")
    assert (after.state, after.done) == (before.state, before.done)
    with pytest.raises(WrongState, match="Something speaks against the delete"):
        await desk.approve(after, shown=shown_of(after))
    with pytest.raises(BadInput, match="has changed"):
        await desk.approve(after, shown=shown_of(before), reason="it is fixed")
    approved = await desk.approve(after, shown=shown_of(after), reason="it is fixed")
    assert approved.state is State.RUNNING
    assert [(one.reason, one.flags) for one in approved.approvals] == [("it is fixed", (Flag.PUT_OFF,))]
    assert list(not_weighed(approved)) == []


async def test_who_starts_after_a_not_yet_has_to_see_it_and_give_a_reason(desk):
    record = await desk.save(waiting(policy=Policy(start=True), done=()).but(state=State.AWAITING_START))
    usual = {"by": "U_APPROVER", "pressed": AT_ONCE, "click": "1"}
    said = await desk.service.not_yet(record.id, "the freeze ends at noon", by="U_OTHER")
    before, now = shown_at_start(record), asked_at_start(said)

    assert await desk.service.offer_start(record.id, by="U_APPROVER", pressed=AT_ONCE, shown=now) == said
    for shown, reason in ((now, ""), (before, "noon is over")):
        with pytest.raises((WrongState, BadInput), match="not yet"):
            await desk.service.start_moving(record.id, **usual, shown=shown, reason=reason)
    started = await desk.service.start_moving(record.id, **usual, shown=now, reason="noon is over")

    assert (started.starts[0].reason, started.starts[0].digest) == ("noon is over", before)
    assert not lacks_start(started)
    assert await told(desk) == ("U_APPROVER", "started", "noon is over")


async def test_approvals_before_a_not_yet_are_void(desk):
    before = await desk.save(waiting(approvals=(approval(),), approvals_required=2))
    after = await desk.service.not_yet(before.id, "the vendor looks into it", by="U_OTHER")

    assert after.approvals == ()
    assert [(one.by, one.changes, one.lapsed) for one in after.voids] == [
        (("U_APPROVER",), (SAID[Flag.PUT_OFF],), True)
    ]


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (1, True)])
def test_an_approval_counts_only_if_it_came_after_the_last_not_yet(seconds, counts):
    said = SAID_BEFORE.but(at=NOW)
    given = approval(seconds=seconds).but(flags=(Flag.PUT_OFF,))

    assert (list(not_weighed(running(put_off=(said,), approvals=(given,)))) == []) is counts


async def test_an_approver_takes_back_their_own_not_yet_by_approving(desk):
    own = SAID_BEFORE.but(by="U_APPROVER")
    saved = await desk.save(waiting(put_off=(SAID_BEFORE, own)))
    approved = await desk.approve(saved, shown=shown_of(saved), reason="it is fixed")

    assert objections(approved) == (SAID_BEFORE,)
    assert [one.over for one in approved.put_off] == [False, True]


async def test_the_last_word_of_each_approver_stands_until_there_is_another_secret(desk):
    saved = await desk.save(waiting(put_off=(SAID_BEFORE,)))
    again = await desk.service.not_yet(saved.id, "still", by="U_OTHER")

    assert [one.reason for one in again.put_off] == ["still"]
    assert objections(again.but(secret_asked_at=later(9))) == ()
