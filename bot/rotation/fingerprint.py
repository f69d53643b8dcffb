"""Keyed fingerprints: Keyturn recognizes a secret that it has seen before without storing it. Pure."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from pydantic import SecretStr

from bot.rotation.families import AZURE, BEDROCK, VERTEX, family
from bot.rotation.inventory import ProviderKey

PEPPER = b"keyturn pepper 1:"
CREDENTIAL = b"keyturn credential 1:"
"""The hashed text starts with its kind, so a value of one kind can't pass for another."""


def fingerprint_of(secret: SecretStr, key: ProviderKey, pepper: SecretStr) -> str:
    """Return the fingerprint of a checked secret of *key*: a mark of the pepper, and a keyed digest."""
    return f"{_mark(pepper)}.{_keyed(pepper, CREDENTIAL + _proof(secret, key))}"


def is_same(one: str, other: str) -> bool | None:
    """Return whether two fingerprints belong to one credential; None if their peppers differ."""
    if one.partition(".")[0] != other.partition(".")[0]:
        return None
    return hmac.compare_digest(one, other)


def is_made_with(known: str, pepper: SecretStr) -> bool:
    """Return whether *pepper* made the fingerprint, so that new ones can be compared with it."""
    return known.partition(".")[0] == _mark(pepper)


def _mark(pepper: SecretStr) -> str:
    return _keyed(pepper, PEPPER)[:16]


def _keyed(pepper: SecretStr, value: bytes) -> str:
    return hmac.new(pepper.get_secret_value().encode(), value, hashlib.sha256).hexdigest()


def _proof(secret: SecretStr, key: ProviderKey) -> bytes:
    """Return the part of the secret that is revoked at the provider, however the secret is written.

    For a JSON document that is one field: another region, project or tenant does not make another credential.
    """
    value, kind = secret.get_secret_value(), family(key)
    if kind and value.startswith("{"):
        value = str(FIELD[kind](json.loads(value)))
    return "".join(value.split()).encode("utf-8", "surrogatepass")


def _of_vertex(document: dict[str, Any]) -> Any:
    if document.get("access_token"):
        return document["access_token"]
    account = document["service_account_json"]
    return (json.loads(account) if isinstance(account, str) else account)["private_key"]


FIELD: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    BEDROCK: itemgetter("secret_access_key"),
    VERTEX: _of_vertex,
    AZURE: itemgetter("client_secret"),
}
"""The essential field of each JSON document."""
