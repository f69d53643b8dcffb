"""The receipt's file: every model as a row of CSV, for people who need the list and not the story."""

import csv
import io
import re
from typing import NamedTuple

from bot.rotation.labels import label_of
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.record import Rotation
from handlers.views import evidence
from handlers.views.blocks import INVISIBLE, visible

HEADER = ("model", "environment", "id", "status", "reason", "last test")

FORMULA = re.compile(r"(^|[;,\"']\s*)(?=[=+\-@＝＋－＠])")
"""Where a cell may begin that a spreadsheet would calculate: many split a file at semicolons too."""


class Export(NamedTuple):
    """A file for the thread."""

    name: str
    title: str
    content: bytes


def export(rotation: Rotation) -> Export:
    """Return every model of *rotation* with what is known of it."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(HEADER)
    rows.writerows([*map(safe, _row(model, rotation))] for model in rotation.plan.models)
    title = f"{visible(rotation.plan.old_key.display_name, 60)}: {plural(len(rotation.plan.models), 'model')}"
    return Export(name_of(rotation), title, text.getvalue().encode(errors="replace"))


def name_of(rotation: Rotation) -> str:
    """Return the name of the file."""
    return f"receipt-{rotation.id}.csv"


def _row(model: AffectedModel, rotation: Rotation) -> tuple[str, ...]:
    finding = rotation.finding(model)
    tested = finding.latest.at.isoformat(timespec="seconds") if finding.latest and not finding.latest.skipped else ""
    status = evidence.LABELS[label_of(finding)]
    return (model.alias, model.environment_name, model.id, status, evidence.why(finding), tested)


def safe(cell: str) -> str:
    """Return a cell on one line that no spreadsheet takes for a formula: names come from outside."""
    return FORMULA.sub(r"\1'", " ".join(INVISIBLE.sub(" ", cell).split()))
