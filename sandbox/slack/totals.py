"""What Slack refuses of blocks taken together, though each of them is good. Pure."""

import html
from collections.abc import Collection, Iterator
from typing import Any

from sandbox.slack.checks import Json, problem, unique
from sandbox.slack.reading import cells

BLOCKS_TEXT = 13_200
"""The most characters of all blocks of a message together; undocumented, and some were refused at 11,341."""

MARKDOWN_TEXT = 12_000
TABLE_TEXT = {"table": 10_000, "data_table": 20_000}
CHARTS = 2

_WORDS = {
    *("accessibility_label", "alt_text", "caption", "categories", "fallback"),
    *("label", "name", "text", "title", "x_label", "y_label"),
}
"""The properties whose strings count; nobody outside Slack knows its sum, so we count all that is shown or read out."""


def weight(part: Any) -> int:
    """Count the characters of everything shown in *part*, as Slack keeps it: `&`, `<` and `>` as entities."""
    if isinstance(part, list):
        return sum(map(weight, part))
    if not isinstance(part, dict):
        return 0
    return sum(_counted(part, value) if name in _WORDS else weight(value) for name, value in part.items())


def _counted(part: Json, value: Any) -> int:
    if isinstance(value, list):
        return sum(_counted(part, each) for each in value)
    if not isinstance(value, str):
        return weight(value)
    return len(value if part.get("type") == "mrkdwn" else html.escape(value, quote=False))


def flat(blocks: list[Json]) -> list[Json]:
    """Return the blocks and those in containers."""
    return [each for block in blocks for each in (block, *block.get("child_blocks", []))]


def not_there_yet(blocks: Any, at: str, missing: Collection[str]) -> Iterator[str]:
    """Refuse the block types, and properties as `header.level`, that a workspace does not have yet."""
    for place, block in enumerate(blocks if missing and isinstance(blocks, list) else ()):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in missing:
            yield problem(f"{at}/{place}/type", f"unsupported block type: {kind}")
        for name in block if isinstance(block, dict) else ():
            if f"{kind}.{name}" in missing:
                yield problem(f"{at}/{place}", f"invalid additional property: {name}")


def same_ids(blocks: list[Json], at: str) -> Iterator[str]:
    """Refuse two blocks with the same block_id."""
    yield from unique("block_id", flat(blocks), at)


def too_many(blocks: list[Json], at: str) -> Iterator[str]:
    """Refuse a second plan, a third chart, and too long a text in tables or markdown."""
    kinds = [block["type"] for block in flat(blocks)]
    if kinds.count("plan") > 1:
        yield problem(at, "Cannot have more than 1 plan block")
    if kinds.count("data_visualization") > CHARTS:
        yield problem(at, f"no more than {CHARTS} data_visualization blocks allowed")
    for kind, most in TABLE_TEXT.items():
        written = sum(len(cell) for table in _tables(blocks, kind) for row in cells(table) for cell in row)
        if written > most:
            yield problem(at, f"text of a {kind} must be at most {most} characters (there are {written})")
    marked = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if marked > MARKDOWN_TEXT:
        yield problem(at, f"markdown must be at most {MARKDOWN_TEXT} characters in all (there are {marked})")


def second_table(blocks: list[Json], at: str) -> Iterator[str]:
    """Refuse two tables of either kind in one message."""
    if len(_tables(blocks, *TABLE_TEXT)) > 1:
        yield problem(at, "only_one_table_allowed")


def too_long(blocks: list[Json], at: str, most: int = BLOCKS_TEXT) -> Iterator[str]:
    """Refuse too much text in all blocks together."""
    if (shown := weight(blocks)) > most:
        yield problem(at, f"all blocks together must be at most {most} characters (there are {shown})")


def _tables(blocks: list[Json], *kinds: str) -> list[Json]:
    return [block for block in flat(blocks) if block["type"] in kinds]
