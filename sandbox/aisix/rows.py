"""The resources of the control plane."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

Fields = dict[str, Any]


def new_id() -> str:
    return str(uuid.uuid4())


def stamp() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(eq=False)
class Row:
    """One resource. Every write replaces `fields` and never mutates it: snapshots share it."""

    fields: Fields
    id: str = field(default_factory=new_id)
    environment_id: str = ""
    created_at: str = field(default_factory=stamp)
    updated_at: str = field(default_factory=stamp)

    table: ClassVar[str] = ""
    singular: ClassVar[str] = ""

    @property
    def display_name(self) -> str:
        return str(self.fields["display_name"])

    @property
    def provider_key_id(self) -> str | None:
        return self.fields.get("provider_key_id")


class ProviderKey(Row):
    """An upstream credential with its settings, shared by the whole organization."""

    table = "provider_keys"
    singular = "provider_key"

    @property
    def secret(self) -> str:
        return str(self.fields["api_key"])

    @property
    def provider(self) -> str:
        return str(self.fields["provider"])

    @property
    def allowed_environments(self) -> list[str]:
        return list(self.fields.get("allowed_environments", []))


class Model(Row):
    """An alias in an environment; only direct and embedding models have a key."""

    table = "models"
    singular = "model"

    @property
    def kind(self) -> str:
        return str(self.fields["kind"])


class PassthroughRoute(Row):
    """A path of the gateway that forwards to a provider with a key injected."""

    table = "passthrough_routes"
    singular = "passthrough_route"


class CachePolicy(Row):
    """How answers are cached; a semantic one needs an embedding model."""

    table = "cache_policies"
    singular = "cache_policy"


class Budget(Row):
    """A spending limit; one scoped to a provider key does not follow a rotation."""

    table = "budgets"
    singular = "budget"


MODEL_REFERENCES = ("model", "target", "embedding_model", "default")
"""Fields that name another model, at any depth of a virtual model or a policy."""
