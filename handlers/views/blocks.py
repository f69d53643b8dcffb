"""Builders for Block Kit, and Slack's limits (facts: docs.slack.dev/block-kit)."""

import html
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

Block = dict[str, Any]

HEADER_MOST = 150
SECTION_MOST = 3000
TEXT_MOST = 3900
"""Characters of a message's `text`; chat.update refuses more than 4,000."""

TABLE_ROWS = 200
TABLE_CHARACTERS = 9000
"""Slack allows 20,000 characters in a data_table, and 10,000 in the plain table that takes its place."""

PAGE = 5
"""Rows that a table shows at once; the reader turns the pages."""

MESSAGE_MOST = 10_000
"""Characters in all blocks of a message. Slack documents no such limit, but refuses about 12,000
(`msg_blocks_too_long`, slackapi/bolt-js#2509), and counts more than the text."""

SMALL_PRINT_MOST = 1000

CELL_MOST = 200
NAME_MOST = 80

STATUS_MARKS = {"complete": "✔", "in_progress": "◔", "pending": "·", "error": "■"}
"""How plain text writes the status of a step in a `plan`."""

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


CLOCK = "{date_short_pretty} {time_secs}"
"""How every card writes a time: the reader's own, to the second."""


def when(moment: datetime) -> str:
    """Show a time in each reader's time zone."""
    return f"<!date^{int(moment.timestamp())}^{CLOCK}|{_fallback(moment)}>"


def countdown(moment: datetime) -> str:
    """Show a time and how far away it is when somebody looks: "16:02:00 (in 2 hours)"."""
    return f"<!date^{int(moment.timestamp())}^{CLOCK} ({{ago}})|{_fallback(moment)}>"


def minute(moment: datetime) -> str:
    """Show a time to the minute, for what is told of many things at once."""
    start = moment.replace(second=0, microsecond=0)
    return f"<!date^{int(start.timestamp())}^{{date_short_pretty}} {{time}}|{start:%Y-%m-%d %H:%M} UTC>"


def _fallback(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


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


def header(text: str) -> Block:
    """Build a heading; it has no formatting."""
    return {"type": "header", "text": plain(shortened(text, HEADER_MOST))}


def section(text: str, most: int = SECTION_MOST) -> Block:
    """Build a paragraph that is never folded."""
    return paragraph(text, most) | {"expand": True}


def paragraph(text: str, most: int = SECTION_MOST) -> Block:
    """Build a paragraph that every workspace takes; Slack folds it if it is long."""
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


def link_button(label: str, action_id: str, url: str) -> Block:
    """Build a button that opens *url*; Slack tells the app of the click all the same, and wants it acknowledged."""
    return {"type": "button", "text": plain(label), "action_id": action_id, "url": url}


def confirm(title: str, text: str, yes: str, no: str, *, dangerous: bool = False) -> Block:
    """Build a dialog that asks before a button counts."""
    dialog = {"title": plain(title), "text": plain(shortened(text, 300)), "confirm": plain(yes), "deny": plain(no)}
    return dialog | ({"style": "danger"} if dangerous else {})


def plain(text: str) -> Block:
    """Build text that Slack shows without formatting."""
    return {"type": "plain_text", "text": text}


TEXTS = frozenset({"text", "title", "caption", "categories", "label", "name", "x_label", "y_label"})
"""The properties whose strings people read."""


def weight(blocks: Iterable[Block]) -> int:
    """Count the characters in all texts of *blocks*."""
    return sum(map(_weight, blocks))


def _weight(part: Any) -> int:
    if isinstance(part, list):
        return sum(map(_weight, part))
    if not isinstance(part, dict):
        return 0
    return sum(_length(part, value) if name in TEXTS else _weight(value) for name, value in part.items())


def _length(part: Block, value: Any) -> int:
    """Count one text, or several, as Slack keeps them: with `&`, `<` and `>` as entities."""
    if isinstance(value, list):
        return sum(_length(part, each) for each in value)
    if not isinstance(value, str):
        return _weight(value)
    return len(value if part.get("type") == "mrkdwn" else escaped(value))


Cell = str | datetime
Row = Sequence[Cell]


def table(caption: str, header: Sequence[str], rows: Iterable[Row], most: int = TABLE_CHARACTERS) -> tuple[Block, int]:
    """Build a table of as many *rows* as fit into *most* characters, and return how many fit."""
    shown = [list(map(_cell, header))]
    used = weight([{"text": caption}, *shown[0]])
    for row in rows:
        cells = list(map(_cell, row))
        used += weight(cells)
        if len(shown) > TABLE_ROWS or used > most:
            break
        shown.append(cells)
    return {"type": "data_table", "caption": caption, "page_size": PAGE, "rows": shown}, len(shown) - 1


def _cell(value: Cell) -> Block:
    if isinstance(value, str):
        return {"type": "raw_text", "text": visible(value, CELL_MOST)}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [_date(value)]}]}


def _date(moment: datetime) -> Block:
    """Build a date that each reader sees in their own time zone."""
    return {"type": "date", "timestamp": int(moment.timestamp()), "format": CLOCK, "fallback": _fallback(moment)}


RICH = re.compile(
    r"<@(?P<user>\w+)>|<!subteam\^(?P<group>\w+)>|<!date\^(?P<at>\d+)\^[^|>]*\|(?P<said>[^>]*)>|`(?P<code>[^`]+)`"
)
"""What rich text needs an element of its own for."""


def rich(text: str) -> Block:
    """Turn our mrkdwn into rich text, which reads none of it in a name from outside."""
    elements: list[Block] = []
    end = 0
    for found in RICH.finditer(text):
        elements += [*_words(text[end : found.start()]), _element(found)]
        end = found.end()
    elements += _words(text[end:])
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}


def _words(text: str) -> list[Block]:
    shown = html.unescape(text).replace("*", "")
    return [{"type": "text", "text": shown}] if shown else []


def _element(found: re.Match[str]) -> Block:
    if found["user"]:
        return {"type": "user", "user_id": found["user"]}
    if found["group"]:
        return {"type": "usergroup", "usergroup_id": found["group"]}
    if found["at"]:
        return {"type": "date", "timestamp": int(found["at"]), "format": CLOCK, "fallback": found["said"]}
    return {"type": "text", "text": html.unescape(found["code"]), "style": {"code": True}}


def message(text: str, blocks: list[Block]) -> dict[str, Any]:
    """Build a message; its `text` says the same to notifications and screen readers."""
    return {"text": cut(text, TEXT_MOST), "blocks": blocks}
