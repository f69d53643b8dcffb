"""The table of settings and `.env.example`, as the declarations give them.

`python -m tests.docs.settings_page --write` puts them where they belong.
"""

import argparse
from datetime import timedelta
from typing import Any

from pydantic.fields import FieldInfo

from bot.rotation.hours import Quiet
from bot.settings import Settings, StoreSettings
from bot.settings.reading import bounds, unit
from bot.settings.values import DAYS, LENGTH
from tests.support.documents import ROOT, filled

PAGE, EXAMPLE = "docs/settings.md", ".env.example"
HEAD = "# Copy to .env and fill in, with docs/install.md beside it. docs/settings.md lists every setting."
FIELDS = sorted(Settings.model_fields.items(), key=lambda one: one[0] in StoreSettings.model_fields)
"""Every setting, those of the store last."""


def default(name: str, field: FieldInfo) -> str:
    """Say what a setting is where nothing is set."""
    if field.is_required():
        return "required"
    return said(field.default)


def said(value: Any) -> str:
    """Write a default as people write it."""
    if value in (None, (), {}, frozenset()):
        return "absent"
    match value:
        case timedelta() | bool():
            return f"{value.total_seconds():.0f}" if isinstance(value, timedelta) else str(value).lower()
        case Quiet():
            return f"{value.begin:%H:%M}-{value.end:%H:%M}"
        case tuple():
            return ",".join([*map(str, value), "rest"])
        case frozenset():
            return f"{DAYS[min(value)]}-{DAYS[max(value)]}"
    return str(value)


def row(name: str, field: FieldInfo) -> str:
    """Return a setting's line in the table."""
    told = "seconds" if unit(field) == LENGTH else unit(field)
    meaning = str(field.description).replace("<", "&lt;")
    return f"| `{name.upper()}` | {default(name, field)} | {told} | {bounds(field)} | {meaning} |"


def page() -> str:
    """Return the page with the table of every setting as it should be."""
    head = "| setting | default | unit | limits | meaning |\n|---|---|---|---|---|"
    return filled(PAGE, "settings", "\n".join([head, *(row(name, field) for name, field in FIELDS)]))


def example() -> str:
    """Return `.env.example`: what one begins with; the store has a place of its own where nothing is set."""
    lines = [
        f"{'# ' * (name in StoreSettings.model_fields)}{name.upper()}={field.examples[0]}"
        for name, field in FIELDS
        if field.examples
    ]
    return "\n".join([HEAD, *lines, ""])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.docs.settings_page", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="write docs/settings.md and .env.example")
    parser.parse_args()
    (ROOT / PAGE).write_text(page())
    (ROOT / EXAMPLE).write_text(example())
