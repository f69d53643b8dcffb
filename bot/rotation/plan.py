"""What uses a provider key, and what will be done about it. Pure: an inventory goes in, a plan comes out."""

import re
from collections.abc import Iterable, Mapping, Sequence
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


LABEL_MOST = 80
"""Characters of a name in a sentence: five of them have to fit on a card."""


class AffectedModel(Frozen):
    """A model that uses the old key."""

    id: str
    environment: str
    environment_name: str
    alias: str
    kind: str
    upstream: str
    provider: str = ""
    """What the model itself says of its provider; empty in records that did not note it."""

    live: str = ""
    """The one name under which callers use a wildcard alias, where the counters show just one."""

    @property
    def label(self) -> str:
        """Name it in a sentence."""
        return f"`{_short(self.alias)}` in {self.environment_name[:LABEL_MOST]}"

    def as_it_is(self, now: "AffectedModel") -> "AffectedModel":
        """Return it as the control plane shows it *now*, with what only the counters tell of its alias."""
        return now.but(live=self.live) if now.alias == self.alias else now

    def altered(self, now: "AffectedModel") -> tuple[str, ...]:
        """Say what an approver saw of this model and is something else *now*."""
        seen = self if self.provider else self.but(provider=now.provider)
        return tuple(_is_now(field, now) for field in SHOWN if getattr(seen, field) != getattr(now, field))


SHOWN: Mapping[str, str] = {
    "alias": "its alias",
    "kind": "its kind",
    "upstream": "its upstream model",
    "provider": "its provider",
    "environment": "the id of its environment",
    "environment_name": "the name of its environment",
}
"""What an approver is shown of a model, by field."""


def _is_now(field: str, now: AffectedModel) -> str:
    value = _short(getattr(now, field))
    return f"{SHOWN[field]} is `{value}` now" if value else f"{SHOWN[field]} is not shown any more"


def _short(name: str) -> str:
    return name[:LABEL_MOST].replace("`", "'")


class Dependent(Frozen):
    """A dependent alias: it reaches an affected model, and needs no change itself."""

    alias: str
    environment_name: str
    role: str


class Plan(Frozen):
    """What was shown is what runs."""

    old_key: ProviderKey
    models: tuple[AffectedModel, ...]
    dependents: tuple[Dependent, ...] = ()
    has_routes: bool = False
    """Whether the tenant had passthrough routes when it was shown: they must not go unseen later."""

    routes: tuple[str, ...] = ()
    """Passthrough routes that hold the old key, as people name them."""

    tenant: dict[str, str] = {}
    """Name by id, of every environment that AISIX has shown to this rotation; empty in records of older versions."""

    unlisted: tuple[Unlisted, ...] = ()
    """What AISIX could not list in them. All else was listed, and must not go unseen later."""

    environments: dict[str, str] = {}
    """Name by id, of every environment that an affected model lives in."""

    route_environments: tuple[str, ...] = ()
    """Ids of the environments that those routes are in: the replacement has to be allowed there as well."""

    allowed_in: tuple[str, ...] = ()
    """Names of the environments that the old key is allowed in."""

    warnings: tuple[str, ...] = ()
    old_key_gone: bool = False
    """Somebody else deleted the old key, and people have been told."""

    unverifiable: tuple[str, ...] = ()
    """Ids of environments with affected models and no gateway in the settings."""

    @property
    def needed_in(self) -> frozenset[str]:
        """Return the ids of the environments that the replacement has to be allowed in."""
        return frozenset({*self.environments, *self.route_environments})

    def environment_name(self, environment_id: str) -> str:
        """Return what people call that environment."""
        return {**self.tenant, **self.environments}.get(environment_id, environment_id)

    def unlisted_in(self, environment_id: str) -> tuple[str, ...]:
        """Return the kinds of things that may be there and cannot be listed."""
        return tuple(one.kind for one in self.unlisted if one.environment in ("", environment_id))


def make_plan(inventory: Inventory, old_key: ProviderKey, gateways: Iterable[str]) -> Plan:
    """Find every model in every environment that uses *old_key*, and all that reaches one of them."""
    direct = [model for model in inventory.models if old_key.is_used_by(model)]
    models = tuple(sorted((affected(inventory, model) for model in direct), key=_reading_order))
    routes = tuple(
        f"`{route.name}` in {inventory.environment_name(route.environment)}"
        for route in inventory.routes
        if old_key.is_used_by(route)
    )
    environments = {model.environment: model.environment_name for model in models}
    routed = {route.environment for route in inventory.routes if old_key.is_used_by(route)}
    known = set(gateways)
    plan = Plan(
        old_key=old_key,
        models=models,
        dependents=dependents(inventory, direct),
        routes=routes,
        route_environments=tuple(sorted(routed)),
        has_routes=inventory.has_routes,
        tenant={environment.id: environment.name for environment in inventory.environments},
        unlisted=inventory.unlisted,
        environments=environments,
        allowed_in=tuple(inventory.environment_name(env) for env in old_key.allowed_environments),
        unverifiable=tuple(env for env in environments if env not in known),
    )
    return plan.but(warnings=tuple(warnings(plan, inventory)))


def affected(inventory: Inventory, model: Model) -> AffectedModel:
    """Name what the card and the steps need of *model*."""
    return AffectedModel(
        id=model.id,
        environment=model.environment,
        environment_name=inventory.environment_name(model.environment),
        alias=model.alias,
        kind=model.kind,
        upstream=model.upstream,
        provider=str(model.settings.get("provider") or ""),
    )


def _reading_order(model: AffectedModel) -> tuple[str, str, str]:
    return (model.environment_name, model.alias, model.id)


def dependents(inventory: Inventory, direct: Iterable[Model]) -> tuple[Dependent, ...]:
    """Follow references to a fixpoint: a router of a router of an affected model is dependent too."""
    reached = {(model.environment, name) for model in direct for name in (model.id, model.alias)}
    found: dict[str, Dependent] = {}
    grew = True
    while grew:
        grew = False
        for model in inventory.models:
            role = _reaching_role(model, reached)
            if role is None or model.id in found or (model.environment, model.id) in reached:
                continue
            found[model.id] = _dependent(inventory, model, role)
            reached |= {(model.environment, model.id), (model.environment, model.alias)}
            grew = True
    return tuple(sorted(found.values(), key=lambda d: (d.environment_name, d.alias)))


def _reaching_role(model: Model, reached: set[tuple[str, str]]) -> str | None:
    return next((role for role, ref in model.refers_to if (model.environment, ref) in reached), None)


ROLES: Mapping[str, str] = {
    "target": "{kind}",
    "panel": "ensemble, in its panel",
    "judge": "ensemble, as its judge",
    "route": "semantic router, by a route",
    "default": "semantic router, by its default",
    "embedding model": "{kind}, by its embedding model",
}
"""How a dependent alias reaches an affected model, by the place where it names it."""


def _dependent(inventory: Inventory, model: Model, role: str) -> Dependent:
    kind = {"semantic": "semantic router"}.get(model.kind, model.kind)
    return Dependent(
        alias=model.alias,
        environment_name=inventory.environment_name(model.environment),
        role=ROLES.get(role, "{kind}").format(kind=kind),
    )


def warnings(plan: Plan, inventory: Inventory) -> Iterable[str]:
    """Say in words what the person should know before giving a secret."""
    if not plan.models:
        yield "Nothing here can prove the new secret, as no model uses this key: try it at the provider first."
    for environment in plan.unverifiable:
        yield (
            f"`{plan.environments[environment]}` has no gateway in the settings: its "
            f"{count(plan, environment)} cannot be verified, so the old key will not be offered for deletion."
        )
    for environment, name in plan.environments.items():
        if plan.old_key.allowed_environments and environment not in plan.old_key.allowed_environments:
            there = f"{count(plan, environment)} there {'uses' if count(plan, environment) == '1 model' else 'use'}"
            yield (
                f"The old key is not allowed in `{name}`, but {there} it: "
                "callers of those may be failing already. The replacement will be allowed there."
            )
    for route in plan.routes:
        yield (
            f"The passthrough route {route} holds this key. I do not move routes: "
            "point it at the replacement yourself before the old key can be deleted."
        )
    yield from _referring_elsewhere(plan.old_key, inventory)
    yield from _unlisted(plan)
    if any(plan.old_key.is_meant_by(reference) for reference in inventory.budgeted_keys):
        yield "A budget is set on this key. It does not follow: set one on the replacement."


MOST_NAMED = 5


def _referring_elsewhere(key: ProviderKey, inventory: Inventory) -> Iterable[str]:
    """Warn of what names the key in another place than its own provider key: to move it leaves that as it is."""
    others = inventory.but(
        models=tuple(model for model in inventory.models if not key.is_used_by(model)),
        routes=tuple(route for route in inventory.routes if not key.is_used_by(route)),
    )
    named = users_of(others, key)
    if named:
        yield (
            f"This key also stands in places that Keyturn can't change: {_first(named)}. "
            "Change them in AISIX: the old key is not deleted while anything names it."
        )


def _unlisted(plan: Plan) -> Iterable[str]:
    """Warn of lists that may hold a reference and cannot be read."""
    if plan.unlisted:
        yield (
            f"AISIX does not list {named_lists(plan.unlisted, plan)}: something there may use this key unseen. "
            "Delete is offered only if every gateway replica shows by its counters (`status_urls`) that nothing does."
        )


def named_lists(lists: Iterable[Unlisted], plan: Plan) -> str:
    """Name lists in a sentence: "the passthrough routes of `production`, `staging` and the budgets"."""
    places: dict[str, list[str]] = {}
    for one in lists:
        places.setdefault(one.kind, []).extend([f"`{plan.environment_name(one.environment)}`"] * bool(one.environment))
    return " and ".join(f"the {kind} of {_first(names)}" if names else f"the {kind}" for kind, names in places.items())


def _first(names: Sequence[str]) -> str:
    """Name the first few, and count the rest."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def count(plan: Plan, environment: str) -> str:
    """Say how many affected models one environment has."""
    return plural(sum(model.environment == environment for model in plan.models), "model")


def plural(number: int, noun: str) -> str:
    """Say *number* with its noun: "1 model", "12 models", "2 aliases"."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def users_of(inventory: Inventory, key: ProviderKey) -> tuple[str, ...]:
    """Name every model and passthrough route, in any environment, that refers to *key*."""
    name = inventory.environment_name
    models = (f"`{m.alias}` in {name(m.environment)}" for m in inventory.models if key.is_referred_to_by(m))
    routes = (
        f"passthrough route `{r.name}` in {name(r.environment)}" for r in inventory.routes if key.is_referred_to_by(r)
    )
    return (*models, *routes)
