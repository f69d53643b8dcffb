"""What the verbs of people refuse by themselves, over a real store: no card and no form stands before them here."""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import CellType, CoroutineType, FrameType, FunctionType, ModuleType, SimpleNamespace, TracebackType
from typing import Any
from unittest.mock import AsyncMock

import pytest
from pydantic import BaseModel, SecretStr

from bot.rotation.attention import open_void
from bot.rotation.errors import BadInput, NotAllowed, Unanswerable, WrongState
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.fingerprint import fingerprint_of
from bot.rotation.flags import Flag, shown_of
from bot.rotation.parts import OnIt
from bot.rotation.people import People
from bot.rotation.policies import NamedPolicy, Policy
from bot.rotation.policy import Chosen, Late, Pressed, mark_of, shown_unproved
from bot.rotation.progress import next_step
from bot.rotation.record import Replacement, Rotation, Trouble, Void
from bot.rotation.secret import Submitted, Typed
from bot.rotation.starting import shown_at_start
from bot.rotation.states import FORWARD, State, StepName, Track
from bot.rotation.stops import StopKind
from bot.rotation.ticket import TicketPattern
from bot.rotation.windows import Windows, read_opening
from bot.service import RotationService
from bot.service.verbs import REPLAY_WINDOW
from handlers.actions import delete_old_key
from handlers.background import Background
from handlers.modals import give_secret
from handlers.views.buttons import SHOWN
from handlers.views.modal import NAME, REASON, REST, SECRET, VALUE
from sandbox.aisix import ProviderKey
from tests.bot.conftest import AT_ONCE, PEPPER, Desk
from tests.bot.values import FLAGGED, NOW, SOAKED, affected, approval, key, plan_of, rotation, running, stopped
from tests.support.canary import found_in

NEW_SECRET = "sk-new-CANARY0123456789abcdefXYZ"
HEXADECIMAL = "fedcba9876543210fedcba9876543210"
LATE = Pressed(away=timedelta(seconds=61))


async def accept(desk: Desk, record: Rotation, **given: Any) -> Rotation:
    usual = {
        "chosen": Chosen(frozenset({"m1"})),
        "reason": "asked by hand",
        "by": "U_APPROVER",
        "shown": shown_unproved(record),
    }
    return await desk.service.accept_unproved(record.id, **usual | {"pressed": AT_ONCE} | given)


async def give(desk: Desk, record: Rotation, name: str = "", secret: str = NEW_SECRET, *motive: str) -> Rotation:
    return await desk.service.give_secret(record.id, Submitted(secret, name, *motive), by="U_REQUESTER")


# --- Delete old key ---


def waiting(**fields: Any) -> Rotation:
    return running(**fields).but(state=State.AWAITING_APPROVAL)


async def test_a_click_that_is_late_or_on_a_card_that_showed_something_else_does_not_count(desk):
    record = await desk.save(waiting())

    with pytest.raises(WrongState, match="What you saw is not what is asked now"):
        await desk.approve(record, shown="0" * 16)
    with pytest.raises(Late):
        await desk.approve(record, pressed=LATE)
    assert (await desk.approve(record, shown=record.seen)).state is State.RUNNING


async def test_a_press_outside_the_delete_window_does_not_count(desk):
    tuesday = Windows(openings=(read_opening("tue 09:00-17:00", "UTC"),))
    record = await desk.save(waiting(policy=Policy(names=("p",), delete=(tuesday,))))

    with pytest.raises(WrongState, match=r"it opens Tue 2026-11-24 09:00 UTC\. Press again then\."):
        await desk.approve(record, shown=record.seen)
    assert await desk.store.load(record.id) == record


async def test_a_start_counts_once_for_what_was_shown_and_in_time(desk):
    record = await desk.save(running(policy=Policy(names=("p",), start=True)).but(state=State.AWAITING_START))

    async def press(**given: Any) -> Rotation:
        usual = {"by": "U_APPROVER", "pressed": AT_ONCE, "click": "1", "shown": shown_at_start(record)}
        return await desk.service.start_moving(record.id, **usual | given)

    for given, refusal in (
        ({"shown": "0" * 16}, WrongState),
        ({"pressed": LATE}, Late),
        ({"by": "U_REQUESTER"}, NotAllowed),
    ):
        with pytest.raises(refusal):
            await press(**given)
    started = await press()
    assert (started.state, [word.by for word in started.starts]) == (State.RUNNING, ["U_APPROVER"])
    await desk.save(started.but(state=State.AWAITING_START, starts=()))
    with pytest.raises(WrongState, match="This click has counted already"):
        await press()


@pytest.mark.parametrize("done", [SOAKED, (*SOAKED, StepName.RECHECK)])
async def test_a_click_begins_with_the_last_look_whatever_was_looked_at_before(desk, done):
    approved = await desk.approve(await desk.save(waiting(done=done)))

    assert (approved.state, approved.done) == (State.RUNNING, SOAKED)
    assert [word.digest for word in approved.approvals] == [approved.digest]


async def test_one_click_that_is_delivered_twice_answers_one_question(desk):
    record, told = await desk.save(waiting()), list[str]()

    async def tell(_: Any, words: str, **__: Any) -> None:
        told.append(words)

    async def deliver(moment: str, shown: str) -> Rotation:
        action = {"value": record.id, "action_ts": moment, "block_id": f"delete{SHOWN}{shown}"}
        answers = SimpleNamespace(tell=tell, trouble_behind=lambda _: "")
        body = {"user": {"id": "U_APPROVER"}, "trigger_id": "1.2.3"}
        await delete_old_key(
            ack=AsyncMock(), action=action, body=body, rotations=desk.service, answers=answers, pressed=AT_ONCE,
            forms=None, step_up=None,
        )  # fmt: skip
        return await desk.store.load(record.id)

    approved = await deliver("1.5", record.seen)
    again = await desk.save(approved.but(state=State.AWAITING_APPROVAL, approvals=()))

    assert await deliver("1.5", record.seen) == await deliver("2.5", "0" * 16) == again
    assert [words.split(" ", 2)[:2] for words in told] == [["This", "click"], ["What", "you"]]
    assert (await deliver("3.5", record.seen)).state is State.RUNNING
    assert REPLAY_WINDOW > 300, "Slack's signature on the same click is valid for 300 s"


@pytest.mark.parametrize(("flag", "reason"), [(flag, why) for flag in FLAGGED for why in ("", "tried by hand")])
async def test_while_something_speaks_against_the_delete_no_approval_counts_without_a_reason(desk, flag, reason):
    record = await desk.save(waiting(**FLAGGED[flag]))
    offered = await desk.service.offer_delete(record.id, by="U_APPROVER", pressed=AT_ONCE, shown=record.seen)
    assert offered == record == await desk.store.load(record.id)

    if not reason:
        with pytest.raises(WrongState, match="Something speaks against the delete"):
            await desk.approve(record, shown=shown_of(record))
        assert await desk.store.load(record.id) == record
        return
    approved = await desk.approve(record, shown=shown_of(record), reason=f" {reason}\n")
    *_, last = [json.loads(line) async for line in desk.store.trail()]
    assert [(word.reason, word.flags) for word in approved.approvals] == [(reason, (flag,))]
    assert approved.state is State.RUNNING
    assert (last["what"], last["why"]) == ("approved", reason)


async def test_without_a_flag_nobody_is_asked_for_a_reason(desk):
    record = await desk.save(waiting())

    assert await desk.service.offer_delete(record.id, by="U_APPROVER", pressed=AT_ONCE, shown=record.seen) is None
    assert [word.reason for word in (await desk.approve(record, shown=record.seen)).approvals] == [""]


@pytest.mark.parametrize(
    ("shown", "now"), [(Flag.FAILED, Flag.UNSEEN), (Flag.FAILED, None), (None, Flag.FAILED)], ids=str
)
async def test_what_speaks_against_the_delete_since_the_form_was_opened_has_to_be_seen(desk, shown, now):
    form, record = (waiting(**FLAGGED[flag] if flag else {}) for flag in (shown, now))
    saved = await desk.save(record)

    with pytest.raises(BadInput, match="What speaks against the delete has changed") as refusal:
        await desk.approve(saved, shown=shown_of(form), reason="tried by hand")
    assert refusal.value.field == "reason"
    assert await desk.store.load(saved.id) == saved


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"by": "U_COLLEAGUE"}, NotAllowed),
        ({"by": "U_REQUESTER"}, NotAllowed),
        ({"pressed": LATE}, Late),
        ({"shown": "0" * 16}, WrongState),
    ],
)
async def test_the_form_that_asks_why_opens_for_people_who_may_approve_now(desk, given, refused):
    record = await desk.save(waiting(**FLAGGED[Flag.FAILED]))

    with pytest.raises(refused):
        await desk.service.offer_delete(
            record.id, **{"by": "U_APPROVER", "pressed": AT_ONCE, "shown": shown_of(record)} | given
        )


async def test_a_step_that_is_recorded_in_between_refuses_no_roll_back(desk, monkeypatch):
    record, save = await desk.save(waiting()), desk.store.save

    async def after_another(saved, *more, **options):
        monkeypatch.undo()
        await desk.save(record)
        return await save(saved, *more, **options)

    monkeypatch.setattr(desk.store, "save", after_another)
    assert (await desk.service.roll_back(record.id, by="U_REQUESTER")).state is State.ROLLING_BACK


async def test_roll_back_and_another_secret_void_the_approvals(desk):
    given = {"approvals": (approval(),), "approvals_required": 2}
    await desk.save(waiting(**given))
    assert (await desk.service.roll_back("rabc123", by="U_REQUESTER")).approvals == ()
    await desk.save(stopped(StopKind.REJECTED, id="rabc124", plan=plan_of("pk_other"), **given))
    assert (await desk.service.another_secret("rabc124", by="U_REQUESTER")).approvals == ()


async def test_verify_again_gathers_the_evidence_again_and_voids_approvals_but_hides_no_reason_for_a_void(desk):
    void = Void(by=("U_APPROVER",), at=NOW, changes=("Someone bound `late` in staging to the old key.",))
    good = Evidence(verdict=Verdict.PROVED, reason="answered", at=NOW)
    moved = Finding(baseline=good, moved_at=NOW, latest=good, verdict=good, passes=3)
    given = {"approvals": (approval(),), "voids": (void,), "asked_at": NOW, "stale_at": NOW}
    before = await desk.save(waiting(done=SOAKED, findings={"m1": moved}, **given))
    after = await desk.service.verify_again(before.id, by="U_REQUESTER")

    assert (after.state, next_step(after).name) == (State.RUNNING, StepName.PROJECT)
    assert after.finding(after.plan.models[0]) == moved.but(latest=None, verdict=None, passes=0)
    assert (after.approvals, after.asked_at, after.stale_at) == ((), None, None)
    assert open_void(after) == void
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.verify_again(before.id, by="U_REQUESTER")


HARMED = {"deleted_at": NOW, "troubles": (Trouble(at=NOW, about="chat", sentence="chat does not answer"),)}


@pytest.mark.parametrize("who", ["U_REQUESTER", "U_APPROVER", "U_ONCALL"])
async def test_somebody_who_is_paged_says_that_they_are_on_it_and_nobody_else_does(desk, who):
    record = await desk.save(running(**HARMED))
    with pytest.raises(NotAllowed):
        await desk.service.on_it(record.id, by="U_MEMBER")

    after = await desk.service.on_it(record.id, by=who)

    assert after.on_it == OnIt(by=who, at=NOW)
    assert (after.state, after.track, after.done) == (record.state, record.track, record.done), (
        "and nothing else happens"
    )
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.on_it(record.id, by="U_APPROVER")


async def test_nobody_is_on_what_harms_nobody(desk):
    record = await desk.save(stopped())
    with pytest.raises(WrongState, match="no longer applies"):
        await desk.service.on_it(record.id, by="U_APPROVER")


def refused(*moved: str) -> Rotation:
    """Return a rotation whose new secret was refused after these models had moved."""
    plan = rotation().plan.but(models=tuple(map(affected, ("m1", "m2"))))
    return stopped(StopKind.REJECTED, plan=plan, findings={id_: Finding(moved_at=NOW) for id_ in moved})


@pytest.mark.parametrize(
    ("record", "agreed", "begins"),
    [
        (refused("m1", "m2"), 0, False),
        (refused("m1", "m2"), 1, False),
        (refused("m1", "m2"), 2, True),
        (refused(), 0, True),
        (refused("m1", "m2").but(delete_asked_at=NOW), 0, True),
    ],
    ids=["not asked yet", "more have moved since", "agreed", "nothing has moved", "nothing goes back"],
)
async def test_another_secret_moves_models_back_only_once_that_many_were_agreed_to(desk, record, agreed, begins):
    saved = await desk.save(record)
    after = await desk.service.another_secret(saved.id, by="U_REQUESTER", agreed=agreed)

    assert (after.state, after.track) == ((State.RUNNING, Track.WITHDRAW) if begins else (State.BLOCKED, Track.FORWARD))
    assert begins or await desk.store.load(saved.id) == saved


async def test_a_second_approval_is_not_added_to_one_of_somebody_who_has_left(desk):
    record = await desk.save(waiting(approvals=(approval("U_OTHER"),), approvals_required=2))
    desk.slack.said = {"U_OTHER": {"deactivated": True}}
    after = await desk.approve(record)

    assert ([word.by for word in after.approvals], after.state) == (["U_APPROVER"], State.AWAITING_APPROVAL)


# --- Accept unproved ---


def unproved(reason: str = "the upstream limits the rate", **fields: Any) -> Rotation:
    unclear = Evidence(verdict=Verdict.INCONCLUSIVE, reason=reason, at=NOW, signature="429")
    findings = {"m1": Finding(moved_at=NOW, latest=unclear, verdict=unclear)}
    return stopped(StopKind.UNVERIFIED, **{"findings": findings} | fields)


async def test_a_form_that_is_late_or_showed_something_else_accepts_nothing(desk):
    record = await desk.save(unproved())

    with pytest.raises(BadInput, match="This form is out of date"):
        await accept(desk, record, shown=shown_unproved(unproved("the upstream has an error")))
    with pytest.raises(Late):
        await accept(desk, record, pressed=LATE)
    assert (await accept(desk, record)).finding(record.plan.models[0]).is_accepted


async def test_a_model_that_failed_is_not_accepted_with_the_others(desk):
    failed = Evidence(verdict=Verdict.REJECTED, reason="401", at=NOW)
    one, two = unproved(), Finding(moved_at=NOW, latest=failed, verdict=failed)
    both = one.plan.but(models=(*one.plan.models, affected("m2")))
    record = await desk.save(one.learn({"m2": two}).but(plan=both))

    with pytest.raises(BadInput, match="Choose among the models that are still unproved"):
        await accept(desk, record, chosen=Chosen(frozenset({"m1", "m2"})))


async def test_a_cause_accepts_the_models_that_the_form_showed_under_it(desk):
    record = await desk.save(unproved("the upstream limits the rate"))
    by_cause = Chosen(causes=frozenset({mark_of("the upstream limits the rate")}))

    with pytest.raises(BadInput, match="Choose among the models that are still unproved"):
        await accept(desk, record, chosen=Chosen(causes=frozenset({mark_of("another cause")})))
    assert (await accept(desk, record, chosen=by_cause)).finding(record.plan.models[0]).is_accepted


@pytest.mark.parametrize(("step", "kept"), [("project", 4), ("verify", 5), ("recheck", 8), ("delete", 8)])
async def test_what_is_accepted_at_the_delete_is_looked_at_again(desk, step, kept):
    names = tuple(step.name for step in FORWARD)
    record = unproved()
    record = record.but(stop=record.stop.but(step=step), done=names[: names.index(step)], approvals=(approval(),))
    after = await accept(desk, await desk.save(record))

    assert (after.state, after.done, after.approvals) == (State.RUNNING, names[:kept], ())


async def test_accepting_the_whole_rotation_accepts_the_sentence_that_was_shown(desk):
    why = "No model uses this key, so nothing proves the new secret."
    record = unproved(findings={}, plan=plan_of("pk_old"))
    saved = await desk.save(record.but(stop=record.stop.but(sentence=why)))
    with pytest.raises(BadInput, match="Choose among the models"):
        await accept(desk, saved, chosen=Chosen(frozenset({"m1"})))
    after = await accept(desk, saved, chosen=Chosen())

    assert after.accepted.of == why


def by_button(name: str) -> Callable[..., Awaitable[Any]]:
    return lambda desk, record, by: getattr(desk.service, name)(record.id, by=by)


@pytest.mark.parametrize(
    ("press", "record", "by", "refused"),
    [
        (Desk.approve, stopped(StopKind.REJECTED), "U_APPROVER", WrongState),
        (accept, unproved().to(State.RUNNING), "U_APPROVER", WrongState),
        (by_button("another_secret"), waiting(), "U_REQUESTER", WrongState),
        (Desk.approve, waiting(self_approval=True), "U_REQUESTER", NotAllowed),
        (accept, unproved(self_approval=True), "U_REQUESTER", NotAllowed),
        (by_button("offer_acceptance"), unproved(self_approval=True), "U_REQUESTER", NotAllowed),
        (by_button("another_secret"), stopped(StopKind.REJECTED), "U_APPROVER", NotAllowed),
        (by_button("roll_back"), waiting(), "U_COLLEAGUE", NotAllowed),
    ],
)
async def test_a_button_that_is_not_offered_or_not_theirs_changes_nothing(desk, press, record, by, refused):
    saved = await desk.save(record)

    with pytest.raises(refused):
        await press(desk, saved, by=by)
    assert await desk.store.load(saved.id) == saved


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (f"it is {NEW_SECRET}", "looks like a secret, and the reason is shown"),
        (HEXADECIMAL, "looks like a secret"),
        *((blank, "Say why in a few words") for blank in (" \n", "\u200b", "\u3164 \u2800", "\u2060\u00ad")),
        (f"it is {NEW_SECRET[:3]}\u200b{NEW_SECRET[3:]}", "looks like a secret"),
    ],
)
async def test_a_reason_is_neither_a_secret_nor_empty(desk, reason, why):
    record = await desk.save(unproved())
    flagged = await desk.save(waiting(id="rabc124", plan=plan_of("pk_other"), **FLAGGED[Flag.FAILED]))

    with pytest.raises(BadInput, match=why):
        await accept(desk, record, reason=reason)
    with pytest.raises(BadInput, match=why):
        await desk.approve(flagged, reason=reason)


async def test_a_guest_sees_no_list_of_rotations(desk):
    desk.slack.said = {"U_GUEST": {"guest": True}}

    await desk.service.check_may_look("status", by="U_MEMBER")
    with pytest.raises(NotAllowed):
        await desk.service.check_may_look("status", by="U_GUEST")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (NEW_SECRET[7:15], "This holds a piece of the secret"),
        (f"the {NEW_SECRET[-8:]} key", "This holds a piece of the secret"),
        ("sk-proj-A1b2C3d4E5f6G7h8", "looks like a secret, and the name is shown"),
        (HEXADECIMAL, "looks like a secret"),
    ],
)
async def test_a_name_that_holds_a_piece_of_the_secret_is_refused(desk, name, why):
    record = await desk.save(rotation())

    with pytest.raises(BadInput, match=why) as refusal:
        await give(desk, record, name)
    assert name not in str(refusal.value)


@pytest.mark.parametrize("field", ["reason", "ticket"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"it is {NEW_SECRET}", "This holds a piece of the secret, and the {} is shown to everyone"),
        (NEW_SECRET[7:15], "This holds a piece of the secret"),
        ("sk-proj-A1b2C3d4E5f6G7h8", "This looks like a secret, and the {} is shown to everyone"),
        (HEXADECIMAL, "This looks like a secret"),
    ],
)
async def test_a_reason_or_a_ticket_that_holds_a_secret_is_refused_at_its_field_and_not_repeated(
    desk, field, text, why
):
    record = await desk.save(rotation())
    motive = (text, "") if field == "reason" else ("quarterly", text)

    with pytest.raises(BadInput, match=why.format(field)) as refusal:
        await give(desk, record, "", NEW_SECRET, *motive)
    assert refusal.value.field == field
    assert text not in str(refusal.value)
    assert (await desk.service.load(record.id)).attempt == 0


async def test_why_a_key_is_rotated_is_recorded_and_audited(desk):
    ticket = "https://example.com/issues/412345"
    given = await give(desk, await desk.save(rotation()), "", NEW_SECRET, "  quarterly\n rotation", ticket)
    *_, last = [json.loads(line) async for line in desk.store.trail()]

    assert (given.why, given.ticket) == ("quarterly rotation", ticket)
    assert (last["what"], last["why"]) == ("gave a secret", f"quarterly rotation · {ticket}")


@pytest.mark.parametrize(("required", "taken"), [(False, True), (True, False)])
async def test_the_reason_may_be_left_out_unless_the_settings_ask_for_it(desk, required, taken):
    desk.service._rules = desk.service.rules.but(require_reason=required)  # noqa: SLF001
    record = await desk.save(rotation())

    if taken:
        assert (await give(desk, record)).motive == ""
        return
    with pytest.raises(BadInput, match="Say why in a few words") as refusal:
        await give(desk, record, "", NEW_SECRET, " \n\u200b", "OPS-4412")
    assert refusal.value.field == "reason"


@pytest.mark.parametrize("written", ["OpenAI*", "OpenAI production", "pk_old"])
async def test_a_new_key_stays_under_the_policy_that_names_the_old_one(desk, written):
    policy = NamedPolicy(keys=(written,), asks=Policy(names=("strict",), approvals=2))
    desk.service._people = People(desk.slack, desk.service.rules.but(policies=(policy,)))  # noqa: SLF001
    record = await desk.save(rotation())

    if written != "pk_old":
        with pytest.raises(BadInput, match="would leave the policy strict") as refusal:
            await give(desk, record, "mine")
        assert refusal.value.field == "name"
    given = await give(desk, record, "mine" if written == "pk_old" else "")
    renamed = given.plan.but(old_key=key(name=given.replacement.name))
    assert policy.touches(renamed)


@pytest.mark.parametrize(("ticket", "taken"), [("OPS-1", True), ("", True), ("ops 1", False), ("OPS-1 x", False)])
async def test_a_ticket_has_to_fit_the_pattern_and_may_be_left_out(desk, ticket, taken):
    desk.service._rules = desk.service.rules.but(ticket_pattern=TicketPattern(pattern=r"OPS-\d+"))  # noqa: SLF001
    record = await desk.save(rotation())

    if taken:
        assert (await give(desk, record, "", NEW_SECRET, "", ticket)).ticket == ticket
        return
    with pytest.raises(BadInput, match=r"has to fit OPS-\\d\+") as refusal:
        await give(desk, record, "", NEW_SECRET, "", ticket)
    assert refusal.value.field == "ticket"
    assert (await desk.service.load(record.id)).attempt == 0


async def test_the_secret_in_use_is_refused(desk):
    maker = running(id="rmaker2", made=("pk_old",), plan=rotation().plan.but(old_key=key("pk_older")))
    known = fingerprint_of(SecretStr(NEW_SECRET), key(), PEPPER)
    wanted = Replacement(name="OpenAI production", asked_at=NOW, key_id="pk_old", fingerprint=known)
    await desk.save(maker.but(replacement=wanted))
    record = await desk.save(rotation())

    with pytest.raises(BadInput, match="This is the secret that is in use already"):
        await give(desk, record)
    assert (await give(desk, record, secret=NEW_SECRET[::-1])).same_secret_checked


async def test_the_fingerprint_of_a_key_that_is_gone_or_of_another_pepper_is_forgotten(desk):
    async def fingerprinted(id_: str, made: str, pepper: SecretStr = PEPPER, **fields: Any) -> None:
        mark = fingerprint_of(SecretStr(NEW_SECRET), key(), pepper)
        wanted = Replacement(name=f"of {id_}", asked_at=NOW, key_id=made, fingerprint=mark)
        plan = rotation().plan.but(old_key=key(f"pk_of_{id_}"))
        await desk.save(running(id=id_, made=(made,), plan=plan, replacement=wanted, **fields))

    there = [desk.tenant.aisix.add_key(name, secret=NEW_SECRET).id for name in ("One", "Two")]
    await fingerprinted("rlisted2", there[0], deleted_at=NOW)
    await fingerprinted("rpepper2", there[1], SecretStr("another pepper of those before"), deleted_at=NOW)
    await fingerprinted("rrunning", "pk_not_listed_yet")
    await fingerprinted("rended22", "pk_deleted_by_somebody")
    await desk.save((await desk.store.load("rended22")).but(deleted_at=NOW).to(State.COMPLETED))

    await desk.service.start(desk.tenant.key.id, by="U_REQUESTER", team="T1", channel="C_OPS")

    assert set(await desk.store.fingerprints()) == {there[0], "pk_not_listed_yet"}


async def of_its_key(desk: Desk) -> Rotation:
    """Return a request for the key of the tenant, whose one environment it knows."""
    shown = next(iter(await (await desk.tenant.control_plane()).keys()))
    tenant = {desk.tenant.environment: "production"}
    return rotation(plan=rotation().plan.but(old_key=shown, environments={}, tenant=tenant))


@pytest.mark.parametrize("used", ["by nothing", "by a model", "unseen"])
async def test_a_replacement_that_comes_too_late_is_removed_unless_something_uses_it(desk, used):
    aisix = desk.tenant.aisix
    begun = await give(desk, await desk.save(await of_its_key(desk)))
    await desk.save(begun.but(replacement=None))

    def made() -> list[ProviderKey]:
        return [row for row in aisix.provider_keys.values() if row.display_name == begun.replacement.name]

    if used == "by a model":
        aisix.faults.before("GET", "/environments", lambda: aisix.add_model("production", "latecomer", key=made()[0]))
    aisix.switches.has_passthrough_routes = used != "unseen"  # they were listed when the plan was made
    await desk.service.create_replacement(begun)

    assert len(desk.tenant.calls("POST", "/provider_keys")) == 1
    assert bool(made()) is (used != "by nothing")
    if used == "unseen":
        unseen = "AISIX does not show the passthrough routes of `production` any more."
        said = f"Key `{made()[0].id}` of this rotation stays: {unseen}"
        assert (await desk.service.load(begun.id)).left_alone == (said,)


async def test_a_lost_answer_to_the_creation_is_on_the_card_at_once(desk):
    begun = await give(desk, await desk.save(await of_its_key(desk)))
    desk.tenant.aisix.faults.drop("POST", "/provider_keys")
    await desk.service.create_replacement(begun)

    record = await desk.service.load(begun.id)
    assert (record.note, record.trouble_since) == ("AISIX broke off its answer. Trying again.", NOW)


# --- the way of the secret through a handler ---

KEPT = (
    *(Submitted, SecretStr, BaseModel, BaseException, TracebackType, FrameType, CoroutineType, FunctionType, CellType),
    *(Mapping, list, tuple, set, frozenset),
)
"""What is looked into for a secret; whatever else a frame names, such as the service itself, is not what it returns."""


def inner(value: Any) -> list[Any]:
    """Return what hangs on *value*: items, fields, the variables of frames and what a function has closed over."""
    if isinstance(value, FrameType):
        return list(value.f_locals.values())
    return gc.get_referents(value) if isinstance(value, KEPT) and not isinstance(value, type) else []


def texts_on(*values: Any) -> str:
    """Return every text that can be reached from *values*."""
    seen: dict[int, Any] = {}
    left = list(values)
    while left:
        value = left.pop()
        if id(value) not in seen and not isinstance(value, ModuleType | type):
            seen[id(value)] = value
            left += [one for one in inner(value) if not (isinstance(one, dict) and "__builtins__" in one)]
    return "\n".join(map(str, (v for v in seen.values() if isinstance(v, str | bytes))))


class Overheard:
    """Passes on what a handler asks of the service, and keeps all that comes back."""

    def __init__(self, service: RotationService) -> None:
        self.service, self.back = service, list[Any]()

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def kept(*given: Any, **named: Any) -> Any:
            try:
                self.back.append(await getattr(self.service, verb)(*given, **named))
            except BaseException as error:
                self.back.append(error)
                raise
            return self.back[-1]

        return kept


def form(record: Rotation, secret: str, name: str = "", reason: str = "") -> dict[str, Any]:
    typed = {SECRET: secret[:20], REST: secret[20:], NAME: name, REASON: reason}
    values = {field: {VALUE: {"type": "plain_text_input", "value": value}} for field, value in typed.items()}
    return {"private_metadata": record.id, "state": {"values": values}}


WAYS = {
    "it is accepted": (NEW_SECRET, "", "U_REQUESTER", None),
    "it is no secret": (f"{NEW_SECRET} {NEW_SECRET}", "", "U_REQUESTER", None),
    "the name is a piece of it": (NEW_SECRET, NEW_SECRET[7:15], "U_REQUESTER", None),
    "the reason holds it": (NEW_SECRET, "", "U_REQUESTER", "reason"),
    "somebody else gives it": (NEW_SECRET, "", "U_APPROVER", None),
    "the record cannot be written": (NEW_SECRET, "", "U_REQUESTER", "save"),
    "it takes too long": (NEW_SECRET, "", "U_REQUESTER", "fingerprint"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_secret_never_comes_back_to_the_handler(desk, monkeypatch, way):
    secret, name, by, breaks = WAYS[way]
    record = await desk.save(await of_its_key(desk))
    reason = f"it is {secret}" if breaks == "reason" else "quarterly"
    view, heard = form(record, secret, name, reason), Overheard(desk.service)
    background, said = Background(), list[Any]()

    async def ack(**words: Any) -> None:
        said.append(words)

    async def unanswered(*_: Any, **__: Any) -> None:
        raise Unanswerable("Redis does not answer.") from KeyError("sent")

    if breaks == "save":
        monkeypatch.setattr(desk.store, "save", unanswered)
    if breaks == "fingerprint":
        monkeypatch.setattr(desk.store, "fingerprint", lambda _: asyncio.Event().wait())
        monkeypatch.setattr("handlers.background.ACK_WITHIN", 0.05)

    await give_secret(ack, view, {"user": {"id": by}}, heard, background)
    await background.finish(5)

    assert secret[:20] not in repr(Typed(secret))
    assert len(heard.back) == (2 if way == "it is accepted" else 1)
    assert said == [{"response_action": "clear"}] or said[0]["response_action"] == "errors"
    assert found_in(texts_on(*heard.back, view, vars(background), said), secret) == []


async def test_an_approver_ends_a_stopped_rotation_that_has_no_way_back_and_its_stop_stays_on_the_card(desk):
    record = await desk.save(stopped(StopKind.REFUSED, delete_asked_at=NOW))
    ended = await desk.service.cancel(record.id, by="U_APPROVER")

    assert (ended.state, ended.ended_by) == (State.CANCELLED, "U_APPROVER")
    assert ended.stop == record.stop


async def test_a_click_notes_when_somebody_was_at_it(desk):
    record = await desk.save(waiting())
    assert (await desk.service.roll_back(record.id, by="U_APPROVER")).acted_at == NOW
