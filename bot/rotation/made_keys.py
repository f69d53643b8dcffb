"""The keys that a rotation makes: which it has offered for use, and which it may remove. Pure."""

from collections.abc import Iterable, Iterator

from bot.rotation.drift import unlisted_environments, vanished_environments, vanished_lists
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.phrases import listing
from bot.rotation.plan import named_lists, users_of
from bot.rotation.record import KEY_STAYS, Rotation


def received(rotation: Rotation, key_id: str) -> Rotation:
    """Return *rotation* with one more key of its own.

    If a known route holds the old key, the impact has asked people to point it at this one: then it is offered.
    """
    fresh = () if key_id in rotation.made or rotation.plan.routes else (key_id,)
    made = tuple(dict.fromkeys((*rotation.made, key_id)))
    return rotation.but(made=made, unoffered=(*rotation.unoffered, *fresh))


def offering(rotation: Rotation) -> Rotation:
    """Return *rotation* as it offers its replacement: models move to it, and people are asked to use it."""
    return rotation.but(unoffered=tuple(one for one in rotation.unoffered if one != rotation.replacement_id))


def _is_offered(rotation: Rotation, key: ProviderKey) -> bool:
    return key.id in rotation.made and key.id not in rotation.unoffered


def why_it_stays(rotation: Rotation, key: ProviderKey, inventory: Inventory, gateways: Iterable[str]) -> str:
    """Say why *key*, one of this rotation's own, has to stay; empty if it may be removed.

    A key that was offered for use also stays where AISIX has never listed everything that can use it: people may have
    pointed something there at it, as Keyturn asks them to.
    """
    why = next(_reasons(rotation, key, inventory, gateways), "")
    return f"{KEY_STAYS} `{key.id}` of this rotation stays: {why}." if why else ""


def stays_on_hold(key_id: str) -> str:
    """Say that a key of this rotation stays because somebody keeps it."""
    return f"{KEY_STAYS} `{key_id}` of this rotation stays: it is on hold."


def _reasons(rotation: Rotation, key: ProviderKey, inventory: Inventory, gateways: Iterable[str]) -> Iterator[str]:
    if users := users_of(inventory, key):
        yield f"{listing(users)} uses it"
    if vanished := _vanished(rotation, inventory):
        yield f"AISIX does not show {vanished} any more"
    if _is_offered(rotation, key) and (unlisted := _unlisted(rotation, key, inventory, gateways)):
        yield f"AISIX does not list {unlisted}, so something there may use it unseen"


def _vanished(rotation: Rotation, inventory: Inventory) -> str:
    """Name what AISIX showed to this rotation before and does not show now."""
    plan = rotation.plan
    lists, environments = vanished_lists(plan, inventory), vanished_environments(plan, inventory)
    return _joined(named_lists(lists, plan), environments)


def _unlisted(rotation: Rotation, key: ProviderKey, inventory: Inventory, gateways: Iterable[str]) -> str:
    """Name the lists and environments that AISIX does not show where *key* may be used."""
    plan, allowed = rotation.plan, {*key.allowed_environments}
    lists = [
        one
        for one in inventory.unlisted
        if not (one.environment and allowed) or allowed & {one.environment, inventory.environment_name(one.environment)}
    ]
    return _joined(named_lists(lists, plan), unlisted_environments(plan.but(old_key=key), inventory, gateways))


def _joined(lists: str, environments: Iterable[str]) -> str:
    return " and ".join(filter(None, [lists, listing(f"`{name}`" for name in environments)]))
