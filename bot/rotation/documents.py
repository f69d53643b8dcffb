"""Detects clear mistakes in a pasted JSON document of Bedrock, Vertex or Azure. Pure; no sentence repeats a value."""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from bot.rotation.errors import BadInput
from bot.rotation.families import AZURE, BEDROCK, SHAPES, VERTEX
from bot.rotation.pastes import INVISIBLE, MASKED, NO_KEY, PLACEHOLDER, QUOTES, TEMPLATE, first_of, is_twice

Json = dict[str, Any]
Flaw = tuple[Callable[[str], Any], str]

REQUIRED: Mapping[str, tuple[str, ...]] = {
    BEDROCK: ("access_key_id", "secret_access_key", "region"),
    VERTEX: ("project", "region"),
    AZURE: ("tenant_id", "client_id", "client_secret"),
}
SERVICE_ACCOUNT = ("client_email", "private_key", "token_uri")

OTHERWISE: Mapping[str, tuple[str, ...]] = {
    "access_key_id": ("AccessKeyId", "accessKeyId", "aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    "secret_access_key": ("SecretAccessKey", "secretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    "region": ("Region", "location", "aws_region", "AWS_REGION", "AWS_DEFAULT_REGION", "region_name"),
    "project": ("project_id", "projectId"),
    "tenant_id": ("tenantId", "tenant", "AZURE_TENANT_ID"),
    "client_id": ("clientId", "appId", "AZURE_CLIENT_ID"),
    "client_secret": ("clientSecret", "password", "secret", "AZURE_CLIENT_SECRET"),
}
"""The clouds' own names for the fields."""

OWNERS: Mapping[str, str] = {
    "access_key_id": BEDROCK,
    "secret_access_key": BEDROCK,
    "service_account_json": VERTEX,
    "private_key": VERTEX,
    "tenant_id": AZURE,
    "client_secret": AZURE,
}
"""Fields that only one kind of document has."""


def check_document(secret: str, kind: str) -> None:
    """Raise `BadInput` unless the gateway can use *secret* as a document, as far as its form shows."""
    document = _read(secret)
    if not isinstance(document, dict):
        raise BadInput(_why_unreadable(secret, kind))
    CHECKS[kind](document)


def _read(text: str) -> Any:
    """Read JSON; return None on an error, because a parser's message quotes its input."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# --- text that is no document at all ---


def _why_unreadable(secret: str, kind: str) -> str:
    flaws = (*FLAWS_OF_THE_WHOLE, *LONE.get(kind, ()), *LOOKS, *FLAWS)
    found = next((sentence for is_so, sentence in flaws if is_so(secret)), None) or first_of(NO_KEY, secret)
    return (found or UNREADABLE).replace("SHAPE", SHAPES[kind]).replace("NAME", kind.capitalize())


UNREADABLE = "This is not the JSON document that NAME needs: it begins with { and ends with }. It is SHAPE."


def _is_escaped(text: str) -> bool:
    return text.startswith('{\\"') or (text.startswith('"') and str(_read(text)).lstrip().startswith("{"))


def _is_base64(text: str) -> bool:
    try:
        return b64decode("".join(text.split()), validate=True).lstrip().startswith(b"{")
    except ValueError:
        return False


FLAWS_OF_THE_WHOLE: tuple[Flaw, ...] = (
    (
        INVISIBLE.match,
        (
            "This begins with an invisible character, perhaps the byte-order mark (BOM) of a file: copy it again, "
            "from the first { to the last }."
        ),
    ),
    (is_twice, "This is the same document twice: paste it once."),
    (_is_escaped, "This is a document inside quotes, with a backslash before each of its own: paste it as SHAPE."),
)

LONE: Mapping[str, tuple[Flaw, ...]] = {
    BEDROCK: (
        (
            re.compile(r"^(?:ABSK|bedrock-api-key-)\S+$").match,
            "This is an API key of Bedrock, and AISIX signs what it sends to Bedrock with an access key: paste SHAPE.",
        ),
        (
            re.compile(r"^(?:A(?:KI|SI)A[A-Z0-9]{12,}|[A-Za-z0-9/+]{40})$").match,
            "This is half of an access key: paste SHAPE.",
        ),
    ),
    VERTEX: (
        (
            re.compile(r"^ya29\.\S+$").match,
            'This is an access token alone: paste {"project": "…", "region": "…", "access_token": "…"}.',
        ),
        (
            re.compile(r"^(?:AIza|AQ\.)\S+$").match,
            "This is an API key of Google, and the vertex adapter needs a service account's key file: paste SHAPE.",
        ),
    ),
}
"""Text that people paste instead of a document."""

LOOKS: tuple[Flaw, ...] = (
    (_is_base64, "This is base64: decode it (`base64 -d`) and paste the document that comes out."),
    (
        re.compile(r"^-----BEGIN").match,
        "This is only the private key out of the document: paste the whole document, SHAPE.",
    ),
    (
        re.compile(r"^(?:export\s+|\[[\w ]+\]\s*)?[A-Za-z]\w*\s*[=:]\s*[^\s/\\=]").match,
        "These are lines of a settings file: write them as SHAPE.",
    ),
)
"""Text that does not start like a document."""


def _parses(changed: Callable[[str], str]) -> Callable[[str], bool]:
    return lambda text: isinstance(_read(changed(text)), dict)


def _has_more(text: str) -> bool:
    try:
        return text.startswith("{") and json.JSONDecoder().raw_decode(text)[1] < len(text)
    except (ValueError, RecursionError):
        return False


def _has_real_line_break(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _is_cut_off(text: str) -> bool:
    return text.startswith("{") and (not text.endswith("}") or _parses(lambda part: part + "}")(text))


COMMA = re.compile(r",(\s*[}\]])")

FLAWS: tuple[Flaw, ...] = (
    (re.compile("&quot;|&#34;").search, "This has &quot; in place of its quotes: copy the document from its file."),
    (
        re.compile(r"[\u201c-\u201f\u2018-\u201b\u00ab\u00bb\uff02]").search,
        "This has curly quotes, which some program put there: copy the document from its file, with straight ones.",
    ),
    (
        re.compile(rf"{INVISIBLE.pattern}|[^\S \t\r\n]").search,
        (
            "This has an invisible character or an unusual space: copy the document from its file, "
            "not from a page or a chat."
        ),
    ),
    (
        _has_real_line_break,
        (
            "A value in this has a real line break or tab in it: copy the document from its file, where a private key "
            "is one line with \\n in it."
        ),
    ),
    (re.compile(r"[{,]\s*'").search, "This has single quotes, as Python writes them: JSON has double ones."),
    (_parses(lambda text: COMMA.sub(r"\1", text)), "This has a comma after its last field: remove it."),
    (_has_more, "Something stands after the end of this document: paste the document alone, once."),
    (re.compile(r"^\s*(?://|#)", re.MULTILINE).search, "This has comments, which JSON does not know: remove them."),
    (re.compile(r"[{,]\s*[A-Za-z_]\w*\s*:").search, "The names of the fields have no quotes: write them as in SHAPE."),
    (
        _is_cut_off,
        "This is cut off: it has no end. What does not fit into the first field goes into the second.",
    ),
)
"""Mistakes in text that starts like a document."""


# --- documents of another kind, or with wrong fields ---


def _check_bedrock(document: Json) -> None:
    _check_fields(document, BEDROCK)
    key_id, secret = document["access_key_id"], document["secret_access_key"]
    if AWS_ID.fullmatch(secret) or (AWS_SECRET.fullmatch(key_id) and not AWS_SECRET.fullmatch(secret)):
        raise BadInput("`access_key_id` and `secret_access_key` are swapped: exchange their values.")
    if document.get("session_token") is not None:
        _value(document, "session_token")
    elif key_id.startswith("ASIA"):
        raise BadInput("`access_key_id` is of a temporary key, which needs its `session_token` as well.")


AWS_ID = re.compile(r"A(?:KI|SI)A[A-Z0-9]{12,}")
AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ORIGIN = re.compile(r"https?://[^/@?#\\\s]+/*")


def _check_azure(document: Json) -> None:
    _check_fields(document, AZURE)
    if UUID.fullmatch(document["client_secret"]):
        if UUID.fullmatch(document["client_id"]):
            raise BadInput("`client_secret` is the id of a secret: paste its value, which Azure shows only once.")
        raise BadInput("`client_id` and `client_secret` are swapped: exchange their values.")
    if document.get("authority_host") and not ORIGIN.fullmatch(_value(document, "authority_host")):
        raise BadInput("`authority_host` has to be https:// and a name, with nothing after it.")


def _check_vertex(document: Json) -> None:
    if "service_account_json" not in document and _is_account(document):
        _check_type(document)
        raise BadInput(
            f"This is Google's key file alone. Put it into {SHAPES[VERTEX]}, in place of the last {{…}}, with the "
            "project and the region of the key in use."
        )
    _check_fields(document, VERTEX)
    given = [field for field in ("access_token", "service_account_json") if document.get(field) is not None]
    if len(given) == 2:  # noqa: PLR2004 - both
        raise BadInput("Vertex takes `access_token` or `service_account_json`, and this has both.")
    if not given:
        raise BadInput(_missing("service_account_json", VERTEX))
    if given == ["access_token"]:
        _value(document, "access_token")
    else:
        _check_account(document["service_account_json"])


def _is_account(document: Json) -> bool:
    return "private_key" in document or document.get("type") in ACCOUNTS or bool({"installed", "web"} & document.keys())


ACCOUNT = "service_account"
ACCOUNTS = (ACCOUNT, "authorized_user", "external_account", "impersonated_service_account")


def _check_account(account: Any) -> None:
    if isinstance(account, str):
        raise BadInput(
            "The `service_account_json` in this is text: put Google's key file there as it is, from { to }, "
            "without quotes around it and without backslashes before its own."
        )
    if not isinstance(account, dict):
        raise BadInput("The `service_account_json` in this is not a JSON document: put Google's key file there.")
    _check_type(account)
    for field in SERVICE_ACCOUNT:
        if field not in account:
            raise BadInput(f"The service account has no `{field}`: put Google's whole key file there.")
    for field in ("client_email", "token_uri"):
        _value(account, field)
    _check_pem(account["private_key"])


def _check_type(account: Json) -> None:
    if account.get("type") != ACCOUNT:
        raise BadInput(
            "This is no key file of a Google service account, whose `type` is `service_account`: AISIX takes no other."
        )


PEM = re.compile(r"-----BEGIN ((?:RSA )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----.*", re.DOTALL)
"""The form that the gateway reads; line breaks in a private key don't matter to it."""


def _check_pem(key: Any) -> None:
    if not isinstance(key, str) or not key.startswith("-----BEGIN"):
        raise BadInput("`private_key` is none as Google writes it: copy Google's key file again.")
    if "\\" in key:
        raise BadInput("`private_key` has two backslashes before each n: Google's key file has one.")
    found = PEM.fullmatch(key)
    if not found or len("".join(found[2].split())) % 4:
        raise BadInput("`private_key` is cut off or was changed: copy Google's key file again.")


CHECKS: Mapping[str, Callable[[Json], None]] = {
    BEDROCK: _check_bedrock,
    VERTEX: _check_vertex,
    AZURE: _check_azure,
}


# --- fields ---


def _check_fields(document: Json, kind: str) -> None:
    absent = [field for field in REQUIRED[kind] if field not in document]
    owner = next((OWNERS[field] for field in OWNERS if field in document), kind)
    if absent and owner != kind:
        raise BadInput(f"This is a document of {owner.capitalize()}; this key takes {SHAPES[kind]}.")
    for field in absent:
        called = next((name for name in OTHERWISE[field] if name in _names(document)), None)
        raise BadInput(
            _missing(field, kind) if called is None else f"`{called}` has to be called `{field}`: paste {SHAPES[kind]}."
        )
    for field in REQUIRED[kind]:
        _value(document, field)


def _missing(field: str, kind: str) -> str:
    return f"This is not the JSON document that {kind.capitalize()} needs: `{field}` is missing. It is {SHAPES[kind]}."


def _names(document: Json) -> set[str]:
    """Return the names of the fields, including those in an outer object, as some tools print them."""
    return {*document, *(name for inner in document.values() if isinstance(inner, dict) for name in inner)}


def _value(document: Json, field: str) -> str:
    """Return a field whose value must be one word of visible characters."""
    value = document[field]
    if not isinstance(value, str):
        raise BadInput(f"`{field}` has to be text, in quotes.")
    if not value.strip():
        raise BadInput(f"`{field}` is empty.")
    if found := next((told for pattern, told in FLAWS_OF_A_VALUE if pattern.search(value)), None):
        raise BadInput(f"`{field}` {found}")
    return value


FLAWS_OF_A_VALUE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^\s|\s$"), "begins or ends with a space: remove it."),
    (re.compile(r"\s"), "has a space or a line break in it: remove it."),
    (INVISIBLE, "has an invisible character in it: copy the value again, from the provider's page itself."),
    (TEMPLATE, "names a variable or a place to fill in: put the value itself there."),
    (PLACEHOLDER, "is a placeholder: put the value itself there."),
    (MASKED, "is masked or cut short: put the whole value there."),
    (re.compile(rf"^[{QUOTES}]|[{QUOTES}]$"), "has quotes inside its quotes: remove them."),
    (re.compile(r"[^\x21-\x7e]"), "has a character that no such value has: copy the value again."),
)
