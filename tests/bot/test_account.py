"""The provider account of the tests does what `Provider` promises, and its faults do what they say."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.rotation.credentials import Status, matching
from bot.rotation.errors import Uncertain
from tests.support.in_memory import OLD_SECRET, tenancy_of
from tests.support.providers import lost


async def test_a_minted_secret_serves_once_it_is_known_and_no_more_when_it_is_disabled():
    async with tenancy_of() as tenancy:
        account, upstream = tenancy.account, tenancy.aisix.upstream
        account.works_after = timedelta(seconds=5)
        made = await account.mint("keyturn-abc-1", None)
        secret = made.secret.get_secret_value()
        assert (await account.works(made.secret), upstream.accepts(secret)) == (False, False)

        tenancy.clock.seconds = 5
        assert (await account.works(made.secret), upstream.accepts(secret)) == (True, True)

        await account.disable(made.row.id)
        assert (await account.works(made.secret), upstream.accepts(secret)) == (False, False)


async def test_the_use_of_the_old_key_through_a_gateway_is_seen_at_the_provider():
    async with tenancy_of() as tenancy:
        account, since = tenancy.account, tenancy.clock.now()
        row = matching(await account.rows(), SecretStr(OLD_SECRET))
        assert row
        assert not (await account.usage(row, since)).last_at
        await tenancy.ask("production", "chat-large")

        assert (await account.usage(row, since)).last_at == since


async def test_an_answer_that_is_lost_after_the_effect_leaves_a_row():
    async with tenancy_of() as tenancy:
        tenancy.account.faults["mint"] = [lost("before"), lost()]
        for _ in range(2):
            with pytest.raises(Uncertain):
                await tenancy.account.mint("keyturn-abc-1", None)

        assert [row.name for row in tenancy.account.active] == ["made by hand", "keyturn-abc-1"]


async def test_what_is_deleted_flaps_and_is_gone():
    async with tenancy_of() as tenancy:
        account = tenancy.account
        account.flaps = 4
        await account.delete("row-1")
        await account.delete("row-1")
        answers = [await account.works(SecretStr(OLD_SECRET)) for _ in range(6)]

        assert answers == [True, False, True, False, False, False]
        assert (await account.read("row-1")).status is Status.GONE
        assert await account.rows() == ()
