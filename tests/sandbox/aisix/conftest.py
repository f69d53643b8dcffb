"""A running AISIX with one key, and clients for its two faces."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.aisix import Aisix, Model, ProviderKey

OLD = "sk-old-0123456789abcdef"
NEW = "sk-new-0123456789abcdef"


@dataclass
class Tenant:
    """An AISIX, its first key and model, and clients."""

    aisix: Aisix
    key: ProviderKey
    model: Model
    api: httpx.AsyncClient
    open_client: Callable[..., Awaitable[httpx.AsyncClient]]
    gateways: dict[str, httpx.AsyncClient]

    @property
    def environment(self) -> str:
        return self.aisix.environment("production").id

    def path(self, model: Model | None = None) -> str:
        model = model or self.model
        return f"/environments/{model.environment_id}/models/{model.id}"

    async def point(self, key: ProviderKey | str, model: Model | None = None) -> httpx.Response:
        body = {"provider_key_id": key if isinstance(key, str) else key.id}
        return await self.api.patch(self.path(model), json=body)

    async def ask(
        self, alias: str = "chat-large", path: str = "/v1/chat/completions", **options: Any
    ) -> httpx.Response:
        url, token = options.pop("url", self.aisix.gateway_url("production")), options.pop("token", None)
        if url not in self.gateways:
            self.gateways[url] = await self.open_client(url)
        token = token or self.aisix.caller_key("production")
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        body = {"model": alias, "messages": [{"role": "user", "content": options.pop("prompt", "hello")}]}
        return await self.gateways[url].post(path, json=body | options, headers=headers)

    async def failure(self, *args: Any, **options: Any) -> tuple[int, str, str | None]:
        response = await self.ask(*args, **options)
        error = response.json()["error"]
        return response.status_code, error["type"], error.get("code")

    async def status(self, page: str, replica: int = 0) -> httpx.Response:
        url = self.aisix.replicas("production")[replica].status_url
        if url not in self.gateways:
            self.gateways[url] = await self.open_client(url)
        return await self.gateways[url].get(page)


@pytest.fixture
async def open_client() -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    async with AsyncExitStack() as stack:

        async def open_one(url: str, token: str = "") -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            client = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=5)
            return await stack.enter_async_context(client)

        yield open_one


@pytest.fixture
async def tenant(open_client: Callable[..., Awaitable[httpx.AsyncClient]]) -> AsyncIterator[Tenant]:
    aisix = Aisix(environments={"production": 2, "staging": 1})
    key = aisix.add_key("OpenAI production", secret=OLD, api_base="https://api.openai.com/v1")
    model = aisix.add_model("production", "chat-large", key=key, upstream="gpt-4o")
    async with aisix:
        api = await open_client(aisix.api_url, aisix.admin_token)
        yield Tenant(aisix, key, model, api, open_client, {})
