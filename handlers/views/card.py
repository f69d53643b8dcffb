"""The one message that shows a rotation. It renders every state, for the first post and for each edit."""

from collections.abc import Iterator

from bot.policy import Action, offered
from bot.rotation import Rotation, State
from handlers.views import words
from handlers.views.blocks import (
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
    when,
)

Row = tuple[str, ...]


def card(rotation: Rotation, others: tuple[str, ...] = ()) -> dict[str, object]:
    """Render *rotation*; *others* are links to further rotations of the same key."""
    blocks = [
        section(f"{words.MARKS[rotation.state]} *Rotate {_name(rotation)}*   {sentence(words.headline(rotation))}"),
        context(_key_facts(rotation), _people(rotation)),
        section(words.impact(rotation.plan)),
        *_models(rotation),
        *_dependents(rotation),
        *(section(f"▲ {warning}") for warning in warnings(rotation, others)),
        section(words.next_move(rotation)),
        *actions([_button(action, rotation) for action in offered(rotation)]),
    ]
    return message(plain_card(rotation, others), blocks)


def plain_card(rotation: Rotation, others: tuple[str, ...] = ()) -> str:
    """Say the whole card in plain sentences, the most important first."""
    name = escaped(visible(rotation.plan.old_key.display_name))
    parts = [
        f"Rotate {name}: {sentence(words.headline(rotation))}.",
        words.next_move(rotation).replace("\n", " "),
        words.impact(rotation.plan),
        *warnings(rotation, others),
        *(": ".join(map(sentence, row[:3])) for row in _rows(rotation)[:20]),
    ]
    return " ".join(parts)


def _name(rotation: Rotation) -> str:
    return code(rotation.plan.old_key.display_name)


def _key_facts(rotation: Rotation) -> str:
    key = rotation.plan.old_key
    facts = [code(key.provider or "provider unknown"), code(key.base_url) if key.base_url else "", code(key.id)]
    adapter = f"adapter {code(key.adapter)}" if key.adapter else ""
    allowed = ", ".join(code(rotation.plan.environments.get(env, env)) for env in key.allowed_environments[:10])
    return " · ".join(filter(None, [*facts, adapter, f"allowed in {allowed}" if allowed else ""]))


def _people(rotation: Rotation) -> str:
    asked = f"asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}"
    given = [f"approved by <@{a.by}>, {when(a.at)}" for a in rotation.approvals]
    ended = [f"by <@{rotation.ended_by}>"] if rotation.ended_by and rotation.is_over else []
    closed = [f"ended {when(rotation.ended_at)}"] if rotation.ended_at else []
    return " · ".join([asked, *given, *closed, *ended])


def _models(rotation: Rotation) -> Iterator[Block]:
    rows = _rows(rotation)
    if not rows:
        return
    block, shown = table(_header(rotation), rows)
    yield block
    if shown < len(rows):
        yield context(f"and {len(rows) - shown} more models, listed in the thread")


SHOWS_WHY = frozenset({State.BLOCKED, State.AWAITING_APPROVAL, State.COMPLETED})


def _header(rotation: Rotation) -> Row:
    if not rotation.moved:
        return ("Alias", "Environment", "Kind", "Upstream model")
    if rotation.state in SHOWS_WHY:
        return ("Alias", "Environment", "Verdict", "Why")
    return ("Alias", "Environment", "Kind", "Upstream model", "Verdict")


def _rows(rotation: Rotation) -> list[Row]:
    """One row a model; those that need a look come first once there is something to look at."""
    header = _header(rotation)
    rows = []
    for model in rotation.plan.models:
        finding = rotation.finding(model)
        cells = {
            "Alias": model.alias,
            "Environment": model.environment_name,
            "Kind": model.kind,
            "Upstream model": model.upstream,
            "Verdict": words.verdict(finding),
            "Why": words.why(finding),
        }
        rows.append(tuple(cells[column] for column in header))
    return rows


def unlisted(rotation: Rotation) -> list[Row]:
    """Return the rows that the card's first table could not hold: they are listed in the thread."""
    rows: list[Row] = [(m.alias, m.environment_name, m.kind, m.upstream) for m in rotation.plan.models]
    _, shown = table(("Alias", "Environment", "Kind", "Upstream model"), rows)
    return rows[shown:]


def _dependents(rotation: Rotation) -> list[Block]:
    return [context(words.also_reached(rotation.plan))] if rotation.plan.dependents else []


def warnings(rotation: Rotation, others: tuple[str, ...]) -> list[str]:
    """Return what to know beforehand; once it is under way, the stops and verdicts say it."""
    if rotation.state is not State.AWAITING_SECRET:
        return []
    under_way = [f"Another rotation of this key is under way: {link}. Only one can go on." for link in others]
    return [*(sentence(warning) for warning in rotation.plan.warnings), *under_way]


STYLES = {Action.ENTER_SECRET: "primary", Action.ANOTHER_SECRET: "primary", Action.DELETE_OLD_KEY: "danger"}


def _button(action: Action, rotation: Rotation) -> Block:
    """A button carries the rotation's id and nothing else."""
    return button(
        action.value, action.name.lower(), rotation.id, style=STYLES.get(action), confirm=_confirm(action, rotation)
    )


def _confirm(action: Action, rotation: Rotation) -> Block | None:
    if action is Action.DELETE_OLD_KEY:
        name = visible(rotation.plan.old_key.display_name, 60)
        text = f"“{name}” is gone for good; there is no way back to it. Everything will be looked at once more before."
        return confirm("Delete the old key?", text, "Delete", "Not yet", dangerous=True)
    if action is Action.ROLL_BACK:
        text = "Every model that this rotation moved goes back to the old key, and the replacement is removed."
        return confirm("Roll back?", text, "Roll back", "Not now")
    return None
