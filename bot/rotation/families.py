"""The kind of credential in a provider key: one word, or the JSON document of a cloud. Pure."""

from collections.abc import Mapping

from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import LABEL_MOST

BEDROCK = "bedrock"
VERTEX = "vertex"
AZURE = "azure"

PLAIN = ("openai", "anthropic")
"""Adapters that send one word, whatever the provider's label: Bedrock and Vertex have such endpoints too."""

SHAPES: Mapping[str, str] = {
    BEDROCK: '{"access_key_id": "…", "secret_access_key": "…", "region": "…"}',
    VERTEX: '{"project": "…", "region": "…", "service_account_json": {…}}',
    AZURE: '{"tenant_id": "…", "client_id": "…", "client_secret": "…"}',
}
"""The JSON documents that AISIX keeps in its single secret field (facts/aisix.md 2.4)."""


def family(key: ProviderKey) -> str | None:
    """Return the kind of JSON document in *key*, None for a plain key. The adapter decides, if the key names one."""
    named = _named_in(key.adapter)
    if named or any(plain in key.adapter.casefold() for plain in PLAIN):
        return named
    return _named_in(key.provider)


def _named_in(text: str) -> str | None:
    return next((name for name in (BEDROCK, VERTEX, AZURE) if name in text.casefold()), None)


def exchanges_tokens(key: ProviderKey) -> bool:
    """Return whether AISIX may exchange the secrets of *key* for tokens."""
    return family(key) in (VERTEX, AZURE)


def one_word(key: ProviderKey) -> str:
    """Say what *key* takes when it takes no document."""
    if key.adapter:
        return f"a key for the {key.adapter[:LABEL_MOST]} adapter is one word"
    return f"a key of {key.provider[:LABEL_MOST] or 'this provider'} is one word"
