"""Show a row as the control plane does: without secrets, with fields that only the server sets."""

from typing import Any

from sandbox.aisix.rows import MODEL_REFERENCES, Fields, ProviderKey, Row
from sandbox.aisix.store import Environment, Store
from sandbox.aisix.switches import Switches

SECRET = "api_key"


class Views:
    """Turns rows into JSON, as this tenant's switches say."""

    def __init__(self, store: Store, switches: Switches) -> None:
        self._store, self._switches = store, switches

    def environment(self, environment: Environment) -> Fields:
        return {"id": environment.id, "name": environment.name}

    def row(self, row: Row) -> Fields:
        made = {"id": row.id, "created_at": row.created_at, "updated_at": row.updated_at}
        shown = self._key(row) if isinstance(row, ProviderKey) else self._bound(row)
        return made | shown

    def _key(self, key: ProviderKey) -> Fields:
        renamed = {self._field(name): value for name, value in key.fields.items() if name != SECRET}
        extra = {"quota_tier": "gold"} if self._switches.extra_key_fields else {}
        return renamed | {"telemetry_tags": {"kind": "catalog"}} | extra

    def _field(self, name: str) -> str:
        return self._switches.base_url_field if name == "api_base" else name

    def _bound(self, row: Row) -> Fields:
        """Show a row of an environment, with references in this tenant's form."""
        shown = dict(row.fields)
        if self._switches.references == "name":
            shown = self._named(shown)
        key = self._store.provider_keys.get(row.provider_key_id or "")
        if self._switches.model_key_reference == "provider_key" and "provider_key_id" in shown:
            shown["provider_key"] = key.display_name if key else shown["provider_key_id"]
            del shown["provider_key_id"]
        return shown

    def _named(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {name: self._reference(name, item) for name, item in value.items()}

    def _reference(self, name: str, value: Any) -> Any:
        if name in MODEL_REFERENCES and isinstance(value, str) and value in self._store.models:
            return self._store.models[value].display_name
        return self._named(value)
