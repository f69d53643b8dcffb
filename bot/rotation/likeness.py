"""Compares the replacement with the old key. Pure."""

from typing import Any

from bot.rotation.inventory import ProviderKey


def difference(old: ProviderKey, new: ProviderKey) -> str | None:
    """Return the name of the first setting in which the replacement differs from the old key."""
    if old.provider != new.provider:
        return "provider"
    names = sorted({*old.settings, *new.settings})
    return next((n for n in names if not _alike(old.settings.get(n), new.settings.get(n))), None)


def _alike(old: Any, new: Any) -> bool:
    """Compare two settings; a default that the server writes out in only one of two sections makes no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_alike(old.get(name), new.get(name)) for name in {*old, *new})
    return bool(old == new)
