"""The provider behind the gateways: it knows which secrets are valid."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

Behaviour = int | Literal["ok", "slow", "garbage", "hang", "unreachable", "no_money"]

ENDPOINTS = {"rerank": {"rerank"}, "embedding": {"embeddings"}}
"""The endpoints of models of a special kind; all others support every endpoint."""


class Refused(Exception):
    """The provider answered with an error status."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    @property
    def raw(self) -> str:
        """The body of the answer."""
        error = {"message": self.message, "type": "invalid_request_error", "param": None, "code": self.code}
        return json.dumps({"error": error})


class Misfit(Exception):
    """The request does not fit this account: the key lacks a setting."""


class Garbage(Exception):
    """The provider's answer is unreadable."""


@dataclass
class Account:
    """How the provider treats one secret."""

    behaviour: Behaviour = "ok"
    requires: dict[str, Any] = field(default_factory=dict)
    models: set[str] | None = None


@dataclass(frozen=True)
class UpstreamCall:
    """One request as it leaves a gateway."""

    secret: str
    model: str
    endpoint: str
    key: Mapping[str, Any]


class Issuer(Protocol):
    """A provider that makes secrets, and says of each whether it is taken at this moment."""

    def takes(self, secret: str) -> bool | None:
        """Return whether a secret is taken; None if it is of nobody here."""

    def used(self, secret: str, model: str) -> None:
        """Note that a model has served with a secret."""


class Upstream:
    """An in-process substitute for every provider; it refuses unknown secrets with 401."""

    def __init__(self) -> None:
        self.slow_seconds = 0.5
        self.calls: list[UpstreamCall] = []
        self.kinds: dict[str, str] = {}
        """Upstream model to `embedding` or `rerank`; all others are chat models."""

        self.issuers: list[Issuer] = []
        """They are asked first; what none of them knows is as it was set here."""

        self._accounts: dict[str, Account] = {}

    def accept(self, secret: str, requires: Mapping[str, Any] | None = None) -> None:
        """Accept *secret*, if the key has the settings in *requires* (such as `api_base`)."""
        self._accounts[secret] = Account(requires=dict(requires or {}))

    def refuse(self, secret: str, status: int = 401) -> None:
        self.set(secret, status)

    def set(self, secret: str, behaviour: Behaviour) -> None:
        self._accounts.setdefault(secret, Account()).behaviour = behaviour

    def models_for(self, secret: str, models: Collection[str]) -> None:
        """Limit the account of *secret* to *models*."""
        self._accounts.setdefault(secret, Account()).models = set(models)

    def knows(self, secret: str) -> bool:
        return secret in self._accounts

    def accepts(self, secret: str) -> bool:
        """Tell whether a token exchange or a signature with *secret* succeeds."""
        return self._account(secret).behaviour not in (401, 403)

    def _account(self, secret: str) -> Account:
        issued = next((taken for each in self.issuers if (taken := each.takes(secret)) is not None), None)
        account = self._accounts.get(secret, Account(behaviour="ok" if issued else 401))
        return replace(account, behaviour=401) if issued is False else account

    def answered(self, secret: str) -> int:
        """Count the calls with *secret*."""
        return sum(call.secret == secret for call in self.calls)

    async def answer(self, call: UpstreamCall) -> dict[str, Any]:
        self.calls.append(call)
        account = self._account(call.secret)
        await self._behave(account.behaviour, call)
        _check_settings(account, call)
        self._check_model(account, call)
        for issuer in self.issuers:
            issuer.used(call.secret, call.model)
        return _BODIES[call.endpoint](call.model)

    async def _behave(self, behaviour: Behaviour, call: UpstreamCall) -> None:
        match behaviour:
            case "slow":
                await asyncio.sleep(self.slow_seconds)
            case "hang":
                await asyncio.Event().wait()
            case "garbage":
                raise Garbage
            case "unreachable":
                raise ConnectionError("connection refused")
            case int() | "no_money":
                raise _refusal(behaviour, call)
            case "ok":
                pass

    def _check_model(self, account: Account, call: UpstreamCall) -> None:
        if account.models is not None and call.model not in account.models:
            message = f"The model `{call.model}` does not exist or you do not have access to it."
            raise Refused(404, message, "model_not_found")
        if call.endpoint == "rerank" and self.kinds.get(call.model) != "rerank":
            raise Refused(404, "404: Not Found")
        if call.endpoint not in ENDPOINTS.get(self.kinds.get(call.model, "chat"), _BODIES):
            raise Refused(400, f"{call.model} does not support {call.endpoint}.", "unsupported_endpoint")


def _check_settings(account: Account, call: UpstreamCall) -> None:
    wrong = [name for name, value in account.requires.items() if call.key.get(name) != value]
    if wrong:
        raise Misfit(", ".join(wrong))


def masked(secret: str) -> str:
    """Mask a refused key as OpenAI does, which shows part of it."""
    third = len(secret) // 3
    return f"{secret[: min(8, third)]}***{secret[-min(4, third) or len(secret) :]}"


NO_SUCH_KEY = {"anthropic": "invalid x-api-key", "openrouter": "User not found."}
"""What providers other than OpenAI say to a secret that they do not take."""

WHERE_KEYS_ARE = "You can find your API key at https://platform.openai.com/account/api-keys."


def _refusal(behaviour: int | str, call: UpstreamCall) -> Refused:
    shown = masked(call.secret)
    match behaviour:
        case 401:
            told = f"Incorrect API key provided: {shown}. {WHERE_KEYS_ARE}"
            return Refused(401, NO_SUCH_KEY.get(str(call.key.get("provider")), told), "invalid_api_key")
        case 403:
            return Refused(403, f"Key {shown} may not use this.", "permission_denied")
        case 429:
            return Refused(429, "Rate limit reached.", "rate_limit_exceeded")
        case "no_money":
            return Refused(429, "You exceeded your current quota.", "insufficient_quota")
        case _:
            return Refused(int(behaviour), f"The provider failed, key {shown}.")


def _chat(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "OK"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time())}
    return {**made, "model": model, "choices": [choice], "usage": usage}


def _embeddings(model: str) -> dict[str, Any]:
    vector = {"index": 0, "object": "embedding", "embedding": [0.1, 0.2, 0.3]}
    return {"object": "list", "model": model, "data": [vector], "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def _rerank(model: str) -> dict[str, Any]:
    return {"model": model, "results": [{"index": 0, "relevance_score": 0.9}]}


def _responses(model: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "OK", "annotations": []}]
    output = [{"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": content}]
    made = {"id": "resp_1", "object": "response", "created_at": int(time.time()), "status": "completed"}
    return {**made, "model": model, "output": output, "usage": _tokens() | {"total_tokens": 6}}


def _messages(model: str) -> dict[str, Any]:
    made = {"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": model}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return {**made, "content": [{"type": "text", "text": "OK"}], **ended, "usage": _tokens()}


def _tokens() -> dict[str, int]:
    return {"input_tokens": 5, "output_tokens": 1}


_BODIES = {
    "chat": _chat,
    "embeddings": _embeddings,
    "rerank": _rerank,
    "responses": _responses,
    "messages": _messages,
}
