"""The forms: choose a key, enter the new secret, accept models without proof, delete although something is amiss."""

from collections.abc import Sequence

from bot.rotation.actions import Action
from bot.rotation.families import AZURE, BEDROCK, SHAPES, VERTEX, family
from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.policy import (
    acceptable,
    acceptable_as_a_whole,
    causes,
    is_way_back_closed,
    mark_of,
    shown_unproved,
)
from bot.rotation.record import Rotation
from bot.rotation.ticket import TICKET_MOST, TicketPattern
from handlers.views import evidence
from handlers.views.blocks import (
    Block,
    actions,
    button,
    code,
    context,
    plain,
    section,
    sentence,
    shortened,
    visible,
)

PICKER = "picker"
SECRET_FORM = "secret_form"  # noqa: S105 - a name
ACCEPTANCE_FORM = "acceptance_form"
TAKE_BACK_FORM = "take_back_form"
SEVERAL_KEYS = "several_keys"
KEY, CHANNEL, SECRET, REST, NAME, LEAKED = "key", "channel", "secret", "rest", "name", "leaked"
CAUSES, MODELS, REASON, TICKET = "causes", "models", "reason", "ticket"
VALUE = "value"
"""The action id of every field; the block id tells fields apart."""

FIELD_MOST = 3000
NAME_FIELD_MOST = 200
REASON_MOST = 300
OPTIONS_MOST, BOXES_MOST = 100, 10
LABEL_MOST = DESCRIPTION_MOST = 75
"""Characters in an option of a menu, or of a box to tick."""

NAMED = 3
"""Models named beside a cause that several share."""

NOT_TESTED = "not tested"

ACCOUNTABLE = "Everyone can see it: it goes into the receipt, with your name."
LEFT_OUT = "Models left out are tested again."
NEXT_FIELD = f"Choose here, or in the next field. {LEFT_OUT}"
SHARED = "Models that share a cause."

Cause = tuple[str, tuple[AffectedModel, ...]]


def picker(channel: str = "", key: ProviderKey | None = None) -> Block:
    """Ask which provider key to rotate, with *key* proposed; without a *channel*, also where to show the rotation."""
    menu: Block = {
        "type": "external_select",
        "action_id": VALUE,
        "min_query_length": 0,
        "placeholder": plain("Type a part of its name"),
    }
    return {
        "type": "modal",
        "callback_id": PICKER,
        "private_metadata": channel,
        "title": plain("Rotate a key"),
        "submit": plain("Show what uses it"),
        "close": plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": KEY,
                "label": plain("Provider key"),
                "hint": plain("Nothing changes yet: the channel sees which models use this key."),
                "element": menu | ({"initial_option": option(key)} if key else {}),
            },
            *([] if channel else [where()]),
            _leaked(),
            *actions([button("Several keys…", SEVERAL_KEYS, "several")]),
        ],
    }


def _leaked() -> Block:
    """Build the box to tick for a leak, so that nobody has to find the button first."""
    box = {
        "text": plain(Action.EXPOSED.value),
        "value": LEAKED,
        "description": plain("It leaked, or may have: approvers are paged at once."),
    }
    return {
        "type": "input",
        "block_id": LEAKED,
        "label": plain("Leak"),
        "optional": True,
        "element": {"type": "checkboxes", "action_id": VALUE, "options": [box]},
    }


def where() -> Block:
    """Build the menu of channels: those that are not shared with another company, as everybody there sees the card."""
    return {
        "type": "input",
        "block_id": CHANNEL,
        "label": plain("Channel"),
        "hint": plain("It gets the card. Keyturn has to be in it: /invite @keyturn."),
        "element": {
            "type": "conversations_select",
            "action_id": VALUE,
            "placeholder": plain("Where people see the rotation"),
            "default_to_current_conversation": True,
            "filter": {"include": ["public", "private"], "exclude_external_shared_channels": True},
        },
    }


def option(key: ProviderKey) -> Block:
    """Build the entry of one provider key in the type-ahead menu."""
    return {
        "text": plain(visible(key.display_name, 75)),
        "value": shortened(key.id, 150),
        "description": plain(visible(f"{key.provider} · {key.id}", 75)),
    }


HINTS = {
    BEDROCK: f"The JSON document {SHAPES[BEDROCK]}",
    VERTEX: f"The JSON document {SHAPES[VERTEX]} with Google's key file in place of the last {{…}}",
    AZURE: f"The resource key, or the JSON document {SHAPES[AZURE]}",
}
"""What to paste where the adapter takes a document; anywhere else a key is one word."""

VISIBLE = (
    "Slack doesn't hide what you type here: make sure that nobody sees your screen. "
    "Slack's servers see it on its way to Keyturn."
)
SEEN = "Why you rotate this key. Everyone can see it: on the card, in the receipt and in the audit trail."
NOT_LATER = (
    "Moving back takes longer than a form may wait, and Keyturn keeps no secret meanwhile. "
    "So it begins before you give the secret."
)
KEPT = "It goes to AISIX once, straight from this form. Keyturn does not keep it, log it, or show it again."


def secret_form(
    rotation: Rotation,
    proposed_name: str,
    *,
    require_reason: bool = False,
    tickets: TicketPattern | None = None,
    references: str = "",
) -> Block:
    """Ask for the new secret. The form never contains a secret: neither the old one nor what was typed."""
    doubt = evidence.in_doubt(rotation)
    return {
        "type": "modal",
        "callback_id": SECRET_FORM,
        "private_metadata": rotation.id,
        "title": plain("New secret"),
        "submit": plain("Create new key"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"For {code(rotation.plan.old_key.display_name)}"),
            alert(VISIBLE),
            *_secret(HINTS.get(family(rotation.plan.old_key) or ""), references),
            *about(rotation, proposed_name, require_reason=require_reason, tickets=tickets),
            context(KEPT, *([doubt] if doubt else [])),
        ],
    }


def about(
    rotation: Rotation, proposed_name: str, *, require_reason: bool, tickets: TicketPattern | None
) -> list[Block]:
    """Ask what everybody may read of a new key, and say what comes next."""
    return [
        field(REASON, "Reason", SEEN, REASON_MOST, optional=not require_reason, initial=rotation.why),
        field(TICKET, "Ticket", looks(tickets), TICKET_MOST, optional=True, initial=rotation.ticket),
        field(NAME, "Name of the new key", "Everyone can see it.", NAME_FIELD_MOST, initial=proposed_name),
        section(f"*What comes next:* {then(rotation)}"),
    ]


def looks(tickets: TicketPattern | None) -> str:
    """Say what a ticket looks like."""
    return f"It has to fit {tickets.pattern}" if tickets else "Its number or link."


def take_back_form(rotation: Rotation) -> Block:
    """Ask before models move back to the old key; opening or closing this form moves none."""
    moved = len(rotation.moved)
    models, go = plural(moved, "model"), "goes" if moved == 1 else "go"
    return {
        "type": "modal",
        "callback_id": TAKE_BACK_FORM,
        "private_metadata": f"{rotation.id} {moved}",
        "title": plain("Another secret"),
        "submit": plain(f"Move {models} back"),
        "close": plain("Not now"),
        "blocks": [
            section(
                f"For {code(rotation.plan.old_key.display_name)}. When you send this, {models} {go} back to the old "
                "key, and the form of the new secret opens here. Until then nothing moves."
            ),
            context(NOT_LATER),
        ],
    }


def notice(title: str, said: str) -> Block:
    """Say in the place of a form without a field why it was not taken."""
    return {"type": "modal", "title": plain(title), "close": plain("Close"), "blocks": [section(said)]}


def _secret(document: str | None, references: str) -> list[Block]:
    """Build one line for a key, or room for a *document*, which may not fit into one field; *references*: or what."""
    if document is None:
        return [field(SECRET, "New secret", f"One word. {references}".strip(), FIELD_MOST)]
    rest = f"What did not fit into the {FIELD_MOST:,} characters of the first field."
    return [
        field(SECRET, "New secret", f"{document}\n{references}".strip(), FIELD_MOST, multiline=True),
        field(REST, "Rest of a long document", rest, FIELD_MOST, multiline=True, optional=True),
    ]


def then(rotation: Rotation) -> str:
    """Say what comes once the secret is given."""
    tested = "it's tested before any caller uses it; if it can't be, the card says so."
    if is_way_back_closed(rotation):
        return f"{tested} There is no way back to the old key."
    return f"{tested} The old key stays until an approver deletes it."


def alert(warning: str) -> Block:
    """Build a warning that a form alone can show, of at most 200 characters."""
    return {"type": "alert", "level": "warning", "text": plain(warning)}


def field(
    block_id: str,
    label: str,
    hint: str,
    most: int,
    *,
    multiline: bool = False,
    optional: bool = False,
    initial: str = "",
) -> Block:
    """Build a field for up to *most* characters; Slack itself writes "(optional)" behind the label of one."""
    element: Block = {"type": "plain_text_input", "action_id": VALUE, "multiline": multiline, "max_length": most}
    if initial:
        element["initial_value"] = shortened(initial, most)
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "hint": plain(hint),
        "optional": optional,
        "element": element,
    }


def acceptance_form(rotation: Rotation) -> Block:
    """Ask an approver what may stay unproved, and why. Nothing is preselected."""
    found = causes(rotation)
    return {
        "type": "modal",
        "callback_id": ACCEPTANCE_FORM,
        "private_metadata": f"{rotation.id} {shown_unproved(rotation)}",
        "title": plain("Accept unproved"),
        "submit": plain("Accept"),
        "close": plain("Cancel"),
        "blocks": [
            *(_of_models(rotation, found) if found else [_of_all(rotation)]),
            field(
                REASON,
                "Reason",
                ACCOUNTABLE,
                REASON_MOST,
                multiline=True,
            ),
        ],
    }


def _of_models(rotation: Rotation, found: Sequence[Cause]) -> list[Block]:
    shared = [(model, cause) for cause, models in found if len(models) > 1 for model in models]
    cut_off = [f"• {_counted(rotation, cause)}" for cause in found if len(cause[0]) > DESCRIPTION_MOST]
    return [
        section(
            f"For {code(rotation.plan.old_key.display_name)}. Nothing proves that these models work on the new key. "
            "If one does not, its callers fail, and once the old key is deleted there is no way back."
        ),
        *([section("\n".join(map(sentence, cut_off)))] if cut_off else []),
        _choice(
            CAUSES, "Accept by cause", NEXT_FIELD if shared else LEFT_OUT, [_cause(rotation, one) for one in found]
        ),
        *([_choice(MODELS, "Or only some of them", SHARED, [_single(*one) for one in shared])] if shared else []),
    ]


def _of_all(rotation: Rotation) -> Block:
    """Say what the approver accepts if there is no model to choose."""
    return section(
        f"For {code(rotation.plan.old_key.display_name)}. {sentence(acceptable_as_a_whole(rotation), 1200)} If it does "
        "not work, you will hear of it from callers, and once the old key is deleted there is no way back."
    )


def _choice(block_id: str, label: str, hint: str, options: Sequence[Block]) -> Block:
    """Build boxes to tick for a few causes, and a menu for more of them or for single models; one alone is required."""
    left = len(options) - OPTIONS_MOST
    more = f" {left:,} more can be accepted after these." if left > 0 else ""
    menu: Block = {"type": "multi_static_select", "placeholder": plain("Choose")}
    element = {"type": "checkboxes"} if block_id == CAUSES and len(options) <= BOXES_MOST else menu
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "hint": plain(f"{hint}{more}"),
        "optional": hint != LEFT_OUT,
        "element": {**element, "action_id": VALUE, "options": list(options[:OPTIONS_MOST])},
    }


def _cause(rotation: Rotation, cause: Cause) -> Block:
    """Build the option that stands for every model of one cause."""
    why, models = cause
    if len(models) == 1:
        return _single(models[0], why) | {"value": mark_of(why)}
    names = f"{', '.join(model.alias for model in models[:NAMED])}{' and others' if len(models) > NAMED else ''}"
    return {
        "text": plain(visible(_counted(rotation, cause), LABEL_MOST)),
        "value": mark_of(why),
        "description": plain(_described(names)),
    }


def _counted(rotation: Rotation, cause: Cause) -> str:
    """Say how many models have one cause: "All 500: rate limited (429)"."""
    why, models = cause
    number, of = len(models), len(acceptable(rotation))
    who = _named(models[0]) if number == 1 else f"{number:,} of {of:,}" if number < of else f"All {of:,}"
    return f"{who}: {why or NOT_TESTED}"


def _single(model: AffectedModel, why: str) -> Block:
    return {
        "text": plain(visible(_named(model), LABEL_MOST)),
        "value": shortened(model.id, 150),
        "description": plain(_described(why or NOT_TESTED)),
    }


def _described(text: str) -> str:
    """Cut a description between words; the form lists what is cut in full."""
    shown = visible(text)
    if len(shown) <= DESCRIPTION_MOST:
        return shown
    kept, space, _ = shown[:DESCRIPTION_MOST].rpartition(" ")
    return f"{kept}…" if space else shortened(shown, DESCRIPTION_MOST)


def _named(model: AffectedModel) -> str:
    return f"{model.alias} in {model.environment_name}"
