"""A gateway's error answers."""

from typing import Any

from aiohttp import web

from sandbox.aisix.serving import answer
from sandbox.aisix.upstream import Garbage, Misfit, Refused


class GatewayError(Exception):
    """An error for the caller. `reached` means that the provider was asked."""

    def __init__(self, status: int, kind: str, message: str, code: str | None = None, *, reached: bool = False) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.code = status, kind, message, code
        self.reached = reached
        self.seen = status
        """The provider's own status, which may differ from `status`."""

        self.raw = ""
        """The provider's answer, if it is passed on."""

        self.retry_after: int | None = None
        self.hides = False
        """Whether routing silently tries the next target."""

    @property
    def passes(self) -> bool:
        """Whether a retry may succeed: the provider failed, or could not be reached."""
        return self.reached and self.status == 502  # noqa: PLR2004 - the translation of a provider's failure

    def response(self, path: str) -> web.Response:
        """Return the answer in the envelope that callers of *path* expect."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else None
        body = self._anthropic() if path.startswith("/v1/messages") else self._openai(path)
        return answer(body, self.status, headers)

    def _openai(self, path: str) -> dict[str, Any]:
        """Build OpenAI's envelope; the responses endpoint passes on the provider's message, without a code."""
        error = {"message": self.message, "type": self.kind}
        if path == "/v1/responses" and self.raw:
            return {"error": error | {"message": self.raw}}
        return {"error": error | ({"code": self.code} if self.code else {})}

    def _anthropic(self) -> dict[str, Any]:
        """Build Anthropic's envelope, which does not say where the error came from."""
        return {
            "type": "error",
            "error": {"type": ANTHROPIC.get(self.status, "api_error"), "message": self.message},
        }


ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}

TOO_MANY = "request limit exceeded (requests)"

REFUSALS: dict[str, tuple[int, str, str, str | None]] = {
    "rate_limit": (429, "rate_limit_exceeded", TOO_MANY, None),
    "no_budget": (429, "billing_error", "no usable budget answer", None),
    "budget": (429, "billing_error", "The budget is used up.", "budget_exceeded"),
    "guardrail": (422, "content_filter", "Blocked by a guardrail.", None),
    "too_large": (413, "invalid_request_error", "The request is too large.", None),
    "ip": (403, "permission_denied", "This address may not use the model.", "ip_restricted"),
    "not_implemented": (501, "not_implemented", "This endpoint is not offered.", None),
    "transport": (502, "transport_error", "The upstream could not be reached.", None),
    "server": (502, "upstream_error", "The upstream failed.", None),
}
"""Refusals that a test can set, by the word in `Environment.refusals`."""


def refusal(word: str) -> GatewayError:
    status, kind, message, code = REFUSALS[word]
    error = GatewayError(status, kind, message, code)
    if status == 429:  # noqa: PLR2004 - the status of "too many requests"
        error.retry_after = 1
    return error


def too_many(wait: int) -> GatewayError:
    """Refuse a request above its caller key's limit."""
    error = refusal("rate_limit")
    error.retry_after = wait
    return error


def unknown_key(alias: str, key: str) -> GatewayError:
    error = invalid(f'model "{alias}" references unknown provider_key_id "{key}"')
    error.hides = True
    return error


def unknown_route_key(route: str) -> GatewayError:
    return invalid(f'passthrough route "{route}" references an unknown provider key')


def invalid(what: str) -> GatewayError:
    return GatewayError(400, "invalid_request_error", f"request payload is invalid: {what}")


def unknown_model(alias: str) -> GatewayError:
    return GatewayError(404, "model_not_found", f'model "{alias}" not found')


def malformed_secret(what: str) -> GatewayError:
    return GatewayError(401, "authentication_error", f"invalid upstream credentials: {what}")


def misconfigured(what: str) -> GatewayError:
    """Refuse a model that the gateway cannot use, with the same words as for an unusable credential."""
    return GatewayError(500, "config_error", f"bridge is misconfigured: {what}")


def exchange_refused() -> GatewayError:
    return misconfigured("the token exchange with the identity provider was refused")


def no_candidates(wait: float) -> GatewayError:
    error = GatewayError(503, "all_candidates_unavailable", "every target is unavailable")
    error.retry_after = max(1, round(wait))
    return error


def from_upstream(refused: Refused, adapter: str) -> GatewayError:
    """Translate the provider's refusal: forward a 4xx message nearly verbatim, mask a 5xx."""
    if refused.status == 401 and adapter == "bedrock":  # noqa: PLR2004 - a wrong signature
        return GatewayError(403, "upstream_error", "upstream authentication failed", reached=True)
    if refused.status < 500:  # noqa: PLR2004 - the provider's own fault begins here
        error = GatewayError(refused.status, "upstream_error", refused.message, refused.code, reached=True)
        error.raw = refused.raw
        return error
    error = GatewayError(502, "upstream_error", f"upstream returned {refused.status}", reached=True)
    error.seen = refused.status
    return error


FAILURES: dict[type[BaseException], tuple[int, str, str]] = {
    Misfit: (400, "invalid_request_error", "the upstream expects another base URL or header"),
    TimeoutError: (504, "timeout", "upstream request timed out"),
    Garbage: (502, "upstream_decode_error", "the answer of the upstream cannot be read"),
    ConnectionError: (502, "transport_error", "transport error: error sending request"),
}
"""The error for a request that the provider did not answer properly."""


def from_failure(failure: BaseException) -> GatewayError:
    status, kind, message = FAILURES[type(failure)]
    return GatewayError(status, kind, message, reached=True)
