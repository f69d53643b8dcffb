"""The sandbox's providers do and refuse what is known of the real ones; their credentials serve at its upstream."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.aisix import Aisix
from sandbox.providers import Anthropic, OpenAI, OpenRouter, ProviderServer, Switches
from sandbox.providers.openai import PROJECT

P = f"/organization/projects/{PROJECT}"


class Hand:
    """One provider and a client with its admin key; its time stands until it is moved."""

    def __init__(self, kind: type[ProviderServer]) -> None:
        self.at = 1_800_000_000.0
        self.provider = kind(now=lambda: self.at)
        self.switches: Switches = self.provider.switches

    async def __call__(self, method: str, path: str, body: Any = None, *, key: str = "", **query: Any) -> Any:
        key = key or self.provider.admin_key
        headers = {"Authorization": f"Bearer {key}", "x-api-key": key, "anthropic-version": "2023-06-01"}
        async with httpx.AsyncClient(base_url=self.provider.base_url, trust_env=False, headers=headers) as client:
            return await client.request(method, path, json=body, params=query)

    async def made(self, name: str = "keyturn-abc-1") -> tuple[str, str]:
        """Have a credential made; return its id and its secret."""
        if isinstance(self.provider, OpenAI):
            made = (await self("POST", f"{P}/service_accounts", {"name": name})).json()["api_key"]
            return made["id"], made["value"]
        if isinstance(self.provider, Anthropic):
            by_hand = self.provider.by_hand(name)
            return by_hand.id, by_hand.secret
        made = (await self("POST", "/keys", {"name": name})).json()
        return made["data"]["hash"], made["key"]

    async def end(self, row: str, *, for_good: bool = False) -> httpx.Response:
        """Disable a credential, or where that is impossible delete it."""
        if isinstance(self.provider, OpenAI):
            return await self("DELETE", f"{P}/api_keys/{row}")
        if isinstance(self.provider, Anthropic):
            status = "archived" if for_good else "inactive"
            return await self("POST", f"/organizations/api_keys/{row}", {"status": status})
        return await (self("DELETE", f"/keys/{row}") if for_good else self("PATCH", f"/keys/{row}", {"disabled": True}))

    async def rows(self, **query: Any) -> list[Any]:
        path = {OpenAI: f"{P}/api_keys", Anthropic: "/organizations/api_keys", OpenRouter: "/keys"}
        return (await self("GET", path[type(self.provider)], **query)).json()["data"]

    async def alive(self, secret: str) -> bool:
        """Ask as the secret's owner."""
        path = "/key" if isinstance(self.provider, OpenRouter) else "/models"
        return (await self("GET", path, key=secret)).status_code == 200


@pytest.fixture(params=[OpenAI, Anthropic, OpenRouter], ids=lambda kind: kind.title)
async def hand(request: Any) -> AsyncIterator[Hand]:
    one = Hand(request.param)
    async with one.provider:
        yield one


async def test_a_credential_serves_at_the_upstream_until_it_is_ended_and_its_use_shows(hand):
    async with Aisix() as aisix:
        aisix.upstream.issuers.append(hand.provider)
        row, secret = await hand.made()
        own = {"api_base": "https://openrouter.ai/api/v1", "adapter": "openai"}
        settings = own if isinstance(hand.provider, OpenRouter) else {}
        key = aisix.add_key("the key", secret=secret, provider=hand.provider.title.lower(), **settings)
        aisix.add_model("production", "chat", key=key, upstream="gpt-4o", settled=True)

        async def ask() -> httpx.Response:
            headers = {"Authorization": f"Bearer {aisix.app_caller_key('production')}"}
            body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
            async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
                return await client.post(f"{aisix.gateway_url('production')}/v1/chat/completions", json=body)

        assert (await ask()).status_code == 200
        used = hand.provider.last_used(hand.provider.credentials[row])
        await hand.end(row)

        refused = await ask()
        assert (refused.status_code, used) == (401, hand.at)
        assert secret not in refused.text


async def test_a_new_secret_is_taken_after_its_delay_and_an_ended_one_flaps_after_its_own(hand):
    hand.switches.works_after, hand.switches.refused_after, hand.switches.flaps = 3, 2, 4
    row, secret = await hand.made()
    assert not await hand.alive(secret)
    hand.at += 3
    assert await hand.alive(secret)

    await hand.end(row)
    assert await hand.alive(secret)
    hand.at += 2
    assert [await hand.alive(secret) for _ in range(6)] == [True, False, True, False, False, False]


async def test_calls_without_the_admin_key_are_refused_and_unknown_ids_not_found(hand):
    _, secret = await hand.made()
    path = {OpenAI: f"{P}/api_keys", Anthropic: "/organizations/api_keys", OpenRouter: "/keys"}[type(hand.provider)]

    assert (await hand("GET", path, key=secret)).status_code == 401
    assert (await hand("GET", f"{path}/nobody")).status_code == 404


async def test_a_lost_answer_leaves_the_credential_there():
    hand = Hand(OpenRouter)
    async with hand.provider:
        hand.provider.faults.drop("POST", "/keys", after_effect=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await hand("POST", "/keys", {"name": "keyturn-abc-1"})

        assert [row["name"] for row in await hand.rows()] == ["keyturn-abc-1"]


HIDDEN = [
    (OpenAI, {}, {"owner_project_access": "any"}),
    (OpenRouter, {}, {"include_disabled": "true"}),
    (Anthropic, {"limit": 1, "status": "active"}, {"status": "inactive"}),
]


@pytest.mark.parametrize(("kind", "hides", "shows"), HIDDEN)
async def test_a_list_leaves_out_what_it_is_not_asked_for(kind, hides, shows):
    hand = Hand(kind)
    async with hand.provider:
        row, _ = await hand.made()
        if kind is not OpenAI:
            await hand.end(row)

        assert await hand.rows(**hides) == []
        assert [each.get("id") or each["hash"] for each in await hand.rows(**shows)] == [row]


async def test_lists_go_on_where_the_last_page_ended():
    hand = Hand(OpenAI)
    async with hand.provider:
        made = [(await hand.made(f"keyturn-{number}"))[0] for number in range(3)]
        first = await hand("GET", f"{P}/api_keys", limit=2, owner_project_access="any")
        then = await hand("GET", f"{P}/api_keys", limit=2, owner_project_access="any", after=first.json()["last_id"])

    pages = [(page.json()["has_more"], [row["id"] for row in page.json()["data"]]) for page in (first, then)]
    assert pages == [(True, made[:2]), (False, made[2:])]


@pytest.mark.parametrize("allowed", [True, False])
async def test_openai_deletes_one_key_of_a_service_account_or_only_the_whole_account(allowed):
    hand = Hand(OpenAI)
    async with hand.provider:
        hand.switches.single_delete = allowed
        row, secret = await hand.made()
        assert (await hand.end(row)).status_code == (200 if allowed else 400)
        [account] = (await hand("GET", f"{P}/service_accounts")).json()["data"]

        await hand("DELETE", f"{P}/service_accounts/{account['id']}")
        assert not await hand.alive(secret)


async def test_openai_ends_a_key_at_a_date_that_can_be_moved_until_it_has_passed():
    hand = Hand(OpenAI)
    async with hand.provider:
        row, secret = await hand.made()
        await hand("POST", f"{P}/api_keys/{row}", {"expires_in_seconds": 60})
        hand.at += 59
        assert await hand.alive(secret)
        await hand("POST", f"{P}/api_keys/{row}", {"expires_in_seconds": 10})
        hand.at += 10

        assert not await hand.alive(secret)
        assert (await hand("POST", f"{P}/api_keys/{row}", {"expires_in_seconds": 10})).status_code == 400


async def test_anthropic_makes_none_enables_up_to_its_limit_and_never_what_is_archived():
    hand = Hand(Anthropic)
    async with hand.provider:
        (first, _), (second, _) = await hand.made("first"), await hand.made("second")
        assert (await hand("POST", "/organizations/api_keys", {"name": "third"})).status_code == 405
        await hand.end(first)
        hand.switches.most_active = 1
        limited = await hand("POST", f"/organizations/api_keys/{first}", {"status": "active"})
        await hand.end(second, for_good=True)

        assert limited.json()["error"]["details"] == {"error_code": "workspace_api_key_limit_exceeded"}
        assert (await hand("POST", f"/organizations/api_keys/{first}", {"status": "active"})).status_code == 200
        assert (await hand("POST", f"/organizations/api_keys/{second}", {"status": "active"})).status_code == 400
        assert {row["status"] for row in await hand.rows()} == {"active", "archived"}


@pytest.mark.parametrize(("lag", "knows", "shown"), [(0, True, 1), (600, True, 0), (0, False, 0)])
async def test_anthropics_report_of_use_lags_and_may_know_nothing(lag, knows, shown):
    hand = Hand(Anthropic)
    async with hand.provider:
        row, secret = await hand.made()
        hand.provider.used(secret, "claude")
        hand.at += 60
        hand.switches.last_used_lag, hand.switches.shows_use = lag, knows
        asked = {"starting_at": "2027-01-15T00:00:00Z", "bucket_width": "1h", "group_by[]": "api_key_id"}
        report = (await hand("GET", "/organizations/usage_report/messages", **asked)).json()

    found = [each["api_key_id"] for bucket in report["data"] for each in bucket["results"]]
    assert found == [row] * shown


@pytest.mark.parametrize("kind", [OpenAI, OpenRouter])
async def test_a_name_that_is_taken_and_a_life_that_is_too_long_are_refused_where_that_is_so(kind):
    hand = Hand(kind)
    async with hand.provider:
        path = f"{P}/service_accounts" if kind is OpenAI else "/keys"
        await hand.made("keyturn-abc-1")
        hand.switches.unique_names = True
        again = await hand("POST", path, {"name": "keyturn-abc-1"})
        hand.switches.longest = 3600
        for_ever = await hand("POST", path, {"name": "keyturn-abc-2"})

        assert (again.status_code, for_ever.status_code) == (400, 400)
