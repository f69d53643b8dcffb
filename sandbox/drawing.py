"""Draw Block Kit in a terminal. Pure: blocks in, renderables out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sandbox.slack.reading import cells, named, plain, spoken

Json = dict[str, Any]
Names = Mapping[str, str]

MARKED = re.compile(r"\*((?:`[^`\n]*`|[^*`\n])+)\*|`([^`\n]+)`")
BUTTONS = {"primary": "bold green", "danger": "bold red"}
TASKS = {"pending": "○", "in_progress": "◑", "complete": "✔", "error": "✘"}
FIELD = 56
"""Characters of a form field that are drawn."""

MOST_ROWS = 12
"""Rows of a table that are drawn; Slack shows all of them."""


def words(mrkdwn: str, names: Names, style: str = "") -> Text:
    """Render mrkdwn: bold, code, mentions by name, dates by their fallback."""
    text, end = Text(style=style), 0
    for found in MARKED.finditer(mrkdwn):
        text.append(_said(mrkdwn[end : found.start()], names))
        bold, code = found.groups()
        text.append_text(words(bold, names, "bold") if bold else Text(spoken(f"`{code}`"), "cyan"))
        end = found.end()
    return text.append(_said(mrkdwn[end:], names))


def _said(mrkdwn: str, names: Names) -> str:
    return named(spoken(mrkdwn), names)


def drawn(blocks: list[Json], names: Names) -> Group:
    """Draw a message; buttons are set apart, as in Slack."""
    return Group(*(part for block in blocks for part in _block(block, names)))


def _block(block: Json, names: Names) -> Iterator[RenderableType]:
    match block["type"]:
        case "header":
            yield Text(block["text"]["text"], "bold")
        case "section" if "text" in block:
            yield words(block["text"]["text"], names)
        case "context":
            yield from (words(element["text"], names, "dim") for element in block["elements"])
        case "table" | "data_table":
            shown = Padding(table([[named(cell, names) for cell in row] for row in cells(block)]), (1, 0))
            yield Group(Text(block["caption"], "bold"), shown) if "caption" in block else shown
        case "plan":
            yield Text(block["title"], "bold")
            yield from map(task, block.get("tasks", []))
        case "actions":
            yield Padding(buttons(block["elements"]), (1, 0, 0, 0))
        case _:
            yield Text(named(plain([block]), names))


def table(rows: list[list[str]]) -> Table:
    """Draw a table; its widest column wraps if the terminal is narrow."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, header in enumerate(rows[0]):
        widest = number == widths.index(max(widths))
        shown.add_column(header, overflow="fold", no_wrap=not widest, ratio=1 if widest else None)
    for row in rows[1 : MOST_ROWS + 1]:
        shown.add_row(*map(Text, row))
    if (left := len(rows) - 1 - MOST_ROWS) > 0:
        shown.add_row(Text(f"… {left} more", "dim"))
    return shown


def task(given: Json) -> Text:
    """Draw one step of a plan, with what is said of it."""
    said = [plain([given[part]]) for part in ("details", "output") if part in given]
    return Text.assemble(f"{TASKS[given['status']]} {given['title']}", ("  ".join(["", *said]), "dim"))


def buttons(elements: list[Json]) -> Text:
    """Draw a row of buttons."""
    return Text("  ").join(button(e["text"]["text"], e.get("style")) for e in elements if e["type"] == "button")


def button(label: str, style: str | None = None) -> Text:
    """Draw one button."""
    return Text(f"[ {label} ]", BUTTONS.get(style or "", "bold"))


def form(view: Json, secrets: tuple[str, ...], names: Names) -> Group:
    """Draw a modal as submitted, with every secret masked."""
    values = view["state"]["values"]
    parts: list[RenderableType] = []
    for block in view["blocks"]:
        parts += _field(block, values, secrets) if block["type"] == "input" else _block(block, names)
    sides = Text("  ").join([button(view["close"]["text"]), button(view["submit"]["text"], "primary")])
    return Group(*parts, Padding(sides, (1, 0, 0, 0)))


def _field(block: Json, values: Json, secrets: tuple[str, ...]) -> list[RenderableType]:
    given = values.get(block["block_id"], {}).get(block["element"]["action_id"], {})
    value = given.get("value") or (given.get("selected_option") or {}).get("text", {}).get("text", "")
    shown = masked(value, secrets)
    label = Text(block["label"]["text"], "bold")
    if not value:
        return [label.append("  left empty", "not bold dim")]
    note = "  masked here; Slack itself shows it" if shown != value else ""
    return [label, Text.assemble("[ ", (f"{shown[:FIELD]:<32}", "cyan"), " ]", (note, "dim"))]


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """Replace every secret with dots."""
    for secret in secrets:
        text = text.replace(secret, "•" * len(secret))
    return text
