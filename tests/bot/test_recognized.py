"""Which credential at the provider a given secret is: found by its hint while it is here, and never at a cost."""

import asyncio
from typing import Any

import pytest

from bot.rotation.credentials import Row
from bot.rotation.secret import Submitted
from bot.service import replacements
from tests.bot.conftest import Desk
from tests.bot.test_giving_references import SECRET
from tests.bot.test_pressing import of_its_key
from tests.bot.values import NOW
from tests.support.providers import Account, Accounts, lost, refused


@pytest.fixture
def account(desk: Desk) -> Account:
    made = Account(lambda: NOW)
    made.holds("sk-old-0123456789abcdefghijklmnop")
    desk.service._providers = Accounts(openai=made)  # noqa: SLF001
    return made


async def given(desk: Desk) -> tuple[Any, Any]:
    record = await desk.save(await of_its_key(desk))
    taken = await desk.service.give_secret(record.id, Submitted(SECRET, "", "", ""), by="U_REQUESTER")
    await desk.service.create_replacement(taken)
    saved = await desk.service.load(record.id)
    assert saved.replacement
    assert saved.replacement.key_id, "the new key is created in every case"
    assert SECRET not in f"{saved.model_dump_json()}{[line async for line in desk.store.trail()]}"
    return saved.replacement.row, saved


async def test_the_one_credential_that_fits_is_recorded_before_the_form_is_forgotten(desk, account):
    row = account.holds(SECRET)

    assert (await given(desk))[0] == row
    assert account.calls == ["rows"]


@pytest.mark.parametrize(
    "arrange",
    [
        lambda account: None,
        lambda account: [account.holds(SECRET, "one"), account.holds(SECRET, "two")],
        lambda account: account.faults["rows"].append(lost("before")),
        lambda account: account.faults["rows"].append(refused()),
    ],
    ids=["none fits", "two fit", "in trouble", "refused"],
)
async def test_a_provider_that_tells_too_little_costs_nothing_but_that(desk, account, arrange):
    arrange(account)

    assert (await given(desk))[0] is None


async def test_a_provider_that_is_slow_holds_nothing_up_for_long(desk, account, monkeypatch):
    async def never() -> tuple[Row, ...]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(account, "rows", never)
    monkeypatch.setattr(replacements, "RECOGNIZED_WITHIN", 0.01)

    assert (await given(desk))[0] is None
