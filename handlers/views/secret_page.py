"""The page of a new secret, as HTML. Pure; it loads nothing, runs no script, and shows no secret again."""

import html
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.families import family
from bot.rotation.record import Rotation
from bot.rotation.secret import Typed
from bot.rotation.ticket import TICKET_MOST, TicketPattern
from handlers.views import evidence
from handlers.views.blocks import visible
from handlers.views.modal import HINTS, NAME, NAME_FIELD_MOST, REASON, REASON_MOST, SECRET, SEEN, TICKET, looks, then
from handlers.views.page import TOKEN, closing, marked, page


class Wrong(NamedTuple):
    """Why the form has to be sent again: a sentence for a field of it, or for all of it."""

    field: str
    sentence: str
    status: int


KEPT = (
    "Hidden as you paste it, and Slack does not see it. It goes to AISIX once. Keyturn does not keep it, log it, or "
    "show it again."
)
AGAIN = "Paste the secret once more: the page keeps what else you typed, and never the secret."


class Asked(NamedTuple):
    """What the page shows, and what its fields hold already."""

    rotation: Rotation
    who: str
    token: str
    typed: Typed
    require_reason: bool
    tickets: TicketPattern | None
    references: str
    """Which references the secret's field takes as well; empty if none."""


def secret_page(asked: Asked, wrong: Wrong | None = None) -> str:
    """Ask for the new secret; *wrong* is why it has to be sent again."""
    old, typed = asked.rotation.plan.old_key, asked.typed
    hint = f"{HINTS.get(family(old) or '', 'One word.')} {asked.references}".strip()
    doubt = evidence.in_doubt(asked.rotation)
    return page(
        f"New secret for “{visible(old.display_name, 100)}”",
        "".join(
            [
                f'<p class="small">You signed in as {html.escape(asked.who)}.</p>',
                f'<p class="stop" role="alert">{marked(wrong.sentence)}</p>' if wrong and not wrong.field else "",
                f'<p class="warn">▲ {marked(doubt)}</p>' if doubt else "",
                '<form method="post" autocomplete="off">',
                f'<input type="hidden" name="{TOKEN}" value="{html.escape(asked.token)}">',
                _field(SECRET, "New secret", hint, HIDDEN, wrong),
                f'<p class="small">{AGAIN if wrong else KEPT}</p>',
                _text(REASON, "Reason", SEEN, (typed.why, REASON_MOST, asked.require_reason), wrong),
                _text(TICKET, "Ticket", looks(asked.tickets), (typed.ticket, TICKET_MOST, False), wrong),
                _text(NAME, "Name of the new key", "Everyone can see it.", (typed.name, NAME_FIELD_MOST, True), wrong),
                f'<p class="next"><strong>What comes next:</strong> {marked(then(asked.rotation))}</p>',
                "<button>Create new key</button></form>",
                closing(Action.ENTER_SECRET, Action.ANOTHER_SECRET),
            ]
        ),
    )


HIDDEN = 'type="password" autocomplete="new-password" spellcheck="false" autocapitalize="off" required autofocus'


def _text(name: str, label: str, hint: str, about: tuple[str, int, bool], wrong: Wrong | None) -> str:
    """Build a field that everyone will read: its text, how long it may be, and whether it has to be filled in."""
    value, most, required = about
    optional = "" if required else " (optional)"
    attributes = f'type="text" value="{html.escape(value[:most])}" maxlength="{most}"{" required" * required}'
    return _field(name, f"{label}{optional}", hint, attributes, wrong)


def _field(name: str, label: str, hint: str, attributes: str, wrong: Wrong | None) -> str:
    is_wrong = wrong is not None and wrong.field == name
    told = f'<p class="stop" role="alert" id="{name}-wrong">{marked(wrong.sentence)}</p>' if wrong and is_wrong else ""
    describes = f"{name}-hint {name}-wrong" if is_wrong else f"{name}-hint"
    invalid = ' aria-invalid="true"' if is_wrong else ""
    return (
        f'<label for="{name}">{label}</label><p class="small" id="{name}-hint">{html.escape(hint)}</p>{told}'
        f'<input id="{name}" name="{name}" {attributes} aria-describedby="{describes}"{invalid}>'
    )
