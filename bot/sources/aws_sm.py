"""Reads AWS Secrets Manager, always by the name of a stage: a double that is asked without one gives the wrong one."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from bot.aisix.client import http_client
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.rotation.errors import ApiError
from bot.rotation.references import Reference, Sourced
from bot.settings.sources import AwsStore
from bot.sources.aws import Identity, Request, Target, signed, tagged
from bot.sources.calls import Calls

OK = 200
FORM = "application/x-www-form-urlencoded"
REFUSED = {
    "ResourceNotFoundException": "AWS has no secret of that name in this region, or no version of it at that stage.",
    "AccessDeniedException": "AWS does not let the bot read this: its role needs secretsmanager:GetSecretValue on it.",
    "DecryptionFailure": "AWS can't decrypt this secret: the bot's role needs kms:Decrypt on its key.",
    "InvalidRequestException": "AWS can't give this secret: it may be marked as deleted.",
}
"""By the name of the error in AWS's answer."""


class SecretsManager:
    """Secrets Manager in one region. Raises `ApiError`, or `Uncertain` if AWS does not answer."""

    def __init__(
        self,
        store: AwsStore,
        now: Callable[[], datetime],
        identity: Identity,
        *,
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self._store = store
        self._now = now
        self._identity = identity
        self._calls = Calls("AWS Secrets Manager", client)

    async def read(self, reference: Reference) -> Sourced:
        """Read the secret at a stage, or a field of it."""
        asked = {"SecretId": "/".join(reference.path), "VersionStage": reference.stage}
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
        answer = await self._sent("secretsmanager", json.dumps(asked).encode(), headers)
        told = self._calls.told(answer)
        if answer.status_code != OK:
            raise ApiError(_refusal(told, answer.status_code), answer.status_code)
        text, version, created = told.get("SecretString"), told.get("VersionId"), told.get("CreatedDate")
        if not isinstance(text, str):
            raise ApiError("This secret is no text in AWS Secrets Manager.")
        found, at = SecretStr(_field(text, reference.field) if reference.field else text), None
        with suppress(ValueError, OverflowError):
            at = datetime.fromtimestamp(created, UTC) if isinstance(created, (int, float)) else None
        return Sourced(found, str(reference), version if isinstance(version, str) else "", at)

    async def tried(self) -> str:
        """Ask AWS who the bot is, which needs no permission, and return it."""
        answer = await self._sent("sts", b"Action=GetCallerIdentity&Version=2011-06-15", {"Content-Type": FORM})
        if answer.status_code != OK:
            raise ApiError(f"AWS does not take the bot's identity ({answer.status_code}).", answer.status_code)
        return f"it knows the bot as {tagged(answer.text, 'Arn') or 'somebody'}"

    async def _sent(self, service: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        target = Target(service, self._store.region)
        request = Request(
            f"{self._store.endpoint.rstrip('/')}/" if self._store.endpoint else target.address, body, headers
        )
        sent = signed(request, await self._identity.keys(), target, self._now())
        return await self._calls.ask("POST", request.url, content=body, headers=sent)


def _refusal(told: Mapping[str, Any], status: int) -> str:
    name = str(told.get("__type") or "").rpartition("#")[2]
    return REFUSED.get(name, f"AWS refuses to read this ({name if name.isalnum() else status}).")


def _field(text: str, field: str) -> str:
    try:
        found = decoded(text.encode())
    except UnreadableJson:
        found = None
    if not isinstance(found, dict):
        raise ApiError("This secret has no fields in AWS Secrets Manager: leave out # and what follows.")
    if field not in found:
        raise ApiError("This secret has no field of that name in AWS Secrets Manager.")
    if not isinstance(found[field], str):
        raise ApiError("That field is no text in AWS Secrets Manager.")
    return str(found[field])
