"""The names that a rotation gives: they identify its keys and its throw-away models. Pure."""

import re
import secrets
from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from bot.rotation.inventory import Inventory, Model, ProviderKey
from bot.rotation.replica import THROWAWAY

LETTERS = "abcdefghjkmnpqrstuvwxyz"
DIGITS = "23456789"
"""Digits and letters that people don't confuse."""

ID = rf"r(?=[a-z]*[{DIGITS}])[{LETTERS}{DIGITS}]{{6}}"
"""A rotation's id holds a digit, so that no word looks like one: people do call a key `reserve`."""

TAG = re.compile(rf"({ID})(?:-([2-9]|[1-9]\d+))?")
SUFFIX = re.compile(rf" \((?:(\d{{4}}-\d\d-\d\d) r[0-9a-z]+(?:-\d+)?|{ID}(?:-\d+)?)\)$")
"""The part of a display name that an earlier rotation added."""

NUMBERED = re.compile(rf"{THROWAWAY}({ID})-\d+")


class Tag(NamedTuple):
    """The mark of a key in its display name: the rotation that made it, and the number of the secret."""

    rotation: str
    attempt: int


def new_id() -> str:
    """Return the id of a new rotation."""
    rest = [secrets.choice(LETTERS + DIGITS) for _ in range(5)]
    rest.insert(secrets.randbelow(6), secrets.choice(DIGITS))
    return "r" + "".join(rest)


def words_of(name: str) -> list[str]:
    """Split a display name into words; a tag is one word."""
    return name.replace("(", " ").replace(")", " ").split()


def tag_of(name: str) -> Tag | None:
    """Return the tag in a display name; the last one, because the name may keep that of an earlier rotation."""
    found = [match for word in words_of(name) if (match := TAG.fullmatch(word))]
    return Tag(found[-1][1], int(found[-1][2] or 1)) if found else None


def base_of(name: str) -> str:
    """Return a display name without what rotations added to it."""
    while SUFFIX.search(name):
        name = SUFFIX.sub("", name)
    return name


def day_of(name: str) -> date | None:
    """Return the day that a rotation wrote into a display name."""
    found = SUFFIX.search(name)
    try:
        return date.fromisoformat(found[1]) if found and found[1] else None
    except ValueError:
        return None


def throwaway_prefix(rotation_id: str) -> str:
    """Return the prefix of the names of a rotation's throw-away models."""
    return f"{THROWAWAY}{rotation_id}-"


def rotation_of(alias: str) -> str | None:
    """Return the id of the rotation that would name a throw-away model like this."""
    found = NUMBERED.fullmatch(alias)
    return found[1] if found else None


def named_after(rotation_id: str, inventory: Inventory) -> tuple[Model, ...]:
    """Return the models whose names follow the pattern of a rotation's throw-away models."""
    begin = throwaway_prefix(rotation_id)
    return tuple(m for m in inventory.models if m.alias.startswith(begin) and m.alias.removeprefix(begin).isdecimal())


def throwaways_of(rotation_id: str, own: Collection[ProviderKey], inventory: Inventory) -> tuple[Model, ...]:
    """Return the throw-away models of a rotation whose keys are *own*.

    A model that a person made by hand uses another key, refers to models, or is referred to: Keyturn must keep it.
    """
    ids = {key.id for key in own}
    foreign = [key for key in inventory.keys if key.id not in ids]
    wanted = {(model.environment, name) for model in inventory.models for _, name in model.refers_to}
    return tuple(
        model
        for model in named_after(rotation_id, inventory)
        if not model.refers_to
        and not any(key.is_used_by(model) for key in foreign)
        and not wanted & {(model.environment, model.id), (model.environment, model.alias)}
    )
