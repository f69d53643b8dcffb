"""Try the blocks of a card without sending them, for `keyturn check`."""

from collections.abc import Sequence

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack import UNREACHABLE, complaints_of, reason_of
from handlers.views.blocks import Block, actions, button, context, plain, section
from handlers.views.plainer import blamed

CELL, VALUE = {"type": "raw_text", "text": "model"}, {"label": "14:02", "value": 1}
LINE = {
    "type": "line",
    "axis_config": {"categories": ["14:02"]},
    "series": [{"name": "old key", "data": [VALUE]}, {"name": "new key", "data": [VALUE]}],
}
SPECIMENS: Sequence[Block] = (
    {"type": "header", "level": 2, "text": plain("a state")},
    {**section("an alarm"), "expand": True},
    *actions([button("Roll back", "roll_back", "an id")]),
    {"type": "data_visualization", "title": "requests", "chart": LINE},
    {"type": "data_table", "caption": "models", "page_size": 5, "row_header_column_index": 0, "rows": [[CELL], [CELL]]},
    {
        "type": "plan",
        "title": "steps",
        "tasks": [{"type": "task_card", "task_id": "a", "title": "a step", "status": "pending"}],
    },
    context("small print"),
)
"""One of each block that cards and their threads have; of tables the newer one alone, as a message has only one."""


async def refused_blocks(slack: AsyncWebClient) -> frozenset[str] | None:
    """Return which blocks the workspace does not take yet; None if Slack does not tell."""
    try:
        await slack.blocks_validate(blocks=list(SPECIMENS))
    except SlackApiError as error:
        if reason_of(error) != "invalid_blocks":  # as `unknown_method`
            return None
        return blamed(SPECIMENS, complaints_of(error)) or frozenset({"card"})
    except UNREACHABLE:
        return None
    return frozenset()
