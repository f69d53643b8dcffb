"""Draws a message or a form as text, to be read as people do: `python -m tests.handlers.drawing [part of a name]`."""

import sys
from collections.abc import Iterator
from typing import Any

from sandbox.slack.reading import cells, spoken

Json = dict[str, Any]


def drawn(content: Json) -> str:
    """Draw a message or a view, blocks as they stand, and its `text` at the end."""
    lines = [line for block in content.get("blocks") or [] for line in _block(block)]
    if "title" in content:
        lines = [f"[[ {content['title']['text']} ]]", *lines]
        lines += [f"({content[part]['text']})" for part in ("close", "submit") if part in content]
    return "\n".join([*lines, *([f"~ {spoken(content['text'])}"] if "text" in content else [])])


def _block(block: Json) -> Iterator[str]:
    match block["type"]:
        case "section":
            yield spoken(block["text"]["text"])
        case "context":
            yield "  " + " | ".join(spoken(element["text"]) for element in block["elements"])
        case "table":
            yield from _table(cells(block))
        case "actions":
            yield "  ".join(_pressed(element) for element in block["elements"])
        case "input":
            yield f"{block['label']['text']}: ______  {block['element'].get('initial_value', '')}"
            yield f"    {block.get('hint', {}).get('text', '')}"


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = rows if len(rows) < 12 else [*rows[:10], ["…"] * len(widths)]
    for row in shown:
        yield "  | " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _pressed(element: Json) -> str:
    asked = element.get("confirm")
    label = element.get("text", element.get("placeholder"))["text"]
    if not asked:
        return f"[{label}]"
    dialog = " ".join(asked[part]["text"] for part in ("title", "text"))
    return f"[{label} » {dialog} ({asked['deny']['text']}) ({asked['confirm']['text']})]"


if __name__ == "__main__":
    from tests.handlers.cases import CASES

    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, content in CASES.items():
        if wanted in name:
            shown = content()
            said = "\n".join(map(drawn, shown)) if isinstance(shown, list) else drawn(shown)
            print(f"\n=== {name}\n{said}")  # noqa: T201 - this is what it is for
