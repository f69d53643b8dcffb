"""Secrets by reference from a real OpenBao, and from moto's Secrets Manager; access keys at moto's IAM.

`make stores-test` installs both, as `requirements-stores.lock` pins them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bot.providers.aws_iam import TARGET, AwsIam
from bot.rotation.credentials import Row, Status, Usage
from bot.rotation.errors import ApiError
from bot.rotation.references import Reference, permitted, prefix_of
from bot.settings.providers import ProviderSettings
from bot.settings.sources import AwsStore, VaultStore
from bot.sources.aws import Identity, Request, Target, signed, tagged
from bot.sources.aws_sm import SecretsManager
from bot.sources.vault import DELETED, NOTHING, REFUSED, USED, Vault
from tests.stories.test_references import rotated
from tests.support.canary import CANARY
from tests.support.documents import ROOT
from tests.support.stage import Stage, free_port

BIN = ROOT / "var/stores/bin"
ROOT_TOKEN = "root"
POLICY = 'path "kv/data/openai" { capabilities = ["read"] }\npath "kv/data/openai/*" { capabilities = ["read"] }'
PREFIXES = tuple(map(prefix_of, ("vault:kv", "vault-wrapped", "aws-sm:prod")))


def read(text: str) -> Reference:
    return permitted(text, PREFIXES)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(address: str, *command: str) -> AsyncIterator[None]:
    """Run a server until it answers, and end it."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(BIN / command[0], *command[1:], stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(address)
                    break
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


class Bao:
    """A real OpenBao, as its administrator sees it."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        async with httpx.AsyncClient(headers={"X-Vault-Token": ROOT_TOKEN} | headers) as client:
            answer = await client.request(method, f"{self.address}/v1/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def put(self, path: str, **fields: Any) -> None:
        await self.ask("POST", f"kv/data/{path}", {"data": fields})

    async def wrapped(self, path: str) -> str:
        told = await self.ask("GET", f"kv/data/{path}", **{"X-Vault-Wrap-TTL": "60"})
        return str(told["wrap_info"]["token"])

    async def role(self) -> dict[str, str]:
        """Make an AppRole with the two lines of the guide, and return how the bot signs in by it."""
        await self.ask("PUT", "sys/policies/acl/keyturn", {"policy": POLICY})
        await self.ask("POST", "sys/auth/approle", {"type": "approle"})
        await self.ask("POST", "auth/approle/role/keyturn", {"token_policies": "keyturn", "token_ttl": "20m"})
        role = await self.ask("GET", "auth/approle/role/keyturn/role-id")
        secret = await self.ask("POST", "auth/approle/role/keyturn/secret-id")
        named = {"role_id": role["data"]["role_id"], "secret_id": secret["data"]["secret_id"]}
        return {"url": self.address, **named}


@pytest.fixture
async def bao() -> AsyncIterator[Bao]:
    port = free_port()
    there = f"127.0.0.1:{port}"
    options = ("-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address={there}")
    async with running(f"http://{there}/v1/sys/health", "bao", "server", *options):
        made = Bao(f"http://{there}")
        await made.ask("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        yield made


async def test_openbao_gives_each_version_to_a_role_that_may_read_two_lines(bao: Bao) -> None:
    await bao.put("openai", key="first")
    await bao.put("openai", key=CANARY, nested={"a": "b"})
    await bao.put("openai/prod", key="third")
    await bao.put("anthropic", key="not ours")
    vault = Vault(VaultStore.model_validate(await bao.role()), now)

    assert "approle" in await vault.tried()
    found = {}
    for text in ("openai#key", "openai#key?version=1", "openai/prod#key"):
        one = await vault.read(read(f"vault:kv/{text}"))
        found[one.source.partition(" of ")[0]] = one.secret.get_secret_value()
        assert one.created
        assert abs((now() - one.created).total_seconds()) < 60
    assert found == {
        "vault:kv/openai#key, version 2": CANARY,
        "vault:kv/openai#key, version 1": "first",
        "vault:kv/openai/prod#key, version 1": "third",
    }

    await bao.ask("DELETE", "kv/data/openai")
    for text, said in {
        "openai#key": DELETED,
        "openai/none#key": NOTHING,
        "anthropic#key": REFUSED,
        "openai/prod#other": "Vault has no field of that name there.",
        "openai/prod#key?version=9": NOTHING,
    }.items():
        with pytest.raises(ApiError) as told:
            await vault.read(read(f"vault:kv/{text}"))
        assert str(told.value) == said


async def test_openbao_unwraps_once(bao: Bao) -> None:
    await bao.put("openai", key=CANARY)
    vault = Vault(VaultStore.model_validate(await bao.role()), now)
    reference = read(f"vault-wrapped:{await bao.wrapped('openai')}#key")
    found = await vault.read(reference)

    assert (found.secret.get_secret_value(), found.source[:27]) == (CANARY, "vault-wrapped#key, version ")
    with pytest.raises(ApiError) as told:
        await vault.read(reference)
    assert str(told.value) == USED


async def test_a_token_that_openbao_revokes_is_replaced(bao: Bao) -> None:
    await bao.put("openai", key=CANARY)
    vault = Vault(VaultStore.model_validate(await bao.role()), now)
    await vault.read(read("vault:kv/openai#key"))
    await bao.ask("POST", "sys/leases/revoke-prefix/auth/approle")

    assert (await vault.read(read("vault:kv/openai#key"))).secret.get_secret_value() == CANARY


async def test_a_rotation_takes_its_secret_from_openbao(bao: Bao, bare_stage: Stage) -> None:
    await bao.put("openai", key="old")
    await bao.put("openai", key=CANARY)
    allow = [{"references": ["vault:kv/openai"], "providers": ["openai"]}]
    bare_stage.overrides["SECRET_SOURCES"] = json.dumps({"vault": await bao.role(), "allow": allow})

    assert (await rotated(bare_stage, "vault:kv/openai#key")).startswith("vault:kv/openai#key, version 2 of 20")


KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}


async def test_secrets_manager_gives_each_stage_by_its_name() -> None:
    address, target = f"http://127.0.0.1:{free_port()}", Target("secretsmanager", "eu-central-1")
    identity = Identity("eu-central-1", now, environ=KEYS)
    store = SecretsManager(AwsStore(region="eu-central-1", endpoint=address), now, identity)

    async def ask(action: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{action}"}
        request = Request(f"{address}/", json.dumps(body).encode(), headers)
        sent = signed(request, await identity.keys(), target, now())
        async with httpx.AsyncClient() as client:
            answer = await client.post(request.url, content=request.body, headers=sent)
        return answer.raise_for_status().json()

    async with running(address, "moto_server", "-H", "127.0.0.1", "-p", address.rpartition(":")[2]):
        made = await ask("CreateSecret", Name="prod/openai", SecretString="now")
        staged = json.dumps({"key": CANARY})
        stages = {"SecretString": staged, "VersionStages": ["AWSPENDING"]}
        put = await ask("PutSecretValue", SecretId="prod/openai", **stages)
        found = {}
        for text in ("prod/openai", "prod/openai#key?stage=AWSPENDING"):
            one = await store.read(read(f"aws-sm:{text}"))
            found[one.version] = one.secret.get_secret_value()
        said = []
        for text in ("prod/none", "prod/openai?stage=NONE", "prod/openai#key"):
            with pytest.raises(ApiError) as told:
                await store.read(read(f"aws-sm:{text}"))
            said.append(str(told.value))
        assert "arn:aws:sts::" in await store.tried()

    assert found == {made["VersionId"]: "now", put["VersionId"]: CANARY}
    assert [each[:30] for each in said] == ["AWS has no secret of that name"] * 2 + ["This secret has no fields in A"]


async def test_the_life_of_an_access_key_at_iam(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    address = f"http://127.0.0.1:{free_port()}"

    async def ask(action: str) -> str:
        body = f"Action={action}&Version=2010-05-08&UserName=bedrock".encode()
        request = Request(f"{address}/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        sent = signed(request, await Identity(TARGET.region, now).keys(), TARGET, now())
        async with httpx.AsyncClient() as client:
            return (await client.post(request.url, content=body, headers=sent)).raise_for_status().text

    async with running(address, "moto_server", "-H", "127.0.0.1", "-p", address.rpartition(":")[2]):
        one = AwsIam("main", ProviderSettings(kind="aws-iam", user="bedrock", url=address), now)
        with pytest.raises(ApiError, match="AWS knows no IAM user bedrock"):
            await one.rows()
        await ask("CreateUser")
        ids = [tagged(await ask("CreateAccessKey"), "AccessKeyId") for _ in range(2)]
        old, new = await one.rows()
        assert [old.id, new.id] == ids
        assert await one.usage(old, now()) == Usage()
        for change, status in ((one.disable, Status.DISABLED), (one.enable, Status.ACTIVE)):
            await change(old.id)
            assert (await one.read(old.id)).status is status
        for _ in "again":
            await one.delete(old.id)
        assert await one.read(old.id) == Row(id=old.id, status=Status.GONE)
        assert await one.rows() == (new,)
