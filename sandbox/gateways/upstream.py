"""Serve the sandbox's provider over HTTP for real gateways; it still counts by secret."""

from collections import OrderedDict
from typing import Any

from aiohttp import web

from sandbox.aisix.serving import Server, drop
from sandbox.aisix.upstream import Garbage, Misfit, Refused, Upstream, UpstreamCall

PATHS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
REQUEST_ID = "x-aisix-request-id"
KEPT = 2000
"""How many requests are remembered with their secret."""


class UpstreamServer:
    """Answers gateways' requests as *upstream* says."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self._server = upstream, Server()
        self._secrets: OrderedDict[str, str] = OrderedDict()

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        app = web.Application()
        for path, endpoint in PATHS.items():
            app.router.add_post(path, self._handler(endpoint))
        await self._server.start(app)

    async def stop(self) -> None:
        await self._server.stop()

    def secret_of(self, request_id: str) -> str:
        """Return the secret of a gateway's request; empty if the request did not arrive."""
        return self._secrets.get(request_id, "")

    def _handler(self, endpoint: str) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, endpoint)

        return handle

    async def _answer(self, request: web.Request, endpoint: str) -> web.StreamResponse:
        body = await request.json()
        call = UpstreamCall(_secret_of(request), str(body.get("model")), endpoint, _account_of(endpoint))
        self._remember(request.headers.get(REQUEST_ID, ""), call.secret)
        try:
            return web.json_response(await self._upstream.answer(call))
        except Refused as refused:
            return _refusal(refused, endpoint)
        except Misfit as misfit:
            return web.json_response({"error": {"message": f"wrong: {misfit}"}}, status=400)
        except Garbage:
            return web.Response(text="<html>not an answer</html>", content_type="text/html")
        except ConnectionError:
            return drop(request)

    def _remember(self, request_id: str, secret: str) -> None:
        self._secrets[request_id] = secret
        while len(self._secrets) > KEPT:
            self._secrets.popitem(last=False)


def _account_of(endpoint: str) -> dict[str, str]:
    return {"provider": "anthropic" if endpoint == "messages" else "openai"}


def _secret_of(request: web.Request) -> str:
    return request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")


def _refusal(refused: Refused, endpoint: str) -> web.Response:
    """Return an error as OpenAI does, or for messages as Anthropic does."""
    if endpoint != "messages":
        return web.Response(text=refused.raw, status=refused.status, content_type="application/json")
    kind = "authentication_error" if refused.status == 401 else "invalid_request_error"  # noqa: PLR2004 - a refusal
    error = {"type": kind, "message": refused.message}
    return web.json_response({"type": "error", "error": error}, status=refused.status)
