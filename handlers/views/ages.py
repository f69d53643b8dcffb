"""The weekly list of the keys that are due for a rotation."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.rotation.age import DueKey, DueKeys, Source
from bot.rotation.plan import plural
from handlers.views.blocks import Block, button, code, context, header, link_button, message, section, shortened
from handlers.views.links import OPEN_CARD
from handlers.views.words import state_label

ROTATE_LISTED = "rotate_listed"

LISTED_MOST = 20
"""Keys that are listed: the oldest. The others are counted."""


def age_list(due: DueKeys, links: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """List the keys that are due, the oldest first; *links* are to the cards of rotations, by id."""
    are = "key is" if len(due.keys) == 1 else "keys are"
    title = f"{len(due.keys):,} provider {are} due for a rotation"
    rows = [_row(one, links, now) for one in due.keys[:LISTED_MOST]]
    left = len(due.keys) - LISTED_MOST
    small = [
        *([f"And {left:,} more, which are younger than these."] if left > 0 else []),
        *([f"{plural(due.unknown, 'more key')} of unknown age: see AISIX."] if due.unknown else []),
        "Keys older than `ROTATE_EVERY`, once a week. The requester gives the secret; an approver releases the delete.",
    ]
    return message(f"{title}: {_names(due)}", [header(title), *rows, context(*small)])


def _names(due: DueKeys) -> str:
    named, left = ", ".join(code(one.key.display_name, 60) for one in due.keys[:3]), len(due.keys) - 3
    return f"{named} and {left:,} more." if left > 0 else f"{named}."


def _row(one: DueKey, links: Mapping[str, str], now: datetime) -> Block:
    old = one.age.at(now)
    assert old is not None, "a key of unknown age is never due"
    by = ", by Keyturn's record" if one.age.source is Source.RECORDED else ""
    said = f"{code(one.key.display_name, 60)}: {plural(old.days, 'day')} old{by}"
    if one.hold:
        said += f". On hold until {one.hold.end} by <@{one.hold.by}>"
    if not one.rotation:
        return section(said, 600) | {"accessory": button("Rotate", ROTATE_LISTED, shortened(one.key.id, 2000))}
    under_way, link = section(f"{said}. Under way: {state_label(one.rotation)}", 600), links.get(one.rotation.id, "")
    return under_way | ({"accessory": link_button("Open card ↗", OPEN_CARD, link)} if link else {})


def replaced() -> dict[str, Any]:
    """Say in the place of an old list that it no longer counts."""
    return message(text := "This list of keys is over: each week's list stands for itself.", [context(text)])
