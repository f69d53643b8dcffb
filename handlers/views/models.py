"""The table of a card: the affected models, those that need a look first."""

from typing import NamedTuple

from bot.rotation.attention import is_watched, open_troubles
from bot.rotation.labels import NEED, Label, label_of
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind
from handlers.views import evidence
from handlers.views.blocks import Block, Cell, context, escaped, table, visible

Row = tuple[Cell, ...]

IMPACT = ("Model", "Environment", "Kind", "Upstream model")
EVIDENCE = ("Model", "Status", "Why", "Environment", "Last test")

SPARE = 300
"""Characters reserved for the line that counts the models without room in the table."""

FINE = frozenset({Label.MOVED, Label.NOT_MOVED, Label.LIKELY, Label.PROVED})
"""Labels of models that need no look."""


class Models(NamedTuple):
    """The table with its small print, and every model if it has no room for all: the thread lists them."""

    blocks: list[Block]
    unlisted: tuple[tuple[str, ...], ...] = ()


def models(rotation: Rotation, room: int) -> Models:
    """Show the models that someone must look at or decide about, in at most *room* characters."""
    shown = _shown(rotation)
    if not shown:
        return Models([])
    header, legend = header_of(rotation), _legend(rotation)
    rows = [_row(model, header, rotation) for model in shown]
    block, fitting = table(_caption(rotation, shown), header, rows, room - len(legend) - SPARE)
    small = [_left_out(shown[fitting:], header, rotation), legend]
    unlisted = tuple(map(_impact, rotation.plan.models)) if fitting < len(shown) else ()
    return Models([block, *([context(*filter(None, small))] if any(small) else [])], unlisted)


DECIDES = frozenset({State.AWAITING_SECRET, State.AWAITING_START, State.BLOCKED, State.AWAITING_APPROVAL})
"""States in which someone decides about the models; elsewhere only those that need a look are shown."""


def _shown(rotation: Rotation) -> list[AffectedModel]:
    if (rotation.is_over or is_watched(rotation)) and not open_troubles(rotation):
        return []
    if rotation.track is not Track.FORWARD and rotation.state is not State.AWAITING_SECRET:
        return []
    return [m for m in in_order(rotation) if rotation.state in DECIDES or label_of(rotation.finding(m)) not in FINE]


def header_of(rotation: Rotation) -> tuple[str, ...]:
    """Choose the columns; before a move, and once models go back, no model has a status on the new key."""
    return EVIDENCE if has_status(rotation) else IMPACT


def has_status(rotation: Rotation) -> bool:
    """Return whether models have a status on the new key; what was seen on a key that is gone is none."""
    is_gone = rotation.stop is not None and rotation.stop.kind is StopKind.REFUSED
    return bool(rotation.moved) and rotation.track is Track.FORWARD and not is_gone


def in_order(rotation: Rotation) -> list[AffectedModel]:
    """Return the models, those that need a look first."""
    if header_of(rotation) == IMPACT:
        return list(rotation.plan.models)
    return sorted(rotation.plan.models, key=lambda model: NEED[label_of(rotation.finding(model))])


def named(rotation: Rotation, most: int = 20) -> str:
    """Name the first *most* models in plain text, with their status if they have one."""
    has_status = header_of(rotation) == EVIDENCE
    said = [
        f"{escaped(visible(m.alias))} in {escaped(visible(m.environment_name))}"
        + (f": {evidence.LABELS[label_of(rotation.finding(m))]}" if has_status else "")
        for m in in_order(rotation)[:most]
    ]
    more = len(rotation.plan.models) - len(said)
    return f"{'; '.join(said)}{f'; and {more:,} more' if more else ''}." if said else ""


def _caption(rotation: Rotation, shown: list[AffectedModel]) -> str:
    """Say what the table holds."""
    every = len(shown) == len(rotation.plan.models)
    return plural(len(shown), "model") if every else f"{plural(len(shown), 'model')} to look at"


def _legend(rotation: Rotation) -> str:
    """Explain the statuses to the person who decides about the delete."""
    decided_on = rotation.state in (State.AWAITING_APPROVAL, State.BLOCKED) and header_of(rotation) == EVIDENCE
    return evidence.legend(rotation) if decided_on else ""


def _left_out(left: list[AffectedModel], header: tuple[str, ...], rotation: Rotation) -> str:
    """Count the models without room in the table; those with problems come first, so they are the last to be cut."""
    if not left:
        return ""
    more = f"and {plural(len(left), 'more model')}"
    if header == EVIDENCE:
        return f"{more}: {evidence.counted(label_of(rotation.finding(model)) for model in left)}"
    return f"{more}; the thread lists all"


def _impact(model: AffectedModel) -> tuple[str, ...]:
    return (model.alias, model.environment_name, model.kind, model.upstream)


def _row(model: AffectedModel, header: tuple[str, ...], rotation: Rotation) -> Row:
    if header == IMPACT:
        return _impact(model)
    finding = rotation.finding(model)
    tested: Cell = finding.latest.at if finding.latest and not finding.latest.skipped else "–"
    status = evidence.LABELS[label_of(finding)]
    return (model.alias, status, evidence.short(evidence.why(finding)), model.environment_name, tested)
