"""The differences between the plan that people saw and the control plane now. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from bot.rotation.frozen import Frozen
from bot.rotation.inventory import Inventory, Unlisted
from bot.rotation.plan import AffectedModel, Plan, _reading_order, affected, dependents, make_plan


class Changes(Frozen):
    """How the control plane differs from the plan: sentences to show, and the current plan."""

    sentences: tuple[str, ...] = ()
    plan: Plan


def drift(plan: Plan, inventory: Inventory, ours: Iterable[str], gateways: Iterable[str]) -> Changes:
    """Compare the control plane with the plan; *ours* are the keys on which this rotation may have put models.

    A planned model on a key unknown to this rotation was changed by someone else: it leaves the plan. A model on the
    old key that was never shown joins the plan, but only after a person has seen it.
    """
    old = inventory.key(plan.old_key.id)
    gone = old is None
    fresh = make_plan(inventory, old or plan.old_key, gateways)
    planned = {model.id for model in plan.models}
    joined = [model for model in fresh.models if model.id not in planned]
    departed = dict(_departed(plan, inventory, [plan.old_key.id, *ours]))
    now = {model.id: affected(inventory, model) for model in inventory.models}
    kept = [model for model in plan.models if model.id not in departed]
    models = tuple(sorted([*(model.refreshed(now[model.id]) for model in kept), *joined], key=_reading_order))
    environments = {model.environment: model.environment_name for model in models}
    return Changes(
        sentences=(
            *(f"Someone bound {model.label} to the old key." for model in joined),
            *(["The old key no longer exists: someone deleted it."] if gone and not plan.old_key_gone else []),
            *departed.values(),
            *_altered(kept, now),
        ),
        plan=listed_since(plan, inventory).but(
            models=models,
            environments=environments,
            routes=fresh.routes,
            route_environments=fresh.route_environments,
            dependents=dependents(inventory, [m for m in inventory.models if m.id in {k.id for k in models}]),
            old_key_gone=gone,
            unverifiable=tuple(env for env in environments if env not in set(gateways)),
        ),
    )


def _altered(shown: Iterable[AffectedModel], now: Mapping[str, AffectedModel]) -> Iterator[str]:
    """Yield a sentence for each model that differs from what people saw."""
    for model in shown:
        changes = model.altered(now[model.id])
        if changes:
            yield f"{model.label} was changed by someone: {', '.join(changes)}."


def _departed(plan: Plan, inventory: Inventory, ours: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield (id, sentence) for each planned model that is gone, or on a key other than the old one and *ours*."""
    now = {model.id: model for model in inventory.models}
    keys = [plan.old_key, *(key for key_id in ours if (key := inventory.key(key_id)))]
    for model in plan.models:
        if model.id not in now:
            yield model.id, f"{model.label} no longer exists."
        elif not any(key.is_used_by(now[model.id]) for key in keys):
            yield model.id, f"{model.label} uses a key that this rotation does not know: someone changed it."


def unlisted_environments(plan: Plan, inventory: Inventory, gateways: Iterable[str]) -> tuple[str, ...]:
    """Return the environments that the old key or the settings name and the control plane does not show."""
    shown = {name for environment in inventory.environments for name in (environment.id, environment.name)}
    old = inventory.key(plan.old_key.id) or plan.old_key
    return tuple(sorted({*old.allowed_environments, *gateways} - shown))


def vanished_environments(plan: Plan, inventory: Inventory) -> tuple[str, ...]:
    """Return the environments that AISIX showed to this rotation before and does not show now."""
    shown = {environment.id for environment in inventory.environments}
    return tuple(name for id_, name in plan.tenant.items() if id_ not in shown)


def is_elsewhere(plan: Plan, inventory: Inventory) -> bool:
    """Return whether another organization answers; then what it does not show is not gone.

    Ids are unique, so a listed old key shows that it is ours.
    """
    shown = {environment.id for environment in inventory.environments}
    return bool(plan.tenant) and not shown & plan.tenant.keys() and inventory.key(plan.old_key.id) is None


def vanished_lists(plan: Plan, inventory: Inventory) -> tuple[Unlisted, ...]:
    """Return the lists that AISIX showed to this rotation before and does not show now."""
    known = {"", *plan.tenant} if plan.tenant else frozenset[str]()
    return tuple(one for one in inventory.unlisted if one.environment in known and one not in plan.unlisted)


def listed_since(plan: Plan, inventory: Inventory) -> Plan:
    """Add to *plan* the environments and lists that AISIX shows now; from then on they must not disappear."""
    tenant = {environment.id: environment.name for environment in inventory.environments}
    known = plan.unlisted if plan.tenant else inventory.unlisted  # older records lack it
    fresh = (one for one in inventory.unlisted if one.environment not in {"", *plan.tenant} and one not in known)
    still = (one for one in known if one in inventory.unlisted or one.environment not in {"", *tenant})
    old = inventory.key(plan.old_key.id) or plan.old_key
    return plan.but(
        old_key=plan.old_key.but(allowed_environments=old.allowed_environments),
        tenant={**plan.tenant, **tenant},
        unlisted=(*still, *fresh),
    )
