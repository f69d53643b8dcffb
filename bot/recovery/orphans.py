"""Orphaned rotations: what the control plane alone shows of a rotation whose record is lost. Pure.

The only evidence is names: replacement keys and throw-away models carry their rotation's id. The old key has the same
provider and name, and is older as far as AISIX shows. If several keys qualify, a person has to choose. Where a record
can be read, it knows better than any name.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from bot.rotation.errors import Refused
from bot.rotation.frozen import Frozen
from bot.rotation.inventory import Inventory, Model, ProviderKey
from bot.rotation.naming import base_of, day_of, named_after, rotation_of, tag_of, throwaways_of
from bot.rotation.plan import users_of


class Kind(StrEnum):
    """How far a rotation has come, as far as AISIX shows."""

    UNUSED = "unused"
    """The replacement exists, and no model is on it."""

    SPLIT = "split"
    """Some models are on the replacement, some on the old key."""

    MOVED = "moved"
    """All models have left the old key."""

    LEFTOVERS = "leftovers"
    """Throw-away models exist, and no old key: the rotation itself has ended."""

    UNCLEAR = "unclear"
    """Several keys may be the old one."""

    FINISHED = "finished"
    """The old key is gone, and nothing is left over: no orphan at all."""


BEGUN = frozenset({Kind.UNUSED, Kind.SPLIT, Kind.MOVED})
"""Kinds with both keys known: they can be completed or undone."""


class Orphan(Frozen):
    """What exists of one rotation."""

    rotation: str
    keys: tuple[ProviderKey, ...] = ()
    """Its own keys, the one for the newest secret last."""

    olds: tuple[ProviderKey, ...] = ()
    """The keys that it may replace."""

    certain: bool = True
    """Nothing suggests the reverse: that one of `olds` was made to replace one of `keys`."""

    moved: tuple[Model, ...] = ()
    """Models on its own keys, except throw-away models."""

    unmoved: tuple[Model, ...] = ()
    throwaways: tuple[Model, ...] = ()
    strangers: tuple[Model, ...] = ()
    """Models named like its throw-away models that it must not delete."""

    holders: tuple[str, ...] = ()
    """Routes, policies and other objects that refer to one of its keys in a way that Keyturn can't change."""

    @property
    def replacement(self) -> ProviderKey | None:
        """Return the key with the newest secret."""
        return self.keys[-1] if self.keys else None

    @property
    def old(self) -> ProviderKey | None:
        """Return the key that it replaces, if that is certain."""
        return self.olds[0] if len(self.olds) == 1 and self.certain else None

    @property
    def kind(self) -> Kind:
        """Return how far it has come."""
        if not self.olds:
            return Kind.LEFTOVERS if self.throwaways else Kind.FINISHED
        if self.old is None:
            return Kind.UNCLEAR
        if not self.moved:
            return Kind.UNUSED
        return Kind.SPLIT if self.unmoved else Kind.MOVED


def rotations_seen(
    inventory: Inventory, named: Mapping[str, str] | None = None, recorded: Mapping[str, str] | None = None
) -> tuple[Orphan, ...]:
    """Return an orphan for every rotation that a key or model is named after.

    For some, *named* gives the old key that a person says, and *recorded* the one in the record.
    """
    said, known = named or {}, recorded or {}
    return tuple(_half(id_, inventory, said.get(id_), known.get(id_)) for id_ in sorted(ids_seen(inventory)))


def ids_seen(inventory: Inventory) -> frozenset[str]:
    """Return the id of every rotation that a key or model is named after."""
    tags = (tag.rotation for key in inventory.keys if (tag := tag_of(key.display_name)))
    aliases = (found for model in inventory.models if (found := rotation_of(model.alias)))
    return frozenset({*tags, *aliases})


def _half(rotation_id: str, inventory: Inventory, named: str | None, recorded: str | None) -> Orphan:
    keys = _own_keys(rotation_id, inventory)
    if recorded:
        olds = tuple(key for key in inventory.keys if key.id == recorded) if keys else ()
    else:
        olds = _named(named, keys, inventory) if named else _olds(keys, inventory)
    throwaways = throwaways_of(rotation_id, keys, inventory)
    moved = tuple(m for m in inventory.models if m not in throwaways and _on(keys, m))
    counted = {*_labels(moved, inventory), *_labels(throwaways, inventory)}
    return Orphan(
        rotation=rotation_id,
        keys=keys,
        olds=olds,
        certain=bool(named or recorded) or not any(_may_replace(old, key, inventory) for old in olds for key in keys),
        moved=moved,
        unmoved=tuple(m for m in inventory.models if _on(olds, m)),
        throwaways=throwaways,
        strangers=tuple(m for m in named_after(rotation_id, inventory) if m not in throwaways),
        holders=tuple(user for key in keys for user in users_of(inventory, key) if user not in counted),
    )


def _on(keys: Iterable[ProviderKey], model: Model) -> bool:
    """Return whether a model is on one of *keys* in a way that allows a move."""
    return any(key.is_meant_by(model.provider_key) for key in keys)


def _labels(models: Iterable[Model], inventory: Inventory) -> Iterator[str]:
    return (f"`{model.alias}` in {inventory.environment_name(model.environment)}" for model in models)


def _own_keys(rotation_id: str, inventory: Inventory) -> tuple[ProviderKey, ...]:
    """Return the keys named after a rotation; of two for the same secret, the one in use comes last.

    If any key has exactly the name that a rotation gives, keys with more words belong to somebody else.
    """

    def newness(key: ProviderKey) -> tuple[int, bool, str]:
        tag, made = tag_of(key.display_name), inventory.made_at.get(key.id)
        return tag.attempt if tag else 0, bool(users_of(inventory, key)), f"{made} {key.id}"

    mine = [key for key in inventory.keys if (tag := tag_of(key.display_name)) and tag.rotation == rotation_id]
    as_named = [key for key in mine if base_of(key.display_name) != key.display_name]
    return tuple(sorted(as_named or mine, key=newness))


def _olds(keys: tuple[ProviderKey, ...], inventory: Inventory) -> tuple[ProviderKey, ...]:
    """Return the keys that *keys* may replace."""
    return tuple(old for old in inventory.keys if keys and all(_may_replace(key, old, inventory) for key in keys))


def _may_replace(key: ProviderKey, old: ProviderKey, inventory: Inventory) -> bool:
    """Return whether a rotation may have made *key* to replace *old*."""
    mine, other, base = tag_of(key.display_name), tag_of(old.display_name), base_of(key.display_name)
    alike = (key.provider, base) == (old.provider, base_of(old.display_name))
    if mine is None or base == key.display_name or not alike:
        return False
    return (other is None or other.rotation != mine.rotation) and not _is_younger(old, key, inventory)


def _is_younger(old: ProviderKey, key: ProviderKey, inventory: Inventory) -> bool:
    """Return whether *old* is known to be younger than *key*: by the control plane, or by the day in its name."""
    made = inventory.made_at.get(old.id), inventory.made_at.get(key.id)
    if made[0] and made[1]:
        return made[0] > made[1]
    days = day_of(old.display_name), day_of(key.display_name)
    return bool(days[0] and days[1] and days[0] > days[1])


def _named(asked: str, keys: tuple[ProviderKey, ...], inventory: Inventory) -> tuple[ProviderKey, ...]:
    """Return the key that a person names as the old one, or refuse an impossible choice."""
    old = inventory.key(asked)
    if old is None:
        raise Refused(f"There is no provider key of the id {asked}.")
    if not keys:
        raise Refused("No key carries the id of this rotation, so it replaces none.")
    if old in keys or any(key.provider != old.provider for key in keys):
        raise Refused(f"`{asked}` cannot be the old key: it is this rotation's own, or another provider's.")
    return (old,)
