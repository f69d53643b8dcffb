"""The new secret on a page and by a token: for one person, one question of one rotation, once."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.rotation.errors import BadInput, NotAllowed, Refused, Unanswerable, WrongState
from bot.rotation.parts import Way
from bot.rotation.record import Rotation
from bot.rotation.secret import Submitted, Typed, shown_again
from bot.rotation.states import State
from bot.service.giving import CommandLineTokens, SecretPages
from bot.service.signing_in import LIFE, of
from bot.service.step_up import Form
from bot.storage.tickets import Tickets
from tests.bot.conftest import AT_ONCE, Desk
from tests.bot.test_step_up import ISSUER, House
from tests.bot.values import NAMESPACE, rotation
from tests.support.canary import CANARY, found_in

LINK = "https://keyturn.example.com/secret/link/"
PERSON = {"name": "Requester", "email": "requester@example.com"}


class Study(House):
    """Everything between the button and a secret that is given outside Slack."""

    def __init__(self, desk: Desk, redis: Redis) -> None:
        super().__init__(desk, redis)
        desk.slack.said |= {"U_REQUESTER": {**PERSON}}
        self.login.email = PERSON["email"]
        self.pages = SecretPages(desk.service, self.sign_ins, LINK)
        self.tokens = CommandLineTokens(desk.service, Tickets(redis, NAMESPACE))

    async def page(self, record: Rotation) -> str:
        link = await self.pages.offer(record.id, by="U_REQUESTER")
        return await self.come_back(await self.begin_at(link))

    async def begin_at(self, link: str) -> Any:
        return await self.begin("https://keyturn.example.com/approve/link/" + link.removeprefix(LINK))

    async def by_page(self, record: Rotation, cookie: str, secret: str = CANARY) -> Rotation:
        return await self.pages.give(cookie, of(cookie, "form"), Submitted(secret))

    async def by_token(self, record: Rotation, token: str, secret: str = CANARY) -> Rotation:
        return await self.tokens.give(record.id, token, Submitted(secret), user="alice at the command line")

    async def token(self, record: Rotation) -> str:
        return await self.tokens.offer(record.id, by="U_REQUESTER")


@pytest.fixture
async def study(desk: Desk, redis: Redis) -> Study:
    return Study(desk, redis)


Ways = tuple[Callable[[Study, Rotation], Awaitable[str]], Callable[..., Awaitable[Rotation]], str]
WAYS: dict[Way, Ways] = {
    Way.PAGE: (Study.page, Study.by_page, f"gave a secret (page), signed in at {ISSUER} (pwd, otp)"),
    Way.COMMAND_LINE: (Study.token, Study.by_token, "gave a secret (command line)"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_requester_gives_it_once_and_record_and_trail_say_which_way(study: Study, way: Way):
    open_, give, words = WAYS[way]
    record = await study.desk.save(rotation())
    key = await open_(study, record)
    held = [
        value async for name in study.redis.scan_iter("*:ticket:*") for value in [name, await study.redis.get(name)]
    ]
    lives = [await study.redis.ttl(name) async for name in study.redis.scan_iter("*:ticket:*")]

    for wrong in ("", "two words"):
        with pytest.raises(BadInput):
            await give(study, record, key, wrong)
    given = await give(study, record, key)

    assert given.replacement is not None
    assert (given.state, given.replacement.way, given.attempt) == (State.RUNNING, way, 1)
    assert (await study.trail())[-1] == ("U_REQUESTER", words)
    assert not any(key in value for value in held)
    assert all(0 < life <= LIFE for life in lives)
    with pytest.raises(Refused, match="has been used"):
        await give(study, record, key)


@pytest.mark.parametrize("way", WAYS)
async def test_it_gives_nothing_once_the_rotation_has_moved_on_or_the_person_may_not_any_more(study: Study, way: Way):
    open_, give, _ = WAYS[way]
    record = await study.desk.save(rotation())
    moved: dict[str, tuple[dict[str, Any], type[Refused]]] = {
        "cancelled": ({"state": State.CANCELLED}, WrongState),
        "another secret has been given, and is asked for again": ({"attempt": 1}, WrongState),
        "somebody else's by now": ({"requested_by": "U_OTHER"}, NotAllowed),
    }
    for changes, error in moved.values():
        key = await open_(study, record)
        changed = await study.desk.save(record, **changes)
        with pytest.raises(error):
            await give(study, changed, key)
        record = await study.desk.save(changed, **{name: getattr(record, name) for name in changes})
        with pytest.raises(Refused, match="has been used"):
            await give(study, record, key)
    assert record.replacement is None


@pytest.mark.parametrize("way", WAYS)
async def test_only_the_requester_gets_one(study: Study, way: Way):
    record = await study.desk.save(rotation())
    offer = study.pages.offer if way is Way.PAGE else study.tokens.offer
    for who in ("U_APPROVER", "U_OTHER", "U_GONE", ""):
        with pytest.raises((NotAllowed, Unanswerable)):
            await offer(record.id, by=who)
    assert [name async for name in study.redis.scan_iter("*:ticket:*")] == []


@pytest.mark.parametrize("way", WAYS)
async def test_while_slack_does_not_answer_nothing_is_lost(study: Study, way: Way):
    open_, give, _ = WAYS[way]
    record = await study.desk.save(rotation())
    key = await open_(study, record)
    study.desk.slack.is_away = True
    with pytest.raises(Unanswerable):
        await give(study, record, key)
    study.desk.slack.is_away = False
    assert (await give(study, record, key)).replacement


async def test_a_token_is_for_its_rotation_alone_and_who_used_it_is_in_the_trail(study: Study):
    record = await study.desk.save(rotation())
    other = await study.desk.save(
        rotation(id="rother2", plan=record.plan.but(old_key=record.plan.old_key.but(id="pk2")))
    )
    token = await study.token(record)

    for where, forged in ((other, token), (record, "x"), (record, ""), (record, "\udcff")):
        with pytest.raises(NotAllowed, match="not for this rotation"):
            await study.by_token(where, forged)
        assert (await study.trail())[-1] == ("alice at the command line", "gave a secret")
    assert (await study.by_token(record, token)).replacement


async def test_the_page_of_a_secret_approves_nothing_and_that_of_an_approval_takes_no_secret(study: Study):
    record = await study.desk.save(rotation())
    cookie = await study.page(record)

    with pytest.raises(Refused, match="has been used"):
        await study.step_up.page(cookie)
    with pytest.raises(Refused, match="has been used"):
        await study.step_up.approve(cookie, Form(of(cookie, "form")), AT_ONCE)
    with pytest.raises(NotAllowed, match="not the one that the page showed"):
        await study.pages.give(cookie, "forged", Submitted(CANARY))
    assert (await study.by_page(record, cookie)).replacement


async def test_where_the_settings_ask_for_a_page_slacks_form_is_refused_and_a_token_is_not(study: Study):
    study.again(secret_on_a_page=True)
    record = await study.desk.save(rotation())

    with pytest.raises(WrongState, match="Slack has seen this secret"):
        await study.desk.service.give_secret(record.id, Submitted(CANARY), by="U_REQUESTER")
    assert (await study.by_token(record, await study.token(record))).replacement


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (Typed(CANARY, "spare", "quarterly", "OPS-1"), Typed("", "spare", "quarterly", "OPS-1")),
        (Typed("", "spare", "quarterly", "OPS-1"), Typed("", "spare", "quarterly", "OPS-1")),
        (Typed(f" {CANARY} ", CANARY, f"it is {CANARY[5:20]}", "OPS-1"), Typed("", "", "", "OPS-1")),
        (Typed("", "sk-proj-0123456789abcdefghijklmnop", "why", "AKIAIOSFODNN7EXAMPLE"), Typed("", "", "why", "")),
    ],
)
def test_a_form_shows_again_what_is_no_piece_of_a_secret(typed: Typed, again: Typed):
    assert shown_again(typed) == again
    assert not found_in("".join(shown_again(typed)), CANARY)
