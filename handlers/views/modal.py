"""The forms: choose a key, enter the new secret, accept models without proof."""

from collections.abc import Sequence

from bot.rotation.families import AZURE, BEDROCK, SHAPES, VERTEX, family
from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.policy import acceptable_as_a_whole, is_way_back_closed, shown_unproved
from bot.rotation.record import Rotation
from handlers.views import evidence
from handlers.views.blocks import Block, code, context, plain, section, sentence, shortened, visible

PICKER = "picker"
SECRET_FORM = "secret_form"  # noqa: S105 - a name
ACCEPTANCE_FORM = "acceptance_form"
KEY, SECRET, REST, NAME = "key", "secret", "rest", "name"
MODELS, REASON, TICKET = "models", "reason", "ticket"
VALUE = "value"
"""The action id of every field; the block id tells fields apart."""

FIELD_MOST = 3000
NAME_FIELD_MOST = 200
REASON_MOST = 300
TICKET_MOST = 80
OPTIONS_MOST = 100


def picker(channel: str) -> Block:
    """Ask which provider key to rotate."""
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
                "element": {
                    "type": "external_select",
                    "action_id": VALUE,
                    "min_query_length": 0,
                    "placeholder": plain("Type a part of its name"),
                },
            }
        ],
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
KEPT = "It goes to AISIX once, straight from this form. Keyturn does not keep it, log it, or show it again."


def secret_form(rotation: Rotation, proposed_name: str, *, require_reason: bool = False) -> Block:
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
            *_secret(HINTS.get(family(rotation.plan.old_key) or "")),
            _input(REASON, "Reason", SEEN, REASON_MOST, optional=not require_reason, initial=rotation.why),
            _input(TICKET, "Ticket", "Its number or link.", TICKET_MOST, optional=True, initial=rotation.ticket),
            _input(NAME, "Name of the new key", "Everyone can see it.", NAME_FIELD_MOST, initial=proposed_name),
            section(f"*What comes next:* {_next(rotation)}"),
            context(KEPT, *([doubt] if doubt else [])),
        ],
    }


def _secret(document: str | None) -> list[Block]:
    """Build one line for a key, or room for a *document*, which may not fit into one field."""
    if document is None:
        return [_input(SECRET, "New secret", "One word.", FIELD_MOST)]
    rest = f"What did not fit into the {FIELD_MOST:,} characters of the first field."
    return [
        _input(SECRET, "New secret", document, FIELD_MOST, multiline=True),
        _input(REST, "Rest of a long document", rest, FIELD_MOST, multiline=True, optional=True),
    ]


def _next(rotation: Rotation) -> str:
    tested = "it's tested before any caller uses it; if it can't be, the card says so."
    if is_way_back_closed(rotation):
        return f"{tested} There is no way back to the old key."
    return f"{tested} The old key stays until an approver deletes it."


def alert(warning: str) -> Block:
    """Build a warning that a form alone can show, of at most 200 characters."""
    return {"type": "alert", "level": "warning", "text": plain(warning)}


def without_alerts(form: Block) -> Block:
    """Return *form* for a workspace that has no such blocks yet: a word and a mark, not only a colour."""
    return form | {"blocks": [_plainer(block) for block in form["blocks"]]}


def _plainer(block: Block) -> Block:
    if block["type"] != "alert":
        return block
    return {"type": "section", "text": plain(f"⚠ {block['text']['text']}")}


def _input(
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


def acceptance_form(rotation: Rotation, models: Sequence[AffectedModel]) -> Block:
    """Ask an approver which of *models* may stay unproved, and why. None is preselected."""
    return {
        "type": "modal",
        "callback_id": ACCEPTANCE_FORM,
        "private_metadata": f"{rotation.id} {shown_unproved(rotation)}",
        "title": plain("Accept unproved"),
        "submit": plain("Accept"),
        "close": plain("Cancel"),
        "blocks": [
            *(_of_models(rotation, models) if models else [_of_all(rotation)]),
            _input(
                REASON,
                "Reason",
                "Everyone can see it: it goes into the receipt, with your name.",
                REASON_MOST,
                multiline=True,
            ),
        ],
    }


def _of_models(rotation: Rotation, models: Sequence[AffectedModel]) -> list[Block]:
    return [
        section(
            f"For {code(rotation.plan.old_key.display_name)}. Nothing proves that these models work on the "
            "replacement. If one does not, its callers fail, and once the old key is deleted there is no way back."
        ),
        _choice(rotation, models),
    ]


def _of_all(rotation: Rotation) -> Block:
    """Say what the approver accepts if there is no model to choose."""
    return section(
        f"For {code(rotation.plan.old_key.display_name)}. {sentence(acceptable_as_a_whole(rotation), 1200)} If it does "
        "not work, you will hear of it from callers, and once the old key is deleted there is no way back."
    )


def _choice(rotation: Rotation, models: Sequence[AffectedModel]) -> Block:
    left = len(models) - OPTIONS_MOST
    more = f" {plural(left, 'more model')} can be accepted after these." if left > 0 else ""
    return {
        "type": "input",
        "block_id": MODELS,
        "label": plain("Models that may stay unproved"),
        "hint": plain(f"Those left out are verified again.{more}"),
        "element": {
            "type": "multi_static_select",
            "action_id": VALUE,
            "placeholder": plain("Choose models"),
            "options": [_candidate(rotation, model) for model in models[:OPTIONS_MOST]],
        },
    }


def _candidate(rotation: Rotation, model: AffectedModel) -> Block:
    current = rotation.finding(model).current
    return {
        "text": plain(visible(f"{model.alias} in {model.environment_name}", 75)),
        "value": shortened(model.id, 150),
        "description": plain(visible(current.reason if current else "", 75)),
    }
