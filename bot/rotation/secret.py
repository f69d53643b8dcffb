"""Accepts a pasted secret or says what is wrong with it; detects secrets where none belongs. Pure."""

import json
import re
import traceback
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import SecretStr

from bot.rotation.documents import check_document
from bot.rotation.errors import BadInput
from bot.rotation.families import AZURE, BEDROCK, VERTEX, family, one_word
from bot.rotation.inventory import ProviderKey
from bot.rotation.pastes import AROUND_A_KEY, DOCUMENT, INVISIBLE, NO_KEY, SPELLING, WRONG_KEY, first_of, is_twice


class Typed(NamedTuple):
    """What was typed into the form: the secret, and what everybody may read unless the secret got into it."""

    secret: str = ""
    name: str = ""
    why: str = ""
    ticket: str = ""

    def __repr__(self) -> str:
        """Show nothing that was typed."""
        return "Typed(…)"


class Submitted:
    """The input of a form on its way in; empty once it is taken."""

    def __init__(self, *typed: str) -> None:
        self._typed = Typed(*typed)

    def take(self) -> Typed:
        """Return what was typed, once."""
        typed, self._typed = self._typed, Typed()
        return typed


def shown_again(typed: Typed) -> Typed:
    """Return what a form may show again of what was typed into it: not the secret, nor what may be a piece of one."""
    secret = SecretStr(typed.secret.strip())

    def shown(text: str) -> str:
        holds = bool(secret.get_secret_value()) and shares_a_piece(text, secret)
        return "" if holds or is_surely_secret(text) or may_be_secret(text) else text

    return Typed("", *map(shown, typed[1:]))


def forget_locals(error: BaseException | None) -> None:
    """Clear the local variables in the traceback of *error* and of its causes; the places in the code stay."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            left += [one.__cause__, one.__context__]


def checked(pasted: str, key: ProviderKey, own: Iterable[SecretStr] = ()) -> SecretStr:
    """Return the secret to send, or raise `BadInput` with a sentence for the field that repeats no part of it.

    *own* are Keyturn's own secrets; no provider may see them.
    """
    secret = pasted.strip()
    if not secret:
        raise BadInput("This is empty: paste the new secret.")
    if any(secret == ours.get_secret_value() for ours in own):
        raise BadInput("This is a secret of Keyturn's own settings: paste the one that the provider gave you.")
    if secret in (key.id, key.display_name):
        raise BadInput("This is what the key is called in AISIX: paste the secret that the provider gave you.")
    kind = family(key)
    if kind in (BEDROCK, VERTEX) or (kind == AZURE and INVISIBLE.sub("", secret).startswith("{")):
        check_document(secret, kind)
    else:
        _check_word(secret, one_word(key))
    return SecretStr(secret)


def _check_word(secret: str, takes: str) -> None:
    wrong = first_of(NO_KEY, secret)
    if wrong is None and DOCUMENT.match(INVISIBLE.sub("", secret)):
        wrong = f"This is a JSON document; {takes}."
    if wrong is None and secret.startswith("-----BEGIN"):
        wrong = f"This is a certificate or a private key; {takes}."
    wrong = wrong or first_of((*AROUND_A_KEY, *WRONG_KEY), secret) or _doubled(secret) or _blank(secret, takes)
    if wrong := wrong or first_of(SPELLING, secret):
        raise BadInput(wrong)


def _doubled(secret: str) -> str | None:
    return "This is the same key twice: paste it once." if is_twice(secret) else None


def _blank(secret: str, takes: str) -> str | None:
    if not re.search(r"\s", secret):
        return None
    where = "line break" if re.search(r"[\r\n]", secret) else "space"
    return f"This has a {where} in the middle; {takes}."


PIECE = 8
"""The number of characters of a secret that must not be shown."""


def shares_a_piece(text: str, secret: SecretStr) -> bool:
    """Return whether *text* holds a piece of *secret*; of a document, the names of a region or an account are none."""
    parts = _secret_parts(secret.get_secret_value())
    return any(part[i : i + PIECE] in text for part in parts for i in range(max(1, len(part) - PIECE + 1)))


SHOWN = frozenset({
    "auth_provider_x509_cert_url", "auth_uri", "authority_host", "client_email", "client_x509_cert_url", "project",
    "project_id", "region", "tenant_id", "token_uri", "type", "universe_domain",
})  # fmt: skip
"""Fields of a document that people may name in a sentence; with an address, no link to a ticket would be taken."""


def _secret_parts(secret: str) -> Iterable[str]:
    try:
        document = json.loads(secret)
    except (ValueError, RecursionError):
        document = None
    return [part for part in _texts(document) if part] if isinstance(document, dict) else [secret]


def _texts(value: Any) -> Iterator[str]:
    """Yield each text in a document, but for what people may name."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner) if name not in SHOWN else ()
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


KNOWN_SECRET = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bxox[a-z]-\S{8,}|\bxapp-\S{8,}|\bgh[pousr]_\w{16,}|"
    r"\bya29\.\S{8,}|\bhv[sbr]\.[\w-]{20,}|\beyJ[\w-]{8,}\.|-----BEGIN|"
    r"(?:private_key|secret_access_key|client_secret|api_key)(?:\"\s*:|\s*=)(?!\s*\"…\")",
)
PREFIXED = re.compile(r"\b(?:sk|rk|hf|gsk|xai)[-_]\S{12,}")
"""A vendor's prefix and a long rest: a secret, unless the rest is words."""

LONG_RUN = re.compile(r"(?<![A-Za-z0-9+/=])(?<!pk_)(?<!key_)[A-Za-z0-9+/=]{20,}")


def on_one_line(text: str) -> str:
    """Return what a person typed for everybody to read on one line, without characters that nobody sees."""
    return " ".join(INVISIBLE.sub("", text.replace("\u2800", " ")).split())


def is_surely_secret(text: str) -> bool:
    """Return whether *text* holds something that only a secret looks like."""
    return KNOWN_SECRET.search(text) is not None or not all(map(_is_words, PREFIXED.findall(text)))


LINK = re.compile(r"\bhttps?://[^\s?#]+")


def may_be_secret(text: str) -> bool:
    """Return whether *text* holds a long run of letters and digits, as secrets do and names do not.

    Each part of the path of a link is a run of its own, as links to tickets hold words and numbers.
    """
    apart = LINK.sub(lambda link: link[0].replace("/", " "), text)
    return any(not _is_words(run) and _is_mixed(run) for run in LONG_RUN.findall(apart))


def refuse_secret(text: str, secret: SecretStr, field: str) -> None:
    """Raise `BadInput` for the *field* if *text*, which everybody will read, holds *secret* or looks like one."""
    if text and shares_a_piece(text, secret):
        raise BadInput(f"This holds a piece of the secret, and the {field} is shown to everyone.", field=field)
    refuse_likeness(text, field)


def refuse_likeness(text: str, field: str) -> None:
    """Raise `BadInput` for the *field* if *text*, which everybody will read, looks like a secret."""
    if is_surely_secret(text) or may_be_secret(text):
        raise BadInput(f"This looks like a secret, and the {field} is shown to everyone.", field=field)


PART_OF_A_NAME = re.compile(r"[a-z]{1,14}|[A-Z][a-z]{0,13}|[A-Z]{1,8}|\d{1,4}|v\d{1,3}")


def _is_words(run: str) -> bool:
    """Return whether a run consists of words and short numbers with marks between them."""
    return all(PART_OF_A_NAME.fullmatch(part) for part in re.split(r"[^A-Za-z0-9]+", run) if part)


def _is_mixed(run: str) -> bool:
    return any(map(str.isdigit, run)) and any(map(str.isalpha, run))
