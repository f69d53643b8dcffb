"""Convert the control plane's rows to the form that gateways read from etcd, as far as it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sandbox.aisix.bridge import CATALOG
from sandbox.aisix.rows import MODEL_REFERENCES, Fields, Model
from sandbox.aisix.store import CallerKey, Change

MADE_BY_THE_CLOUD = ("allowed_environments", "kind", "display_name")
"""Fields that no gateway knows, and the name, which has another field in some tables."""

NO_VERSION = ("anthropic",)
"""Adapters that put the `/v1` into the path themselves."""


@dataclass(frozen=True)
class Rows:
    """Converts rows for etcd; every key points at *upstream*, so that nothing leaves this machine."""

    upstream: str
    models: Mapping[str, Model]
    """For turning references by id into names."""

    def row(self, change: Change) -> Fields | None:
        """Return the row in etcd after *change*; None if it is deleted."""
        if change.fields is None:
            return None
        turn = {
            "provider_keys": self._key,
            "passthrough_routes": self._route,
            "cache_policies": self._policy,
        }.get(change.table, self._model)
        return turn(change.fields)

    def _key(self, fields: Fields) -> Fields:
        adapter = fields.get("adapter") or CATALOG.get(fields["provider"], "openai")
        base = self.upstream if adapter in NO_VERSION else f"{self.upstream}/v1"
        own = {"display_name": fields["display_name"], "adapter": adapter, "api_base": base}
        return _kept(fields) | own | {"telemetry_tags": {"kind": "catalog"}}

    def _model(self, fields: Fields) -> Fields:
        row: Fields = self._by_name(_kept(fields))
        for route in row.get("semantic", {}).get("routes", []):
            route.setdefault("examples", [route["name"]])
        return row | {"display_name": fields["display_name"]}

    def _route(self, fields: Fields) -> Fields:
        row = {name: value for name, value in _kept(fields).items() if name not in ("path", "methods")}
        where = {"path_prefix": fields.get("path_prefix") or fields["path"], "target_url": f"{self.upstream}/v1"}
        return row | {"name": fields["display_name"]} | where

    def _policy(self, fields: Fields) -> Fields:
        row: Fields = self._by_name(_kept(fields))
        return row | {"name": fields["display_name"]}

    def _by_name(self, value: Any, field: str = "") -> Any:
        """Return *value* with references by name instead of by id."""
        if isinstance(value, dict):
            return {name: self._by_name(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._by_name(item, field) for item in value]
        if field in MODEL_REFERENCES and value in self.models:
            return self.models[value].display_name
        return value


def caller_row(caller: CallerKey) -> Fields:
    """Return the row of a caller key, which has only the hash of the key."""
    row: Fields = {
        "display_name": caller.name,
        "key_hash": sha256(caller.token.encode()).hexdigest(),
        "allowed_models": caller.allowed,
        "allowed_routes": ["*"],
    }
    return row if caller.limit is None else row | {"rate_limit": {"rpm": caller.limit}}


def _kept(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name not in MADE_BY_THE_CLOUD}
