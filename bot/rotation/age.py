"""How old a provider key is, what says so, and whether it is due for a rotation. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from bot.rotation.holds import KeyHold
from bot.rotation.inventory import ProviderKey
from bot.rotation.record import Rotation


class Source(StrEnum):
    """What says how old a key is."""

    LISTED = "AISIX"
    RECORDED = "Keyturn's record of the rotation that made it"
    UNKNOWN = "nothing"


class Age(NamedTuple):
    """Since when a key has been there (None: unknown), and what says so."""

    since: datetime | None = None
    source: Source = Source.UNKNOWN

    def at(self, now: datetime) -> timedelta | None:
        """Return how old the key is *now*; a time to come counts as now."""
        return max(now - self.since, timedelta(0)) if self.since else None


class Aged(NamedTuple):
    """A provider key and its age."""

    key: ProviderKey
    age: Age


def age_of(key: ProviderKey, made_at_by_us: datetime | None = None) -> Age:
    """Return the age of *key*: as the control plane lists it, or else as a rotation of ours recorded it."""
    if key.created_at:
        return Age(key.created_at, Source.LISTED)
    return Age(made_at_by_us, Source.RECORDED) if made_at_by_us else Age()


def made_at(rotation: Rotation, key: ProviderKey) -> datetime | None:
    """Return when *rotation* made *key*; None if it did not, or if nothing says which of its keys it is."""
    made = rotation.replacement
    return made.asked_at if made and made.key_id == key.id and key.id in rotation.made else None


def by_age(keys: Iterable[ProviderKey], made_by_us: Mapping[str, datetime]) -> tuple[Aged, ...]:
    """Return *keys* with their ages, the oldest first, unknown ages last; *made_by_us* is by id."""
    aged = (Aged(key, age_of(key, made_by_us.get(key.id))) for key in keys)
    return tuple(sorted(aged, key=lambda one: (one.age.since is None, one.age.since or _NEVER, one.key.display_name)))


_NEVER = datetime.max.replace(tzinfo=UTC)


def is_due(age: Age, every: timedelta | None, now: datetime) -> bool:
    """Return whether a key of this *age* is older than it may get; without *every*, none is, nor one of unknown age."""
    old = age.at(now)
    return every is not None and old is not None and old > every


class DueKey(NamedTuple):
    """A key that is older than it may get, and why it may have to wait."""

    key: ProviderKey
    age: Age
    rotation: Rotation | None = None
    """The rotation under way of this key."""

    hold: KeyHold | None = None


class DueKeys(NamedTuple):
    """The keys that are due, the oldest first, and how many keys are of unknown age."""

    keys: tuple[DueKey, ...]
    unknown: int


def due_keys(
    aged: Iterable[Aged],
    every: Callable[[ProviderKey], timedelta | None],
    now: datetime,
    *,
    under_way: Iterable[Rotation],
    holds: Mapping[str, KeyHold],
) -> DueKeys:
    """Return those of *aged* keys that are older than *every* allows, in their order."""
    known = list(aged)
    rotations = {rotation.plan.old_key.id: rotation for rotation in under_way}
    due = (
        DueKey(key, age, rotations.get(key.id), holds.get(key.id)) for key, age in known if is_due(age, every(key), now)
    )
    return DueKeys(tuple(due), sum(age.since is None for _, age in known))


def week_of(now: datetime) -> str:
    """Name the week in which *now* is, as ISO 8601 counts them: "2026-W48"."""
    year, week, _ = now.isocalendar()
    return f"{year}-W{week:02}"
