"""The small forms that ask one person for a few words."""

from bot.rotation.record import Rotation
from handlers.views import revoking
from handlers.views.blocks import Block, code, plain, section
from handlers.views.modal import REASON, REASON_MOST, field

NOT_NEEDED_FORM = "not_needed_form"
EVERYONE = "Everyone can see it, with your name."


def not_needed_form(rotation: Rotation) -> Block:
    """Ask an approver why a credential that still works need not be revoked."""
    return _form(
        NOT_NEEDED_FORM,
        rotation.id,
        ("Not needed", "Not needed", "Cancel"),
        [
            section(f"For {code(rotation.plan.old_key.display_name)}. {revoking.still_works(rotation)}."),
            field(REASON, "Why need nobody revoke it?", EVERYONE, REASON_MOST),
        ],
    )


def _form(callback_id: str, metadata: str, words: tuple[str, str, str], blocks: list[Block]) -> Block:
    """Build a form; *words* are its title, and the labels of its two buttons."""
    title, submit, close = map(plain, words)
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": metadata,
        "title": title,
        "submit": submit,
        "close": close,
        "blocks": blocks,
    }
