"""What Slack refuses in a message, and what a name from outside must not do in one."""

import re
from collections.abc import Iterator
from typing import Any

from handlers.views.blocks import weight
from sandbox.slack import check_message

Json = dict[str, Any]

TEXT_MOST = 4_000
"""chat.update refuses a longer `text`."""

BLOCKS_MOST = 10_000
"""Slack refuses about 12,000 characters in all blocks together (`msg_blocks_too_long`), however it counts."""

OURS = re.compile(
    r"<(?:@U_[A-Z]+|#C_[A-Z]+|!subteam\^S_[A-Z]+|!date\^\d+\^\{date_short_pretty\} \{time(?:_secs)?\}\|[\d :-]+ UTC)>"
)
"""What we ourselves put between angle brackets."""

LINK = re.compile(r"<https://keyturn\.slack\.com/[\w/]+\|asked for by>")


def complaints(message: Json) -> list[str]:
    """Say everything that Slack would refuse in *message*."""
    blocks = message.get("blocks") or []
    found = check_message(blocks)
    if not message["text"].strip() or len(message["text"]) > TEXT_MOST:
        found.append(f"text has {len(message['text'])} characters")
    if weight(blocks) > BLOCKS_MOST:
        found.append(f"the blocks have {weight(blocks)} characters")
    return found


def marked(part: Any) -> Iterator[str]:
    """Yield every text that Slack reads as mrkdwn."""
    if isinstance(part, dict):
        if part.get("type") == "mrkdwn":
            yield part["text"]
        for value in part.values():
            yield from marked(value)
    elif isinstance(part, list):
        for each in part:
            yield from marked(each)


def strays(message: Json) -> list[str]:
    """Return the texts with an angle bracket that is not ours: what it begins could ping or link."""
    texts = [message["text"], *marked(message.get("blocks") or [])]
    return [text for text in texts if re.search("[<>]", LINK.sub("", OURS.sub("", text)))]
