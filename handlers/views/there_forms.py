"""The forms of a revocation at the provider: the evidence with a question, and the list to choose from."""

from collections.abc import Iterator, Sequence

from bot.rotation import revoking
from bot.rotation.actions import Action
from bot.rotation.credentials import Ability, Row, Status
from bot.rotation.parts import Look
from bot.rotation.record import Rotation
from handlers.views.blocks import Block, code, context, plain, section, shortened, visible, when
from handlers.views.links import place_of
from handlers.views.modal import ACCOUNTABLE, LABEL_MOST, OPTIONS_MOST, REASON, REASON_MOST, VALUE, field
from handlers.views.there import capital, verb

REVOKE_FORM, ROW_FORM = "revoke_form", "row_form"
ROW = "row"


def evidence(look: Look) -> str:
    """Say what is known of the use of a credential since the models had left it."""
    since, usage = when(look.since), look.usage
    doubts = revoking.doubts(look)
    if revoking.USED in doubts and usage.last_at:
        return (
            f"▲ *Somebody else holds it*: it was used {when(usage.last_at)}, after every model had left it. "
            "Find out who, or their calls fail."
        )
    if doubts:
        return f"▲ No data since {since}: nobody knows whether it is used."
    until = f" (known until {when(usage.until)})" if usage.until else ""
    return f"No use since {since}, when every model had left it{until}."


def revoke_form(rotation: Rotation, row: Row, look: Look) -> Block:
    """Show the evidence of right now, and ask to confirm; a reason where something speaks against it."""
    doubts = revoking.doubts(look)
    why = field(REASON, "Why revoke it anyway?" if doubts else "Reason", ACCOUNTABLE, REASON_MOST, optional=not doubts)
    return _form(
        REVOKE_FORM,
        f"{rotation.id} {revoking.shown(row, look)}",
        ("Revoke at provider", verb(rotation).capitalize(), "Not now"),
        [
            section(f"{capital(rotation)} at {place_of(rotation.plan.old_key)}: {described(row)}"),
            section(evidence(look)),
            section(_then(rotation)),
            why,
        ],
    )


def _then(rotation: Rotation) -> str:
    if not revoking.can(rotation, Ability.DISABLE):
        return "Keyturn deletes it there at once. *Nothing brings it back.*"
    if not revoking.can(rotation, Ability.DELETE):
        return f"Keyturn disables it there. *{Action.ENABLE_AGAIN.value}* undoes it."
    return (
        f"Keyturn disables it there, waits (`REVOKE_GRACE`), looks again, and deletes it. "
        f"Until then *{Action.ENABLE_AGAIN.value}* undoes it."
    )


def described(row: Row) -> str:
    """Describe a credential as its provider shows it: name, hint, dates."""
    return " · ".join([code(row.name or row.id), *([code(row.hint, 40)] if row.hint else []), *_dates(row)])


def _dates(row: Row) -> Iterator[str]:
    if row.created_at:
        yield f"made {row.created_at:%Y-%m-%d}"
    yield f"last used {row.last_used_at:%Y-%m-%d}" if row.last_used_at else "last use unknown"
    if row.status is not Status.ACTIVE:
        yield row.status.value
    if row.owner:
        yield visible(row.owner, 40)


def row_form(rotation: Rotation, rows: Sequence[Row]) -> Block:
    """Ask which credential it is; the active ones come first."""
    left = len(rows) - OPTIONS_MOST
    more = [f"{left:,} more are not shown: find it on the provider's page."] if left > 0 else []
    name = code(rotation.plan.old_key.display_name)
    made = rotation.revocation.made_at if rotation.revocation else None
    known = f" It came into use on or before {made:%Y-%m-%d}." if made else ""
    menu = {
        "type": "static_select",
        "action_id": VALUE,
        "placeholder": plain("Choose"),
        "options": [_option(row) for row in rows[:OPTIONS_MOST]],
    }
    asked = {
        "type": "input",
        "block_id": ROW,
        "label": plain("Which one?"),
        "hint": plain("Nothing is done to it yet. The one in use now is not listed, if Keyturn knows it."),
        "element": menu,
    }
    return _form(
        ROW_FORM,
        rotation.id,
        ("Choose which one", "Choose", "Cancel"),
        [
            section(f"{capital(rotation)} at {place_of(rotation.plan.old_key)}: {name}.{known}"),
            asked,
            *([context(*more)] if more else []),
        ],
    )


def _option(row: Row) -> Block:
    hint = f" ({row.hint})" if row.hint else ""
    return {
        "text": plain(visible(f"{row.name or row.id}{hint}", LABEL_MOST)),
        "value": shortened(row.id, 150),
        "description": plain(visible(" · ".join(_dates(row)), LABEL_MOST)),
    }


def _form(callback_id: str, metadata: str, words: tuple[str, str, str], blocks: list[Block]) -> Block:
    title, submit, close = map(plain, words)
    head = {"type": "modal", "callback_id": callback_id, "private_metadata": metadata}
    return {**head, "title": title, "submit": submit, "close": close, "blocks": blocks}
