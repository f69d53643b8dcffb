"""What one person sees of all rotations at a glance. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.age import Aged
from bot.rotation.attention import fails_callers
from bot.rotation.holds import KeyHold
from bot.rotation.policies import Policy
from bot.rotation.policy import Permissions
from bot.rotation.record import Rotation
from bot.rotation.waiting import waited_for


class Waiting(NamedTuple):
    """A rotation that waits for somebody, and what they may do about it."""

    rotation: Rotation
    actions: tuple[Action, ...]


class Sights(NamedTuple):
    """What there is to see, read once for all people."""

    under_way: tuple[Rotation, ...]
    last: tuple[Rotation, ...]
    """The last rotations that are over, the newest first."""

    due: tuple[Rotation, ...] = ()
    """The rotations whose credential is still to be revoked at its provider, the next due first."""

    keys: tuple[Aged, ...] | None = None
    """The provider keys, the oldest first; None if AISIX can't be read now."""

    overdue: frozenset[str] = frozenset()
    """The ids of the keys that are older than they may get."""

    holds: Mapping[str, KeyHold] = {}
    """What keeps keys from being deleted, by their ids."""


class Overview(NamedTuple):
    """What one full member sees; each of them sees every rotation, as `/rotate-key status` shows it."""

    waiting: tuple[Waiting, ...]
    others: tuple[Rotation, ...]
    """What is under way and does not wait for them, the oldest first."""

    last: tuple[Rotation, ...]
    may_request: bool
    due: tuple[Rotation, ...] = ()
    """What others have to revoke."""

    keys: tuple[Aged, ...] | None = None
    busy: frozenset[str] = frozenset()
    """The ids of the keys that a rotation under way replaces or makes."""

    overdue: frozenset[str] = frozenset()
    holds: Mapping[str, KeyHold] = {}


def overview(sights: Sights, permissions: Permissions, under: Mapping[Policy, Permissions] | None = None) -> Overview:
    """Return what the person of these permissions sees; where callers fail comes first.

    *under* a policy, the person may have other permissions.
    """
    first = sorted(sights.under_way, key=lambda one: not fails_callers(one))
    there: dict[str, Rotation] = {}
    for one in (*first, *sights.due, *sights.last):
        there.setdefault(one.id, one)
    waiting = [
        Waiting(one, acts)
        for one in there.values()
        if (acts := waited_for(one, under[one.policy] if under else permissions))
    ]
    theirs = {one.rotation.id for one in waiting}
    return Overview(
        tuple(waiting),
        tuple(one for one in sights.under_way if one.id not in theirs),
        sights.last,
        permissions.may_request,
        tuple(one for one in sights.due if one.id not in theirs),
        sights.keys,
        frozenset(key.id for one in sights.under_way for key in one.keys if one.concerns(key)),
        sights.overdue,
        sights.holds,
    )
