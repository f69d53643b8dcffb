"""What a seed is nasty with, beside people, faults, crashes and time: a kind of it in each, or all of them at once.

What cannot be survived is no breach of a law: a reference that no list of the last look showed, and an unlisted replica
that no test request has met, which may happen once in a thousand times.
"""

from enum import StrEnum


class Nasty(StrEnum):
    """A kind of trouble that most seeds leave out, so that the others are seen for themselves."""

    CLOCKS = "machines whose clocks differ by up to ten minutes, and jump"
    FROZEN = "workers that stand still at any call, and go on later"
    SHORT = "lists that lack rows which are there, now and then"
    UNLISTED = "replicas that the settings do not list, cut off at any moment"
    CALLERS = "callers at work between any two calls of the bot, some limited, some answered from a cache"


MIXES: tuple[frozenset[Nasty], ...] = (frozenset(), *(frozenset({kind}) for kind in Nasty), frozenset(Nasty))


def nasty_with(seed: int) -> frozenset[Nasty]:
    """Return what a seed is nasty with: each mix in its turn."""
    return MIXES[seed % len(MIXES)]
