"""The form that searches the history, and a page of what it found."""

from collections.abc import Sequence
from typing import NamedTuple

from bot.rotation.history import Wanted
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from handlers.views.blocks import Block, code, context, link_button, plain, section, when
from handlers.views.links import NOWHERE, OPEN_CARD, Places, motive
from handlers.views.modal import KEY, VALUE, field
from handlers.views.words import mark, state_label

HISTORY_FORM, HISTORY_PAGE = "history_form", "history_page"
BY, ENVIRONMENT, SINCE, UNTIL = "by", "environment", "since", "until"
TITLE = "History"

TEXT_MOST = 200
LINE_MOST = 1000


class Found(NamedTuple):
    """A rotation, and the link to its card; empty where there is none."""

    rotation: Rotation
    link: str


def history_form() -> Block:
    """Ask which rotations to show; every field may stay empty."""
    person: Block = {"type": "users_select", "placeholder": plain("Anybody")}
    day: Block = {"type": "datepicker", "placeholder": plain("Any day")}
    hint = "A part of the name or of the id, of the old key or of a new one."
    return {
        "type": "modal",
        "callback_id": HISTORY_FORM,
        "title": plain(TITLE),
        "submit": plain("Show"),
        "close": plain("Close"),
        "blocks": [
            field(KEY, "Key", hint, TEXT_MOST, optional=True),
            _menu(BY, "Person", "Who asked for it, approved it or ended it.", person),
            field(ENVIRONMENT, "Environment", "Its whole name or id.", TEXT_MOST, optional=True),
            _menu(SINCE, "Asked for since", "The first day, in UTC.", day),
            _menu(UNTIL, "Asked for until", "The last day, in UTC.", day),
        ],
    }


def _menu(block_id: str, label: str, hint: str, element: Block) -> Block:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "hint": plain(hint),
        "optional": True,
        "element": element | {"action_id": VALUE},
    }


def history_page(
    wanted: Wanted, found: Sequence[Found], begin: int, end: int, total: int, places: Places = NOWHERE
) -> Block:
    """Show a page of what was found; its button, if there is more, shows the next one in the same place."""
    view: Block = {"type": "modal", "callback_id": HISTORY_PAGE, "title": plain(TITLE), "close": plain("Close")}
    if end < total:
        number = end // max(end - begin, 1) + 1
        view |= {"submit": plain("Next page"), "private_metadata": f"{number} {wanted.model_dump_json()}"}
    unreadable = end - begin - len(found)
    left = [context(f"{unreadable} of them can't be read by this version of Keyturn.")] if unreadable else []
    return view | {"blocks": [section(_title(begin, end, total)), *(_line(one, places) for one in found), *left]}


def _title(begin: int, end: int, total: int) -> str:
    if not total:
        return "No rotation is like that. Close this, and search with fewer filters."
    part = f" These are {begin + 1:,} to {end:,}, the newest first." if total > end - begin else ""
    return f"{plural(total, 'rotation')}.{part}"


def _line(found: Found, places: Places) -> Block:
    rotation, link = found
    name = code(rotation.plan.old_key.display_name, 60)
    approved = ", ".join(f"<@{approval.by}>" for approval in rotation.approvals)
    why = f"\n{motive(rotation, places, 200)}" if rotation.motive else ""
    said = section(
        f"{mark(rotation)} {name}: {state_label(rotation)} · `{rotation.id}`\n"
        f"Asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}"
        f"{f', approved by {approved}' if approved else ''}.{why}",
        LINE_MOST,
    )
    return said | ({"accessory": link_button("Open card ↗", OPEN_CARD, link)} if link else {})
