"""One key, one rotation: a second request for it is answered with the first, by whatever name it asks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.rotation.errors import AmbiguousKey, CannotPost, NotAllowed, Refused, Unanswerable, UnknownKey, WrongState
from bot.rotation.policy import Person, Pressed
from bot.rotation.record import Replacement, Rotation
from bot.rotation.states import State
from bot.service import BeingRotated, LooksLikeSecret, RotationService
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from sandbox.aisix import ProviderKey
from tests.bot.conftest import Tenant
from tests.bot.values import NAMESPACE, NOW, SECRET, approval, rules

FIRST, SECOND = "U_REQUESTER", "U_COLLEAGUE"
EVENT = {"by": "a test", "what": "recorded", "why": ""}


class Everybody:
    """Slack, where everybody is a full member."""

    async def person(self, user_id: str) -> Person:
        return Person(id=user_id)

    async def members(self, _: str) -> frozenset[str]:
        return frozenset()


class Desk:
    """What people can ask for, over a real store and a sandbox's AISIX."""

    def __init__(self, tenant: Tenant, service: RotationService, store: Store, redis: Redis) -> None:
        self.tenant, self.service, self.store, self.redis = tenant, service, store, redis

    async def ask(self, name: str, by: str = FIRST) -> Rotation:
        return await self.service.start(name, by=by, team="T1", channel="C_OPS")

    async def refused(self, name: str) -> Rotation:
        """Ask once more, and return the rotation that the answer names."""
        with pytest.raises(BeingRotated) as answer:
            await self.ask(name, SECOND)
        return answer.value.rotation

    async def save(self, rotation: Rotation, **changes: Any) -> Rotation:
        return await self.store.save(rotation.but(**changes), EVENT, at=NOW)

    async def given(self, rotation: Rotation, **changes: Any) -> Rotation:
        """Give its secret, as far as the record goes: a replacement has been asked for by its name."""
        name = self.service.proposed_name(rotation)
        wanted = Replacement(name=name, asked_at=NOW)
        begun = rotation.to(State.RUNNING).but(attempt=1, names=(name,), replacement=wanted)
        return await self.save(begun, **changes)

    async def unclaim(self, rotation: Rotation) -> None:
        await self.redis.delete(NAMESPACE.key("active", rotation.plan.old_key.id))

    def made(self, rotation: Rotation) -> ProviderKey:
        return self.tenant.aisix.add_key(rotation.names[-1], secret=SECRET)


@pytest.fixture
async def desk(tenant: Tenant, redis_url: str) -> AsyncIterator[Desk]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis, Redis.from_url(redis_url) as plain:
        store = Store(redis, NAMESPACE)
        service = RotationService(
            store=store,
            jobs=Jobs(RedisQueue(plain, name="keyturn")),
            control_plane=await tenant.control_plane(),
            directory=Everybody(),
            rules=rules(approvers=frozenset({"U_APPROVER"})),
            gateways=frozenset({tenant.environment}),
            now=lambda: NOW,
        )
        yield Desk(tenant, service, store, redis)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (None, State.AWAITING_SECRET),
        (CannotPost("I am not in this channel."), State.CANCELLED),
        (Unanswerable("Redis does not answer."), State.AWAITING_SECRET),
    ],
)
async def test_a_rotation_whose_card_cannot_be_posted_is_given_up_and_who_asked_hears_why(desk, trouble, state):
    async def show(_: Rotation) -> None:
        if trouble:
            raise trouble

    with pytest.raises(type(trouble)) if trouble else nullcontext():
        await desk.service.begin("OpenAI production", by=FIRST, team="T1", channel="C_OPS", request="1", show=show)
    assert [rotation.state for rotation in await desk.store.recent(9)] == [state]


@pytest.mark.parametrize("name", ["OpenAI production", "no such key"])
async def test_a_rotation_that_nobody_else_would_see_does_not_begin(desk, name):
    with pytest.raises(NotAllowed, match="Use `/rotate-key` in a channel; `/invite @keyturn` there first"):
        await desk.service.start(name, by=FIRST, team="T1", channel="D_REQUESTER")
    assert await desk.store.recent(9) == []

    await desk.save(await desk.ask("OpenAI production"), state=State.CANCELLED)
    with pytest.raises(NotAllowed, match="the last rotation was in <#C_OPS>"):
        await desk.service.start(name, by=FIRST, team="T1", channel="D_REQUESTER")
    with pytest.raises(NotAllowed, match="<#C_OPS>"):
        await desk.service.offer_picker("/rotate-key", by=FIRST, channel="D_REQUESTER")


async def test_a_channel_is_named_also_where_the_last_rotation_was_in_a_direct_message(desk):
    """A version before allowed that."""
    first = await desk.ask("OpenAI production")
    direct = first.but(id="rother2", version=0, channel="D1", requested_at=NOW + timedelta(days=1))
    await desk.unclaim(first)
    await desk.save(direct)

    with pytest.raises(NotAllowed, match="<#C_OPS>"):
        await desk.service.offer_picker("/rotate-key", by=FIRST, channel="D_REQUESTER")


@pytest.mark.parametrize("channel", ["C_OPS", "D_APPROVER"])
async def test_a_rotation_that_only_its_requester_could_approve_does_not_begin(desk, channel):
    for ask in (desk.service.start("OpenAI production", by="U_APPROVER", team="T1", channel=channel),
                desk.service.offer_picker("/rotate-key", by="U_APPROVER", channel=channel)):  # fmt: skip
        with pytest.raises(NotAllowed, match="Nobody of the people in APPROVERS can approve what you ask for"):
            await ask
    assert await desk.store.recent(9) == []


async def test_a_secret_that_is_typed_in_a_direct_message_is_not_repeated(desk):
    with pytest.raises(Refused) as refusal:
        await desk.service.start("sk-proj-A1b2C3d4E5f6G7h8I9j0", by=FIRST, team="T1", channel="D_REQUESTER")
    assert isinstance(refusal.value, LooksLikeSecret)


async def test_the_last_approval_drops_an_earlier_one_that_no_longer_counts(desk):
    asked = await desk.given(await desk.ask("OpenAI production"))
    waits = asked.to(State.AWAITING_APPROVAL).but(approvals_required=2, approvals=(approval("U_GONE"),))
    waits = await desk.save(waits)

    after = await desk.service.approve(waits.id, by="U_APPROVER", pressed=Pressed(away=timedelta(0)))

    assert (after.state, [given.by for given in after.approvals]) == (State.AWAITING_APPROVAL, ["U_APPROVER"])
    assert [(void.by, void.lapsed) for void in after.voids] == [(("U_GONE",), True)]


NAMES: dict[str, Callable[[Desk, Rotation], str]] = {
    "id": lambda desk, _: desk.tenant.key.id,
    "name": lambda *_: "OpenAI production",
    "name, otherwise written": lambda *_: " openai  PRODUCTION",
    "beginning of the name": lambda *_: "openai",
}


@pytest.mark.parametrize("name", NAMES)
async def test_a_key_that_waits_for_its_secret_is_not_asked_for_twice(desk, name):
    first = await desk.ask("OpenAI production")

    assert await desk.refused(NAMES[name](desk, first)) == first
    assert await desk.store.under_way() == [first]


MADE: dict[str, Callable[[Rotation, ProviderKey], str]] = {
    "id": lambda _, key: key.id,
    "name that Keyturn gave": lambda rotation, _: rotation.names[-1],
    "old name": lambda *_: "OpenAI production",
    "both by their beginning": lambda *_: "openai",
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("recorded", [True, False])
async def test_nor_is_the_replacement_that_a_rotation_makes(desk, name, recorded):
    first = await desk.given(await desk.ask("OpenAI production"))
    key = desk.made(first)
    first = await desk.save(first, made=(key.id,)) if recorded else first

    assert await desk.refused(MADE[name](first, key)) == first


async def test_nor_one_whose_creation_was_never_answered_and_is_not_listed(desk):
    first = await desk.given(await desk.ask("OpenAI production"), made=("pk_not_listed",))

    assert await desk.refused(first.names[-1]) == first
    assert await desk.refused("pk_not_listed") == first


@pytest.mark.parametrize("name", ["id", "name"])
async def test_a_key_that_has_just_been_replaced_is_answered_with_its_rotation(desk, name):
    old = desk.tenant.key
    first = await desk.given(await desk.ask(old.id), deleted_at=NOW, approvals=(approval(),))
    desk.tenant.aisix.remove(desk.tenant.chat)
    desk.tenant.aisix.remove(old)

    assert await desk.refused(NAMES[name](desk, first)) == first


async def test_the_replacement_can_be_rotated_in_turn_once_the_old_key_is_deleted(desk):
    first = await desk.given(await desk.ask("OpenAI production"), deleted_at=NOW, approvals=(approval(),))
    key = desk.made(first)
    await desk.save(first, made=(key.id,))

    assert (await desk.ask(key.id)).plan.old_key.id == key.id


async def test_of_two_requests_in_the_same_moment_one_makes_a_card_and_the_other_is_told_of_it(desk):
    outcomes = await asyncio.gather(
        desk.ask("OpenAI production"), desk.ask(desk.tenant.key.id, SECOND), return_exceptions=True
    )

    (first,) = [outcome for outcome in outcomes if isinstance(outcome, Rotation)]
    (other,) = [outcome for outcome in outcomes if isinstance(outcome, BeingRotated)]
    assert other.rotation == first
    assert await desk.store.under_way() == [first]


@pytest.mark.parametrize("ends", [[State.CANCELLED], [State.RUNNING, State.ROLLING_BACK, State.ROLLED_BACK]])
async def test_after_the_end_of_one_rotation_the_key_can_be_asked_for_again(desk, ends):
    first = await desk.ask("OpenAI production")
    for state in ends:
        first = await desk.save(first.to(state))

    assert (await desk.ask("OpenAI production")).id != first.id


async def test_a_key_that_a_finished_rotation_has_deleted_is_not_begun_on_an_old_list(desk):
    await desk.save((await desk.given(await desk.ask("OpenAI production"))).to(State.COMPLETED))

    with pytest.raises(WrongState, match="Another rotation has replaced this key already, and deleted it"):
        await desk.ask("OpenAI production")


async def test_other_keys_are_asked_for_as_ever(desk):
    await desk.ask("OpenAI production")
    other = desk.tenant.aisix.add_key("OpenAI staging", secret="sk-staging-0123456789")

    with pytest.raises(AmbiguousKey):
        await desk.ask("openai")
    with pytest.raises(UnknownKey):
        await desk.ask("Anthropic")
    assert (await desk.ask("OpenAI staging")).plan.old_key.id == other.id


async def test_two_cards_of_a_version_before_go_their_way(desk):
    """That one claimed a key only with its first secret."""
    first = await desk.ask("OpenAI production")
    await desk.unclaim(first)
    second = await desk.save(first.but(id="rother2", version=0, requested_by=SECOND))
    await desk.unclaim(second)
    assert (await desk.refused("OpenAI production")).id in (first.id, second.id)

    assert await desk.service.offer_secret_form(second.id, by=SECOND) == second
    given = await desk.given(first)
    with pytest.raises(WrongState, match="Another rotation of this key is under way"):
        await desk.service.offer_secret_form(second.id, by=SECOND)
    with pytest.raises(WrongState, match="Another rotation of this key is under way"):
        await desk.service._save(second.to(State.RUNNING).but(attempt=1), SECOND, "raced")  # noqa: SLF001
    await desk.save(given.to(State.COMPLETED))
    with pytest.raises(WrongState, match="Another rotation has replaced this key already"):
        await desk.service.offer_secret_form(second.id, by=SECOND)
    assert (await desk.service.cancel(second.id, by=SECOND)).state is State.CANCELLED
