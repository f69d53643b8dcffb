"""Builders for Block Kit, and Slack's limits (facts: docs.slack.dev/block-kit)."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

Block = dict[str, Any]

SECTION_MOST = 3000
TEXT_MOST = 3900
"""Characters of a message's `text`; chat.update refuses more than 4,000."""

TABLE_ROWS = 100
TABLE_CHARACTERS = 9000
"""Slack allows 10,000 characters in all cells of a message; the rest is for the header and a reserve."""

MESSAGE_MOST = 10_000
"""Characters in all blocks of a message. Slack documents no such limit, but refuses about 12,000
(`msg_blocks_too_long`, slackapi/bolt-js#2509), and counts more than the text."""

SMALL_PRINT_MOST = 1000

CELL_MOST = 120
NAME_MOST = 80

INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
"""Control characters and direction marks, which no name needs."""

CUT_OFF = re.compile(r"(<[^<>]*|&[a-z]*)$")
"""The beginning of a mention, a date or an entity that was cut off."""


def shortened(text: str, most: int) -> str:
    """Cut *text* to *most* characters, with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cut(text: str, most: int) -> str:
    """Cut mrkdwn to *most* characters, but never inside a mention, a date or an entity."""
    return text if len(text) <= most else CUT_OFF.sub("", text[: most - 2]) + "…"


@lru_cache(maxsize=1024)  # a message names a model many times, and is composed often
def visible(name: str, most: int = NAME_MOST) -> str:
    """Return a name from outside on one line, without invisible characters."""
    return shortened(" ".join(INVISIBLE.sub(" ", name).split()), most) or "–"


def escaped(text: str) -> str:
    """Escape *text* for mrkdwn, so that `<!channel>` pings nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(name: str, most: int = NAME_MOST) -> str:
    """Show a name from outside in code style."""
    return f"`{escaped(visible(name, most).replace('`', 'ˋ'))}`"


def sentence(text: str, most: int = 1200) -> str:
    """Show our own sentence with names from outside; a cut never leaves a code mark open."""
    shown = escaped(" ".join(INVISIBLE.sub(" ", text).split()))
    if len(shown) <= most:
        return shown
    kept = CUT_OFF.sub("", shown[: most - 2])
    return kept + ("`…" if kept.count("`") % 2 else "…")


def when(moment: datetime) -> str:
    """Show a time in each reader's time zone."""
    fallback = f"{moment:%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def duration(length: timedelta) -> str:
    """Show a length of time in its two largest units."""
    seconds = length.total_seconds()
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds:.1f} s" if seconds % 1 else f"{rest} s"


def section(text: str, most: int = SECTION_MOST) -> Block:
    """Build a paragraph."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": _fitting(text, most)}}


def context(*texts: str) -> Block:
    """Build small print."""
    elements = [{"type": "mrkdwn", "text": _fitting(text, SMALL_PRINT_MOST)} for text in texts[:10]]
    return {"type": "context", "elements": elements}


def _fitting(text: str, most: int) -> str:
    """Cut to *most* characters, at the end of a line if possible."""
    if len(text) <= most:
        return text or " "
    kept = CUT_OFF.sub("", text[: most - 2])
    return (kept.rsplit("\n", 1)[0] if "\n" in kept else kept) + "\n…"


def actions(elements: Sequence[Block], block_id: str = "") -> list[Block]:
    """Build a row of buttons, or nothing without *elements*. A click reports the *block_id* of its row."""
    row: Block = {"type": "actions", "elements": list(elements)}
    return [row | ({"block_id": block_id} if block_id else {})] if elements else []


def button(label: str, action_id: str, value: str, *, style: str | None = None, confirm: Block | None = None) -> Block:
    """Build a button; *style* is `primary` or `danger`."""
    block: Block = {"type": "button", "text": plain(label), "action_id": action_id, "value": value}
    return block | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, yes: str, no: str, *, dangerous: bool = False) -> Block:
    """Build a dialog that asks before a button counts."""
    dialog = {"title": plain(title), "text": plain(shortened(text, 300)), "confirm": plain(yes), "deny": plain(no)}
    return dialog | ({"style": "danger"} if dangerous else {})


def plain(text: str) -> Block:
    """Build text that Slack shows without formatting."""
    return {"type": "plain_text", "text": text}


def weight(blocks: Iterable[Block]) -> int:
    """Count the characters in all texts of *blocks*."""
    return sum(map(_weight, blocks))


def _weight(part: Any) -> int:
    if isinstance(part, dict):
        return sum(len(value) if name == "text" and isinstance(value, str) else _weight(value)
                   for name, value in part.items())  # fmt: skip
    return sum(map(_weight, part)) if isinstance(part, list) else 0


def table(header: Sequence[str], rows: Iterable[Sequence[str]], most: int = TABLE_CHARACTERS) -> tuple[Block, int]:
    """Build a table of as many *rows* as fit into *most* characters as Slack counts them, and return how many fit."""
    shown = [_row(header)]
    used = sum(map(len, header))
    for row in rows:
        cells = [visible(cell, CELL_MOST) for cell in row]
        used += sum(len(escaped(cell)) for cell in cells)
        if len(shown) >= TABLE_ROWS or used > most:
            break
        shown.append(_row(cells))
    return {"type": "table", "rows": shown}, len(shown) - 1


def _row(cells: Sequence[str]) -> list[Block]:
    return [{"type": "raw_text", "text": cell} for cell in cells]


def message(text: str, blocks: list[Block]) -> dict[str, Any]:
    """Build a message; its `text` says the same to notifications and screen readers."""
    return {"text": cut(text, TEXT_MOST), "blocks": blocks}
