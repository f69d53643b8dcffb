"""Which models use a provider key, and what a rotation will do about it. Pure: makes a plan from an inventory."""

from collections.abc import Iterable, Mapping, Sequence

from bot.rotation.frozen import Frozen
from bot.rotation.inventory import CACHE_POLICY, Inventory, Model, ProviderKey, Unlisted
from bot.rotation.wildcards import is_wildcard

LABEL_MOST = 80
"""Characters of a name in a sentence: five such names must fit on a card."""


class AffectedModel(Frozen):
    """A model that uses the old key."""

    id: str
    environment: str
    environment_name: str
    alias: str
    kind: str
    upstream: str
    provider: str = ""
    """The provider that the model itself names; empty in older records."""

    live: str = ""
    """The one name under which callers use a wildcard alias, if the counters show exactly one."""

    @property
    def label(self) -> str:
        """Return the model's name for a sentence."""
        return f"`{_short(self.alias)}` in {self.environment_name[:LABEL_MOST]}"

    def refreshed(self, now: "AffectedModel") -> "AffectedModel":
        """Return the model as the control plane shows it *now*, keeping the name that only the counters gave."""
        return now.but(live=self.live) if now.alias == self.alias else now

    def altered(self, now: "AffectedModel") -> tuple[str, ...]:
        """Return the changes *now* to what an approver saw of this model."""
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
"""The fields of a model that an approver sees, with their names in a sentence."""


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
    """The models to move, as people saw them; the steps run exactly this plan."""

    old_key: ProviderKey
    models: tuple[AffectedModel, ...]
    dependents: tuple[Dependent, ...] = ()
    has_routes: bool = False
    """Whether the tenant had passthrough routes; if so, later inventories must show them."""

    routes: tuple[str, ...] = ()
    """Names of the passthrough routes that hold the old key."""

    tenant: dict[str, str] = {}
    """Name by id of every environment that AISIX has shown to this rotation; empty in records of older versions."""

    unlisted: tuple[Unlisted, ...] = ()
    """The lists that AISIX could not give for them. It gave all others, and must go on giving them."""

    environments: dict[str, str] = {}
    """Name by id of every environment with an affected model."""

    route_environments: tuple[str, ...] = ()
    """Ids of the environments of those routes: the replacement has to be allowed there as well."""

    allowed_in: tuple[str, ...] = ()
    """Names of the environments where the old key is allowed."""

    warnings: tuple[str, ...] = ()
    old_key_gone: bool = False
    """Someone else deleted the old key, and people have been told."""

    unverifiable: tuple[str, ...] = ()
    """Ids of environments with affected models and no gateway in the settings."""

    @property
    def needed_in(self) -> frozenset[str]:
        """Return the ids of the environments where the replacement has to be allowed."""
        return frozenset({*self.environments, *self.route_environments})

    def environment_name(self, environment_id: str) -> str:
        """Return the name of that environment."""
        return {**self.tenant, **self.environments}.get(environment_id, environment_id)

    def unlisted_in(self, environment_id: str) -> tuple[str, ...]:
        """Return the kinds of objects that may exist there and can't be listed."""
        return tuple(one.kind for one in self.unlisted if one.environment in ("", environment_id))


def make_plan(inventory: Inventory, old_key: ProviderKey, gateways: Iterable[str]) -> Plan:
    """Find every model in every environment that uses *old_key*, and all that reach one of them."""
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
    """Return the fields of *model* that the card and the steps need."""
    return AffectedModel(
        id=model.id,
        environment=model.environment,
        environment_name=inventory.environment_name(model.environment),
        alias=model.alias,
        kind=model.kind,
        upstream=model.upstream,
        provider=str(model.settings.get("provider") or ""),
    )


def probed_elsewhere(model: AffectedModel, name: str, models: Iterable[Model]) -> Model | None:
    """Return the other model that answers a test request for *model* under *name*; None if there is none.

    A gateway prefers a model of exactly that name to a wildcard. What has no key of its own answers for its targets: a
    router's answer to a name that the model does not have says which of them gave it.
    """
    if name == model.alias:
        return None
    others = (other for other in models if other.environment == model.environment and other.kind != CACHE_POLICY)
    named = (other for other in others if other.alias == name and other.id != model.id)
    return next((other for other in named if is_wildcard(model.alias) or not other.is_virtual), None)


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
"""How a dependent alias reaches an affected model, by the field that names it."""


def _dependent(inventory: Inventory, model: Model, role: str) -> Dependent:
    kind = {"semantic": "semantic router"}.get(model.kind, model.kind)
    return Dependent(
        alias=model.alias,
        environment_name=inventory.environment_name(model.environment),
        role=ROLES.get(role, "{kind}").format(kind=kind),
    )


def warnings(plan: Plan, inventory: Inventory) -> Iterable[str]:
    """Yield what the requester should know before giving a secret."""
    if not plan.models:
        yield "Nothing here can prove the new secret, as no model uses this key: try it at the provider first."
    for environment in plan.unverifiable:
        yield (
            f"`{plan.environments[environment]}` has no gateway in the settings: its "
            f"{count(plan, environment)} cannot be verified, so the old key will not be offered for deletion."
        )
    for environment, name in plan.environments.items():
        if plan.old_key.allowed_environments and environment not in plan.old_key.allowed_environments:
            one = count(plan, environment) == "1 model"
            there, callers = f"{count(plan, environment)} there {'uses' if one else 'use'}", "its" if one else "their"
            yield (
                f"The old key is not allowed in `{name}`, but {there} it: "
                f"{callers} callers may be failing already. The new key will be allowed there."
            )
    for route in plan.routes:
        yield (
            f"The passthrough route {route} holds this key. Keyturn doesn't move routes: "
            "point it at the new key yourself before the old key can be deleted."
        )
    yield from _referring_elsewhere(plan.old_key, inventory)
    yield from _unlisted(plan)
    if any(plan.old_key.is_meant_by(reference) for reference in inventory.budgeted_keys):
        yield "A budget is set on this key. It does not follow: set one on the new key."


MOST_NAMED = 5


def _referring_elsewhere(key: ProviderKey, inventory: Inventory) -> Iterable[str]:
    """Warn of references to the key outside a model's or route's own key: a move leaves those unchanged."""
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
    """Warn of lists that may hold a reference and can't be read."""
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
    """Write *number* with its noun: "1 model", "12 models", "2 aliases"."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def users_of(inventory: Inventory, key: ProviderKey) -> tuple[str, ...]:
    """Name every model and passthrough route, in any environment, that refers to *key*."""
    name = inventory.environment_name
    models = (f"`{m.alias}` in {name(m.environment)}" for m in inventory.models if key.is_referred_to_by(m))
    routes = (
        f"passthrough route `{r.name}` in {name(r.environment)}" for r in inventory.routes if key.is_referred_to_by(r)
    )
    return (*models, *routes)
