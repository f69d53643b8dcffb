"""From a provider key to the credential that leaves the gateway, or to the reason why none does."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.aisix.errors import GatewayError, malformed_secret

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
"""The providers that set their adapter, and but for Azure their base URL, by themselves."""

ADAPTERS = frozenset(CATALOG.values())

OFFERS = {
    "openai": {"chat", "embeddings", "rerank", "responses", "messages"},
    "azure-openai": {"chat", "embeddings", "responses", "messages"},
    "anthropic": {"chat", "messages"},
    "bedrock": {"chat", "embeddings", "messages"},
    "vertex": {"chat", "embeddings", "messages"},
}
"""The endpoints of each adapter; any other is 501."""

BEDROCK = {"access_key_id", "secret_access_key", "region"}
VERTEX = {"access_token", "service_account_json"}
AZURE_AD = {"tenant_id", "client_id", "client_secret"}
FIRST_VISIBLE, DELETE = 0x20, 0x7F


def adapter_of(key: Mapping[str, Any]) -> str:
    """The adapter that serves *key*, whose settings are complete."""
    adapter = key.get("adapter") or CATALOG.get(key.get("provider", ""))
    if adapter not in ADAPTERS:
        raise GatewayError(503, "provider_unavailable", f'no bridge for provider "{key.get("provider")}"')
    needs_base = adapter == "azure-openai" or key.get("provider") not in CATALOG
    if needs_base and not key.get("api_base"):
        raise GatewayError(400, "invalid_request_error", "the provider key needs an api_base")
    return str(adapter)


def check_offers(adapter: str, endpoint: str) -> None:
    if endpoint not in OFFERS[adapter]:
        raise GatewayError(501, "not_implemented", f"{adapter} does not offer {endpoint}")


PUBLISHERS = {
    "bedrock": ("anthropic.", "meta.", "mistral.", "amazon.", "cohere.", "ai21."),
    "vertex": ("gemini-", "claude-", "meta/llama", "llama", "mistral-", "jamba-"),
}
"""What the names of an adapter's chat models begin with, where the adapter has to know who made them."""


def check_publisher(adapter: str, endpoint: str, model: str) -> None:
    """Refuse a chat with a model whose maker is unknown: the words are those of a refused token exchange."""
    known = PUBLISHERS.get(adapter)
    if known and endpoint in ("chat", "messages") and not model.startswith(known):
        raise GatewayError(500, "config_error", f'{adapter} publisher unknown for model id "{model}"')


def needs_exchange(adapter: str, secret: str) -> bool:
    """Whether *secret* has to be exchanged for a token first; refuses one that is malformed."""
    match adapter:
        case "bedrock":
            _document(secret, required=BEDROCK)
            return False
        case "vertex":
            document = _document(secret, required={"project", "region"})
            return _one_of(document, VERTEX) == "service_account_json"
        case "azure-openai" if secret.startswith("{"):
            _document(secret, required=AZURE_AD)
            return True
    if any(not FIRST_VISIBLE <= ord(character) < DELETE for character in secret):
        raise malformed_secret()
    return False


def _document(secret: str, required: set[str]) -> dict[str, Any]:
    try:
        document = json.loads(secret)
    except ValueError:
        raise malformed_secret() from None
    if not isinstance(document, dict) or required - document.keys():
        raise malformed_secret()
    return document


def _one_of(document: dict[str, Any], names: set[str]) -> str:
    found = names & document.keys()
    if len(found) != 1:
        raise malformed_secret()
    return found.pop()
