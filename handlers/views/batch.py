"""What people see of a batch: the form, and the one message with a line for each key."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bot.rotation.batch import MOST, Batch, Entry, Standing, standing
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from handlers.views import words
from handlers.views.blocks import (
    Block,
    actions,
    button,
    code,
    confirm,
    context,
    header,
    message,
    plain,
    section,
    sentence,
    when,
)
from handlers.views.modal import VALUE, field, where
from handlers.views.words import state_label

BATCH_FORM = "batch_form"
KEYS, PROVIDER, OLDER = "keys", "provider", "older"
GO_ON, END_BATCH, APPROVE_READY = "go_on", "end_batch", "approve_ready"

MARKS: Mapping[Standing, str] = {
    Standing.WAITING: "⚪",
    Standing.UNDER_WAY: "🔵",
    Standing.STOPPED: "🔴",
    Standing.DONE: "🟢",
    Standing.LEFT_OUT: "⚪",
}

PARAGRAPH = 10
"""Lines in one paragraph."""


def batch_form(channel: str = "") -> Block:
    """Ask which keys to rotate one after the other; without a *channel*, also where to show them."""
    return {
        "type": "modal",
        "callback_id": BATCH_FORM,
        "private_metadata": channel,
        "title": plain("Rotate several keys"),
        "submit": plain("Begin"),
        "close": plain("Cancel"),
        "blocks": [
            section("Fill in one field or more: a key that fits any of them is in the batch, but for those under way."),
            *([] if channel else [where()]),
            {
                "type": "input",
                "block_id": KEYS,
                "optional": True,
                "label": plain("Provider keys"),
                "hint": plain(f"At most {MOST}."),
                "element": {
                    "type": "multi_external_select",
                    "action_id": VALUE,
                    "min_query_length": 0,
                    "max_selected_items": MOST,
                    "placeholder": plain("Type a part of a name"),
                },
            },
            field(PROVIDER, "All of a provider", "As AISIX calls it, such as openai.", 60, optional=True),
            field(OLDER, "All older than", "A number of days, such as 90.", 4, optional=True),
            context(
                "One key after the other in each environment. Each gets a card of its own, where you give its secret; "
                "nothing changes before that."
            ),
        ],
    }


def digest(
    batch: Batch, rotations: Mapping[str, Rotation], links: Mapping[str, str], covers: Mapping[str, str]
) -> dict[str, Any]:
    """Show how each key stands; *covers* is what one approval may cover, with the mark of what is shown."""
    stand = {entry.key_id: standing(entry, rotations) for entry in batch.entries}
    counts = Counter(stand.values())
    counted = ", ".join(f"{counts[each]} {each}" for each in Standing if counts[each])
    title = f"{_mark(batch, covers)} {plural(len(batch.entries), 'key')}: {counted}"
    lines = [_line(entry, stand[entry.key_id], rotations, links) for entry in batch.entries]
    paragraphs = [section("\n".join(lines[n : n + PARAGRAPH])) for n in range(0, len(lines), PARAGRAPH)]
    alarm = _alarm(batch, rotations) or _next(batch, covers)
    buttons = actions(_buttons(batch, covers))
    asked = f"Asked for by <@{batch.by}>, {when(batch.at)}. Each key has its own card."
    ended = (
        f" Ended {when(batch.ended_at)}{f' by <@{batch.ended_by}>' if batch.ended_by else ''}."
        if batch.ended_at
        else ""
    )
    said = f"{title}. {alarm}".strip()
    blocks = [header(title), *([section(alarm)] if alarm else []), *buttons, *paragraphs, context(asked + ended)]
    return message(said, blocks)


def _next(batch: Batch, covers: Mapping[str, str]) -> str:
    """Say what an approver may press here; every other move is on the cards."""
    if batch.ended_at or not covers:
        return ""
    return f"Next: an approver presses *Approve all ready* ({plural(len(covers), 'key')}), or decides on each card."


def _mark(batch: Batch, covers: Mapping[str, str]) -> str:
    if not batch.ended_at and (batch.halt or covers):
        return "🟡"
    return "⚪" if batch.ended_by else "🟢" if batch.ended_at else "🔵"


def _alarm(batch: Batch, rotations: Mapping[str, Rotation]) -> str:
    if not batch.halt:
        return ""
    rotation = rotations.get(batch.halt.rotation)
    what = f"{code(rotation.plan.old_key.display_name, 60)} " if rotation else ""
    return (
        f"▲ The batch waits: {what}{sentence(batch.halt.why, 300)}. No further rotation begins. "
        f"Next: <@{batch.by}> or an approver looks at that card, then presses *Go on* or *End the batch*."
    )


def _line(entry: Entry, stand: Standing, rotations: Mapping[str, Rotation], links: Mapping[str, str]) -> str:
    rotation, link = rotations.get(entry.rotation), links.get(entry.rotation, "")
    how = state_label(rotation) if rotation else str(stand)
    why = f": {sentence(entry.left_out, 120)}" if entry.left_out else ""
    mark = words.mark(rotation) if rotation and stand is Standing.UNDER_WAY else MARKS[stand]
    return f"{mark} {code(entry.name, 60)}: {how}{why}{f' (<{link}|open>)' if link else ''}"


def _buttons(batch: Batch, covers: Mapping[str, str]) -> list[Block]:
    if batch.ended_at:
        return []
    approve = " ".join([batch.id, *(f"{id_}:{mark}" for id_, mark in covers.items())])
    ask = confirm(
        "Approve all that is ready?",
        f"{plural(len(covers), 'old key')} {'is' if len(covers) == 1 else 'are'} deleted for good, each after its own "
        "last look. What has changed since this message was drawn is left out.",
        "Approve",
        "Not now",
        dangerous=True,
    )
    end = confirm(
        "End the batch?", "No further rotation begins. Those under way go on by their cards.", "End", "Not now"
    )
    return [
        *([button("Go on", GO_ON, f"{batch.id} {batch.halt.rotation}", style="primary")] if batch.halt else []),
        *([button("Approve all ready", APPROVE_READY, approve, style="danger", confirm=ask)] if covers else []),
        button("End the batch", END_BATCH, batch.id, confirm=end),
    ]


def approved(names: Sequence[str], left: Sequence[tuple[str, str]]) -> str:
    """Tell an approver what their click has approved, and what it has not."""
    done = f"Approved: {', '.join(code(name, 60) for name in names)}." if names else "Nothing was approved."
    rest = [f"Left out: {code(name, 60)}. {sentence(why, 300)}" for name, why in left]
    return "\n".join([done, *rest])
