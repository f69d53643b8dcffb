"""The card: the message that shows a rotation in every state, in the same order.

Above the fold stand the state, what is wrong, the facts in a line or two, who must do what, and the buttons.
Tables, further facts and ids come below: a tired person on a phone needs none of them to act.
"""

from typing import NamedTuple

from bot.rotation.attention import as_known_now
from bot.rotation.nudges import reminded
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import alarm, choices, evidence, exposure, holding, minting, summary, words
from handlers.views.around import NOTHING, Around
from handlers.views.blocks import (
    MESSAGE_MOST,
    TABLE_CHARACTERS,
    Block,
    actions,
    code,
    context,
    header,
    message,
    section,
    sentence,
    visible,
    weight,
    when,
)
from handlers.views.buttons import buttons
from handlers.views.chart import CHART_MOST, chart
from handlers.views.links import Places, links, ticket
from handlers.views.models import models, named
from handlers.views.ways import way

ALARM_MOST, SUMMARY_MOST, NEXT_MOST = 420, 330, 360
"""Characters above the buttons: with these, all buttons are on the first screen of a phone."""

LINKED_MOST = 600
"""Characters above the buttons that leave room for links beside them."""

DETAILS_MOST = 2900
SHORT_ID = 8
"""Characters of an id beside a name."""


class Card(NamedTuple):
    """The message, and if it has no room for all models, every model: the thread lists them."""

    content: dict[str, object]
    unlisted: tuple[tuple[str, ...], ...]
    steady: dict[str, object]
    """The message without its chart, which changes with every look and is no reason for an edit by itself."""


class Above(NamedTuple):
    """What stands above the buttons, and the lines that have no room there."""

    alarm: str
    summary: str
    then: str
    rest: list[str]


def card(rotation: Rotation, around: Around = NOTHING) -> Card:
    """Render *rotation* with what is *around* it."""
    rotation = as_known_now(rotation)
    above = _above(rotation, around)
    near, far = _placed(links(rotation, around.places), above)
    before, after = _before(rotation, above, near), [*actions(far), *_after(rotation, above, around)]
    look, (first, rest) = chart(rotation), _plain(rotation, above)
    room = MESSAGE_MOST - weight([*before, *after]) - (CHART_MOST if look.blocks else 0)
    shown = models(rotation, min(room, TABLE_CHARACTERS))
    below = [*shown.blocks, *after]
    return Card(
        message(_joined(first, look.words, rest), [*before, *look.blocks, *below]),
        shown.unlisted,
        message(_joined(first, rest), [*before, *below]),
    )


def title(rotation: Rotation) -> str:
    """Say which key is rotated and how it stands: "🟡 OpenAI production: waiting for an approver"."""
    state = visible(words.headline(rotation), 80)
    return f"{words.mark(rotation)} {visible(rotation.plan.old_key.display_name, 60)}: {state}"


def _above(rotation: Rotation, around: Around) -> Above:
    wrong, more = split(alarm.lines(rotation, around), ALARM_MOST)
    is_held = around.hold and rotation.state is State.AWAITING_APPROVAL
    then, later = split([holding.WAITS] if is_held else words.first_move(rotation), NEXT_MOST)
    told = [f"Told: {around.told}."] if around.told else []
    facts, further = split([*summary.lines(rotation), *told], SUMMARY_MOST)
    return Above("\n".join(wrong), "\n".join(facts), "\n".join(then), [*more, *later, *further])


def split(lines: list[str], most: int) -> tuple[list[str], list[str]]:
    """Return the first lines that fit into *most* characters, at least one, and the other lines."""
    used, fitting = 0, 0
    for line in lines:
        used += len(line) + 1
        if fitting and used > most:
            break
        fitting += 1
    return lines[:fitting], lines[fitting:]


def _placed(found: list[Block], above: Above) -> tuple[list[Block], list[Block]]:
    """Put links beside the buttons, or below the table if with so much text they would not be on the first screen."""
    return (found, []) if len(above.alarm + above.summary + above.then) <= LINKED_MOST else ([], found)


def _before(rotation: Rotation, above: Above, near: list[Block]) -> list[Block]:
    """Build what must be on the first screen."""
    return [
        header(title(rotation)),
        *([section(above.alarm)] if above.alarm else []),
        *([section(above.summary)] if above.summary else []),
        *([section(above.then)] if above.then else []),
        *buttons(rotation, near),
    ]


def _after(rotation: Rotation, above: Above, around: Around) -> list[Block]:
    """Build what comes below chart and table."""
    details = [
        *above.rest,
        *exposure.facts(rotation),
        *choices.others(rotation),
        *evidence.facts(rotation),
        *minting.facts(rotation),
    ]
    reached = [words.also_reached(rotation.plan)] if rotation.plan.dependents and not rotation.is_over else []
    return [
        *([section("\n".join(details), DETAILS_MOST)] if details else []),
        context(*reached, _people(rotation, around.places), _key_facts(rotation, around)),
    ]


def _plain(rotation: Rotation, above: Above) -> tuple[str, str]:
    """Say the whole card in plain text, the most important first: what is above the chart, and what is below it."""
    name = sentence(visible(rotation.plan.old_key.display_name))
    first = [
        f"{name}: {sentence(words.headline(rotation), 300)}.",
        *(ended(line) for part in (above.alarm, above.then, above.summary) for line in part.split("\n")),
    ]
    return _joined(*first), _joined(*map(ended, above.rest), *evidence.facts(rotation), named(rotation))


def ended(line: str) -> str:
    """End a line of a card with a full stop, for a text that has no lines."""
    return line if not line or line.endswith((".", ":", "…")) else f"{line}."


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _key_facts(rotation: Rotation, around: Around) -> str:
    key, new = rotation.plan.old_key, _new_key(rotation)
    ids = f"{code(key.id[:SHORT_ID])}{f' → {code(new[:SHORT_ID])}' if new else ''}"
    facts = [
        code(key.provider or "provider unknown"),
        code(key.base_url) if key.base_url else "",
        ids,
        f"adapter {code(key.adapter)}" if key.adapter else "",
        _allowed(rotation.plan.allowed_in),
        around.batch,
        f"made by <{around.maker}|an earlier rotation>" if around.maker else "",
    ]
    return " · ".join(filter(None, facts))


def _allowed(names: tuple[str, ...], most: int = 3) -> str:
    """Name the environments in which the key is allowed, or count them."""
    if len(names) > most:
        return f"allowed in {plural(len(names), 'environment')}"
    return f"allowed in {', '.join(map(code, names))}" if names else ""


def _new_key(rotation: Rotation) -> str:
    return (rotation.replacement_id or "") if rotation.state is not State.ROLLED_BACK else ""


ENDED = {State.ROLLING_BACK: "roll back asked for", State.ROLLED_BACK: "rolled back", State.CANCELLED: "cancelled"}
"""How a person ended a rotation."""


def _people(rotation: Rotation, places: Places) -> str:
    asked = f"asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}"
    started = [f"started by <@{start.by}>, {when(start.at)}" for start in rotation.starts]
    given = [f"approved by <@{a.by}>, {when(a.at)}" for a in rotation.approvals]
    who = rotation.ended_by if rotation.state in ENDED else None
    ended = [f"{ENDED[rotation.state]} by <@{who}>"] if who else []
    closed = [f"ended {when(rotation.ended_at)}"] if rotation.ended_at else []
    pushed = [f"reminded {when(nudge.at)}"] if (nudge := reminded(rotation)) else []
    why = [f"why: {code(rotation.why)}"] if rotation.why else []
    filed = [f"ticket {ticket(rotation, places)}"] if rotation.ticket else []
    came = [f"new secret by {by}"] if (by := way(rotation)) else []
    return " · ".join([asked, *why, *filed, *came, *started, *given, *pushed, *ended, *closed])
