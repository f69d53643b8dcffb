"""One key, one rotation: a second request for it is answered with the first, by whatever name it asks."""

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from bot.rotation.errors import AmbiguousKey, CannotPost, NotAllowed, Refused, Unanswerable, UnknownKey, WrongState
from bot.rotation.record import Replacement, Rotation, Trouble
from bot.rotation.states import State
from bot.service import BeingRotated, LooksLikeSecret
from handlers.actions import another_secret
from sandbox.aisix import ProviderKey
from tests.bot.conftest import Desk
from tests.bot.values import NOW, SECRET, approval

FIRST, SECOND = "U_REQUESTER", "U_COLLEAGUE"


async def refused(desk: Desk, name: str) -> Rotation:
    """Ask once more, and return the rotation that the answer names."""
    with pytest.raises(BeingRotated) as answer:
        await desk.ask(name, SECOND)
    return answer.value.rotation


async def given(desk: Desk, rotation: Rotation, **changes: Any) -> Rotation:
    """Give its secret, as far as the record goes: a replacement has been asked for by its name."""
    name = desk.service.proposed_name(rotation)
    wanted = Replacement(name=name, asked_at=NOW)
    return await desk.save(rotation.to(State.RUNNING).but(attempt=1, names=(name,), replacement=wanted), **changes)


def made(desk: Desk, rotation: Rotation) -> ProviderKey:
    return desk.tenant.aisix.add_key(rotation.names[-1], secret=SECRET)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (CannotPost("Keyturn is not in this channel."), State.CANCELLED),
        (Unanswerable("Redis does not answer."), State.AWAITING_SECRET),
    ],
)
async def test_a_rotation_whose_card_cannot_be_posted_is_given_up_and_who_asked_hears_why(desk, trouble, state):
    async def show(_: Rotation) -> None:
        raise trouble

    with pytest.raises(type(trouble)):
        await desk.service.begin("OpenAI production", by=FIRST, team="T1", channel="C_OPS", request="1", show=show)
    assert [rotation.state for rotation in await desk.store.recent(9)] == [state]


async def test_a_rotation_keeps_the_rules_of_approval_that_it_began_with(desk):
    for required, own in ((1, False), (2, True)):
        now = desk.service.rules.but(approvals_required=required, self_approval=own)
        desk.service._rules = now  # noqa: SLF001
        asked = await desk.ask("OpenAI production")
        assert (asked.approvals_required, asked.self_approval) == (required, own)
        await desk.service.cancel(asked.id, by=FIRST)


@pytest.mark.parametrize("name", ["OpenAI production", "no such key"])
async def test_a_rotation_that_nobody_else_would_see_does_not_begin(desk, name):
    with pytest.raises(NotAllowed, match="Use `/rotate-key` in a channel; `/invite @keyturn` there first"):
        await desk.ask(name, channel="D_REQUESTER")
    assert await desk.store.recent(9) == []

    await desk.save(await desk.ask("OpenAI production"), state=State.CANCELLED)
    with pytest.raises(NotAllowed, match="the last rotation was in <#C_OPS>"):
        await desk.ask(name, channel="D_REQUESTER")
    with pytest.raises(NotAllowed, match="<#C_OPS>"):
        await desk.service.offer_picker("/rotate-key", by=FIRST, channel="D_REQUESTER")


@pytest.mark.parametrize("channel", ["C_OPS", "D_APPROVER"])
async def test_a_rotation_that_only_its_requester_could_approve_does_not_begin(desk, channel):
    desk.slack.approvers = {"U_APPROVER"}
    for ask in (desk.ask("OpenAI production", "U_APPROVER", channel),
                desk.service.offer_picker("/rotate-key", by="U_APPROVER", channel=channel)):  # fmt: skip
        with pytest.raises(NotAllowed, match="Nobody of the people in APPROVERS can approve what you ask for"):
            await ask
    assert await desk.store.recent(9) == []


@pytest.mark.parametrize(
    ("typed", "channel"),
    [(SECRET, "C_OPS"), ("A1b2C3d4E5f6G7h8I9j0K1", "C_OPS"), ("sk-proj-A1b2C3d4E5f6G7h8I9j0", "D_REQUESTER")],
)
async def test_a_secret_that_is_typed_after_the_command_is_not_repeated(desk, typed, channel):
    with pytest.raises(Refused) as refusal:
        await desk.ask(typed, channel=channel)

    assert isinstance(refusal.value, LooksLikeSecret)
    assert typed not in str(refusal.value)


@pytest.mark.parametrize(
    ("most", "sentence"),
    [
        ({"cards_per_person": 1}, r"You have 1 rotation waiting for a secret already, and .*\(CARDS_PER_PERSON\)"),
        ({"cards_per_channel": 1}, r"This channel has 1 rotation waiting .*\(CARDS_PER_CHANNEL\) allow no more"),
    ],
)
async def test_a_person_with_too_many_waiting_cards_hears_what_to_do(desk, most, sentence):
    desk.tenant.aisix.add_key("Another", secret="sk-another-0123456789")
    desk.service._rules = desk.service.rules.but(**most)  # noqa: SLF001
    first = await desk.ask("OpenAI production")

    for again in (desk.ask("Another"), desk.service.offer_picker("/rotate-key", by=FIRST, channel="C_OPS")):
        with pytest.raises(WrongState, match=sentence):
            await again
    await desk.ask("Another", SECOND, "C_OTHER")
    await desk.service.cancel(first.id, by=FIRST)
    await desk.service.offer_picker("/rotate-key", by=FIRST, channel="C_OPS")


@pytest.mark.parametrize("name", [None, "OpenAI production", " openai  PRODUCTION", "openai"])
async def test_a_key_that_waits_for_its_secret_is_not_asked_for_twice(desk, name):
    first = await desk.ask("OpenAI production")

    assert await refused(desk, name or desk.tenant.key.id) == first
    assert await desk.store.under_way() == [first]


@pytest.mark.parametrize("recorded", [True, False])
async def test_the_replacement_of_a_rotation_is_not_asked_for_twice(desk, recorded):
    first = await given(desk, await desk.ask("OpenAI production"))
    key = made(desk, first)
    first = await desk.save(first, made=(key.id,)) if recorded else first

    for name in (key.id, first.names[-1], "OpenAI production", "openai"):
        assert await refused(desk, name) == first


async def test_a_replacement_that_is_not_listed_yet_is_not_asked_for_twice(desk):
    first = await given(desk, await desk.ask("OpenAI production"), made=("pk_not_listed",))

    assert await refused(desk, first.names[-1]) == first
    assert await refused(desk, "pk_not_listed") == first


async def test_a_key_that_has_just_been_replaced_is_answered_with_its_rotation(desk):
    old = desk.tenant.key
    first = await given(desk, await desk.ask(old.id), deleted_at=NOW, approvals=(approval(),))
    desk.tenant.aisix.remove(desk.tenant.chat)
    desk.tenant.aisix.remove(old)

    assert await refused(desk, old.id) == await refused(desk, "OpenAI production") == first


async def test_the_replacement_can_be_rotated_in_turn_once_the_old_key_is_deleted(desk):
    first = await given(desk, await desk.ask("OpenAI production"), deleted_at=NOW, approvals=(approval(),))
    key = made(desk, first)
    await desk.save(first, made=(key.id,))

    assert (await desk.ask(key.id)).plan.old_key.id == key.id


async def in_trouble(desk: Desk) -> Rotation:
    first = await given(desk, await desk.ask("OpenAI production"), deleted_at=NOW, approvals=(approval(),))
    key = made(desk, first)
    trouble = Trouble(at=NOW, about="a", sentence="a fails")
    wanted = first.replacement.but(key_id=key.id)
    return await desk.save(first, made=(key.id,), replacement=wanted, troubles=(trouble,))


async def press_another(desk: Desk, first: Rotation, by: str, shown: list[Rotation]) -> None:
    """Press **Another secret** on its card, as Slack brings it."""

    async def show(rotation: Rotation) -> None:
        shown.append(rotation)

    announcer = SimpleNamespace(first=show, link=AsyncMock(return_value="https://card"))
    body = {"user": {"id": by}, "team": {"id": "T1"}, "channel": {"id": "D_ELSEWHERE"}, "trigger_id": by}
    answers = AsyncMock(trouble_behind=lambda _: "")
    await another_secret(
        ack=AsyncMock(), action={"value": first.id}, body=body, rotations=desk.service, forms=None,
        announcer=announcer, answers=answers, secret_pages=None,
    )  # fmt: skip
    for told in answers.tell.await_args_list:
        raise WrongState(told.args[1])


@pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETED])
async def test_after_the_delete_another_secret_starts_one_rotation_of_the_new_key_for_people_who_may_ask(desk, state):
    first = await in_trouble(desk)
    first = await desk.save(first.to(state)) if state is State.COMPLETED else first
    shown: list[Rotation] = []
    outcomes = await asyncio.gather(
        *(press_another(desk, first, by, shown) for by in (FIRST, SECOND)), return_exceptions=True
    )

    (second,) = shown
    (told,) = filter(None, outcomes)
    assert "is already being rotated: waiting for the new secret. <https://card|Open its card>" in str(told)
    assert (second.plan.old_key.id, second.channel, second.state) == (first.made[0], "C_OPS", State.AWAITING_SECRET)
    assert await desk.service.load(first.id) == first


async def test_after_the_delete_a_form_that_would_move_models_back_is_refused(desk):
    first = await in_trouble(desk)

    with pytest.raises(WrongState, match="The old key is deleted by now"):
        await desk.service.another_secret(first.id, by=FIRST, agreed=1)
    assert await desk.service.load(first.id) == first


async def test_where_the_new_key_is_gone_too_another_secret_says_so(desk):
    first = await in_trouble(desk)
    desk.tenant.aisix.remove(desk.tenant.aisix.provider_keys[first.made[0]])

    with pytest.raises(WrongState, match="Keyturn knows no provider key"):
        await press_another(desk, first, FIRST, [])


async def test_two_simultaneous_requests_make_one_card_and_the_second_is_told(desk):
    outcomes = await asyncio.gather(
        desk.ask("OpenAI production"), desk.ask(desk.tenant.key.id, SECOND), return_exceptions=True
    )

    (first,) = [outcome for outcome in outcomes if isinstance(outcome, Rotation)]
    (other,) = [outcome for outcome in outcomes if isinstance(outcome, BeingRotated)]
    assert other.rotation == first
    assert await desk.store.under_way() == [first]


async def test_an_out_of_date_list_starts_no_rotation_of_a_deleted_key(desk):
    await desk.save((await given(desk, await desk.ask("OpenAI production"))).to(State.COMPLETED))

    with pytest.raises(WrongState, match="Another rotation has replaced this key already, and deleted it"):
        await desk.ask("OpenAI production")


async def test_a_rotation_blocks_no_request_for_another_key(desk):
    await desk.ask("OpenAI production")
    other = desk.tenant.aisix.add_key("OpenAI staging", secret="sk-staging-0123456789")

    with pytest.raises(AmbiguousKey):
        await desk.ask("openai")
    with pytest.raises(UnknownKey):
        await desk.ask("Anthropic")
    assert (await desk.ask("OpenAI staging")).plan.old_key.id == other.id
