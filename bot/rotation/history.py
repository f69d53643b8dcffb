"""Search through all rotations: what people ask for, and whether a rotation is meant. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import NamedTuple, Self

from bot.rotation.errors import BadInput
from bot.rotation.frozen import Frozen
from bot.rotation.lookup import plain
from bot.rotation.record import Rotation


class Wanted(Frozen):
    """Which rotations are asked for; what is empty matters not."""

    key: str = ""
    """A part of the name or the id of the old key or of a new one."""

    person: str = ""
    """Who asked for it, approved it or ended it."""

    environment: str = ""
    """The name or id of an environment with affected models."""

    since: date | None = None
    until: date | None = None
    """The first and the last day on which it was asked for, in UTC."""

    @cached_property
    def sought(self) -> tuple[str, str]:
        """Return the key and the environment without differences that people don't mean."""
        return plain(self.key), plain(self.environment)

    @property
    def begin(self) -> datetime | None:
        """Return the first moment that counts."""
        return datetime.combine(self.since, time(), UTC) if self.since else None

    @property
    def end(self) -> datetime | None:
        """Return the first moment after those that count."""
        return datetime.combine(self.until, time(), UTC) + timedelta(days=1) if self.until else None


class Outline(NamedTuple):
    """What a search looks at in one rotation: small, so that it can be kept for thousands."""

    keys: tuple[str, ...]
    people: frozenset[str]
    environments: frozenset[str]

    @classmethod
    def of(cls, rotation: Rotation) -> Self:
        """Take it from a record."""
        keys = (text for key in rotation.keys for text in (key.id, key.display_name))
        people = {rotation.requested_by, rotation.ended_by or "", *(approval.by for approval in rotation.approvals)}
        places = (text for pair in rotation.plan.environments.items() for text in pair)
        return cls(tuple(dict.fromkeys(map(plain, keys))), frozenset(people - {""}), frozenset(map(plain, places)))

    def matches(self, wanted: Wanted) -> bool:
        """Return whether the rotation is among those that are *wanted*, whenever it was asked for."""
        key, place = wanted.sought
        return (
            (not key or any(key in name for name in self.keys))
            and (not wanted.person or wanted.person in self.people)
            and (not place or place in self.environments)
        )


USAGE = "`/rotate-key history key:NAME by:@person env:NAME since:2026-11-01 until:2026-11-30 page:2`"
"""Every filter; each may be left out."""

FILTER = re.compile(r"(?:^| )(key|by|env|since|until|page):", re.IGNORECASE)
PERSON = re.compile(r"<@([UW][A-Z0-9_]+)(?:\|[^>]*)?>|([UW][A-Z0-9_]{2,})")
PAGE = re.compile(r"[1-9][0-9]{0,5}")


def read(typed: str) -> tuple[Wanted, int]:
    """Read filters as they are typed behind the command, with the number of a page; a value ends at the next filter.

    Raise `BadInput` with a sentence that repeats nothing of it.
    """
    parts = FILTER.split(typed.strip())
    if parts[0]:
        if PAGE.fullmatch(parts[0]):
            parts = ["", "page", parts[0], *parts[1:]]
        else:
            raise BadInput(f"Keyturn can't read this. {USAGE}", field="key")
    given: dict[str, str] = {}
    for name, value in zip(parts[1::2], parts[2::2], strict=True):
        if name.casefold() in given or not value.strip():
            raise BadInput(f"Give each filter once, with a value. {USAGE}", field="key")
        given[name.casefold()] = value.strip()
    return wanted(given), _page(given.get("page", "1"))


def wanted(given: Mapping[str, str]) -> Wanted:
    """Return what filters by their names mean; raise `BadInput` if one has no readable value."""
    return Wanted(
        key=given.get("key", ""),
        environment=given.get("env", ""),
        person=_person(given.get("by", "")),
        since=_day("since", given),
        until=_day("until", given),
    )


def _person(text: str) -> str:
    found = PERSON.fullmatch(text)
    if text and found is None:
        raise BadInput("`by:` takes a person: type @ and choose one.", field="by")
    return (found[1] or found[2]) if found else ""


def _day(name: str, given: Mapping[str, str]) -> date | None:
    text = given.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput("`since:` and `until:` take a day, as 2026-11-01.", field=name) from None


def _page(text: str) -> int:
    if not PAGE.fullmatch(text):
        raise BadInput("`page:` takes a number.", field="page")
    return int(text)
