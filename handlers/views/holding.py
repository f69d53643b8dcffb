"""What people see of a hold on a key: the form, the answers, and the line on a card."""

from collections.abc import Sequence
from datetime import date

from bot.rotation.holds import KeyHold, OnHold
from bot.rotation.inventory import ProviderKey
from bot.rotation.record import Rotation
from handlers.views.blocks import Block, code, plain, section, shortened, visible
from handlers.views.modal import REASON, REASON_MOST, VALUE, field

HOLD_FORM = "hold_form"
UNTIL = "until"


def hold_form(key: ProviderKey, channel: str, before: KeyHold | None) -> Block:
    """Ask an approver why a key must not be deleted, and until when; an earlier hold is replaced."""
    already = f" {_now(before)} What you send replaces that." if before else ""
    seen = "Everyone can see it: on the key's cards and in the audit trail, with your name."
    picker: Block = {"type": "datepicker", "action_id": VALUE}
    return {
        "type": "modal",
        "callback_id": HOLD_FORM,
        "private_metadata": shortened(f"{channel} {key.id} {visible(key.display_name, 200)}", 1000),
        "title": plain("Hold a key"),
        "submit": plain("Hold"),
        "close": plain("Cancel"),
        "blocks": [
            section(
                f"For {code(key.display_name)}. While it is on hold, Keyturn does not delete it. Rotations of it may "
                f"begin and move models.{already}"
            ),
            field(REASON, "Reason", seen, REASON_MOST),
            {
                "type": "input",
                "block_id": UNTIL,
                "label": plain("Last day"),
                "hint": plain("Through the end of that day, in every time zone; at most a year from now."),
                "element": picker if before is None else {**picker, "initial_date": before.until.isoformat()},
            },
        ],
    }


def _now(hold: KeyHold) -> str:
    by = f" by <@{hold.by}>" if hold.by else ""
    return f"On hold until {hold.end}{by}: {code(hold.reason, REASON_MOST)}."


def line(hold: KeyHold) -> str:
    """Say on a card that its old key is on hold."""
    lifts = f"an approver lifts it with `/rotate-key unhold {hold.key_id}`"
    return f"▲ {_now(hold)} The old key stays until then, or {lifts}."


WAITS = "Nobody can delete the old key while it is on hold. Next: an approver lifts the hold, or it waits."
"""Who acts on a card that waits for an approver while the key is on hold."""


def refused(error: OnHold) -> str:
    """Answer somebody who wants to delete a key that is on hold."""
    return f"Not deleted, and nothing was approved. {_now(error.hold)} Press again once it is over or lifted."


def held(name: str, until: str, late: Sequence[Rotation]) -> str:
    """Tell an approver that a key is on hold, and whether that may be too late."""
    day = date.fromisoformat(until)
    said = f"{code(name)} is on hold until {day.day} {day:%b %Y}."
    if late:
        said += " AISIX was asked to delete it before that, so it may be gone: look at its card."
    return said


def lifted(hold: KeyHold) -> str:
    """Tell an approver that a hold no longer counts."""
    name, why = code(hold.name or hold.key_id), code(hold.reason, REASON_MOST)
    return f"{name} is no longer on hold. It was until {hold.end}: {why}."
