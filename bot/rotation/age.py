"""How old a provider key is, what says so, and whether it is due for a rotation. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

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
