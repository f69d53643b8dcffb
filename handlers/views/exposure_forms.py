"""The two forms of a leak: the report, and the review at the end. Neither asks for the secret."""

from bot.rotation.actions import Action
from bot.rotation.record import Rotation
from handlers.views.blocks import Block, code, plain, section
from handlers.views.links import place_of
from handlers.views.modal import REASON_MOST, alert, field

EXPOSURE_FORM, REVIEW_FORM = "exposure_form", "review_form"
WHAT, WHERE, SINCE, REACH = "what", "where", "since", "reach"
WHERE_MOST, SINCE_MOST = 150, 80

NEVER = "Don't paste the secret: everyone can read this, on the card, in the receipt and in the audit trail."
PLACE = "A repository, page, log or person. No long ids: they look like a secret."


def exposure_form(rotation: Rotation) -> Block:
    """Ask what is known of the leak."""
    return {
        "type": "modal",
        "callback_id": EXPOSURE_FORM,
        "private_metadata": rotation.id,
        "title": plain("The secret is exposed"),
        "submit": plain("Report"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"For the old key of {code(rotation.plan.old_key.display_name)}"),
            alert(NEVER),
            field(WHAT, "What leaked", "One sentence.", REASON_MOST),
            field(WHERE, "Where", PLACE, WHERE_MOST, optional=True),
            field(SINCE, "Since when", "As far as you know.", SINCE_MOST, optional=True),
            section(
                "*What comes next:* approvers are paged. Nothing that proves the new secret is left out. "
                f"Revoking the old key at {place_of(rotation.plan.old_key)} is due soon: the card says by when, and "
                "whether callers still need it."
            ),
        ],
    }


def review_form(rotation: Rotation) -> Block:
    """Ask what was found out, with what was reported filled in."""
    known = rotation.exposed
    what, where, since = (known.what, known.where, known.since) if known else ("", "", "")
    return {
        "type": "modal",
        "callback_id": REVIEW_FORM,
        "private_metadata": rotation.id,
        "title": plain(Action.REVIEW.value),
        "submit": plain("Give it"),
        "close": plain("Not now"),
        "blocks": [
            section(f"For the old key of {code(rotation.plan.old_key.display_name)}"),
            alert(NEVER),
            field(WHAT, "What leaked", "And how.", REASON_MOST, initial=what),
            field(WHERE, "Where", PLACE, WHERE_MOST, initial=where),
            field(SINCE, "Since when", "“unknown” will do.", SINCE_MOST, initial=since),
            field(REACH, "What was reachable with it", "And who used it, as far as you know.", REASON_MOST),
        ],
    }
