"""A snapshot of the control plane: keys, models, routes, and the lists that it could not give. Pure."""

import re
from datetime import datetime
from typing import Any

from bot.rotation.frozen import Frozen

SECRET_PARTS = re.compile(r"(?<=//)[^/?#]*@|[?#].*$", re.DOTALL)
"""The parts of an address that must stay private: a user with a password, and the query."""


class ProviderKey(Frozen):
    """A provider key as the control plane shows it: everything but the secret."""

    id: str
    display_name: str
    provider: str = ""
    allowed_environments: tuple[str, ...] = ()
    settings: dict[str, Any] = {}
    """Every other field, as it was read, except those that the server makes."""

    created_at: datetime | None = None
    """When it was created, where the control plane says so; None in records of older versions."""

    @property
    def base_url(self) -> str:
        """The address of the key's upstream, without password or query; empty for a catalogue provider."""
        address = str(self.settings.get("api_base") or self.settings.get("base_url") or "")
        return SECRET_PARTS.sub("", address)

    @property
    def adapter(self) -> str:
        """The protocol adapter of a bring-your-own upstream; empty when the catalogue sets it."""
        return str(self.settings.get("adapter") or "")

    def is_used_by(self, thing: "Model | PassthroughRoute") -> bool:
        """Return whether this is the key of a model or route, even in a field unknown to Keyturn."""
        if thing.provider_key is not None or thing.is_virtual:
            return self.is_meant_by(thing.provider_key)
        return thing.mentions == (self.id,)

    def is_referred_to_by(self, thing: "Model | PassthroughRoute") -> bool:
        """Return whether a model or route names this key anywhere, as its own key or elsewhere."""
        return self.is_meant_by(thing.provider_key) or self.id in thing.mentions

    def is_meant_by(self, reference: str | None) -> bool:
        """Return whether *reference* (an id or a name, depending on the tenant) means this key."""
        return reference is not None and reference in (self.id, self.display_name)


class Environment(Frozen):
    """One environment of the tenant."""

    id: str
    name: str


CACHE_POLICY = "semantic cache policy"

VIRTUAL = frozenset({"routing", "ensemble", "semantic", CACHE_POLICY})


class Model(Frozen):
    """A model of any kind; `refers_to` holds the ids or aliases of the models behind it."""

    id: str
    environment: str
    alias: str
    kind: str = "direct"
    upstream: str = ""
    provider_key: str | None = None
    refers_to: tuple[tuple[str, str], ...] = ()
    """(role, id or alias) pairs: `("target", …)`, `("embedding model", …)`."""

    mentions: tuple[str, ...] = ()
    """Ids of provider keys that occur anywhere in it."""

    settings: dict[str, Any] = {}
    """Every field except those that the server makes and the names of the model and its key; a clone needs these."""

    @property
    def is_virtual(self) -> bool:
        """Return whether it reaches its upstreams through other models and so has no provider key of its own."""
        return self.kind in VIRTUAL


class PassthroughRoute(Frozen):
    """A route that injects a provider key's credential without a model."""

    id: str
    environment: str
    name: str
    provider_key: str | None = None
    mentions: tuple[str, ...] = ()

    @property
    def is_virtual(self) -> bool:
        """Return False: a route has its own provider key."""
        return False


ROUTES, POLICIES, BUDGETS = "passthrough routes", "cache policies", "budgets"


class Unlisted(Frozen):
    """A list that the control plane lacks, or has under a path unknown to Keyturn; it may not be empty."""

    kind: str
    environment: str = ""
    """The environment's id; empty for a list that covers all environments."""


class Inventory(Frozen):
    """All that the control plane shows at one moment."""

    environments: tuple[Environment, ...]
    keys: tuple[ProviderKey, ...]
    models: tuple[Model, ...]
    routes: tuple[PassthroughRoute, ...] = ()
    has_routes: bool = False
    """Whether this tenant has passthrough routes in any environment."""

    unlisted: tuple[Unlisted, ...] = ()
    """The lists that could not be read."""

    budgeted_keys: tuple[str, ...] = ()
    """Provider keys that have a budget."""

    made_at: dict[str, datetime] = {}
    """The creation time of each provider key by id, where the control plane shows it."""

    def key(self, key_id: str | None) -> ProviderKey | None:
        """Return the provider key with that id, if it exists."""
        return next((key for key in self.keys if key.id == key_id), None)

    def environment_name(self, environment_id: str) -> str:
        """Return the name of that environment."""
        return next((e.name for e in self.environments if e.id == environment_id), environment_id)
