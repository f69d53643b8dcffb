"""Finds the provider key that a person means. Pure."""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from unicodedata import normalize

from bot.rotation.errors import AmbiguousKey, UnknownKey
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.naming import base_of

Match = Callable[[ProviderKey], bool]


def find_key(inventory: Inventory, asked: str) -> ProviderKey:
    """Return the key that *asked* means; raise `UnknownKey` or `AmbiguousKey`.

    The closest kind of match wins: a key called `OpenAI` is not hidden by `OpenAI staging`.
    """
    found = meant(inventory.keys, asked)
    if len(found) > 1:
        raise AmbiguousKey(asked, tuple((key.display_name, key.id) for key in sorted(found, key=_by_name)))
    if not found:
        raise UnknownKey(asked, nearest_names(inventory, asked))
    return found[0]


def meant(keys: Iterable[ProviderKey], asked: str) -> list[ProviderKey]:
    """Return those of *keys* that *asked* means, by the closest kind of match that any of them has."""
    every = list(keys)
    found = ([key for key in every if means(key)] for means in _ways(asked.strip()))
    return next(filter(None, found), [])


def _ways(asked: str) -> Iterator[Match]:
    """Yield the kinds of match, the surest first."""
    wanted = plain(asked)
    yield lambda key: key.id == asked
    yield lambda key: key.display_name == asked
    yield lambda key: plain(key.display_name) == wanted
    yield lambda key: _base(key) == wanted
    if wanted:
        yield lambda key: plain(key.display_name).startswith(wanted)


def plain(text: str) -> str:
    """Return *text* without differences that people don't mean: case, Unicode form, number of blanks."""
    return normalize("NFC", " ".join(normalize("NFC", text).casefold().split()))


def _base(key: ProviderKey) -> str:
    """Return the key's name without what rotations added to it."""
    return plain(base_of(key.display_name.strip()))


def _by_name(key: ProviderKey) -> tuple[str, str]:
    return plain(key.display_name), key.id


def nearest_names(inventory: Inventory, asked: str) -> tuple[str, ...]:
    """Return up to three names that are close to *asked*."""
    names = {_base(key): key.display_name for key in inventory.keys}
    names |= {plain(key.display_name): key.display_name for key in inventory.keys}
    near = [names[close] for close in get_close_matches(plain(asked), names, n=6, cutoff=0.4)]
    return tuple(dict.fromkeys(near))[:3]


def search(inventory: Inventory, typed: str, limit: int = 100) -> tuple[ProviderKey, ...]:
    """Return the keys whose name, id or provider contains *typed*, first those that `find_key` would choose."""
    wanted = plain(typed)
    hits = [key for key in inventory.keys if wanted in plain(f"{key.display_name} {key.id} {key.provider}")]
    ways = list(_ways(typed.strip())) if wanted else []
    return tuple(sorted(hits, key=lambda key: (_rank(key, ways), _by_name(key)))[:limit])


def _rank(key: ProviderKey, ways: list[Match]) -> int:
    return next((at for at, means in enumerate(ways) if means(key)), len(ways))
