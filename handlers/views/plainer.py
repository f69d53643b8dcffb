"""Say a message in plainer blocks, where a workspace refuses some. Pure.

Slack refuses a message as a whole, and brings new blocks to some workspaces later than to others. The state and the
buttons have to arrive anyway.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from handlers.views.blocks import (
    CUT_OFF,
    STATUS_MARKS,
    TABLE_CHARACTERS,
    Block,
    context,
    escaped,
    paragraph,
)

Content = Mapping[str, Any]

TEXT_BYTES = 3900
"""The size of a message's `text`: chat.update refuses 4,000 bytes as UTF-8."""

ROWS_MOST = 100
"""Rows of a plain table, with its header."""

LISTED_MOST = 2500
"""Characters of a table or a plan as plain lines."""

NEWER = frozenset({
    "alert", "card", "carousel", "container", "data_table", "data_visualization", "header", "header.level",
    "markdown", "plan", "section.expand", "task_card",
})  # fmt: skip
"""Blocks, and properties of blocks, that some workspaces may lack; the first plainer edition has none of them."""

PLAIN = frozenset({"section", "context", "actions"})
"""The blocks of the second plainer edition."""

OLDER = frozenset({"table", "rich_text", "image", "video", "divider", "file"})
FORGETTABLE = NEWER | OLDER
"""What may be remembered as refused: without the others there would be no message."""


def editions(content: Content, lacking: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """Yield *content* without what is *lacking*, then ever plainer, down to its text alone; none twice."""
    last = None
    for edition in _editions(content, lacking):
        if edition != last:
            yield edition
        last = edition


def _editions(content: Content, lacking: frozenset[str]) -> Iterator[dict[str, Any]]:
    short = {**content, "text": _short(str(content["text"]))}
    yield without(short, lacking)
    yield without(short, lacking | NEWER)
    yield without(short, lacking | NEWER | OLDER | (kinds(content) - PLAIN))
    blocks = content.get("blocks", ())
    yield {**short, "blocks": [paragraph(short["text"]), *_buttons(blocks)]} if blocks else short
    yield {name: value for name, value in short.items() if name != "blocks"}


def without(content: Content, lacking: frozenset[str]) -> dict[str, Any]:
    """Return *content* with a fallback for each block that is *lacking*."""
    if "blocks" not in content:
        return dict(content)
    return {**content, "blocks": [plain for block in content["blocks"] for plain in _plainer(block, lacking)]}


def _plainer(block: Block, lacking: frozenset[str]) -> list[Block]:
    kind = block["type"]
    if kind not in lacking:
        return [{name: value for name, value in block.items() if f"{kind}.{name}" not in lacking}]
    if kind == "data_table" and "table" in lacking:
        return _rows(block)
    fallback = FALLBACK.get(kind, _in_words)(block)
    return [plain for each in fallback for plain in _plainer(each, lacking - {kind})]


def kinds(content: Content) -> frozenset[str]:
    """Return the types of all blocks in *content*, and the properties that a workspace may lack."""
    blocks = list(_all(content.get("blocks", ())))
    properties = {f"{block['type']}.{name}" for block in blocks for name in block}
    return frozenset({block["type"] for block in blocks} | (properties & NEWER))


def _all(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from _all(block.get("child_blocks", ()))


class Refusal(NamedTuple):
    """A message that Slack refused, with Slack's word and what it says of each place."""

    content: Content
    reason: str
    complaints: tuple[str, ...]


OF_BLOCKS = frozenset({"invalid_blocks", "invalid_arguments", "invalid_block_type", "unknown_block_type"})
"""Slack's words for a block that it does not take; the others are about the size of the whole."""

POINTER = re.compile(r"json-pointer:(?:/blocks)?/(\d+)")


def lacking_since(refusal: Refusal, taken: Content) -> frozenset[str]:
    """Return what the workspace seems to lack, as it refused one edition and has *taken* a plainer one."""
    if refusal.reason not in OF_BLOCKS:
        return frozenset()
    named = blamed(refusal.content.get("blocks", ()), refusal.complaints)
    return (named or kinds(refusal.content) - kinds(taken)) & FORGETTABLE


def blamed(blocks: Sequence[Block], complaints: Iterable[str]) -> frozenset[str]:
    """Return which of *blocks*, or which of their properties, Slack complains of."""
    found = [(complaint, POINTER.search(complaint)) for complaint in complaints]
    places = [(int(at[1]), complaint) for complaint, at in found if at]
    return frozenset(_named(blocks[place], complaint) for place, complaint in places if place < len(blocks))


def _named(block: Block, complaint: str) -> str:
    """Return the property of *block* that Slack complains of, or its type."""
    names = (f"{block['type']}.{name}" for name in block if re.search(rf"\b{name}\b", complaint))
    return next((name for name in names if name in NEWER), block["type"])


# --- the fallback of each block ---


def _header(block: Block) -> list[Block]:
    return [paragraph(f"*{_text(block).replace('*', '∗')}*")]


def _alert(block: Block) -> list[Block]:
    return [paragraph(f"▲ {_text(block)}")]


def _children(block: Block) -> list[Block]:
    title = _text(block, "rich_text_title") or _text(block, "title")
    return [*([paragraph(f"*{title}*")] if title else []), *block.get("child_blocks", ())]


def _table(block: Block) -> list[Block]:
    """Return a table with wrapped columns; it has room for fewer rows than a `data_table`."""
    kept: list[list[Block]] = []
    rows = block["rows"]
    room = TABLE_CHARACTERS
    for row in rows:
        cells = [_cell(cell) for cell in row]
        room -= sum(len(_said(cell)) for cell in cells)
        if len(kept) == ROWS_MOST or room < 0:
            break
        kept.append(cells)
    wrapped = [{"is_wrapped": True} for _ in rows[0]]
    small = [context(_more(len(rows) - len(kept)))] if len(kept) < len(rows) else []
    return [{"type": "table", "column_settings": wrapped, "rows": kept}, *small]


def _cell(cell: Block) -> Block:
    if cell["type"] == "rich_text":
        return cell
    return {"type": "raw_text", "text": str((cell.get("fallback") or cell).get("text") or "–")}


def _rows(block: Block) -> list[Block]:
    return _lines([" · ".join(_said(_cell(cell)) for cell in row) for row in block["rows"]])


def _plan(block: Block) -> list[Block]:
    return _lines([f"*{_text(block, 'title')}*", *map(_task, block.get("tasks", ()))])


def _task(task: Block) -> str:
    parts = (_text(task, name) for name in ("title", "details", "output"))
    return f"{STATUS_MARKS.get(task.get('status', ''), '·')} {'   '.join(filter(None, parts))}"


def _lines(lines: list[str]) -> list[Block]:
    """Return *lines* as a paragraph, and count those without room in it."""
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(kept) + len(line) > LISTED_MOST:
            break
        kept.append(line)
    left = [_more(len(lines) - len(kept))] if len(kept) < len(lines) else []
    return [paragraph("\n".join([*kept, *left]))] if lines else []


def _more(rows: int) -> str:
    return f"and {rows:,} more, without room here"


def _nothing(_: Block) -> list[Block]:
    return []


def _in_words(block: Block) -> list[Block]:
    """Return what any other block says."""
    said = _said(block).strip()
    return [paragraph(said)] if said else []


FALLBACK: Mapping[str, Callable[[Block], list[Block]]] = {
    "alert": _alert,
    "container": _children,
    "data_table": _table,
    "data_visualization": _nothing,
    "divider": _nothing,
    "header": _header,
    "plan": _plan,
    "table": _rows,
    "task_card": lambda block: [paragraph(_task(block))],
}
"""A chart has none: the card says the same in words beside it."""


def _buttons(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield each row of buttons as it is: a click reports the id of its row."""
    for block in _all(blocks):
        if block["type"] == "actions":
            yield block
        elif block.get("accessory", {}).get("type") == "button":
            yield {"type": "actions", "elements": [block["accessory"]]}


# --- texts ---


def _text(block: Block, name: str = "text") -> str:
    """Return what a property says, as mrkdwn: a string, a text object or rich text."""
    value = block.get(name)
    return escaped(value) if isinstance(value, str) else _said(value)


def _said(part: Any) -> str:
    """Return what a part says, as mrkdwn; what it only shows has no words."""
    if isinstance(part, list):
        return " ".join(filter(None, map(_said, part))) if _are_lines(part) else "".join(map(_said, part))
    if not isinstance(part, dict):
        return ""
    kind = part.get("type")
    if kind == "mrkdwn":
        return str(part["text"])
    if kind in INLINE:
        return INLINE[kind](part)
    return _said(part["text"]) if isinstance(part.get("text"), dict) else _inner(part)


def _are_lines(part: list[Any]) -> bool:
    return any(isinstance(each, dict) and "elements" in each for each in part)


def _inner(part: Block) -> str:
    return escaped(part["text"]) if isinstance(part.get("text"), str) else _said(part.get("elements"))


def _date(part: Block) -> str:
    fallback = escaped(str(part.get("fallback") or part["timestamp"])).replace("|", " ")
    return f"<!date^{part['timestamp']}^{part['format']}|{fallback}>"


INLINE: Mapping[Any, Callable[[Block], str]] = {
    "date": _date,
    "user": lambda part: f"<@{part['user_id']}>",
    "usergroup": lambda part: f"<!subteam^{part['usergroup_id']}>",
    "channel": lambda part: f"<#{part['channel_id']}>",
    "emoji": lambda part: f":{part['name']}:",
    "link": lambda part: f"<{part['url']}|{escaped(part.get('text') or part['url'])}>",
}
"""The parts of rich text that are no text."""


def _short(text: str) -> str:
    kept = text.encode()[:TEXT_BYTES].decode(errors="ignore")
    return text if kept == text else CUT_OFF.sub("", kept) + "…"
