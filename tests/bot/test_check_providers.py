"""What the check says of the accounts at providers: what each can do, which keys it serves, what is wrong."""

import json
from typing import Any

import httpx
import pytest

from bot.check.providers import providers
from bot.rotation.inventory import Inventory, ProviderKey
from bot.settings import read_settings
from tests.bot.test_check_product import SETTINGS
from tests.support.calls import Answer

ADMIN = "sk-admin-CANARY"
MAIN = {"kind": "openai", "admin_key": ADMIN, "project": "proj_1"}
KEYS = (
    ProviderKey(id="k1", display_name="OpenAI production", provider="openai"),
    ProviderKey(id="k2", display_name="Proxy", provider="openai", settings={"api_base": "https://proxy.example/v1"}),
    ProviderKey(id="k3", display_name="Claude", provider="anthropic"),
)
ROW = {"id": "key_1", "name": "ci", "owner": {}, "redacted_value": "sk-...abcd"}
LIST = (200, {"data": [ROW], "has_more": False})


class Lists:
    async def inventory(self) -> Inventory:
        return Inventory(environments=(), keys=KEYS, models=())


def answered(request: httpx.Request) -> Answer:
    if "/usage/" in request.url.path:
        return (403, {})
    return (200, ROW) if request.url.path.endswith("key_1") else LIST


async def checked(written: Any, monkeypatch: pytest.MonkeyPatch, given: Any = answered) -> list[str]:
    asked = list[httpx.Request]()

    async def carried(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, told = given(request)
        return httpx.Response(status, json=told)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", carried)
    environ = SETTINGS | {"AISIX_ADMIN_TOKEN": "at", "PROVIDERS": json.dumps(written)}
    settings = read_settings(None, environ)
    lines = [str(line) for each in providers(settings, Lists()) for line in await each.findings()]
    assert ADMIN not in str(lines)
    assert {request.method for request in asked} <= {"GET"}, "a check changes nothing"
    return lines


READ = "ok     account main: OpenAI lists 1 credential. The admin key can read; whether it may make one and delete one "
NO_USE = (
    "WARN   account main: the use of a credential can't be read, so nothing can show that one is unused. OpenAI says "
)


async def test_an_account_says_what_it_can_do_and_which_keys_it_is_for(monkeypatch):
    lines = await checked({"main": MAIN}, monkeypatch)

    assert [line.split("in PROVIDERS")[0] for line in lines] == [
        READ + "can't be tried without a change. Keyturn can't disable one there.",
        NO_USE + "that the admin key of main ",
        "ok     account main: it is for OpenAI production.",
    ]


@pytest.mark.parametrize(
    ("changes", "answer", "said"),
    [
        ({}, (401, {}), "WRONG  account main: OpenAI does not accept the admin key (401): renew `admin_key` of main"),
        ({}, (403, {}), "WRONG  account main: OpenAI says that the admin key of main in PROVIDERS may not do this"),
        (
            {},
            (404, {}),
            "WRONG  account main: OpenAI has no project proj_1 for this admin key (404): correct `project`",
        ),
        ({"keys": ["Cla*"]}, LIST, "WARN   account main: it is for no provider key, so nothing uses it"),
        ({"keys": ["O*", "Gone"]}, LIST, "WARN   account main: `keys` names Gone, and AISIX Cloud has no such"),
    ],
)
async def test_what_is_wrong_with_an_account_is_told(monkeypatch, changes, answer, said):
    lines = await checked({"main": MAIN | changes}, monkeypatch, lambda _: answer)

    assert said in "\n".join(lines)


async def test_two_accounts_that_fit_one_key_are_wrong_and_neither_is_used(monkeypatch):
    lines = await checked({"main": MAIN, "other": MAIN | {"keys": ["OpenAI*", "k2"]}}, monkeypatch)

    assert "ok     account other: it is for Proxy." in lines, "an id names a key with an address of its own"
    assert "WARN   account main: it is for no provider key" in "\n".join(lines)
    (wrong,) = [line for line in lines if line.startswith("WRONG")]
    assert wrong.startswith("WRONG  PROVIDERS: main and other fit the provider key OpenAI production, so none of them")


async def test_without_accounts_nothing_is_said(monkeypatch):
    assert await checked({}, monkeypatch) == []
