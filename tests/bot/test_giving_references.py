"""A reference in place of the secret: read last of all, checked as what is typed, and told by its version alone."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from bot.rotation.errors import ApiError, BadInput, Refused, Uncertain
from bot.rotation.fingerprint import fingerprint_of
from bot.rotation.parts import Way
from bot.rotation.record import Replacement
from bot.rotation.references import Allowance, Kind, Reference, Sourced, prefix_of
from bot.rotation.secret import Submitted
from bot.service import replacements
from bot.service.verbs import LooksLikeSecret
from bot.sources import AtStores
from tests.bot.conftest import PEPPER, Desk
from tests.bot.test_pressing import of_its_key, texts_on
from tests.bot.values import NOW, key, rotation, running

SECRET = "sk-new-CANARY0123456789abcdefXYZ"
REFERENCE = "vault:kv/openai#key"
TOKEN = "hvs.CAESIJ0123-456789_abcdef-ghij"
MAY = Allowance(prefixes=(prefix_of("vault:kv/openai"), prefix_of("vault-wrapped")), keys=("OpenAI *",))


class Held:
    """A store that holds one secret, or raises."""

    def __init__(self, secret: str | Exception = SECRET) -> None:
        self.secret, self.reads = secret, 0

    async def read(self, reference: Reference) -> Sourced:
        self.reads += 1
        if isinstance(self.secret, Exception):
            raise self.secret
        return Sourced(SecretStr(self.secret), str(reference), "3", datetime(2026, 11, 29, 12, tzinfo=UTC))

    async def tried(self) -> str:
        return "it knows the bot"


@pytest.fixture
def held(desk: Desk) -> Held:
    store = Held()
    desk.service._sources = AtStores({Kind.VAULT: store, Kind.WRAPPED: store}, (MAY,))  # noqa: SLF001
    return store


async def give(desk: Desk, typed: Mapping[str, str], by: str = "U_REQUESTER") -> Any:
    record = await desk.save(await of_its_key(desk))
    fields = {"secret": REFERENCE, "name": "", "why": "", "ticket": ""} | typed
    try:
        return await desk.service.give_secret(record.id, Submitted(*fields.values()), by=by)
    finally:
        kept = (await desk.service.load(record.id)).model_dump_json(), *[line async for line in desk.store.trail()]
        assert "CANARY" not in "".join(map(str, kept))


async def test_the_record_and_the_audit_trail_tell_the_version_and_the_upstream_gets_the_secret(desk, held):
    given = await give(desk, {"why": "quarterly"})
    *_, last = [json.loads(line) async for line in desk.store.trail()]
    source = f"{REFERENCE}, version 3 of 2026-11-29 12:00 UTC"

    assert (given.replacement.way, given.replacement.source) == (Way.REFERENCE, source)
    assert (last["what"], last["why"]) == ("gave a secret (reference)", f"quarterly · {source}")
    await desk.service.create_replacement(given)
    assert SECRET in {row.secret for row in desk.tenant.aisix.provider_keys.values()}


@pytest.mark.parametrize(
    ("typed", "by", "refused"),
    [
        ({"name": "sk-proj-0a1B2c3D4e5F6g7H"}, "U_REQUESTER", "name"),
        ({"name": f"wrapped {TOKEN}"}, "U_REQUESTER", "name"),
        ({"why": f"vault-wrapped:{TOKEN}#key"}, "U_REQUESTER", "reason"),
        ({"ticket": TOKEN}, "U_REQUESTER", "ticket"),
        ({"why": ""}, "U_REQUESTER", "reason"),
        ({}, "U_NOBODY", None),
        ({"secret": "vault:kv/other#key"}, "U_REQUESTER", "secret"),
    ],
)
async def test_what_can_be_refused_without_the_secret_is_refused_before_it_is_read(desk, held, typed, by, refused):
    desk.service._rules = desk.service.rules.but(require_reason=True)  # noqa: SLF001
    with pytest.raises(Refused) as refusal:
        await give(desk, {"why": "quarterly", "secret": f"vault-wrapped:{TOKEN}#key"} | typed, by)

    assert getattr(refusal.value, "field", None) == refused
    assert held.reads == 0


WRONG: dict[str, str | Exception] = {
    "This": f"{SECRET} {SECRET}",
    "This is empty": "",
    "This is a secret of Keyturn's own settings": "an-admin-token-CANARY",
    "This is a JSON document": f'{{"key": "{SECRET}"}}',
    "Vault has nothing there.": ApiError("Vault has nothing there."),
    "Vault does not answer.": Uncertain("Vault does not answer."),
}
"""By what is said of it."""


@pytest.mark.parametrize("said", WRONG)
async def test_what_is_read_is_refused_as_what_is_typed_and_leaves_nothing_behind(desk, held, said):
    held.secret = WRONG[said]
    desk.service._own = (SecretStr("an-admin-token-CANARY"),)  # noqa: SLF001
    with pytest.raises(BadInput, match=said) as refusal:
        await give(desk, {})

    assert refusal.value.field == "secret"
    assert SECRET not in texts_on(refusal.value)


async def test_the_secret_in_use_is_recognized_behind_a_reference(desk, held):
    old = (await of_its_key(desk)).plan.old_key
    maker = running(id="rmaker2", made=(old.id,), plan=rotation().plan.but(old_key=key("pk_older")))
    known = fingerprint_of(SecretStr(SECRET), old, PEPPER)
    wanted = Replacement(name="OpenAI production", asked_at=NOW, key_id=old.id, fingerprint=known)
    await desk.save(maker.but(replacement=wanted))

    with pytest.raises(BadInput, match="This is the secret that is in use already"):
        await give(desk, {})


async def test_a_store_that_does_not_answer_in_time_for_slack_is_given_up(desk, held, monkeypatch):
    monkeypatch.setattr(held, "read", lambda _: asyncio.Event().wait())
    monkeypatch.setattr(replacements, "READ_WITHIN", 0.01)
    with pytest.raises(BadInput, match="Nothing was read within") as refusal:
        await give(desk, {})

    assert refusal.value.field == "secret"


async def test_without_the_setting_a_reference_is_no_secret(desk):
    with pytest.raises(BadInput, match="allow the reference in SECRET_SOURCES"):
        await give(desk, {})


@pytest.mark.parametrize(("asked", "error"), [(f"vault-wrapped:{TOKEN}#key", LooksLikeSecret), (REFERENCE, Refused)])
async def test_a_reference_in_the_command_reads_nothing(desk, held, asked, error):
    with pytest.raises(error) as refusal:
        await desk.ask(asked)

    assert TOKEN not in str(refusal.value)
    assert held.reads == 0
