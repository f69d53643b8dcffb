"""Turn exceptions into sentences for people; nothing else does."""

import secrets
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import structlog

from bot.rotation.errors import AmbiguousKey, ApiError, KeyturnError, Unanswerable, UnknownKey
from bot.rotation.holds import OnHold
from handlers.answers import Asker
from handlers.views.blocks import Block, code, plain, section, sentence, visible
from handlers.views.holding import refused

log = structlog.get_logger("keyturn.errors")

CHOOSE_KEY = "choose_key"
OPTIONS_MOST = 100

Listener = Callable[..., Awaitable[None]]


def explain(error: Exception) -> tuple[str, list[Block] | None]:
    """Return the answer to the person: a sentence, and blocks if there is something to press."""
    match error:
        case UnknownKey():
            return _unknown(error), None
        case AmbiguousKey():
            return _ambiguous(error)
        case OnHold():
            return refused(error), None
        case ApiError() | Unanswerable():  # it may contain names of environments and keys from outside
            return sentence(str(error)), None
        case KeyturnError():
            return str(error), None
        case _:
            reference = secrets.token_hex(4)
            log.error("listener_failed", reference=reference, kind=type(error).__name__, exc_info=_without_text(error))
            return f"Keyturn made a mistake here, and nothing was done. The log has it under `{reference}`.", None


def _without_text(error: Exception) -> Any:
    """Keep only the place: an exception's own text can contain what someone typed."""
    return (type(error), RuntimeError("text left out"), error.__traceback__)


def _unknown(error: UnknownKey) -> str:
    asked = f"Keyturn knows no provider key {code(error.asked)}."
    if not error.nearest:
        return f"{asked} `/rotate-key` alone shows a list to choose from."
    return f"{asked} Did you mean {' or '.join(code(name) for name in error.nearest)}?"


def _ambiguous(error: AmbiguousKey) -> tuple[str, list[Block]]:
    text = f"{len(error.choices)} provider keys match {code(error.asked)}. Which one?"
    if len(error.choices) > OPTIONS_MOST:
        text += f" These are the first {OPTIONS_MOST}; type more of its name to see others."
    options = [
        {"text": plain(visible(name, 75)), "value": key_id[:150], "description": plain(visible(key_id, 75))}
        for name, key_id in error.choices[:OPTIONS_MOST]
    ]
    menu = {"type": "static_select", "action_id": CHOOSE_KEY, "placeholder": plain("Which key"), "options": options}
    return text, [section(text), {"type": "actions", "elements": [menu]}]


def answered(listener: Listener) -> Listener:
    """Answer the person who typed or clicked if *listener* raises.

    The exception must be caught here: Bolt revokes an acknowledgement if a listener raises after it.
    """

    @wraps(listener)
    async def answering(**arguments: Any) -> None:
        try:
            await listener(**arguments)
        except Exception as error:  # noqa: BLE001 - tell the person about any error
            text, blocks = explain(error)
            answers, body = arguments["answers"], arguments["body"]
            await answers.tell(Asker.of(body), answers.trouble_behind(error) or text, blocks=blocks)

    return answering
