"""Read blocks as a person sees them: their text, and what can be pressed."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]

_SPECIAL = re.compile(r"<(?P<target>[^<>|]*)(?:\|(?P<label>[^<>]*))?>")
_MENTION = re.compile(r"([@#])([A-Z][A-Z0-9_]+)")
_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_MARKS = re.compile(r"(?<![\w`])([*_~])(?=\S)(.+?)(?<=\S)\1(?![\w`])")
_INLINE = {
    "user": ("@", "user_id", ""),
    "usergroup": ("@", "usergroup_id", ""),
    "channel": ("#", "channel_id", ""),
    "broadcast": ("@", "range", ""),
    "emoji": (":", "name", ":"),
}
_SHOWN_IN = ("title", "subtitle", "body", "text", "label", "hint", "caption", "alt_text")
_HELD_IN = ("child_blocks", "elements", "fields", "actions", "tasks", "details", "output", "accessory", "element")


def spoken(text: str) -> str:
    """Return mrkdwn as Slack shows it: links by their label, dates by their fallback, no marks."""
    without_code, codes = text, []
    for found in _CODE.finditer(text):
        codes.append(found[1] or found[2])
        without_code = without_code.replace(found[0], f"\0{len(codes) - 1}\0", 1)
    shown = _MARKS.sub(r"\2", _SPECIAL.sub(_special, without_code))
    for index, code in enumerate(codes):
        shown = shown.replace(f"\0{index}\0", _SPECIAL.sub(_special, code))
    return html.unescape(shown)


def _special(found: re.Match[str]) -> str:
    target, label = found["target"], found["label"]
    if label is not None:
        return label
    if target.startswith(("@", "#")):
        return target if target.startswith("@") else f"#{target[1:]}"
    if target.startswith("!"):
        return f"@{target[1:].rsplit('^', 1)[-1]}"
    return target.removeprefix("mailto:")


def named(text: str, names: Mapping[str, str]) -> str:
    """Replace the ids in mentions of people, groups and channels with names."""
    return _MENTION.sub(lambda found: found[1] + names.get(found[2], found[2]), text)


def plain(blocks: list[Json]) -> str:
    """Return all text in these blocks, one line per part or table row."""
    return "\n".join(line for block in blocks for line in _lines(block) if line)


def _lines(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for each in part:
            yield from _lines(each)
    elif isinstance(part, dict):
        yield from _of(part)


def _of(part: Json) -> Iterator[str]:
    read = _READ.get("task_card" if "task_id" in part else part.get("type", ""))
    if read:
        yield from read(part)
        return
    for name in (*_SHOWN_IN, *_HELD_IN):
        yield from _lines(part.get(name))
    yield from _form_text(part)


def _table(part: Json) -> Iterator[str]:
    yield from _lines(part.get("caption"))
    yield from ("  ".join(row) for row in cells(part))


def _task(part: Json) -> Iterator[str]:
    yield f"{part['title']} ({part['status'].replace('_', ' ')})"
    yield from _lines([part.get("details"), part.get("output")])


def _form_text(part: Json) -> Iterator[str]:
    """Yield what a form element shows before anything is typed."""
    yield from _lines(part.get("placeholder"))
    yield from _lines(part.get("initial_value"))
    yield from _lines((part.get("initial_option") or {}).get("text"))


def rich_text(part: Json) -> str:
    """Return the text of a rich_text block or one of its parts; list items and sections get their own lines."""
    own_lines = part.get("type") in ("rich_text", "rich_text_list")
    pieces = [rich_text(each) if "elements" in each else _inline(each) for each in part["elements"]]
    return ("\n" if own_lines else "").join(pieces)


def _inline(element: Json) -> str:
    shown = _INLINE.get(element.get("type", ""))
    if shown:
        return f"{shown[0]}{element[shown[1]]}{shown[2]}"
    return str(element.get("text") or element.get("fallback") or element.get("timestamp") or element.get("url", ""))


def chart(part: Json) -> Iterator[str]:
    """Yield a chart in words: its title, then a line for each series or segment."""
    yield part["title"]
    yield from (f"{segment['label']}: {segment['value']:g}" for segment in part["chart"].get("segments", []))
    for series in part["chart"].get("series", []):
        yield f"{series['name']}: " + ", ".join(f"{point['label']} {point['value']:g}" for point in series["data"])


def cells(table: Json) -> list[list[str]]:
    """Return a table's rows as text."""
    return [[_cell(cell) for cell in row] for row in table["rows"]]


def _cell(cell: Json) -> str:
    if cell.get("type") == "rich_text":
        return rich_text(cell)
    return str(cell.get("text", cell.get("value", "")))


_READ: Mapping[str, Callable[[Json], Iterable[str]]] = {
    "data_table": _table,
    "data_visualization": chart,
    "markdown": lambda part: [spoken(part["text"])],
    "mrkdwn": lambda part: [spoken(part["text"])],
    "plain_text": lambda part: [part["text"]],
    "rich_text": lambda part: [rich_text(part)],
    "table": _table,
    "task_card": _task,
}
"""How a part is read that is more than its parts."""


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield everything that a person can press, pick or fill in, each with its block."""
    for block in blocks:
        held = [*block.get("elements", []), *block.get("actions", []), block.get("accessory"), block.get("element")]
        yield from ((block, element) for element in held if isinstance(element, dict) and "action_id" in element)
        yield from elements(block.get("child_blocks", []))


def buttons(blocks: list[Json]) -> list[tuple[Json, Json]]:
    """Return every button in order, each with its block."""
    return [(block, element) for block, element in elements(blocks) if element.get("type") == "button"]


def caption(element: Json) -> str:
    """Return the label of a button."""
    text: str = element["text"]["text"]
    return text
