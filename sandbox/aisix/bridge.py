"""Turn a provider key into the credential that the gateway sends, or the error why it cannot."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.aisix.errors import GatewayError, malformed_secret, misconfigured

CATALOG = {
    "openai": "openai",
    "anthropic": "anthropic",
    "deepseek": "openai",
    "mistral": "openai",
    "cohere": "openai",
    "amazon-bedrock": "bedrock",
    "google-vertex": "vertex",
    "azure": "azure-openai",
}
"""Providers with a default adapter and, except for Azure, a default base URL."""

ADAPTERS = frozenset(CATALOG.values())

OFFERS = {
    "openai": {"chat", "embeddings", "rerank", "responses", "messages"},
    "azure-openai": {"chat", "embeddings", "responses", "messages"},
    "anthropic": {"chat", "messages"},
    "bedrock": {"chat", "embeddings", "messages"},
    "vertex": {"chat", "embeddings", "messages"},
}
"""The endpoints of each adapter; any other gets 501."""

HINTS = {
    "bedrock": "bedrock provider_key.api_key must be valid JSON: {access_key_id, secret_access_key, region, ...}",
    "vertex": "vertex provider_key.api_key must be valid JSON: {project, region, and either access_token or ...}",
    "azure-openai": "azure provider_key.api_key looks JSON-shaped but failed to parse as AAD client_credentials",
}
"""A gateway's message about a document that it cannot use."""

PLAIN = "provider_key.api_key contains invalid header characters"

BEDROCK = {"access_key_id", "secret_access_key", "region"}
VERTEX = {"access_token", "service_account_json"}
AZURE_AD = {"tenant_id", "client_id", "client_secret"}
FIRST_VISIBLE, DELETE = 0x20, 0x7F


def adapter_of(key: Mapping[str, Any]) -> str:
    """Return the adapter for *key*; refuse a key with incomplete settings."""
    adapter = key.get("adapter") or CATALOG.get(key.get("provider", ""))
    has_base = key.get("provider") in CATALOG or key.get("api_base")
    if adapter not in ADAPTERS or not has_base:
        raise GatewayError(503, "provider_unavailable", "no bridge registered for provider")
    if adapter == "azure-openai" and not key.get("api_base"):
        raise GatewayError(400, "invalid_request_error", "the provider key needs an api_base")
    return str(adapter)


def check_offers(adapter: str, endpoint: str) -> None:
    if endpoint not in OFFERS[adapter]:
        raise GatewayError(501, "not_implemented", f"{adapter} does not offer {endpoint}")


PUBLISHERS = {
    "bedrock": ("anthropic.", "meta.", "mistral.", "amazon.", "cohere.", "ai21."),
    "vertex": ("gemini-", "claude-", "meta/llama", "llama", "mistral-", "jamba-"),
}
"""The prefixes of chat model names, for adapters that must know a model's publisher."""


def check_publisher(adapter: str, endpoint: str, model: str) -> None:
    """Refuse a chat with a model of an unknown publisher; a refused token exchange has the same error."""
    known = PUBLISHERS.get(adapter)
    if known and endpoint in ("chat", "messages") and not model.startswith(known):
        noun = "model id" if adapter == "bedrock" else "upstream model id"
        raise misconfigured(f'{adapter} publisher unknown for {noun} "{model}"')


def needs_exchange(adapter: str, secret: str) -> bool:
    """Tell whether *secret* must be exchanged for a token first; refuse a malformed one."""
    match adapter:
        case "bedrock":
            _document(secret, BEDROCK, adapter)
            return False
        case "vertex":
            found = VERTEX & _document(secret, {"project", "region"}, adapter).keys()
            if len(found) != 1:
                raise malformed_secret(HINTS[adapter])
            return found == {"service_account_json"}
        case "azure-openai" if secret.startswith("{"):
            _document(secret, AZURE_AD, adapter)
            return True
    if any(not FIRST_VISIBLE <= ord(character) < DELETE for character in secret):
        raise malformed_secret(PLAIN)
    return False


def _document(secret: str, required: set[str], adapter: str) -> dict[str, Any]:
    try:
        document = json.loads(secret)
    except ValueError:
        raise malformed_secret(HINTS[adapter]) from None
    if not isinstance(document, dict) or required - document.keys():
        raise malformed_secret(HINTS[adapter])
    return document
