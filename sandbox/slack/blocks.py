"""The blocks that Slack accepts, one entry per type."""

from collections.abc import Iterator

from sandbox.slack.charts import CHART
from sandbox.slack.checks import (
    Check,
    Json,
    anything,
    at_least_one_of,
    boolean,
    choice,
    integer,
    many,
    nullable,
    number,
    problem,
    shape,
    string,
    typed,
    unique,
)
from sandbox.slack.elements import (
    IDENTIFIER,
    IMAGE_ELEMENT,
    IN_ACTIONS,
    IN_CONTEXT,
    IN_INPUT,
    IN_SECTION,
    URL,
    distinct_actions,
    plain,
    text,
)

BLOCK_ID: dict[str, Check] = {"block_id": IDENTIFIER}


def block(required: dict[str, Check], optional: dict[str, Check] | None = None, *rules: Check) -> Check:
    """Check a block; every block may have a block_id."""
    return shape(required, {**BLOCK_ID, **(optional or {})}, *rules)


STYLE = shape({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean))
STYLED: dict[str, Check] = {"style": STYLE}
INLINE = typed(
    "rich text element",
    {
        "text": shape({"text": string(40_000)}, STYLED),
        "link": shape({"url": URL}, {**STYLED, "text": string(40_000), "unsafe": boolean}),
        "emoji": shape({"name": string(255)}, {**STYLED, "unicode": string(255)}),
        "user": shape({"user_id": IDENTIFIER}, STYLED),
        "usergroup": shape({"usergroup_id": IDENTIFIER}, STYLED),
        "channel": shape({"channel_id": IDENTIFIER}, STYLED),
        "broadcast": shape({"range": choice("here", "channel", "everyone")}),
        "color": shape({"value": string(255)}),
        "date": shape(
            {"timestamp": integer(0, 9_999_999_999), "format": string(255)},
            {**STYLED, "url": URL, "fallback": string(255), "timezone": string(255)},
        ),
    },
)
INLINES: dict[str, Check] = {"elements": many(INLINE, 1000)}
BORDER: dict[str, Check] = {"border": integer(0, 1)}
SECTION_OF_RICH_TEXT = shape(INLINES)
RICH_TEXT_PART = typed(
    "rich text",
    {
        "rich_text_section": SECTION_OF_RICH_TEXT,
        "rich_text_quote": shape(INLINES, BORDER),
        "rich_text_preformatted": shape(INLINES, {**BORDER, "language": string(255)}),
        "rich_text_list": shape(
            {"elements": many(SECTION_OF_RICH_TEXT, 1000), "style": choice("bullet", "ordered")},
            {**BORDER, "indent": integer(0, 8), "offset": integer(0, 10_000)},
        ),
    },
)
RICH_TEXT = typed("rich text", {"rich_text": block({"elements": many(RICH_TEXT_PART, 1000)})})
CELL = typed(
    "table cell",
    {
        "raw_text": shape({"text": string(10_000)}),
        "raw_number": shape({"value": number}, {"text": string(10_000)}),
        "rich_text": RICH_TEXT,
    },
)
COLUMN = shape({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean})
DATA_CELL = typed(
    "table cell",
    {
        "raw_text": shape({"text": string(20_000)}),
        "raw_number": shape({"value": number, "text": string(20_000)}),
        "rich_text": RICH_TEXT,
    },
)


def _even(table: Json, at: str) -> Iterator[str]:
    """Refuse rows of unequal length, formatted cells in the header, and a row header that no column is."""
    columns = len(table["rows"][0])
    for index, row in enumerate(table["rows"]):
        if len(row) != columns:
            yield problem(f"{at}/rows/{index}", f"must have as many cells as the first row ({columns})")
    for place, cell in enumerate(table["rows"][0]):
        if cell["type"] == "rich_text":
            yield problem(f"{at}/rows/0/{place}", "a header cell must not be rich_text")
    if table.get("row_header_column_index", 0) >= columns:
        yield problem(f"{at}/row_header_column_index", f"must be less than {columns}")


SOURCE = typed("source", {"url": shape({"url": URL, "text": string(3000)})})
TASK: dict[str, Check] = {"task_id": IDENTIFIER, "title": string(3000)}
TASK_MORE: dict[str, Check] = {
    "details": RICH_TEXT,
    "output": RICH_TEXT,
    "sources": many(SOURCE, 50),
    "icon": typed("icon", {"icon": shape({"name": string(255)})}),
    "hide_title": boolean,
}
BEGUN = ("in_progress", "complete", "error")


def task(*statuses: str) -> Check:
    """Check a task_card that may have one of these statuses; on its own it has to have begun."""
    return block({**TASK, "status": choice(*statuses)}, TASK_MORE)


def _told_apart(plan: Json, at: str) -> Iterator[str]:
    yield from unique("task_id", plan.get("tasks", []), f"{at}/tasks")


def _picture(value: Json, at: str) -> Iterator[str]:
    if ("image_url" in value) == ("slack_file" in value):
        yield problem(at, "must have either image_url or slack_file")


BLOCKS: dict[str, Check] = {
    "actions": block({"elements": many(typed("element", IN_ACTIONS), 25)}, {}, distinct_actions),
    "alert": block({"text": text(200)}, {"level": choice("default", "info", "warning", "error", "success")}),
    "context": block({"elements": many(typed("element", IN_CONTEXT), 10)}),
    "divider": block({}),
    "data_table": block(
        {"caption": string(3000), "rows": many(many(DATA_CELL, 20), 201, 2)},
        {"page_size": integer(1, 100), "row_header_column_index": integer(0, 19)},
        _even,
    ),
    "data_visualization": block({"title": string(50), "chart": CHART}),
    "header": block({"text": plain(150)}, {"level": integer(1, 4)}),
    "image": block(
        {"alt_text": string(2000)}, {"image_url": URL, "slack_file": anything, "title": plain(2000)}, _picture
    ),
    "input": block(
        {"label": plain(2000), "element": typed("element", IN_INPUT)},
        {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "markdown": block({"text": string(12_000)}),
    "plan": block(
        {"title": string(3000)}, {"tasks": many(task("pending", *BEGUN), 50), "status": anything}, _told_apart
    ),
    "rich_text": RICH_TEXT,
    "section": block(
        {},
        {
            "text": text(3000),
            "fields": many(text(2000), 10),
            "accessory": typed("element", IN_SECTION),
            "expand": boolean,
        },
        at_least_one_of("text", "fields"),
    ),
    "table": block({"rows": many(many(CELL, 20), 100)}, {"column_settings": many(nullable(COLUMN), 20)}),
    "task_card": task(*BEGUN),
}
IN_ALL = frozenset({"actions", "context", "divider", "header", "image", "input", "rich_text", "section"})
IN_MODAL = IN_ALL | {"alert"}
IN_MESSAGE = frozenset(BLOCKS) - {"alert"}
IN_HOME = frozenset(BLOCKS) - {"alert", "data_table", "markdown", "plan", "table", "task_card"}
"""Slack's pages list tables for Home, and its clients do not draw them there: here they are refused."""

IN_CONTAINER = IN_ALL | {"table"}


def container() -> Check:
    """Check a container; its children are ordinary blocks, one level deep."""
    children = {kind: BLOCKS[kind] for kind in IN_CONTAINER}
    return block(
        {"child_blocks": many(typed("block", children), 10)},
        {
            "title": plain(150),
            "rich_text_title": RICH_TEXT,
            "subtitle": text(150),
            "width": choice("narrow", "standard", "wide", "full"),
            "icon": IMAGE_ELEMENT,
            "is_collapsible": boolean,
            "default_collapsed": boolean,
            "has_header_divider": boolean,
        },
        at_least_one_of("title", "rich_text_title"),
    )


BLOCKS["container"] = container()
IN_MESSAGE |= {"container"}
IN_HOME |= {"container"}
