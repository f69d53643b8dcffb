"""Secrets by reference: how one is written, and which may be read for which key. Pure.

Whoever types a reference has Keyturn read something and send it to an upstream. So nothing can be read but what the
settings allow for that key, and no sentence repeats what was typed: it may hold a secret.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from bot.rotation.errors import BadInput
from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey
from bot.rotation.pastes import INVISIBLE
from bot.rotation.policies import is_named


class Kind(StrEnum):
    """Where a secret can be read, as a reference begins."""

    VAULT = "vault"
    WRAPPED = "vault-wrapped"
    """Vault again: the token in it gives the secret once, to whoever comes first."""

    AWS = "aws-sm"
    FILE = "file"


LOOKS = {
    Kind.VAULT: "vault:mount/path#field, or vault:mount/path#field?version=3",
    Kind.WRAPPED: "vault-wrapped:token#field",
    Kind.AWS: "aws-sm:name, aws-sm:name#field or aws-sm:name#field?stage=AWSPENDING",
    Kind.FILE: "file:name",
}
"""How each is written."""

LONGEST = 600
"""Letters of a reference; a wrapping token has about a hundred."""

SEGMENT = r"[A-Za-z0-9_=+@~-][A-Za-z0-9_.=+@~-]*"
"""One name in a path: not empty, and without a leading dot, a % or a blank."""

PATH = re.compile(rf"{SEGMENT}(?:/{SEGMENT})*")
FIELD = r"(?:#(?P<field>[A-Za-z0-9_.-]{1,100}))"
SHAPES = {
    Kind.VAULT: re.compile(
        rf"vault:(?P<path>{SEGMENT}(?:/{SEGMENT})+){FIELD}(?:\?version=(?P<version>[1-9]\d{{0,8}}))?"
    ),
    Kind.WRAPPED: re.compile(rf"vault-wrapped:(?P<token>[A-Za-z0-9._-]{{10,500}}){FIELD}"),
    Kind.AWS: re.compile(rf"aws-sm:(?P<path>{SEGMENT}(?:/{SEGMENT})*){FIELD}?(?:\?stage=(?P<stage>[A-Z_]{{1,64}}))?"),
    Kind.FILE: re.compile(rf"file:(?P<path>{SEGMENT}(?:/{SEGMENT})*)"),
}
BEGINS = re.compile(rf"\s*(?P<kind>{'|'.join(sorted(Kind, reverse=True))})\s*:(?!//)", re.IGNORECASE)
"""No provider's secret begins so."""

CURRENT = "AWSCURRENT"


class Reference(Frozen):
    """A reference, read. Its text names neither the wrapping token nor a version."""

    kind: Kind
    path: tuple[str, ...] = ()
    field: str = ""
    """Empty: the whole text is the secret."""

    version: str = ""
    """Empty: the newest."""

    stage: str = ""
    token: SecretStr | None = None

    def __str__(self) -> str:
        """Return what people see of it."""
        begin = f"{self.kind}:{'/'.join(self.path)}" if self.path else self.kind
        return begin + (f"#{self.field}" if self.field else "") + (f"?stage={self.stage}" if self.stage else "")


class Sourced(NamedTuple):
    """A secret that was read, and which one it is."""

    secret: SecretStr
    where: str
    version: str = ""
    created: datetime | None = None

    @property
    def source(self) -> str:
        """Say where it is from, for the record: "vault:kv/openai#key, version 3 of 2026-11-29 12:00 UTC"."""
        said = f"version {self.version}" if self.version else ""
        of = f"of {self.created:%Y-%m-%d %H:%M} UTC" if self.created else ""
        return ", ".join(filter(None, (self.where, " ".join(filter(None, (said, of))))))


class Prefix(Frozen):
    """The beginning of what may be read: a store, and the first segments of a path."""

    kind: Kind
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.kind}:{'/'.join(self.path)}" if self.path else self.kind

    def covers(self, reference: Reference) -> bool:
        """Return whether a reference begins so, by whole segments."""
        return self.kind is reference.kind and reference.path[: len(self.path)] == self.path


def prefix_of(text: str) -> Prefix:
    """Read a prefix of the settings; raise `ValueError` with what it should look like."""
    kind, colon, path = text.partition(":")
    if text == Kind.WRAPPED:
        return Prefix(kind=Kind.WRAPPED)
    if not colon or kind not in (Kind.VAULT, Kind.AWS, Kind.FILE) or not PATH.fullmatch(path):
        raise ValueError("a prefix looks like vault:mount/path, aws-sm:name, file:name or vault-wrapped")
    return Prefix(kind=Kind(kind), path=tuple(path.split("/")))


class Allowance(Frozen):
    """What may be read for some keys: those of these providers, and of these names or ids."""

    prefixes: tuple[Prefix, ...]
    providers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def touches(self, key: ProviderKey) -> bool:
        """Return whether it is for a key; what names neither providers nor keys is for none."""
        is_provider = not self.providers or key.provider in self.providers
        is_key = not self.keys or any(is_named(key, written) for written in self.keys)
        return bool(self.providers or self.keys) and is_provider and is_key


def allowed(key: ProviderKey, allowances: Iterable[Allowance]) -> tuple[Prefix, ...]:
    """Return what may be read for a key."""
    found = [prefix for one in allowances if one.touches(key) for prefix in one.prefixes]
    return tuple(dict.fromkeys(found))


def is_reference(text: str) -> bool:
    """Return whether a text can only be meant as a reference, also if it is not written well."""
    return BEGINS.match(INVISIBLE.sub("", text)) is not None


def permitted(text: str, prefixes: tuple[Prefix, ...]) -> Reference:
    """Read a reference that begins with one of *prefixes*, or raise `BadInput`."""
    if not prefixes:
        raise BadInput(NONE_ALLOWED)
    reference = _read(text.strip())
    if not any(prefix.covers(reference) for prefix in prefixes):
        raise BadInput(f"For this key, nothing may be read there; SECRET_SOURCES allows {_listed(prefixes)}.")
    return reference


NONE_ALLOWED = (
    "This is a reference, and for this key none may be read: paste the secret itself, or have who runs Keyturn allow "
    "the reference in SECRET_SOURCES."
)
NAMED = 3
"""Prefixes that a sentence names."""


def _listed(prefixes: tuple[Prefix, ...]) -> str:
    return ", ".join(map(str, prefixes[:NAMED])) + (" and others" if len(prefixes) > NAMED else "")


TAILS = {Kind.VAULT: "#field", Kind.WRAPPED: ":token#field"}


def hint(prefixes: tuple[Prefix, ...]) -> str:
    """Say which references a form takes; empty if none."""
    shown = " or ".join(f"{prefix}{TAILS.get(prefix.kind, '')}" for prefix in prefixes[:NAMED])
    return f"Or a reference to it, like {shown}." if prefixes else ""


def _read(text: str) -> Reference:
    begun = BEGINS.match(INVISIBLE.sub("", text))
    if begun is None:
        raise BadInput(f"This is no reference: one looks like {LOOKS[Kind.VAULT]}.")
    kind = Kind(begun["kind"].lower())
    found = SHAPES[kind].fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise BadInput(f"This reference can't be read: it should look like {LOOKS[kind]}.")
    parts = {name: value for name, value in found.groupdict().items() if value}
    if kind is Kind.AWS:
        parts.setdefault("stage", CURRENT)
    return Reference.model_validate(
        {**parts, "kind": kind, "path": tuple(filter(None, parts.get("path", "").split("/")))}
    )


class Sources(Protocol):
    """Where secrets can be read."""

    def allowed(self, key: ProviderKey) -> tuple[Prefix, ...]:
        """Return what may be read for a key; none: it takes no reference."""

    async def read(self, text: str, key: ProviderKey) -> Sourced:
        """Read what a text refers to, if that may be read for a key.

        Raises `BadInput` for what is typed wrong or not allowed, `ApiError` for what the store refuses, `Uncertain` for
        a store that does not answer.
        """


class NoSources:
    """Nothing can be read by reference."""

    def allowed(self, _: ProviderKey) -> tuple[Prefix, ...]:
        """Return nothing."""
        return ()

    async def read(self, text: str, _: ProviderKey) -> Sourced:
        """Refuse."""
        permitted(text, ())
        raise AssertionError


NO_SOURCES = NoSources()
