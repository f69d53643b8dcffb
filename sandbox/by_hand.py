"""The documented procedure as a person with a shell follows it: one call after another, then test requests."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.aisix import Aisix, Model, ProviderKey
from sandbox.caller import question
from sandbox.company import endpoint_of

PROJECTION = 1.0
"""Seconds that the person waits for projection; no call tells when it is done."""

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The loopback needs no TLS, and loading the machine's certificates would cost 20 ms per call."""

READING = 3.0
"""Seconds that a person needs to notice a failure, believe it, and find the commands in the shell's history."""


@dataclass(frozen=True)
class ByHand:
    """Rotates a key exactly by the procedure: first all models, then test requests."""

    aisix: Aisix
    old: ProviderKey
    models: Sequence[Model]
    projection: float = PROJECTION
    reading: float = READING

    async def rotate(self, secret: str) -> bool:
        """Move every model to a replacement with *secret*; return False if it failed and all was moved back."""
        new = await self.create(secret)
        await self.point_all(new)
        await asyncio.sleep(self.projection)
        if await self.all_succeed():
            await self.delete(self.old.id)
            return True
        await asyncio.sleep(self.reading)
        await self.point_all(self.old.id)
        await self.delete(new)
        return False

    async def create(self, secret: str) -> str:
        """Create the replacement, with the same provider and base URL, and copy its id out of the answer."""
        same = {name: self.old.fields[name] for name in ("provider", "api_base", "adapter") if name in self.old.fields}
        environments = sorted({model.environment_id for model in self.models})
        name = f"{self.old.display_name} replacement"
        body = same | {"display_name": name, "api_key": secret, "allowed_environments": environments}
        created = await self._administer("POST", "/provider_keys", body)
        return str(created.json()["id"])

    async def point_all(self, key_id: str) -> None:
        """Patch one model after the other, as the documented loop does."""
        for model in self.models:
            path = f"/environments/{model.environment_id}/models/{model.id}"
            await self._administer("PATCH", path, {"provider_key_id": key_id})

    async def all_succeed(self) -> bool:
        """Send one test request per model, and stop at the first failure."""
        for model in self.models:
            if not await self._succeeds(model):
                return False
        return True

    async def delete(self, key_id: str) -> None:
        await self._administer("DELETE", f"/provider_keys/{key_id}", None)

    async def _succeeds(self, model: Model) -> bool:
        here = model.environment_id
        path, body = question(model.display_name, endpoint_of(model), "is it you?")
        answer = await _curl("POST", self.aisix.gateway_url(here) + path, self.aisix.caller_key(here), body)
        return answer.is_success

    async def _administer(self, method: str, path: str, body: Any) -> httpx.Response:
        return await _curl(method, self.aisix.api_url + path, self.aisix.admin_token, body)


async def _curl(method: str, url: str, token: str, body: Any) -> httpx.Response:
    """Make one call on its own connection, as a `curl` process does."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as curl:
        return await curl.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"})
