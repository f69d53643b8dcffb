"""What a control plane shows at one moment: keys, models, routes, and what it could not list. Pure."""

import re
from datetime import datetime
from typing import Any

from bot.rotation.frozen import Frozen

SECRET_PARTS = re.compile(r"(?<=//)[^/?#]*@|[?#].*$", re.DOTALL)
"""What an address may hold that is not for everybody to see: who asks, with a password, and a query."""


class ProviderKey(Frozen):
    """A provider key as the control plane shows it: everything but the secret."""

    id: str
    display_name: str
    provider: str = ""
    allowed_environments: tuple[str, ...] = ()
    settings: dict[str, Any] = {}
    """Every other field that is not made by the server, as it was read."""

    @property
    def base_url(self) -> str:
        """Where the key's requests go, without a password or a key in it; empty for a catalogue provider."""
        address = str(self.settings.get("api_base") or self.settings.get("base_url") or "")
        return SECRET_PARTS.sub("", address)

    @property
    def adapter(self) -> str:
        """The protocol adapter of a bring-your-own upstream; empty when the catalogue sets it."""
        return str(self.settings.get("adapter") or "")

    def is_used_by(self, thing: "Model | PassthroughRoute") -> bool:
        """Tell whether this is the own key of a model or route, also where it names a single key in an unknown way."""
        if thing.provider_key is not None or thing.is_virtual:
            return self.is_meant_by(thing.provider_key)
        return thing.mentions == (self.id,)

    def is_referred_to_by(self, thing: "Model | PassthroughRoute") -> bool:
        """Tell whether a model or route names this key anywhere, as its own or in another place."""
        return self.is_meant_by(thing.provider_key) or self.id in thing.mentions

    def is_meant_by(self, reference: str | None) -> bool:
        """Tell whether *reference* (an id, or a name: tenants differ) points at this key."""
        return reference is not None and reference in (self.id, self.display_name)


class Environment(Frozen):
    """One environment of the tenant."""

    id: str
    name: str


CACHE_POLICY = "semantic cache policy"

VIRTUAL = frozenset({"routing", "ensemble", "semantic", CACHE_POLICY})


class Model(Frozen):
    """A model of any kind; `refers_to` are the ids or aliases of the models behind it."""

    id: str
    environment: str
    alias: str
    kind: str = "direct"
    upstream: str = ""
    provider_key: str | None = None
    refers_to: tuple[tuple[str, str], ...] = ()
    """(role, id or alias) pairs: `("target", …)`, `("embedding model", …)`."""

    mentions: tuple[str, ...] = ()
    """Ids of provider keys that stand anywhere in it."""

    settings: dict[str, Any] = {}
    """Every field that is neither made by the server nor names the model or its key: what a clone is made of."""

    @property
    def is_virtual(self) -> bool:
        """Tell whether it reaches its upstreams through other models, so that it has no provider key of its own."""
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
        """Tell that it has a provider key of its own."""
        return False


ROUTES, POLICIES, BUDGETS = "passthrough routes", "cache policies", "budgets"


class Unlisted(Frozen):
    """A list that the control plane does not have, or not under the path that Keyturn knows: it is not empty."""

    kind: str
    environment: str = ""
    """The environment's id; empty for what is not kept by environment."""


class Inventory(Frozen):
    """All that the control plane shows at one moment."""

    environments: tuple[Environment, ...]
    keys: tuple[ProviderKey, ...]
    models: tuple[Model, ...]
    routes: tuple[PassthroughRoute, ...] = ()
    has_routes: bool = False
    """Whether this tenant has passthrough routes at all, in any environment."""

    unlisted: tuple[Unlisted, ...] = ()
    """What could not be listed."""

    budgeted_keys: tuple[str, ...] = ()
    """Provider keys that a budget is set on."""

    made_at: dict[str, datetime] = {}
    """When a provider key was made, by its id, where the control plane tells."""

    def key(self, key_id: str | None) -> ProviderKey | None:
        """Return the provider key of that id, if it exists."""
        return next((key for key in self.keys if key.id == key_id), None)

    def environment_name(self, environment_id: str) -> str:
        """Return what people call that environment."""
        return next((e.name for e in self.environments if e.id == environment_id), environment_id)
