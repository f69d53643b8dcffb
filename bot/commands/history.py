"""`keyturn history`: list the rotations that filters mean, under way or over, the newest first."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

from bot.commands import listing, shown
from bot.commands.listing import SIZE
from bot.rotation.history import wanted
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.storage.records import Store
from bot.terminal import say, say_json

OPTIONS = (
    click.option("--key", default="", help="A part of the name or the id of the old key, or of a new one."),
    click.option("--by", metavar="U…", default="", help="Who asked for it, approved it or ended it."),
    click.option("--environment", "env", default="", help="The name or the id of an environment with affected models."),
    click.option("--since", metavar="DAY", default="", help="The first day on which it was asked for, as 2026-11-01."),
    click.option("--until", metavar="DAY", default="", help="The last one. Days are those of UTC."),
    click.option("--page", "number", type=click.IntRange(min=1), default=1, show_default=True, help="Of the list."),
)
"""The options of the command; each filter has the name that `/rotate-key history` has for it."""

C = TypeVar("C", bound=Callable[..., object])


def filtered(command: C) -> C:
    """Give a command these options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


async def history(stores: Sequence[Store], filters: Mapping[str, str], number: int, *, as_json: bool) -> None:
    """Print a page of what is found, for each bot that has records here; refuse a filter that can't be read."""
    meant = wanted(filters)
    pages = [(store.namespace.queue, await store.search(meant, number, SIZE)) for store in stores]
    if as_json:
        say_json({"namespaces": [listing.as_json(name, page, _summary) for name, page in pages]})
        return
    for name, page in pages:
        of = f" in {name}" if len(pages) > 1 else ""
        say(f"{plural(page.total, 'rotation')} found{of}." if page.total else f"No rotation is like that{of}.")
        for line in listing.lines(page, "the same with"):
            say(line)


def _summary(rotation: Rotation) -> dict[str, object]:
    """Return what a list has of a rotation, and how it ended."""
    new = rotation.replacement
    return {
        **shown.summary(rotation),
        "new_key": {"id": new.key_id, "name": new.name} if new else None,
        "environments": sorted(rotation.plan.environments.values()),
        "approved_by": [approval.by for approval in rotation.approvals],
        "why": rotation.why,
        "ticket": rotation.ticket,
        "ended_at": rotation.ended_at.isoformat() if rotation.ended_at else None,
    }
