"""The one rule for wildcard aliases (`openai/*`): a star matches any text, every other character only itself."""

import re

STAR = "*"


def is_wildcard(alias: str) -> bool:
    """Return whether an alias answers for names other than its own."""
    return STAR in alias


def matches(alias: str, name: str) -> bool:
    """Return whether *alias* answers for *name*."""
    return re.fullmatch(".*".join(map(re.escape, alias.split(STAR))), name, re.DOTALL) is not None


def filled(alias: str, name: str, pattern: str) -> str:
    """Fill *pattern* with the text that the star of *alias* matches in *name*: the upstream model of a request."""
    before, _, after = alias.partition(STAR)
    return pattern.replace(STAR, name[len(before) : len(name) - len(after)])
