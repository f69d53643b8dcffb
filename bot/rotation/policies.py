"""What is asked of a rotation by the policies that touch it. Pure.

A policy only asks for more: of several, the strictest holds in each respect, and never less than the settings for all.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import reduce
from itertools import chain
from typing import Any

from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey
from bot.rotation.naming import base_of
from bot.rotation.plan import Plan
from bot.rotation.windows import Windows

Group = tuple[str, ...]
"""Ids of people and of user groups, in order."""


class Policy(Frozen):
    """What is asked of one rotation. A field that is added here needs its row in `STRICTER`."""

    names: tuple[str, ...] = ()
    """The policies that ask for it; none if the settings for all are all that holds."""

    approvers: tuple[Group, ...] = ()
    """An approver must be among each of these, besides `APPROVERS`."""

    approvals: int = 1
    start: bool = False
    """Whether an approver has to press **Start** before the first model moves."""

    soak: timedelta = timedelta(0)
    require_proof: bool = False
    require_reason: bool = False
    move: tuple[Windows, ...] = ()
    """Models move only while all of these are open."""

    delete: tuple[Windows, ...] = ()
    """The old key is deleted only while all of these are open."""

    own_approval: bool = False
    """Whether one click for a whole batch does not cover it: an approver presses **Delete old key** on its card."""

    rotate_every: timedelta | None = None
    """How old a key may get before it is listed; None: as old as it likes."""

    def named(self, approvers: Group) -> Group:
        """Return whom to ask of all *approvers*: the ids that every policy names, or else those of the first one."""
        first, *others = self.approvers or (approvers,)
        return tuple(id_ for id_ in first if all(id_ in other for other in others)) or first

    @property
    def title(self) -> str:
        """Name the policies in a sentence: "the policies production and openai"."""
        several = "policy" if len(self.names) == 1 else "policies"
        return f"the {several} {' and '.join(self.names)}"


ASKS_NOTHING = Policy()


def _each(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(chain(ours, theirs)))


def _either(ours: bool, theirs: bool) -> bool:  # noqa: FBT001 - a row of the table
    return ours or theirs


def shortest(ours: timedelta | None, theirs: timedelta | None) -> timedelta | None:
    """Return the shorter of two durations; None is no limit."""
    return min(filter(None, (ours, theirs)), default=None)


STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "names": _each,
    "approvers": _each,
    "approvals": max,
    "start": _either,
    "soak": max,
    "require_proof": _either,
    "require_reason": _either,
    "move": _each,
    "delete": _each,
    "own_approval": _either,
    "rotate_every": shortest,
}
"""By field, which of two values asks for more."""


def strictest(policies: Iterable[Policy]) -> Policy:
    """Return what all of *policies* ask for together."""
    return reduce(_stricter, policies, ASKS_NOTHING)


def _stricter(ours: Policy, theirs: Policy) -> Policy:
    return Policy(**{field: pick(getattr(ours, field), getattr(theirs, field)) for field, pick in STRICTER.items()})


def is_named(key: ProviderKey, written: str) -> bool:
    """Return whether a policy means *key* by what it has *written*; what rotations add to a name changes nothing."""
    names = (key.display_name, base_of(key.display_name))
    return key.id == written or any(fnmatchcase(name, written) for name in names)


class NamedPolicy(Frozen):
    """A policy of the settings, and what it is for: environments and keys, each by name or id; all, if none is named.

    The name of a key may have `*` and `?`.
    """

    environments: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    asks: Policy

    def touches(self, plan: Plan) -> bool:
        """Return whether it holds for a rotation with this plan."""
        places = {*plan.needed_in, *map(plan.environment_name, plan.needed_in)}
        is_key = not self.keys or any(is_named(plan.old_key, key) for key in self.keys)
        return is_key and (not self.environments or not places.isdisjoint(self.environments))


def asked_of(plan: Plan, policies: Iterable[NamedPolicy]) -> Policy:
    """Return what *policies* ask of a rotation with this plan."""
    return strictest(policy.asks for policy in policies if policy.touches(plan))
