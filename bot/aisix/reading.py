"""Parse the control plane's answers. Its schema is not public, so every guess about it is here. Pure."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from bot.rotation.inventory import CACHE_POLICY, Environment, Model, PassthroughRoute, ProviderKey
from bot.rotation.lookup import plain

Json = dict[str, Any]


def single(body: Any) -> Json:
    """Return the object in an answer about one thing, however it is nested."""
    if not isinstance(body, dict):
        return {}
    if isinstance(body.get("id"), str):
        return body
    for name in ("data", "item", "result", "value", "payload", "provider_key", "model"):
        if isinstance(body.get(name), dict):
            return single(body[name])
    return body


def identity(row: Json) -> str | None:
    """Return the id of a row."""
    found = next((row[name] for name in ("id", "uuid", "model_id", "provider_key_id") if row.get(name)), None)
    return None if found is None else str(found)


class KeyNames:
    """Finds the ids and names of provider keys in rows."""

    def __init__(self, keys: Iterable[ProviderKey]) -> None:
        held = tuple(keys)
        self.exact = {name for key in held for name in (key.id, key.display_name)}
        self.ids: dict[str, set[str]] = {}
        self.names: dict[str, set[str]] = {}
        for key in held:
            self.ids.setdefault(plain(key.id), set()).add(key.id)
            self.names.setdefault(plain(key.display_name), set()).add(key.id)

    def mentioned(self, row: Json) -> tuple[str, ...]:
        """Return the ids of the keys that a row names anywhere: at any depth, as a value or a field, in a path.

        When in doubt it includes a key: a missed reference would let a key in use be deleted.
        """
        return tuple(sorted({key_id for word in _words(row) for key_id in self._meant_by(word)}))

    def resolved(self, reference: str | None) -> str | None:
        """Return the id of the one key that a reference means despite case, blanks or a path; else the reference."""
        if reference is None or reference in self.exact:
            return reference
        meant = self.mentioned({"provider_key": reference})
        return meant[0] if len(meant) == 1 else reference

    def _meant_by(self, word: "Word") -> Iterator[str]:
        if word.text not in self.ids and word.text not in self.names:
            return
        where = " ".join(word.fields)
        is_key_field = bool(KEY_FIELD.search(where))
        if is_key_field:
            yield from self.names.get(word.text, ())
        if is_key_field or not word.text.isdigit() or not OTHER_FIELD.search(where):
            yield from self.ids.get(word.text, ())


class Word(NamedTuple):
    """A piece of text or a number in a row, normalized by `plain`, and the fields that lead to it."""

    text: str
    fields: tuple[str, ...]


KEY_FIELD = re.compile(r"key|credential|secret|auth")
OTHER_FIELD = re.compile(
    r"model|target|panel|judge|route|environment|polic|user|group|team|org|tenant|owner|weight|priority|order|timeout|"
    r"retr|attempt|max|min|limit|rpm|tpm|ttl|second|_ms$|dimension|size|count|cost|price|threshold|temperature|top_|"
    r"version|revision|port$|status|_at$|percent|ratio|score|index|window|interval|length|tokens|quota|number"
)
"""Fields in which a bare number is not the id of a provider key."""

OWN_FIELD = re.compile(r"^(id|uuid|model_id|display_name|name|alias|environment(_id)?)$")
PARTED = (re.compile(r"[/?#&=:,;|]+"), re.compile(r"[^\w.-]+"))


def _words(value: Any, fields: tuple[str, ...] = ()) -> Iterator[Word]:
    """Yield every text, number and field of a row, except its own id, name and environment: those are no references."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pieces(name, fields)
            if fields or not OWN_FIELD.match(name):
                yield from _words(inner, (*fields, name.casefold()))
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, fields)
    elif isinstance(value, str) or type(value) is int:
        yield from _pieces(str(value), fields)


def _pieces(text: str, fields: tuple[str, ...]) -> Iterator[Word]:
    """Yield a text, and each part of it if it is a path, an address or a list, with the parts that lead to it."""
    return (Word(part, (*fields, *before)) for part, before in _parted(text))


@lru_cache(maxsize=4096)  # every model of a tenant has the same few fields, and often the same values
def _parted(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: set[tuple[str, tuple[str, ...]]] = {(plain(unquote(text)), ())}
    for parting in PARTED:
        parts = tuple(plain(unquote(part)).strip(".") for part in parting.split(text))
        found |= {(part, parts[:place]) for place, part in enumerate(parts) if part and len(parts) > 1}
    return tuple(found)


def name_of(row: Json) -> str:
    """Return the name of a row; its id if it has none."""
    found = next((row[name] for name in ("display_name", "name", "alias") if row.get(name)), None)
    return str(found or identity(row) or "")


def environment(row: Json) -> Environment:
    """Parse one environment."""
    return Environment(id=identity(row) or "", name=name_of(row))


SECRET_FIELDS = re.compile(r"(api_?key|secret|credential)", re.IGNORECASE)
SERVER_MADE = re.compile(
    r"^(id|uuid|name|display_name|telemetry_tags|cost|status|state|usage|version|etag|revision|organization|org|"
    r"tenant|object|type|links|_links|.*_at|.*_by|.*_count|org(anization)?_id|tenant_id|"
    r".*(fingerprint|mask|hint|last4|last_four|preview|digest|hash).*|in_use|models|environments|owner|owner_id)$"
)
OWN_PLACES = frozenset({"provider", "allowed_environments", "allowed_environment_ids"})


def provider_key(row: Json) -> ProviderKey:
    """Parse one provider key, without fields that look like a secret or that the server sets."""
    settings = {
        name: _without_secrets(value)
        for name, value in row.items()
        if value not in (None, "", [], {})
        and name not in OWN_PLACES
        and not SECRET_FIELDS.search(name)
        and not SERVER_MADE.match(name)
    }
    allowed = row.get("allowed_environments", row.get("allowed_environment_ids"))
    return ProviderKey(
        id=identity(row) or "",
        display_name=name_of(row),
        provider=str(row.get("provider") or ""),
        allowed_environments=_environments(allowed),
        settings=settings,
        created_at=_moment(row.get("created_at")),
    )


def made_at(rows: Iterable[Json]) -> dict[str, datetime]:
    """Return when each row was created, by id, if the row says so readably."""
    found = {identity(row) or "": _moment(row.get("created_at")) for row in rows}
    return {id_: moment for id_, moment in found.items() if moment}


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _without_secrets(value: Any) -> Any:
    """Remove what looks like a secret at any depth; keep default headers, which are settings whatever their names."""
    if not isinstance(value, dict):
        return value
    return {
        name: inner if name == "default_headers" else _without_secrets(inner)
        for name, inner in value.items()
        if not SECRET_FIELDS.search(name)
    }


def _environments(allowed: Any) -> tuple[str, ...]:
    """Parse a list of environments; anything else is no restriction that could be copied."""
    if not isinstance(allowed, list):
        return ()
    return tuple(reference for item in allowed if (reference := _reference(item)))


_NOT_CLONED = re.compile(SERVER_MADE.pattern + r"|^alias$|^provider_key|^environment|^(allowed_)?environments?(_id)?$")
ESSENTIAL = frozenset({"kind", "provider", "model_name", "embedding"})
"""The settings that a direct model needs; others are sent first, and left out if AISIX refuses them."""


def model(row: Json, environment_id: str) -> Model:
    """Parse one model of any kind."""
    return Model(
        id=identity(row) or "",
        environment=environment_id,
        alias=name_of(row),
        kind=_kind(row),
        upstream=str(row.get("model_name") or row.get("upstream_model") or ""),
        provider_key=key_reference(row),
        refers_to=tuple(dict.fromkeys(references(row))),
        settings={n: v for n, v in row.items() if v is not None and not _NOT_CLONED.match(n)},
    )


def key_reference(row: Json) -> str | None:
    """Return the id or name with which a row refers to a provider key."""
    for name in ("provider_key_id", "provider_key", "provider_key_name"):
        if row.get(name):
            return _reference(row[name])
    return None


def _reference(value: Any) -> str | None:
    if isinstance(value, dict):
        return identity(value) or name_of(value) or None
    return str(value) if value else None


def _kind(row: Json) -> str:
    """Return the kind of a model; one with an `embedding` block is an embedding model, even if its kind is `direct`."""
    said = row.get("kind")
    if isinstance(said, str):
        return "embedding" if said == "direct" and isinstance(row.get("embedding"), dict) else said
    return next((kind for kind in ("routing", "ensemble", "semantic", "embedding") if row.get(kind)), "direct")


SECTIONS = ("routing", "ensemble", "semantic")
ROLE_OF_FIELD = {
    "targets": "target",
    "panel": "panel",
    "judge": "judge",
    "routes": "route",
    "default": "default",
    "embedding": "embedding model",
    "on_embedding": "default",
}
"""The role of a model, by the beginning of the field that names it."""


def references(row: Json) -> Iterator[tuple[str, str]]:
    """Yield (role, id or alias) for every model that a model or a cache policy names."""
    for place in (row, *(row[section] for section in SECTIONS if isinstance(row.get(section), dict))):
        for field, value in place.items():
            role = _role(field)
            if role and not (field == "on_embedding_failure" and isinstance(value, str)):
                yield from ((role, name) for name in _names(value))


@lru_cache(maxsize=256)  # every model of a tenant has the same few fields
def _role(field: str) -> str | None:
    return next((role for start, role in ROLE_OF_FIELD.items() if field.startswith(start)), None)


REFERRING = re.compile(r"^(model|target|embedding_model|judge|default|alias|display_name|id|name)(_id|_ref|_name)?$")


def _names(value: Any) -> Iterator[str]:
    """Yield every string in *value* that can be the name or id of a model."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for field, inner in value.items():
            if REFERRING.match(field) or isinstance(inner, dict):
                yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def cache_policy(row: Json, environment_id: str) -> Model:
    """Parse a cache policy as a dependent alias: its semantic section can name an embedding model."""
    return model({**row, "kind": CACHE_POLICY}, environment_id)


def passthrough_route(row: Json, environment_id: str) -> PassthroughRoute:
    """Parse one passthrough route; its provider key can be at the top or in a section."""
    sections = (row, *(value for value in row.values() if isinstance(value, dict)))
    reference = next((found for section in sections if (found := key_reference(section))), None)
    return PassthroughRoute(
        id=identity(row) or "", environment=environment_id, name=name_of(row), provider_key=reference
    )


def budgeted_keys(budgets: Iterable[Json]) -> tuple[str, ...]:
    """Return the provider keys that have a budget."""
    return tuple(reference for row in budgets if (reference := _budget_key(row)))


def _budget_key(row: Json) -> str | None:
    if row.get("scope") == "provider_key" or row.get("scope_type") == "provider_key":
        return _reference(row.get("scope_id") or row.get("target_id") or row.get("provider_key_id"))
    return key_reference(row)


def clone(old: ProviderKey, *, name: str, environments: Iterable[str]) -> Json:
    """Return the body that creates a replacement of *old*: all its settings, without the secret."""
    return {
        **old.settings,
        "provider": old.provider,
        "display_name": name,
        "allowed_environments": sorted({*old.allowed_environments, *environments}),
    }


CLONED = frozenset(
    {
        "api_base",
        "base_url",
        "adapter",
        "request",
        "response",
        "strip_headers",
        "tls",
        "pk_label",
        "byo_label",
    }
)
"""Settings that the API is known or expected to accept; others are sent first, and left out if refused."""
