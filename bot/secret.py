"""The shape of a secret, by provider, and the look of one where none belongs. Pure; no sentence repeats a value."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from bot.errors import BadInput
from bot.plan import ProviderKey

BEDROCK = "bedrock"
VERTEX = "vertex"
AZURE = "azure"

REQUIRED: Mapping[str, tuple[str, ...]] = {
    BEDROCK: ("access_key_id", "secret_access_key", "region"),
    VERTEX: ("project", "region"),
    AZURE: ("tenant_id", "client_id", "client_secret"),
}
"""Fields of each JSON document that AISIX keeps in the one secret (facts/aisix.md 2.4)."""

SERVICE_ACCOUNT = ("client_email", "private_key", "token_uri")


def family(key: ProviderKey) -> str | None:
    """Tell which JSON document *key* may hold; None for a plain key."""
    words = f"{key.adapter} {key.provider}".casefold()
    return next((name for name in (BEDROCK, VERTEX, AZURE) if name in words), None)


def exchanges_tokens(key: ProviderKey) -> bool:
    """Tell whether AISIX may trade the secrets of *key* for tokens."""
    return family(key) in (VERTEX, AZURE)


def checked(pasted: str, key: ProviderKey) -> SecretStr:
    """Return the secret as it is to be sent, or raise `BadInput` with a sentence for the field."""
    secret = pasted.strip()
    if not secret:
        raise BadInput("This is empty: paste the new secret.")
    kind = family(key)
    if kind in (BEDROCK, VERTEX) or (kind == AZURE and secret.startswith("{")):
        _check_document(secret, kind)
    else:
        _check_plain(secret, key.provider or "this provider")
    return SecretStr(secret)


def _check_plain(secret: str, provider: str) -> None:
    if secret.startswith("{"):
        raise BadInput(f"This is a JSON document; a key of {provider} is one word.")
    if secret.startswith("-----BEGIN"):
        raise BadInput(f"This is a certificate or a private key; a key of {provider} is one word.")
    if re.search(r"\s", secret):
        where = "line break" if re.search(r"[\r\n]", secret) else "space"
        raise BadInput(f"This has a {where} in the middle; a key of {provider} is one word.")
    if secret[0] in "\"'`\u201c\u201d\u2018\u2019":
        raise BadInput("This is in quotes: paste the key without them.")
    if not (secret.isascii() and secret.isprintable()):
        raise BadInput("This has a character that no key has, perhaps an invisible one: copy it again.")


def _check_document(secret: str, kind: str) -> None:
    document = _json(secret)
    name = kind.capitalize()
    if not isinstance(document, dict):
        raise BadInput(f"This is not the JSON document that {name} needs: it begins with {{ and ends with }}.")
    for field in REQUIRED[kind]:
        _require(document, field, name)
    if kind == VERTEX:
        _check_vertex(document)


def _require(document: dict[str, Any], field: str, name: str) -> None:
    if not isinstance(document.get(field), str) or not document[field].strip():
        raise BadInput(f"This is not the JSON document that {name} needs: `{field}` is missing.")


def _check_vertex(document: dict[str, Any]) -> None:
    given = [field for field in ("access_token", "service_account_json") if document.get(field)]
    if len(given) == 2:  # noqa: PLR2004 - both
        raise BadInput("Vertex takes `access_token` or `service_account_json`, and this has both.")
    if not given:
        raise BadInput("This is not the JSON document that Vertex needs: `service_account_json` is missing.")
    account = document.get("service_account_json")
    account = _json(account) if isinstance(account, str) else account
    if account is None and given == ["access_token"]:
        return
    if not isinstance(account, dict):
        raise BadInput("The `service_account_json` in this is not a JSON document.")
    for field in SERVICE_ACCOUNT:
        _require(account, field, "Vertex's service account")


def _json(text: str) -> Any:
    """Read JSON; what is wrong with it is not said, a parser's message quotes its input."""
    try:
        return json.loads(text)
    except ValueError:
        return None
    except RecursionError:
        return None


PIECE = 8
"""Characters of a secret that are already too many to show."""


def shares_a_piece(text: str, secret: SecretStr) -> bool:
    """Tell whether *text* holds a piece of *secret*."""
    value = secret.get_secret_value()
    return any(value[i : i + PIECE] in text for i in range(max(1, len(value) - PIECE + 1)))


KNOWN_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bxox[a-z]-\S{8,}|\bxapp-\S{8,}|\bgh[pousr]_\w{16,}|"
    r"\bya29\.\S{8,}|\beyJ[\w-]{8,}\.|-----BEGIN|"
    r"(?:private_key|secret_access_key|client_secret|api_key)(?:\"\s*:|\s*=)",
)
PREFIXED = re.compile(r"\b(?:sk|rk|hf|gsk|xai)[-_]\S{12,}")
"""A vendor's prefix and a long rest, whatever is in it: a secret, unless the rest is words."""

LONG_RUN = re.compile(r"(?<![A-Za-z0-9+/=])(?<!pk_)(?<!key_)[A-Za-z0-9+/=]{20,}")


def is_surely_secret(text: str) -> bool:
    """Tell whether *text* holds what only a secret looks like."""
    return KNOWN_SECRET.search(text) is not None or not all(map(_is_words, PREFIXED.findall(text)))


def may_be_secret(text: str) -> bool:
    """Tell whether *text* holds a long run of letters and digits, as secrets do and names do not."""
    return any(not _is_words(run) and _is_mixed(run) for run in LONG_RUN.findall(text))


PART_OF_A_NAME = re.compile(r"[a-z]{1,14}|[A-Z][a-z]{0,13}|[A-Z]{1,8}|\d{1,4}|v\d{1,3}")


def _is_words(run: str) -> bool:
    """Tell whether a run is words and short numbers with marks between them."""
    return all(PART_OF_A_NAME.fullmatch(part) for part in re.split(r"[^A-Za-z0-9]+", run) if part)


def _is_mixed(run: str) -> bool:
    return any(map(str.isdigit, run)) and any(map(str.isalpha, run))
