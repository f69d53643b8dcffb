"""Secrets by reference: what may be read for which key, and how each store answers."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.rotation.errors import ApiError, BadInput, Uncertain
from bot.rotation.references import (
    CURRENT,
    NO_SOURCES,
    Allowance,
    Reference,
    allowed,
    hint,
    is_reference,
    permitted,
    prefix_of,
)
from bot.settings.sources import AwsStore, SecretSources, VaultStore
from bot.sources import sources_of
from bot.sources.aws import Identity
from bot.sources.aws_sm import SecretsManager
from bot.sources.file import LARGEST, Folder
from bot.sources.vault import DELETED, NOTHING, REFUSED, UNWRAPPED, USED, Vault
from tests.bot.values import key
from tests.support.calls import Answer, Served, by_line

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CANARY = "sk-CANARY0123456789abcdef"
PREFIXES = tuple(map(prefix_of, ("vault:kv/openai", "aws-sm:prod/openai", "file:openai", "vault-wrapped")))
TOKEN = "hvs.CAESIJ0123456789abcdefghij"


def read(text: str) -> Reference:
    return permitted(text, PREFIXES)


# --- how one is written, and what may be read ---


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vault:kv/openai#key", {"path": ("kv", "openai"), "field": "key"}),
        (" vault:kv/openai/prod#api.key?version=12\n", {"path": ("kv", "openai", "prod"), "version": "12"}),
        ("aws-sm:prod/openai", {"path": ("prod", "openai"), "field": "", "stage": CURRENT}),
        ("aws-sm:prod/openai/a_b+c=d@e#key?stage=AWSPENDING", {"field": "key", "stage": "AWSPENDING"}),
        ("file:openai", {"path": ("openai",)}),
        (f"vault-wrapped:{TOKEN}#key", {"field": "key", "token": SecretStr(TOKEN), "path": ()}),
    ],
)
def test_a_reference_under_an_allowed_prefix_is_read(text, parts):
    reference = read(text)

    assert {name: getattr(reference, name) for name in parts} == parts
    assert TOKEN not in f"{reference} {reference!r}"


OUTSIDE = (
    f"vault:kv/{CANARY}#key",
    "vault:kv/openai2#key",
    "vault:kv/open#key",
    "vault:kv#key",
    "vault:kv2/openai#key",
    "vault:kv/anthropic#key",
    "vault:KV/openai#key",
    "vault:kv/OpenAI#key",
    "vault:openai/kv/openai#key",
    "aws-sm:prod/openai2",
    "aws-sm:prod",
    "aws-sm:PROD/openai",
    "file:openai2",
    "file:other/openai",
)
UNREADABLE = (
    f"vault:kv/openai/../{CANARY}#key",
    "vault:kv/openai/./x#key",
    "vault:kv/openai/..#key",
    "vault:kv/openai/%2e%2e/anthropic#key",
    "vault:kv/openai%2f..%2fanthropic#key",
    "vault:kv/openai//x#key",
    "vault:/kv/openai#key",
    "vault:kv/openai/#key",
    "vault:kv/openai\\..\\anthropic#key",
    "vault:kv/openai/…#key",
    "vault:kv/openai/\u2024\u2024/x#key",
    "vault:kv/openai\u200b/x#key",
    "vault:kv/openai\x00#key",
    "vault:kv/openai\n/x#key",
    "vault:kv/openai",
    "vault:kv/openai#",
    "vault:kv/openai#a/b",
    "vault:kv/openai#key?version=0",
    "vault:kv/openai#key?version=-1",
    "vault:kv/openai#key?version=1&version=2",
    "vault:kv/openai#key?stage=AWSPENDING",
    "vault:kv/openai?version=1#key",
    "vault : kv/openai#key",
    "VAULT:kv/openai#key",
    "aws-sm:arn:aws:secretsmanager:eu-central-1:1:secret:prod/openai",
    "aws-sm:prod/openai?stage=",
    "aws-sm:prod/openai?version=1",
    "file:openai#key",
    "file:/etc/passwd",
    "file:../openai",
    "file:openai/.env",
    "File:openai",
    "vault-wrapped:short#key",
    f"vault-wrapped:{TOKEN}",
    f"vault-wrapped:{TOKEN}/..#key",
    f"vault:kv/openai/{'x' * 600}#key",
)


@pytest.mark.parametrize("text", OUTSIDE + UNREADABLE)
def test_nothing_else_is_read_and_no_sentence_repeats_what_was_typed(text):
    assert is_reference(text)
    with pytest.raises(BadInput) as refusal:
        read(text)

    assert refusal.value.field == "secret"
    if text in UNREADABLE:
        assert "it should look like" in str(refusal.value)
    assert CANARY not in str(refusal.value)


@given(
    st.sampled_from(("vault:kv/openai", "vault:kv/", "vault:", "aws-sm:prod/openai", "file:openai")),
    st.text("./\\%2eEfF#?&=: openai\u2024\uff0f\u200b\x00k", max_size=24),
)
def test_whatever_is_typed_nothing_outside_is_asked_for(begin, rest):
    try:
        reference = read(f"{begin}{rest}#key" if begin.startswith("vault") else begin + rest)
    except BadInput:
        return
    whole = "/".join(reference.path)
    assert normpath(unquote(whole)) == whole
    assert any(prefix.covers(reference) and f"{reference}/".startswith(f"{prefix}") for prefix in PREFIXES)


@pytest.mark.parametrize(
    "text", [CANARY, "sk-vault:kv", "https://vault:8200/x", "vault://kv/openai", '{"file": "x"}', ""]
)
def test_what_is_no_reference_is_taken_as_typed(text):
    assert not is_reference(text)


def test_by_default_no_reference_is_taken():
    with pytest.raises(BadInput, match="who runs Keyturn allow the reference in SECRET_SOURCES"):
        permitted(f"vault:kv/{CANARY}#key", NO_SOURCES.allowed(key("pk_old")))
    assert hint(()) == ""


@pytest.mark.parametrize(
    ("providers", "keys", "is_allowed"),
    [
        (("openai",), (), True),
        (("anthropic",), (), False),
        ((), ("pk_old",), True),
        ((), ("OpenAI *",), True),
        ((), ("Anthropic *",), False),
        (("anthropic",), ("pk_old",), False),
        (("openai",), ("pk_other",), False),
        ((), (), False),
    ],
)
def test_what_may_be_read_depends_on_the_key(providers, keys, is_allowed):
    one = Allowance(prefixes=PREFIXES[:1], providers=providers, keys=keys)
    old = key("pk_old").but(display_name="OpenAI production", provider="openai")

    assert allowed(old, (one,)) == (PREFIXES[:1] if is_allowed else ())


# --- Vault ---

V = "https://vault.example/v1"
LOGIN = f"POST {V}/auth/approle/login"
THERE = f"GET {V}/kv/data/openai"
SIGNED_IN: dict[str, Answer] = {LOGIN: (200, {"auth": {"client_token": "hvs.mine", "lease_duration": 1200}})}
ABOUT = {"version": 3, "created_time": "2026-11-29T11:58:30.123456789Z"}


def vault(answers: dict[str, Answer] | Served, **store: object) -> Vault:
    served = answers if isinstance(answers, Served) else by_line(SIGNED_IN | answers)
    usual = {"url": "https://vault.example", "role_id": "r", "secret_id": "s"}
    return Vault(VaultStore.model_validate(store or usual), lambda: NOW, client=served)


async def test_vault_gives_a_field_and_its_version():
    answers: dict[str, Answer] = {THERE: (200, {"data": {"data": {"key": CANARY}, "metadata": ABOUT}})}
    served = by_line(SIGNED_IN | answers)
    store = vault(served)
    found = await store.read(read("vault:kv/openai#key"))
    await store.read(read("vault:kv/openai#key"))

    assert found.secret.get_secret_value() == CANARY
    assert found.source == "vault:kv/openai#key, version 3 of 2026-11-29 11:58 UTC"
    assert served.lines == [LOGIN, THERE, THERE]
    assert CANARY not in repr(found)


async def test_vault_is_asked_for_the_version_that_is_named_in_its_namespace_as_the_cluster_says(tmp_path):
    (tmp_path / "token").write_text("jwt\n")
    there = f"GET {V}/kv/data/openai/a%40b?version=2"
    login = f"POST {V}/auth/k8s/prod/login"
    served = by_line({login: SIGNED_IN[LOGIN], there: (200, {"data": {"data": {"key": CANARY}}})})
    store = vault(
        served,
        url="https://vault.example/",
        namespace="team",
        kubernetes_role="keyturn",
        token_file=str(tmp_path / "token"),
        login="k8s/prod",
    )
    await store.read(read("vault:kv/openai/a@b#key?version=2"))

    assert json.loads(served.asked[0].content) == {"role": "keyturn", "jwt": "jwt"}
    assert served.lines[1] == there
    assert {request.headers["X-Vault-Namespace"] for request in served.asked} == {"team"}


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((403, {"errors": ["permission denied"]}), ApiError, REFUSED),
        ((404, {"errors": []}), ApiError, NOTHING),
        ((404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-28T00:00:00Z"}}}), ApiError, DELETED),
        ((200, {"data": {"data": {"other": CANARY}}}), ApiError, "Vault has no field of that name there."),
        ((200, {"data": {"data": {"key": {"nested": CANARY}}}}), ApiError, "That field is no text in Vault."),
        ((200, {"data": CANARY}), ApiError, "Vault has no field of that name there."),
        ((200, CANARY), ApiError, "Vault gives no usable answer (200)."),
        ((307, ""), ApiError, "Vault refuses to read this (307)."),
        ((503, CANARY), Uncertain, "Vault can't answer now (503)."),
        (httpx.ConnectError(CANARY), Uncertain, "Vault does not answer (ConnectError)."),
    ],
)
async def test_each_answer_of_vault_has_its_sentence_and_no_value(answer, error, said):
    with pytest.raises(error) as told:
        await vault({THERE: answer}).read(read("vault:kv/openai#key"))

    assert (type(told.value), str(told.value)) == (error, said)


async def test_a_token_that_vault_refuses_is_replaced_once():
    answers = iter([(403, {"errors": []}), (200, {"data": {"data": {"key": CANARY}}})])
    served = Served(lambda asked: SIGNED_IN[LOGIN] if asked.url.path.endswith("login") else next(answers))
    await vault(served).read(read("vault:kv/openai#key"))

    assert served.lines == [LOGIN, THERE, LOGIN, THERE]


async def test_the_check_of_vault_asks_about_the_bots_own_token(tmp_path):
    (tmp_path / "token").write_text("hvs.own\n")
    served = by_line({f"GET {V}/auth/token/lookup-self": (200, {"data": {"display_name": "token-keyturn"}})})
    store = vault(served, url="https://vault.example", token_file=str(tmp_path / "token"))

    assert await store.tried() == "it knows the bot as token-keyturn"
    assert [request.headers["X-Vault-Token"] for request in served.asked] == ["hvs.own"]


async def test_a_sign_in_that_vault_refuses_says_so():
    with pytest.raises(ApiError, match=r"does not let the bot sign in \(400\)"):
        await vault({LOGIN: (400, {"errors": ["invalid role or secret ID"]})}).tried()


WRAPPED = f"vault-wrapped:{TOKEN}#key"
UNWRAP = f"POST {V}/sys/wrapping/unwrap"


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ({"key": CANARY}, "vault-wrapped#key"),
        ({"data": {"key": CANARY}, "metadata": ABOUT}, "vault-wrapped#key, version 3 of 2026-11-29 11:58 UTC"),
    ],
)
async def test_a_wrapping_token_gives_the_secret_without_the_bots_own_identity(data, source):
    served = by_line({UNWRAP: (200, {"data": data})})
    found = await vault(served).read(read(WRAPPED))

    assert (found.secret.get_secret_value(), found.source) == (CANARY, source)
    assert served.lines == [UNWRAP]
    assert served.asked[0].headers["X-Vault-Token"] == TOKEN


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, {"errors": ["wrapping token is not valid or does not exist"]}), USED),
        ((200, {"data": {"other": CANARY}}), f"Vault has no field of that name there.{UNWRAPPED}"),
    ],
)
async def test_a_wrapping_token_that_was_used_is_a_sign_of_somebody_else(answer, said):
    with pytest.raises(ApiError) as told:
        await vault({UNWRAP: answer}).read(read(WRAPPED))

    assert str(told.value) == said


# --- Secrets Manager ---

AWS = "POST https://secretsmanager.eu-central-1.amazonaws.com/"
ID = "12345678-aaaa-bbbb-cccc-0123456789ab"


def manager(answer: Answer, also: dict[str, Answer] | None = None) -> tuple[SecretsManager, Served]:
    served, environ = (
        by_line({AWS: answer} | (also or {})),
        {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s"},
    )
    identity = Identity("eu-central-1", lambda: NOW, environ=environ)
    return SecretsManager(AwsStore(region="eu-central-1"), lambda: NOW, identity, client=served), served


@pytest.mark.parametrize(
    ("text", "held", "stage"),
    [
        ("aws-sm:prod/openai", CANARY, CURRENT),
        ("aws-sm:prod/openai#key?stage=AWSPENDING", json.dumps({"key": CANARY}), "AWSPENDING"),
    ],
)
async def test_secrets_manager_is_asked_for_a_stage_by_its_name(text, held, stage):
    at = NOW.timestamp()
    store, served = manager((200, {"SecretString": held, "VersionId": ID, "CreatedDate": at}))
    found = await store.read(read(text))

    assert found.secret.get_secret_value() == CANARY
    where = text if "stage" in text else f"{text}?stage={CURRENT}"
    assert found.source == f"{where}, version {ID} of 2026-11-29 12:00 UTC"
    assert json.loads(served.asked[0].content) == {"SecretId": "prod/openai", "VersionStage": stage}
    assert served.asked[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA1/")


@pytest.mark.parametrize(
    ("text", "answer", "said"),
    [
        ("", (400, {"__type": "ResourceNotFoundException", "Message": CANARY}), "AWS has no secret of that name"),
        ("", (400, {"__type": "com.amazonaws#AccessDeniedException"}), "its role needs secretsmanager:GetSecretValue"),
        ("", (400, {"__type": "UnrecognizedClientException"}), "refuses to read this (UnrecognizedClientException)"),
        ("", (400, {"__type": f"<{CANARY}>"}), "AWS refuses to read this (400)"),
        ("", (200, {"SecretBinary": CANARY}), "This secret is no text"),
        ("#key", (200, {"SecretString": CANARY}), "has no fields in AWS Secrets Manager: leave out #"),
        ("#key", (200, {"SecretString": f'["{CANARY}"]'}), "has no fields"),
        ("#key", (200, {"SecretString": f'{{"other": "{CANARY}"}}'}), "no field of that name"),
        ("#key", (200, {"SecretString": f'{{"key": ["{CANARY}"]}}'}), "That field is no text"),
        ("", (500, CANARY), "can't answer now (500)"),
    ],
)
async def test_each_answer_of_secrets_manager_has_its_sentence_and_no_value(text, answer, said):
    store, _ = manager(answer)
    with pytest.raises(ApiError) as told:
        await store.read(read(f"aws-sm:prod/openai{text}"))

    assert said in str(told.value)
    assert CANARY not in str(told.value)


async def test_the_check_of_aws_asks_who_the_bot_is():
    xml = "<R><Arn>arn:aws:iam::1:user/keyturn</Arn></R>"
    answers = {"POST https://sts.eu-central-1.amazonaws.com/": (200, xml)}
    store = manager((200, ""), answers)[0]

    assert await store.tried() == "it knows the bot as arn:aws:iam::1:user/keyturn"
    with pytest.raises(ApiError, match=r"does not take the bot's identity \(404\)"):
        await manager((200, ""))[0].tried()


# --- a folder ---


async def test_a_file_is_read_also_through_the_links_that_kubernetes_makes(tmp_path):
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026/openai").write_text(CANARY + "\n")
    os.utime(tmp_path / "..2026/openai", (0, NOW.timestamp()))
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "openai").symlink_to("..data/openai")
    found = await Folder(tmp_path).read(read("file:openai"))

    assert (found.secret.get_secret_value().strip(), found.source) == (CANARY, "file:openai, of 2026-11-29 12:00 UTC")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: None, "no such file"),
        (lambda file: file.symlink_to("/etc/hostname"), "leads out of the folder"),
        (lambda file: file.symlink_to(file), "no such file"),
        (Path.mkdir, "That is no file."),
        (os.mkfifo, "That is no file."),
        (lambda file: file.write_bytes(b"\xff\xfe"), "That file is no text."),
        (lambda file: file.write_bytes(b"x" * (LARGEST + 1)), "larger than 65,536 bytes"),
    ],
)
async def test_what_is_no_file_of_the_folder_is_not_read(make, said, tmp_path):
    make(tmp_path / "openai")
    with pytest.raises(ApiError, match=said):
        await Folder(tmp_path).read(read("file:openai"))


# --- together ---


async def test_the_settings_decide_which_store_is_read_for_a_key(tmp_path):
    (tmp_path / "openai").write_text(CANARY)
    allow = [{"references": ["file:openai"], "keys": ["pk_old"]}]
    written = SecretSources.model_validate({"file": {"folder": str(tmp_path)}, "allow": allow})
    sources = sources_of(written, lambda: NOW)

    assert (await sources.read("file:openai", key("pk_old"))).secret.get_secret_value() == CANARY
    with pytest.raises(BadInput):
        await sources.read("file:openai", key("pk_other"))
    assert hint(sources.allowed(key("pk_old"))) == "Or a reference to it, like file:openai."
