"""The card: the message that shows a rotation in every state."""

from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.attention import is_watched
from bot.rotation.labels import NEED, label_of
from bot.rotation.old_key import usage_of
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from handlers.views import evidence, words
from handlers.views.blocks import (
    MESSAGE_MOST,
    TABLE_CHARACTERS,
    Block,
    actions,
    button,
    code,
    confirm,
    context,
    escaped,
    message,
    section,
    sentence,
    table,
    visible,
    weight,
    when,
)

Row = tuple[str, ...]

FACTS_MOST = 1500
WARNINGS_MOST = 1500
ALARM_MOST = 1600
NEXT_MOST = 2200
"""With these limits, even the longest names leave room for the table."""


class Card(NamedTuple):
    """The message, and if it has no room for all models, every model: the thread lists them."""

    content: dict[str, object]
    unlisted: tuple[Row, ...]


class Said(NamedTuple):
    """The sentences of one card, for its blocks and its plain text."""

    headline: str
    wrong: str
    impact: str
    facts: list[str]
    warnings: list[str]
    doubt: str
    then: str


def card(rotation: Rotation, others: tuple[str, ...] = ()) -> Card:
    """Render *rotation*; *others* are links to further rotations of the same key."""
    said = _said(rotation, others)
    before, after = _before(rotation, said), _after(rotation, said)
    table, shown = _models(rotation, _room(before, after))
    models = rotation.plan.models
    unlisted = tuple(_row(m, IMPACT, rotation) for m in models) if shown < len(models) else ()
    return Card(message(_plain(rotation, said), [*before, *table, *after]), unlisted)


def _said(rotation: Rotation, others: tuple[str, ...]) -> Said:
    impact = words.impact(rotation)
    return Said(
        headline=sentence(words.headline(rotation), 300),
        wrong=words.alarm(rotation),
        impact=impact,
        facts=evidence.facts(rotation),
        warnings=_warnings(rotation, others, impact),
        doubt=_doubt(rotation),
        then=words.then(rotation),
    )


def _before(rotation: Rotation, said: Said) -> list[Block]:
    """Build the part above the table: the state, the facts about the key, what is wrong, the impact."""
    return [
        section(f"{words.mark(rotation)} *Rotate {_name(rotation)}*   {said.headline}"),
        context(_key_facts(rotation), _people(rotation)),
        *([section(said.wrong, ALARM_MOST)] if said.wrong else []),
        section(said.impact),
    ]


def _after(rotation: Rotation, said: Said) -> list[Block]:
    """Build the part below the table: other facts, the next move, and the buttons."""
    warned = "\n".join(f"▲ {warning}" for warning in said.warnings)
    return [
        *([section("\n".join(said.facts), FACTS_MOST)] if said.facts else []),
        *_dependents(rotation),
        *([section(warned, WARNINGS_MOST)] if warned else []),
        *([context(said.doubt)] if said.doubt else []),
        section(said.then, NEXT_MOST),
        *actions([press(action, rotation) for action in offered(rotation)], _shown(rotation)),
    ]


def _room(before: list[Block], after: list[Block]) -> int:
    """Return how many characters the table may have."""
    return min(MESSAGE_MOST - weight([*before, *after]), TABLE_CHARACTERS) - SPARE


SPARE = 300
"""Characters reserved for the line that counts the models without room in the table."""


def _plain(rotation: Rotation, said: Said) -> str:
    """Say the whole card in plain text, the most important first."""
    name = escaped(visible(rotation.plan.old_key.display_name))
    parts = [
        f"Rotate {name}: {said.headline}.",
        *(part.replace("\n", " ") for part in (said.wrong, said.then)),
        *said.facts,
        said.impact,
        *said.warnings,
        said.doubt,
        _plain_models(rotation),
    ]
    return " ".join(filter(None, parts))


def _plain_models(rotation: Rotation, most: int = 20) -> str:
    """Name the first *most* models, with their verdicts if the card shows verdicts."""
    verdicts = "Verdict" in _header(rotation)
    named = [
        f"{escaped(visible(m.alias))} in {escaped(visible(m.environment_name))}"
        + (f": {label_of(rotation.finding(m))}" if verdicts else "")
        for m in _in_order(rotation)[:most]
    ]
    more = len(rotation.plan.models) - len(named)
    return f"{'; '.join(named)}{f'; and {more:,} more' if more else ''}." if named else ""


def _name(rotation: Rotation) -> str:
    return code(rotation.plan.old_key.display_name)


def _key_facts(rotation: Rotation) -> str:
    key = rotation.plan.old_key
    adapter = f"adapter {code(key.adapter)}" if key.adapter else ""
    allowed = ", ".join(map(code, rotation.plan.allowed_in[:10]))
    facts = [
        code(key.provider or "provider unknown"),
        code(key.base_url) if key.base_url else "",
        code(key.id),
        adapter,
        f"allowed in {allowed}" if allowed else "",
        f"replacement {code(replacement)}" if (replacement := _replacement(rotation)) else "",
    ]
    return " · ".join(filter(None, facts))


def _replacement(rotation: Rotation) -> str | None:
    return None if rotation.state is State.ROLLED_BACK else rotation.replacement_id


ENDED = {State.ROLLING_BACK: "roll back asked for", State.ROLLED_BACK: "rolled back", State.CANCELLED: "cancelled"}
"""How a person ended a rotation."""


def _people(rotation: Rotation) -> str:
    asked = f"asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}"
    given = [f"approved by <@{a.by}>, {when(a.at)}" for a in rotation.approvals]
    who = rotation.ended_by if rotation.state in ENDED else None
    ended = [f"{ENDED[rotation.state]} by <@{who}>"] if who else []
    closed = [f"ended {when(rotation.ended_at)}"] if rotation.ended_at else []
    waits = rotation.reminded_at if rotation.state is State.AWAITING_APPROVAL else None
    return " · ".join([asked, *given, *([f"reminded {when(waits)}"] if waits else []), *ended, *closed])


def _models(rotation: Rotation, room: int) -> tuple[list[Block], int]:
    """Return the table with the small print below it, and how many models it shows."""
    header, models, legend = _header(rotation), _in_order(rotation), _legend(rotation)
    if not models:
        return [], 0
    block, shown = table(header, [_row(m, header, rotation) for m in models], room - len(legend))
    small = [_left_out(models[shown:], header, rotation), legend]
    return [block, *([context(*filter(None, small))] if any(small) else [])], shown


def _legend(rotation: Rotation) -> str:
    """Explain the verdicts to the person who decides about the delete."""
    decided_on = rotation.state in (State.AWAITING_APPROVAL, State.BLOCKED) and "Verdict" in _header(rotation)
    return evidence.legend(rotation) if decided_on else ""


def _left_out(models: list[AffectedModel], header: Row, rotation: Rotation) -> str:
    """Count the models without room in the table; models with problems come first, so they are the last to be cut."""
    if not models:
        return ""
    more = f"and {plural(len(models), 'more model')}"
    if "Verdict" in header:
        return f"{more}: {evidence.counted(label_of(rotation.finding(m)) for m in models)}"
    return f"{more}; the thread lists all"


SHOWS_WHY = frozenset({State.BLOCKED, State.AWAITING_APPROVAL, State.COMPLETED})
IMPACT: Row = ("Alias", "Environment", "Kind", "Upstream model")
EVIDENCE: Row = ("Alias", "Environment", "Verdict", "Why", "Last probe")


def _header(rotation: Rotation) -> Row:
    """Choose the columns; during a roll back, verdicts about the replacement no longer matter."""
    back = rotation.track is not Track.FORWARD and rotation.state is not State.BLOCKED
    if not rotation.moved or back:
        return IMPACT
    if rotation.state in SHOWS_WHY or is_watched(rotation):
        return EVIDENCE
    return (*IMPACT, "Verdict")


def _in_order(rotation: Rotation) -> list[AffectedModel]:
    """Return the models; if there are verdicts, those with problems come first."""
    models = rotation.plan.models
    if "Verdict" not in _header(rotation):
        return list(models)
    return sorted(models, key=lambda m: NEED[label_of(rotation.finding(m))])


def _row(model: AffectedModel, header: Row, rotation: Rotation) -> Row:
    finding = rotation.finding(model)
    cells = {
        "Alias": model.alias,
        "Environment": model.environment_name,
        "Kind": model.kind,
        "Upstream model": model.upstream,
        "Verdict": label_of(finding),
        "Why": evidence.why(finding),
        "Last probe": evidence.asked_at(finding),
    }
    return tuple(cells[column] for column in header)


def _dependents(rotation: Rotation) -> list[Block]:
    return [context(words.also_reached(rotation.plan))] if rotation.plan.dependents else []


def _warnings(rotation: Rotation, others: tuple[str, ...], impact: str) -> list[str]:
    """Return the warnings; after the start, stops and verdicts say most of them."""
    if rotation.state is not State.AWAITING_SECRET:
        return [*filter(None, [evidence.adopted(rotation)]), *_unrehearsed(rotation)]
    planned = [sentence(warning, 600) for warning in rotation.plan.warnings if warning != impact]
    under_way = [f"Another rotation of this key is under way: {link}. Only one can go on." for link in others]
    return [*under_way, *planned]


def _unrehearsed(rotation: Rotation) -> list[str]:
    """Say that the secret was not rehearsed, for as long as that matters."""
    matters = rotation.state in UNDER_WAY and rotation.track is Track.FORWARD and not rotation.deleted_at
    said = sentence(evidence.unrehearsed(rotation), 600) if matters else ""
    return [said] if said else []


UNDER_WAY = frozenset({State.RUNNING, State.BLOCKED, State.AWAITING_APPROVAL})
ASKS_ABOUT_SECRET = frozenset({State.AWAITING_SECRET, State.AWAITING_APPROVAL})


def _doubt(rotation: Rotation) -> str:
    """Say what Keyturn cannot know about the new secret, when someone is about to rely on it."""
    return evidence.in_doubt(rotation) if rotation.state in ASKS_ABOUT_SECRET else ""


def _shown(rotation: Rotation) -> str:
    """Return a block id that identifies what an approver sees, to detect a click on an older card."""
    return f"{SHOWN}{rotation.seen}" if rotation.state is State.AWAITING_APPROVAL else ""


SHOWN = "shown-"
"""The prefix of that block id, before the digest of what the card shows."""

STYLES = {Action.ENTER_SECRET: "primary", Action.ANOTHER_SECRET: "primary", Action.DELETE_OLD_KEY: "danger"}


def press(action: Action, rotation: Rotation) -> Block:
    """Build the button for *action*; it carries only the rotation's id."""
    return button(
        action.value, action.name.lower(), rotation.id, style=STYLES.get(action), confirm=_confirm(action, rotation)
    )


def _confirm(action: Action, rotation: Rotation) -> Block | None:
    if action is Action.DELETE_OLD_KEY:
        return confirm("Delete the old key?", _delete_text(rotation), "Delete", "Not yet", dangerous=True)
    if action is Action.ROLL_BACK:
        return confirm("Roll back?", _roll_back_text(rotation), "Roll back", "Not now")
    return None


def _delete_text(rotation: Rotation) -> str:
    name = visible(rotation.plan.old_key.display_name, 60)
    missing = rotation.approvals_missing - 1
    waits = (
        f" It happens when {plural(missing, 'more approver')} agree{'s' if missing == 1 else ''}." if missing else ""
    )
    gone = f"This deletes “{name}” for good: there is no way back to it."
    if usage_of(rotation).is_in_use:
        gone = f"“{name}” is still in use, and deleting it cannot be undone."
    return f"{gone} Keyturn checks everything once more first.{waits}"


def _roll_back_text(rotation: Rotation) -> str:
    moved = len(rotation.moved)
    models = f"{plural(moved, 'model')} {'goes' if moved == 1 else 'go'} back to the old key" if moved else ""
    unless = " unless something may use it unseen" if rotation.plan.unlisted else ""
    removed = f"The replacement is removed{unless}, and this rotation" if rotation.made else "This rotation"
    return f"{models or 'No model has been moved'}. {removed} ends."
