"""Adapters at the sandbox's providers: the whole life of a credential, and what is surprising there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.providers import KINDS as ALL
from bot.providers.account import Account
from bot.rotation.credentials import Ability, Row, Status, Usage, matching
from bot.rotation.errors import ApiError, Uncertain
from bot.settings.providers import ProviderSettings
from sandbox.providers import Anthropic, OpenAI, OpenRouter, ProviderServer
from sandbox.providers.openai import PROJECT

SERVERS: dict[str, type[ProviderServer]] = {"openai": OpenAI, "anthropic": Anthropic, "openrouter": OpenRouter}
KINDS = {kind: ALL[kind] for kind in SERVERS}
HOUR = 3600


class Both:
    """A server, and what asks it; their time stands until it is moved."""

    def __init__(self, kind: str) -> None:
        self.at = 1_800_000_000.0
        self.kind = kind
        self.server: Any = SERVERS[kind](now=lambda: self.at)

    def account(self, **given: Any) -> Account:
        needed = {"project": PROJECT} if self.kind == "openai" else {}
        written = {"kind": self.kind, "admin_key": self.server.admin_key, "url": self.server.base_url} | needed | given
        return KINDS[self.kind]("main", ProviderSettings.model_validate(written), self.now)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    async def made(self, name: str = "keyturn-abc-1") -> tuple[Row, SecretStr]:
        account = self.account()
        if Ability.MINT in account.abilities:
            minted = await account.mint(name, None)
            return minted.row, minted.secret
        made = self.server.by_hand(name)
        return await account.read(made.id), SecretStr(made.secret)


@asynccontextmanager
async def at(kind: str) -> AsyncIterator[Both]:
    both = Both(kind)
    async with both.server:
        yield both


@pytest.mark.parametrize("kind", KINDS)
async def test_a_credential_is_made_listed_recognized_used_and_ended(kind):
    async with at(kind) as both:
        account, (made, secret) = both.account(), await both.made()
        both.at += HOUR
        rows = await account.rows()

        assert [row.name for row in rows] == ["keyturn-abc-1"]
        assert matching(rows, secret) == rows[0] == await account.read(made.id)
        assert (rows[0].status, await account.works(secret)) == (Status.ACTIVE, True)
        for _ in "again":
            await account.delete(made.id)
        assert (await account.read(made.id)).status is Status.GONE
        assert await account.works(secret) is False


@pytest.mark.parametrize("kind", [kind for kind in KINDS if Ability.DISABLE in KINDS[kind].abilities])
async def test_a_disabled_credential_is_listed_refused_and_can_be_enabled_again(kind):
    async with at(kind) as both:
        account, (made, secret) = both.account(), await both.made()
        for change, status, works in ((account.disable, "disabled", False), (account.enable, "active", True)):
            for _ in range(2):
                await change(made.id)
            assert [row.status.value for row in await account.rows()] == [status]
            assert await account.works(secret) is works


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_is_read_to_its_end(kind):
    async with at(kind) as both:
        for number in range(230 if kind != "anthropic" else 2030):
            both.server.by_hand(f"key {number}")

        assert len(await both.account().rows()) == len(both.server.credentials)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("uses", "since", "known", "last"),
    [
        ([], -HOUR, False, None),
        ([-2 * HOUR], -HOUR, True, None),
        ([-2 * HOUR, -600], -HOUR, True, -600),
        ([-9 * 24 * HOUR, -2 * HOUR], -8 * 24 * HOUR, True, -2 * HOUR),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_use_since_then_is_seen_and_one_that_was_never_used_is_unknown(kind, uses, since, known, last):
    async with at(kind) as both:
        row, _ = await both.made()
        now = both.at
        for use in uses:
            both.at = now + use
            both.server.used(both.server.credentials[row.id].secret, "gpt-4o")
        both.at = now
        found = await both.account().usage(row, both.now() + timedelta(seconds=since))

        assert found.is_known is known
        assert (found.last_at is None) is (last is None)
        if last is not None and found.last_at:
            assert timedelta(0) <= found.last_at - (both.now() + timedelta(seconds=last)) <= timedelta(hours=1)


async def test_figures_of_use_that_show_late_are_not_taken_for_no_use():
    async with at("anthropic") as both:
        row, _ = await both.made()
        both.server.switches.last_used_lag = HOUR
        both.server.used(both.server.credentials[row.id].secret, "claude")

        assert await both.account().usage(row, both.now()) == Usage()


@pytest.mark.parametrize(("single", "others"), [(True, 0), (True, 1), (False, 0), (False, 1)])
async def test_a_service_account_is_deleted_only_with_its_only_key(single, others):
    async with at("openai") as both:
        account, (made, secret) = both.account(), await both.made()
        both.server.switches.single_delete = single
        (owner,) = both.server.accounts
        for _ in range(others):
            both.server.by_hand("Key 2", owner=owner)
        if single or not others:
            await account.delete(made.id)
            assert await account.works(secret) is False
        else:
            with pytest.raises(ApiError, match="keyturn-abc-1 has other keys: delete this one in OpenAI's console"):
                await account.delete(made.id)
            assert await account.works(secret)

        assert [*both.server.accounts] == [owner] * others


async def test_a_service_account_of_somebody_else_stays_when_its_last_key_is_deleted():
    async with at("openai") as both:
        account, (made, _) = both.account(), await both.made("somebody's")
        await account.delete(made.id)

        assert len(both.server.accounts) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"project": "proj_other"}, "has no project proj_other for this admin key (404)"),
        ({"admin_key": "sk-admin-other"}, "does not accept the admin key (401)"),
    ],
)
async def test_what_the_wrong_account_does_not_know_is_not_gone(wrong, said):
    async with at("openai") as both:
        made, _ = await both.made()
        for call in (both.account(**wrong).read, both.account(**wrong).delete):
            with pytest.raises(ApiError) as raised:
                await call(made.id)
            assert said in str(raised.value)


async def test_a_key_that_anthropic_does_not_know_is_not_gone_as_archived_ones_stay():
    async with at("anthropic") as both:
        with pytest.raises(ApiError, match="may be of another organization"):
            await both.account().read("apikey_other")


async def test_a_limit_of_active_keys_is_told_when_one_can_not_be_enabled():
    async with at("anthropic") as both:
        account, (made, _) = both.account(), await both.made()
        await account.disable(made.id)
        both.server.by_hand("another")
        both.server.switches.most_active = 1
        with pytest.raises(ApiError, match="its limit of active keys is reached"):
            await account.enable(made.id)


async def test_the_limits_of_the_old_key_are_copied_and_what_nothing_shows_is_named():
    async with at("openrouter") as both:
        old = both.server.by_hand("old", owner="workspace-2")
        old.settings = {"limit": 20.0, "limit_reset": "monthly", "include_byok_in_limit": True}
        account = both.account(workspace="workspace-2")
        (row,) = await account.rows()
        minted = await account.mint("keyturn-abc-1", row)

        made = both.server.credentials[minted.row.id]
        assert (made.settings, made.owner) == (old.settings, "workspace-2")
        assert minted.copied == ("limit", "reset of the limit", "own keys in the limit", "workspace")
        assert minted.uncopied == ("guardrails",)
        assert await both.account().rows() == (), "the list of no workspace is that of the default one"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if Ability.MINT in KINDS[kind].abilities])
async def test_a_lost_answer_to_a_mint_is_found_by_its_name(kind):
    async with at(kind) as both:
        path = "/service_accounts" if kind == "openai" else "/keys"
        both.server.faults.drop("POST", path, after_effect=True)
        with pytest.raises(Uncertain) as raised:
            await both.made()
        (orphan,) = await both.account().rows()

        assert raised.value.arrived
        assert orphan.name == "keyturn-abc-1"


async def test_a_policy_that_asks_for_an_expiry_date_is_told():
    async with at("openai") as both:
        both.server.switches.longest = HOUR
        with pytest.raises(ApiError, match="a policy there may ask for an expiry date"):
            await both.made()
