"""Carry out well-formed requests to the control plane, or refuse them."""

from typing import Any

from sandbox.aisix import schema
from sandbox.aisix.bridge import CATALOG
from sandbox.aisix.rows import MODEL_REFERENCES, Fields, Model, ProviderKey, Row
from sandbox.aisix.schema import Invalid
from sandbox.aisix.store import Environment, Store
from sandbox.aisix.switches import Switches


class NotThere(Exception):
    """No such resource: 404."""


class Conflict(Exception):
    """The request conflicts with another resource: 409."""


class Forbidden(Exception):
    """This tenant does not allow it: 403."""


class Resources:
    """Operations on rows, as this tenant's switches allow."""

    def __init__(self, store: Store, switches: Switches) -> None:
        self._store, self._switches = store, switches

    def environment(self, environment_id: str) -> Environment:
        environment = self._store.environments.get(environment_id)
        if environment is None or not environment.is_visible:
            raise NotThere("environment not found")
        return environment

    def find(self, table: str, row_id: str, environment: Environment | None = None) -> Row:
        row: Row | None = self._store.table(table).get(row_id)
        if row is None or (environment and row.environment_id != environment.id):
            raise NotThere(f"{table.removesuffix('s').replace('_', ' ')} not found")
        return row

    def create_key(self, body: Fields) -> ProviderKey:
        schema.check(body, schema.provider_key(self._switches))
        schema.require(body, schema.REQUIRED_OF_KEY)
        fields = self._key_fields(body)
        if fields["provider"] not in CATALOG:
            schema.require(fields, ("api_base", "adapter"))
        key = ProviderKey({"allowed_environments": [], **fields})
        self._store.add(key)
        return key

    def edit_key(self, key: ProviderKey, body: Fields) -> None:
        """Change metadata and settings; never the secret, whatever the body says."""
        schema.check(body, schema.provider_key(self._switches))
        changes = self._key_fields({name: value for name, value in body.items() if name != "api_key"}, key)
        self._store.edit(key, changes)

    def delete_key(self, key: ProviderKey) -> None:
        if self._switches.delete_referenced == "409" and self._store.references(key):
            raise Conflict("provider key is in use")
        self._store.remove(key)

    def create_model(self, environment: Environment, body: Fields) -> Model:
        if not self._switches.model_create:
            raise Forbidden("models cannot be created with this token")
        kind = body.get("kind", "direct")
        if kind not in schema.MODEL:
            raise Invalid("field 'kind' has a wrong value")
        schema.check(body, schema.MODEL[kind])
        schema.require(body, schema.REQUIRED_OF_MODEL[kind])
        self._check_alias(environment, body["display_name"])
        model = Model(self._model_fields(environment, body) | {"kind": kind}, environment_id=environment.id)
        self._store.add(model)
        return model

    def edit_model(self, environment: Environment, model: Model, body: Fields) -> None:
        allowed = {name: kind for name, kind in schema.MODEL[model.kind].items() if name != "kind"}
        schema.check(body, allowed)
        if body.get("display_name", model.display_name) != model.display_name:
            self._check_alias(environment, body["display_name"])
        changes = self._model_fields(environment, body)
        self._store.edit(model, {name: changes[name] for name in body})

    def delete(self, row: Row) -> None:
        self._store.remove(row)

    def _key_fields(self, body: Fields, key: ProviderKey | None = None) -> Fields:
        unknown = set(body.get("allowed_environments", [])) - self._store.environments.keys()
        if unknown:
            raise Invalid("field 'allowed_environments' names an unknown environment")
        if "display_name" in body:
            self._check_name(body["display_name"], key)
        return {"api_base" if name == self._switches.base_url_field else name: value for name, value in body.items()}

    def _check_name(self, name: str, own: ProviderKey | None) -> None:
        if not name:
            raise Invalid("field 'display_name' is required")
        taken = any(key is not own and key.display_name == name for key in self._store.provider_keys.values())
        if taken and self._switches.duplicate_display_name == "409":
            raise Conflict("a provider key with this display_name exists")

    def _check_alias(self, environment: Environment, alias: str) -> None:
        if any(model.display_name == alias for model in self._store.models_of(environment.id)):
            raise Conflict("a model with this display_name exists")

    def _model_fields(self, environment: Environment, body: Fields) -> Fields:
        if "provider_key_id" in body:
            self._check_key(environment, body)
        fields: Fields = self._resolved(environment, body)
        return fields

    def _check_key(self, environment: Environment, body: Fields) -> None:
        key = self._store.provider_keys.get(body["provider_key_id"])
        if key is None:
            raise Invalid("field 'provider_key_id' names an unknown provider key")
        if environment.id not in key.allowed_environments:
            raise Invalid("field 'provider_key_id' names a key that is not allowed in this environment")

    def _resolved(self, environment: Environment, value: Any) -> Any:
        """Return *value* with every reference by id, also those by name."""
        if isinstance(value, list):
            return [self._resolved(environment, item) for item in value]
        if not isinstance(value, dict):
            return value
        return {name: self._reference(environment, name, item) for name, item in value.items()}

    def _reference(self, environment: Environment, name: str, value: Any) -> Any:
        if name not in MODEL_REFERENCES or not isinstance(value, str):
            return self._resolved(environment, value)
        for model in self._store.models_of(environment.id):
            if value in (model.id, model.display_name):
                return model.id
        raise Invalid(f"field '{name}' names an unknown model")
