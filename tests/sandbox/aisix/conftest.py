"""A running AISIX with one key, and clients for its two faces."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sandbox.aisix import Aisix, Model, ProviderKey


@dataclass
class Tenant:
    """An AISIX, its first key and model, and a client of each address that was asked."""

    aisix: Aisix
    key: ProviderKey
    model: Model
    stack: AsyncExitStack
    gateways: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        return self.aisix.environment("production").id

    async def opened(self, url: str, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=5)
        return await self.stack.enter_async_context(client)

    @property
    def api(self) -> httpx.AsyncClient:
        return self.gateways["api"]

    async def point(self, key_id: str) -> httpx.Response:
        path = f"/environments/{self.environment}/models/{self.model.id}"
        return await self.api.patch(path, json={"provider_key_id": key_id})

    async def ask(self, what: str | None = "chat-large", **options: Any) -> httpx.Response:
        """Ask for an alias, by chat where *what* names no path, at the balancer or, with *replica*, at one of them."""
        alias, _, path = (what or "").partition(" ")
        number, token = options.pop("replica", None), options.pop("token", None) or self.aisix.caller_key("production")
        replicas = self.aisix.replicas("production")
        url = self.aisix.gateway_url("production") if number is None else replicas[number].url
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        body = {"model": alias, "messages": [{"role": "user", "content": options.pop("prompt", "hello")}]}
        body |= {"input": "x", "query": "x", "documents": ["a"]} if path else {}
        return await (await self._client(url)).post(
            path or "/v1/chat/completions", json=body | options, headers=headers
        )

    async def failure(self, *args: Any, **options: Any) -> tuple[int, str, str | None]:
        response = await self.ask(*args, **options)
        error = response.json()["error"]
        return response.status_code, error["type"], error.get("code")

    async def status(self, page: str, replica: int = 0, **headers: str) -> httpx.Response:
        client = await self._client(self.aisix.replicas("production")[replica].status_url)
        return await client.get(page, headers=headers)

    async def _client(self, url: str) -> httpx.AsyncClient:
        if url not in self.gateways:
            self.gateways[url] = await self.opened(url)
        return self.gateways[url]


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    aisix = Aisix(environments={"production": 2, "staging": 1})
    key = aisix.add_key("OpenAI production", secret="sk-old-0123456789abcdef", api_base="https://api.openai.com/v1")
    model = aisix.add_model("production", "chat-large", key=key, upstream="gpt-4o")
    async with aisix, AsyncExitStack() as stack:
        tenant = Tenant(aisix, key, model, stack)
        tenant.gateways["api"] = await tenant.opened(aisix.api_url, aisix.admin_token)
        yield tenant
