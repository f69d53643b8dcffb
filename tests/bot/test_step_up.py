"""Approving after a sign-in: each link is one person's, once, for what they saw; nothing else approves."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from redis.asyncio import Redis

from bot.rotation.actions import Action
from bot.rotation.errors import BadInput, NotAllowed, Unanswerable, WrongState
from bot.rotation.finding import Finding
from bot.rotation.flags import Flag, shown_of
from bot.rotation.people import People
from bot.rotation.policies import Policy
from bot.rotation.policy import Chosen, Late, Pressed, causes, mark_of, shown_unproved
from bot.rotation.record import Rotation
from bot.rotation.starting import asked_at_start, shown_at_start
from bot.rotation.states import State
from bot.service.signing_in import BYTES, LIFE, Sent, SignIns, challenge_of, of
from bot.service.step_up import NOW, Form, StepUp
from bot.storage.tickets import Tickets
from handlers.views.buttons import SEEN
from tests.bot.conftest import AT_ONCE, Desk
from tests.bot.test_pressing import LATE, unproved, waiting
from tests.bot.values import FLAGGED, NAMESPACE, NOT_PROBED, approval, rules, running
from tests.bot.values import NOW as TODAY

ISSUER, ADDRESS = "https://login.example.com", "https://keyturn.example.com/approve/link/"
APPROVER = {"name": "Approver", "email": "Approver@example.com"}


class Login:
    """The company's provider, which says what a test wants."""

    issuer = ISSUER

    def __init__(self) -> None:
        self.email, self.is_verified, self.methods = "approver@EXAMPLE.com", True, ("pwd", "otp")
        self.codes: dict[str, dict[str, str]] = {}
        self.trouble: Exception | None = None

    async def address(self, state: str, nonce: str, challenge: str) -> str:
        code = f"code-{len(self.codes)}"
        self.codes[code] = {"state": state, "nonce": nonce, "challenge": challenge}
        return f"{ISSUER}/authorize?state={state}&code={code}"

    async def signed_in(self, code: str, verifier: str, nonce: str, since: datetime) -> "Login":
        if self.trouble:
            raise self.trouble
        begun = self.codes.pop(code)
        assert (begun["nonce"], begun["challenge"], since) == (nonce, challenge_of(verifier), TODAY)
        return self


class House:
    """Everything between the button and the approval."""

    def __init__(self, desk: Desk, redis: Redis) -> None:
        self.desk, self.login, self.redis = desk, Login(), redis
        desk.slack.said |= {"U_APPROVER": {**APPROVER}, "U_OTHER": {"email": "other@example.com"}}
        self.again()

    def again(self, **changes: Any) -> None:
        service = self.desk.service
        service._rules = service.rules.but(step_up=True, **changes)  # noqa: SLF001 - a restart with other settings
        service._people = People(self.desk.slack, service.rules)  # noqa: SLF001
        tickets = Tickets(self.redis, NAMESPACE)
        self.sign_ins = SignIns(service, tickets, self.login, self.desk.slack, lambda: TODAY)
        self.step_up = StepUp(service, self.sign_ins, ADDRESS)

    async def offer(self, record: Rotation, **given: Any) -> str:
        usual = {"action": Action.DELETE_OLD_KEY, "by": "U_APPROVER", "pressed": AT_ONCE, "shown": shown_of(record)}
        return await self.step_up.offer(record.id, **usual | given)

    async def begin(self, link: str) -> Sent:
        """Follow a link, and sign in; return what the browser brings back."""
        there, cookie = await self.sign_ins.begin(link.removeprefix(ADDRESS))
        asked = {name: value[0] for name, value in parse_qs(urlsplit(there).query).items()}
        return Sent(cookie, asked["state"], asked["code"])

    async def come_back(self, sent: Sent) -> str:
        return (await self.sign_ins.come_back(sent)).cookie

    async def opened(self, record: Rotation) -> str:
        return await self.come_back(await self.begin(await self.offer(record)))

    async def approve(self, cookie: str, record: Rotation, **given: Any) -> Rotation:
        page = await self.step_up.page(cookie)
        pressed, mark = given.pop("pressed", AT_ONCE), SEEN.get(page.rotation.state, shown_of)
        return await self.step_up.approve(
            cookie, Form(**{"token": page.token, "shown": mark(page.rotation)} | given), pressed
        )

    async def trail(self) -> list[tuple[str, str]]:
        entries = [json.loads(line) async for line in self.desk.store.trail()]
        return [(entry["by"], entry["what"]) for entry in entries]

    async def refusals(self) -> list[str]:
        entries = [json.loads(line) async for line in self.desk.store.trail()]
        return [entry["why"] for entry in entries if entry["kind"] == "refusal"]


@pytest.fixture
async def house(desk: Desk, redis: Redis) -> House:
    return House(desk, redis)


async def test_the_person_who_pressed_signs_in_and_approves_what_they_saw_and_the_record_says_how(house: House):
    record = await house.desk.save(waiting())

    approved = await house.approve(await house.opened(record), record)

    *_, last = [json.loads(line) async for line in house.desk.store.trail()]
    assert approved.state is State.RUNNING
    assert [(word.by, word.signed_in) for word in approved.approvals] == [("U_APPROVER", f"{ISSUER} (pwd, otp)")]
    assert (last["by"], last["what"]) == ("U_APPROVER", f"approved, signed in at {ISSUER} (pwd, otp)")
    assert await People(house.desk.slack, house.desk.service.rules).reviewed(approved, TODAY) == approved


async def test_while_a_sign_in_is_asked_for_no_click_and_no_form_approves(house: House):
    record = await house.desk.save(waiting(**FLAGGED["failed"]))

    for given in ({}, {"reason": "because"}, {"shown": shown_of(record), "reason": "because"}, {"click": "1"}):
        with pytest.raises(WrongState, match="This takes a sign-in"):
            await house.desk.approve(record, **given)
    assert await house.desk.store.load(record.id) == record


async def test_an_approval_given_before_the_sign_in_was_asked_for_is_void_at_the_last_look(house: House):
    given = running(approvals=(approval("U_APPROVER"), approval("U_OTHER").but(signed_in=ISSUER)))
    people = People(house.desk.slack, rules(approvers=frozenset({"S_APPROVERS"}), step_up=True))

    after = await people.reviewed(given, TODAY)

    assert [kept.by for kept in after.approvals] == ["U_OTHER"]
    assert [void.changes for void in after.voids] == [
        ("The settings (APPROVAL_LINK) ask for a sign-in now, and this approval was given without one.",)
    ]


async def test_a_link_is_for_one_sign_in_and_a_page_for_one_approval(house: House):
    record = await house.desk.save(waiting(approvals_required=2))
    link = await house.offer(record)
    first, second = await house.begin(link), await house.begin(link)
    cookie = await house.come_back(first)

    for again in (first, second):
        with pytest.raises(WrongState, match="has been used"):
            await house.come_back(again)
    with pytest.raises(WrongState, match="This link has been used"):
        await house.sign_ins.begin(link.removeprefix(ADDRESS))
    approved = await house.approve(cookie, record)
    assert [word.by for word in approved.approvals] == ["U_APPROVER"]
    for use in (house.step_up.page(cookie), house.approve(cookie, record)):
        with pytest.raises(WrongState, match="This page has been used"):
            await use


async def test_following_a_link_uses_nothing_up_and_redis_holds_none_of_the_secrets(house: House):
    record = await house.desk.save(waiting())
    link = await house.offer(record)
    sent = [await house.begin(link) for _ in range(3)]
    cookie = await house.come_back(sent[-1])

    names = [name async for name in house.redis.scan_iter("*")]
    held = [*names, *[await house.redis.get(name) for name in names if ":ticket:" in name]]
    tickets = [name for name in names if ":ticket:" in name]
    derived = [of(each.cookie, purpose) for each in sent for purpose in ("state", "nonce", "verifier")]
    secrets = [link.removeprefix(ADDRESS), cookie, *(each.cookie for each in sent), *derived]
    assert {kind.split(":")[3] for kind in tickets} == {"sign-in", "page"}
    assert [secret for secret in secrets if any(secret in text for text in held)] == []
    assert all([0 < await house.redis.ttl(name) <= LIFE for name in tickets])
    assert (LIFE, BYTES * 8) == (600, 256)


Misdeed = Callable[[House], Any]
ANOTHER: dict[str, tuple[Misdeed, str]] = {
    "another person": (lambda house: setattr(house.login, "email", "other@example.com"), "Someone else signed in"),
    "a longer name": (lambda house: setattr(house.login, "email", "approver@example.com.evil"), "Someone else"),
    "letters that fold alike": (
        lambda house: (house.desk.slack.said["U_APPROVER"].update(email="strasse@example.com"),
                       setattr(house.login, "email", "straße@example.com")), "Someone else"),
    "an unverified address": (lambda house: setattr(house.login, "is_verified", False), "is verified"),
    "no address": (lambda house: setattr(house.login, "email", ""), "is verified"),
    "no address in Slack by now": (
        lambda house: house.desk.slack.said["U_APPROVER"].update(email=""), "users:read.email"),
    "a token that proves nothing": (
        lambda house: setattr(house.login, "trouble", NotAllowed("Not verified: x.")), "Not verified"),
}  # fmt: skip


@pytest.mark.parametrize("who", ANOTHER)
async def test_a_sign_in_of_anybody_else_opens_nothing_and_is_in_the_audit_trail(house: House, who: str):
    record = await house.desk.save(waiting())
    sent = await house.begin(await house.offer(record))
    change, words = ANOTHER[who]
    change(house)

    with pytest.raises(NotAllowed, match=words):
        await house.come_back(sent)

    assert [words in why for why in await house.refusals()] == [True]
    assert await house.desk.store.load(record.id) == record
    assert [name async for name in house.redis.scan_iter("*ticket:page*")] == []


async def test_a_link_that_ended_with_somebody_elses_sign_in_opens_nothing_for_the_right_one(house: House):
    record = await house.desk.save(waiting())
    link = await house.offer(record)
    wrong, right = await house.begin(link), await house.begin(link)
    house.login.email = "other@example.com"
    with pytest.raises(NotAllowed):
        await house.come_back(wrong)
    house.login.email = "approver@example.com"

    with pytest.raises(WrongState, match="This link has been used"):
        await house.come_back(right)


async def test_a_sign_in_counts_only_in_the_browser_that_began_it(house: House):
    record = await house.desk.save(waiting())
    sent = await house.begin(await house.offer(record))
    theirs = await house.begin(await house.offer(record))

    for forged in (sent._replace(cookie=""), sent._replace(cookie=theirs.cookie), sent._replace(state="\udcff")):
        with pytest.raises(NotAllowed, match="not begun in this browser"):
            await house.come_back(forged)
    with pytest.raises(NotAllowed, match="of another provider"):
        await house.come_back(sent._replace(issuer="https://evil.example.com"))
    assert await house.come_back(sent._replace(issuer=ISSUER))


@pytest.mark.parametrize("secret", ["", "x", "../", "\udcff", "A" * 43, "*"])
async def test_a_forged_link_or_page_opens_nothing(house: House, secret: str):
    await house.offer(await house.desk.save(waiting()))

    with pytest.raises(WrongState, match="This link has been used"):
        await house.sign_ins.begin(secret)
    with pytest.raises(WrongState, match="This page has been used"):
        await house.step_up.page(secret)


async def test_a_form_of_another_page_approves_nothing_and_the_right_one_still_does(house: House):
    record = await house.desk.save(waiting())
    cookie = await house.opened(record)
    other = await house.opened(record)

    for token in ("", "\udcff", (await house.step_up.page(other)).token):
        with pytest.raises(NotAllowed, match="not the one that the page showed"):
            await house.approve(cookie, record, token=token)
    assert (await house.approve(cookie, record)).state is State.RUNNING


async def test_what_has_changed_since_the_click_is_not_shown_and_not_approved(house: House):
    record = await house.desk.save(waiting())
    link, cookie = await house.offer(record), await house.opened(record)
    changed = await house.desk.save(record, findings={"m1": Finding(latest=NOT_PROBED, verdict=NOT_PROBED)})
    assert changed.seen != record.seen

    with pytest.raises(WrongState, match="What you saw is not what is asked now"):
        await house.step_up.page(cookie)
    with pytest.raises(WrongState, match="What you saw is not what is asked now"):
        await house.step_up.page(await house.come_back(await house.begin(link)))
    with pytest.raises(WrongState, match="What you saw is not what is asked now"):
        await house.step_up.approve(cookie, Form(of(cookie, "form"), shown_of(changed)), NOW)
    assert await house.desk.store.load(record.id) == changed


async def test_why_is_asked_on_the_page_and_asked_again_if_what_speaks_against_it_has_changed(house: House):
    record = await house.desk.save(waiting(**FLAGGED["failed"]))
    cookie = await house.opened(record)

    for reason in ("", " ", "sk-proj-0123456789abcdefghijklmnopqrstuvwx"):
        with pytest.raises(BadInput):
            await house.approve(cookie, record, reason=reason)
    with pytest.raises(BadInput, match="has changed"):
        await house.approve(cookie, record, reason="tried by hand", shown=f"{record.seen}-0123456789abcdef")
    approved = await house.approve(cookie, record, reason="tried by hand")
    assert [(word.reason, word.flags) for word in approved.approvals] == [("tried by hand", ("failed",))]


async def test_people_who_may_not_approve_get_no_link_and_lose_their_page(house: House):
    record = await house.desk.save(waiting())
    for given, error in (
        ({"by": "U_REQUESTER"}, NotAllowed), ({"by": "U_GONE"}, NotAllowed), ({"pressed": LATE}, Late),
        ({"shown": "0" * 16}, WrongState), ({"pressed": Pressed()}, Late),
    ):  # fmt: skip
        with pytest.raises(error):
            await house.offer(record, **given)
    house.desk.slack.said["U_OTHER"] = {}
    with pytest.raises(NotAllowed, match="needs the scope"):
        await house.offer(record, by="U_OTHER")
    cookie = await house.opened(record)
    house.desk.slack.approvers.remove("U_APPROVER")

    with pytest.raises(NotAllowed, match="Only an approver other than"):
        await house.step_up.approve(cookie, Form(of(cookie, "form"), shown_of(record)), NOW)
    house.desk.slack.approvers.add("U_APPROVER")
    with pytest.raises(WrongState, match="This page has been used"):
        await house.approve(cookie, record)
    assert await house.desk.store.load(record.id) == record


async def test_a_form_that_waited_for_a_process_that_was_stopped_does_not_count(house: House):
    record = await house.desk.save(waiting())

    with pytest.raises(Late):
        await house.approve(await house.opened(record), record, pressed=LATE)


async def test_while_slack_or_the_provider_does_not_answer_nothing_is_approved_and_the_page_stays(house: House):
    record = await house.desk.save(waiting())
    cookie = await house.opened(record)
    token = (await house.step_up.page(cookie)).token
    house.desk.slack.is_away = True

    with pytest.raises(Unanswerable):
        await house.step_up.approve(cookie, Form(token, shown_of(record)), AT_ONCE)
    house.desk.slack.is_away = False
    assert (await house.approve(cookie, record)).state is State.RUNNING


async def test_what_is_approved_is_said_though_redis_no_longer_answers_to_close_the_page(house: House, monkeypatch):
    record = await house.desk.save(waiting())
    cookie = await house.opened(record)

    async def away(*_: str) -> None:
        raise Unanswerable("Redis does not answer.")

    monkeypatch.setattr(house.sign_ins._tickets, "take", away)  # noqa: SLF001

    assert (await house.approve(cookie, record)).state is State.RUNNING


async def test_the_page_asks_why_somebody_starts_who_was_told_not_yet(house: House):
    record = await house.desk.save(running(done=(), **FLAGGED[Flag.PUT_OFF]).but(**STARTS))
    given = {"action": Action.START, "shown": asked_at_start(record)}
    cookie = await house.come_back(await house.begin(await house.offer(record, **given)))

    with pytest.raises(BadInput, match="Say why"):
        await house.approve(cookie, record)
    (started,) = (await house.approve(cookie, record, reason="it is fixed")).starts
    assert (started.reason, started.digest) == ("it is fixed", shown_at_start(record))


STARTS = {"policy": Policy(start=True), "state": State.AWAITING_START}


async def test_a_start_takes_the_page_too_and_a_start_without_a_sign_in_is_void(house: House):
    record = await house.desk.save(running(done=()).but(**STARTS))
    given = {"action": Action.START, "shown": shown_at_start(record)}
    with pytest.raises(WrongState, match="This takes a sign-in"):
        await house.desk.service.start_moving(
            record.id, by="U_APPROVER", pressed=AT_ONCE, click="1", shown=given["shown"]
        )
    with pytest.raises(WrongState, match="What you saw is not what is asked now"):
        await house.offer(record, action=Action.START)
    with pytest.raises(NotAllowed, match="Only an approver other than"):
        await house.offer(record, **given, by="U_REQUESTER")

    cookie = await house.come_back(await house.begin(await house.offer(record, **given)))
    started = await house.approve(cookie, record)

    assert (started.state, [word.signed_in for word in started.starts]) == (State.RUNNING, [f"{ISSUER} (pwd, otp)"])
    people = People(house.desk.slack, house.desk.service.rules)
    assert (await people.started(started)).starts == started.starts
    before = started.but(starts=tuple(start.but(signed_in="") for start in started.starts))
    assert (await people.started(before)).starts == ()


async def test_an_acceptance_takes_the_page_too_and_only_of_what_the_link_was_for(house: House):
    record = await house.desk.save(unproved())
    (cause, _), *_ = causes(record)
    given = {"action": Action.ACCEPT_UNPROVED, "shown": None}
    chosen = Chosen(causes=frozenset({mark_of(cause)}))
    with pytest.raises(WrongState, match="This takes a sign-in"):
        await house.desk.service.accept_unproved(
            record.id, chosen, "tried", by="U_APPROVER", shown=shown_unproved(record), pressed=AT_ONCE
        )
    cookie = await house.come_back(await house.begin(await house.offer(record, **given)))

    for incomplete in ({"chosen": chosen}, {"reason": "tried by hand"}):
        with pytest.raises(BadInput):
            await house.approve(cookie, record, **incomplete)
    accepted = await house.approve(cookie, record, chosen=chosen, reason="tried by hand")

    words = [finding.accepted for finding in accepted.findings.values() if finding.accepted]
    assert [(word.by, word.reason, word.signed_in) for word in words] == [
        ("U_APPROVER", "tried by hand", f"{ISSUER} (pwd, otp)")
    ]
