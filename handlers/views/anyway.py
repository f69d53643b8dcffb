"""The forms that show what speaks against a delete or a start, and ask an approver why they do it anyway."""

from bot.rotation.flags import shown_of
from bot.rotation.record import Rotation
from bot.rotation.starting import asked_at_start
from handlers.views import evidence
from handlers.views.blocks import Block, code, escaped, plain, section
from handlers.views.buttons import deletes, starts
from handlers.views.modal import ACCOUNTABLE, REASON, REASON_MOST, field

DELETE_FORM, START_FORM = "delete_form", "start_form"


def delete_form(rotation: Rotation) -> Block:
    """Show an approver what speaks against the delete, and ask why they delete anyway."""
    said = evidence.against(rotation), deletes(rotation), "Why delete anyway?"
    return _anyway(DELETE_FORM, rotation, shown_of(rotation), ("Delete the old key?", "Delete"), said)


def start_form(rotation: Rotation) -> Block:
    """Show an approver who has said "not yet", and ask why they start anyway."""
    said = evidence.objected(rotation), starts(rotation), "Why start anyway?"
    return _anyway(START_FORM, rotation, asked_at_start(rotation), ("Start?", "Start"), said)


def _anyway(
    callback_id: str, rotation: Rotation, mark: str, words: tuple[str, str], said: tuple[list[str], str, str]
) -> Block:
    """Build a form with what speaks against it, what it does, and the question why."""
    amiss, does, why = said
    title, submit = map(plain, words)
    listed = "\n".join(f"▲ {line}" for line in amiss)
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": f"{rotation.id} {mark}",
        "title": title,
        "submit": submit,
        "close": plain("Not now"),
        "blocks": [
            section(f"For {code(rotation.plan.old_key.display_name)}\n{listed}"),
            section(escaped(does)),
            field(REASON, why, ACCOUNTABLE, REASON_MOST),
        ],
    }
