"""Detects clear mistakes in text pasted as a key, for any provider. Pure; no sentence repeats a value.

A key may look odd, and some upstreams take any word. So Keyturn takes what is not clearly wrong, and tests it first.
"""

import re
from collections.abc import Iterable

Slip = tuple[re.Pattern[str], str]

COMPOUND = r"[\w.-]*[_.-](?i:key|token|secret|password|pat)|(?i:api_?key|auth_?token|secret_?key)"
NAME = rf"(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|{COMPOUND}|[a-z]+(?:Key|Token|Secret))"
"""The name of a variable or field that holds a secret."""

VENDORS = r"sk-|gsk_|xai-|hf_|AIza|ABSK|nvapi-|pplx-|r8_|ya29\."
SETTERS = r"export|set|setx|declare|local|env|ENV|-e|-"
WORD = r"[\w.~+/=:@-]+"
"""The characters of a token in an HTTP header. A password may hold any, so mistakes are sought around words only."""

QUOTES = "\"'`\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb"
DASHES = "\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
                       "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\x00-\x08\x0e-\x1f\x7f-\x9f]")  # fmt: skip
"""Invisible characters: zero width, direction marks, controls. Line breaks and blanks have sentences of their own."""

TEMPLATE = re.compile(
    r"\$\{[^{}]*\}|\{\{[^{}]*\}\}|^\$\(.*\)$|^`.*`$|^<%.*%>$|^%[A-Za-z_]\w*%$|^#\{.*\}$|^\$(?:env:)?[A-Z_][A-Z0-9_]*$|"
    r"^(?:process\.env|os\.environ|os\.getenv|secrets|vars|env)[.(\[]"
)
PLACEHOLDER = re.compile(
    r"^<[^<>]+>$|[<\[](?i:[^<>\[\]]{0,40}(?:key|token|secret|your|redacted|hidden|masked|here)[^<>\[\]]{0,40})[>\]]|REDACTED|"
    r"(?i:(?<![a-z0-9])(?:your|insert|enter|paste|put|replace)[-_ .](?:[a-z]+[-_ .]){0,6}(?:key|token|secret|here|me)"
    r"(?![a-z0-9]))|"
    r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:KEY|TOKEN|SECRET)$"
)
MASKED = re.compile(
    r"[\u2022\u2026\u25cf\u2219\u22c5\u00b7\u25aa\u25a0\u2588]|\*{3,}|^.{0,24}\.{3,}.{0,8}$|x{6,}|X{6,}"
)
"""Three dots may belong to a long secret: Azure's secrets hold dots."""

DOCUMENT = re.compile(r"^\{\s*(?:[\"'}\\]|[A-Za-z_]\w*\s*:|$)")
"""The start of a JSON document; a password may start with a brace too."""

NO_KEY: tuple[Slip, ...] = (
    (re.compile(r"^xox[a-z][-.]|^xapp-\d"), "This is a token of Slack: paste the key of the model provider."),
    (TEMPLATE, "This names a variable or a place to fill in: paste the value itself."),
    (PLACEHOLDER, "This is a placeholder for a key: paste the key itself."),
    (re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://"), "This is an address: paste the key itself."),
    (
        re.compile(
            r"^(?:~|\.{1,2})/[\w ./-]+$|^[A-Za-z]:[/\\]\S|^/(?:etc|home|mnt|opt|root|run|srv|tmp|usr|var|Users)/\S|"
            r"^[\w ./~\\-]+\.(?:json|pem|ya?ml|p12|pfx)$|^[\w ./~\\-]*[/\\][\w.-]*\.(?:env|key|txt)$"
        ),
        "This is the name of a file: open the file and paste what is in it.",
    ),
    (re.compile(r"^[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}$"), "This is an e-mail address: paste the key itself."),
)
"""Text that is neither a key nor a document."""

AROUND_A_KEY: tuple[Slip, ...] = (
    (re.compile(r"^curl\s", re.IGNORECASE), "This is a whole command: paste only the key in it."),
    (
        re.compile(
            r"^(?:-H\s+)?['\"]?(?:(?:proxy-)?authorization|(?:x-)?api-key|x-goog-api-key)['\"]?\s*:|^(?:bearer|basic)\s",
            re.IGNORECASE,
        ),
        "This is a whole header: paste only the key, without the words before it.",
    ),
    (
        re.compile(
            rf"^(?:(?:{SETTERS})\s+)?['\"]?(?:\$env:)?{NAME}['\"]?(?:\s*=>?\s*[^\s=]|\s*:=?\s*['\"]|\s*:=?\s+\S)"
        ),
        "This is a whole line, with the name of the key: paste only the part after the name.",
    ),
    (
        re.compile(rf"^\w+\s*[:=]\s*['\"]?(?:{VENDORS})"),
        "This is a whole line, with the name of the key: paste only the part after the name.",
    ),
    (
        re.compile(rf"^(?:{SETTERS})\s+\S+\s*=|^--?[a-z][\w-]*(?:\s|=[^\s=])"),
        "This is a whole command: paste only the key in it.",
    ),
    (MASKED, "This is masked or cut short: copy the whole key, or make a new one if its page shows it only once."),
)
"""A key with something around it, or an incomplete key."""

WRONG_KEY: tuple[Slip, ...] = (
    (
        re.compile(r"^sk-admin-[\w-]*T3BlbkFJ"),
        "This is an admin key of OpenAI: it manages the organization, and no model answers it. Paste another one.",
    ),
    (
        re.compile(r"^sk-ant-admin\d"),
        "This is an admin key of Anthropic: it manages the organization, and no model answers it. Paste another one.",
    ),
    (re.compile(r"^A(?:KI|SI)A[A-Z0-9]{12,}$"), "This is only the id of an AWS access key: paste the provider's key."),
)

SPELLING: tuple[Slip, ...] = (
    (re.compile(rf"^[{QUOTES}]"), "This is in quotes: paste the key without them."),
    (
        re.compile(rf"^{WORD}[{QUOTES},;\\]+[)\]}}]*[nrt]?$"),
        "This ends with a quote, a comma or another mark that is no part of the key: paste the key without it.",
    ),
    (INVISIBLE, "This has an invisible character: copy it again, from the provider's page itself."),
    (
        re.compile(f"[{DASHES}]"),
        "This has a long dash, which some program put there: copy it from the provider's page.",
    ),
    (
        re.compile(r"[^\x21-\x7e]"),
        "This has a character that no key has: copy it again, from the provider's page itself.",
    ),
)
"""A key that was altered on its way."""


def first_of(slips: Iterable[Slip], text: str) -> str | None:
    """Return the sentence of the first mistake in *text*."""
    return next((sentence for pattern, sentence in slips if pattern.search(text)), None)


TWICE_FROM = 64
"""Two keys of 32 characters; shorter text may be a word that a person chose."""


def is_twice(text: str) -> bool:
    """Return whether *text* is one text twice in a row, as after pasting twice."""
    half, odd = divmod(len(text), 2)
    return not odd and len(text) >= TWICE_FROM and text[:half] == text[half:] and len(set(text)) > 1
