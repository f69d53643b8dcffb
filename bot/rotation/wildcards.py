"""The one rule for wildcard aliases (`openai/*`): a star stands for any text, each other character for itself."""

import re

STAR = "*"


def is_wildcard(alias: str) -> bool:
    """Tell whether an alias answers for names other than its own."""
    return STAR in alias


def matches(alias: str, name: str) -> bool:
    """Tell whether *alias* answers for *name*."""
    return re.fullmatch(".*".join(map(re.escape, alias.split(STAR))), name, re.DOTALL) is not None


def filled(alias: str, name: str, pattern: str) -> str:
    """Put what the star of *alias* stands for in *name* into *pattern*: the upstream model that a request reaches."""
    before, _, after = alias.partition(STAR)
    return pattern.replace(STAR, name[len(before) : len(name) - len(after)])
