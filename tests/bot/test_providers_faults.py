"""Each fault of each call to each provider: its error, its sentence, and that none repeats an answer or a key."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.providers import KINDS
from bot.providers.account import Account
from bot.rotation.credentials import Ability, Row
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.settings.providers import ProviderSettings
from tests.support.calls import Answer, Served

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ADMIN, SECRET = "sk-admin-CANARY", "sk-proj-CANARY0123456789abcd"
LINE = httpx.ConnectError("no route to CANARY")


@pytest.fixture(autouse=True)
def an_identity_at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7KEYTURN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "CANARY")


def account(kind: str, served: Served, **given: Any) -> Account:
    needed = {"project": "proj_1"} if kind == "openai" else {}
    needed |= {"user": "bedrock"} if kind == "aws-iam" else {"admin_key": ADMIN}
    written = {"kind": kind, **needed, **given}
    return KINDS[kind]("main", ProviderSettings.model_validate(written), lambda: NOW, client=served)


CALLS = {
    "list": lambda one: one.rows(),
    "read": lambda one: one.read("id-1"),
    "mint": lambda one: one.mint("keyturn-abc-1", None),
    "last used": lambda one: one.usage(Row(id="id-1"), NOW),
    "disable": lambda one: one.disable("id-1"),
    "enable": lambda one: one.enable("id-1"),
    "delete": lambda one: one.delete("id-1"),
}
NEEDS = {"read": Ability.LIST, "enable": Ability.DISABLE}
HAS = [(kind, call) for kind, made in KINDS.items() for call in CALLS if NEEDS.get(call, call) in made.abilities]
OWN = {
    "401": "AWS does not take the bot's own identity (401)",
    "403": "AWS says that the bot's own identity may not do",
}
"""What AWS's faults are, where no admin key is."""

RENEW = "{} does not accept the admin key (401): renew `admin_key` of main in PROVIDERS."
FAULTS: dict[str, tuple[Answer, type[ApiError], str]] = {
    "400": ((400, {"error": "CANARY"}), ApiError, "(400)"),
    "401": ((401, "CANARY"), ApiError, RENEW),
    "403": ((403, "CANARY"), ApiError, "{} says that the admin key of main in PROVIDERS may not do this (403)"),
    "404": ((404, "CANARY"), NotFound, "(404)"),
    "409": ((409, "CANARY"), ApiError, "{} says that this conflicts with something there (409)."),
    "429": ((429, "CANARY"), Uncertain, "{} limits the rate (429)."),
    "500": ((500, "CANARY"), Uncertain, "{} had an error (500)."),
    "302": ((302, "CANARY"), ApiError, "{} sends Keyturn elsewhere (302), where it does not go"),
    "no connection": (LINE, Uncertain, "{} can't be reached (no connection)."),
    "time-out": (httpx.ReadTimeout("CANARY"), Uncertain, "{} does not answer (time-out)."),
    "broken off": (httpx.ReadError("CANARY"), Uncertain, "{} broke off its answer."),
    "no JSON": ((200, "<html>CANARY"), Uncertain, "{} gave an answer that Keyturn can't read."),
    "another shape": ((200, {"data": [{"name": "CANARY"}], "value": "CANARY"}), Uncertain, "{} gave an answer"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "call"), HAS)
async def test_each_fault_of_each_call_is_one_sentence(kind, call, fault):
    answer, error, said = FAULTS[fault]
    with pytest.raises(error) as raised:
        await CALLS[call](account(kind, Served(lambda _: answer)))

    said = OWN.get(fault, said) if kind == "aws-iam" else said
    assert said.format(KINDS[kind].title) in str(raised.value)
    assert type(raised.value) is error
    assert not {"CANARY", "id-1"} & {*str(raised.value).split()}
    assert "CANARY" not in f"{raised.value!r}{raised.value.__cause__!r}"
    if isinstance(raised.value, Uncertain):
        assert raised.value.arrived is (fault not in ("no connection", "429"))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_provider_cannot_do_is_refused_before_it_is_asked(kind):
    served = Served(lambda _: (200, {}))
    for call in {"mint", "disable", "enable"} - {call for one, call in HAS if one == kind}:
        with pytest.raises(Unsupported):
            await CALLS[call](account(kind, served))

    assert served.asked == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wish_to_wait_is_passed_on(kind):
    def client(_: object, **options: Any) -> httpx.AsyncClient:
        answer = httpx.Response(429, headers={"Retry-After": "17"})
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), **options)

    with pytest.raises(Uncertain) as raised:
        await account(kind, client).rows()  # type: ignore[arg-type]  # makes clients too
    assert raised.value.retry_after == 17


@pytest.mark.parametrize(
    ("answer", "works"), [(200, True), (401, False), (403, None), (429, None), (500, None), (302, None)]
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aws-iam"])
async def test_only_a_401_says_that_a_secret_does_not_work(kind, answer, works):
    told = {"object": "list", "data": {} if kind == "openrouter" else []}
    served = Served(lambda _: (answer, told))
    if works is None:
        with pytest.raises(Uncertain) as raised:
            await account(kind, served).works(SecretStr(SECRET))
        assert "CANARY" not in str(raised.value)
    else:
        assert await account(kind, served).works(SecretStr(SECRET)) is works
    assert ADMIN not in str([*served.asked[0].headers.values()]), "the secret itself is used, not the admin key"
