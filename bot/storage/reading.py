"""Parse a stored record, or say why this version cannot read it."""

from contextlib import suppress
from functools import lru_cache

import structlog
from pydantic import ValidationError

from bot.rotation.errors import NotOurRecord
from bot.rotation.record import Rotation
from bot.telemetry.metrics import UNREADABLE

log = structlog.get_logger("keyturn.store")

KEPT = 16
"""How many parsed records are cached."""

UNREADABLE_RECORD = (
    "This version of Keyturn cannot read the record of this rotation, so nothing was changed. Its log has an "
    "`unreadable_record` on it."
)

OTHER_STEPS = (
    "The record of this rotation names a step that this version of Keyturn does not know, so nothing was changed. "
    "Run the version that wrote it, or a newer one."
)


@lru_cache(maxsize=KEPT)
def _parsed(record: str) -> Rotation:
    """Parse a record; several jobs in a row read each version, and with 500 models parsing is most of their work."""
    return Rotation.model_validate_json(record)


def read(record: str) -> Rotation:
    """Parse a record, or raise `NotOurRecord`. Convert an older format here."""
    try:
        return _parsed(record)
    except ValidationError as error:
        steps = _unknown_steps(error)
        log.warning("unreadable_record", beginning=record[:60], problems=error.error_count(), unknown_steps=steps)
        UNREADABLE.inc()
        raise NotOurRecord(OTHER_STEPS if steps else UNREADABLE_RECORD) from None


def _unknown_steps(error: ValidationError) -> list[str]:
    """Return the steps in a record that this version does not have."""
    wrong = (problem for problem in error.errors() if problem["type"] == "enum")
    return [str(one["input"])[:40] for one in wrong if one["loc"][0] == "done" or one["loc"][-1] in ("step", "resume")]


def readable(record: str) -> Rotation | None:
    """Parse a record; return None if that fails, so that one unreadable record does not hide the others."""
    with suppress(NotOurRecord):
        return read(record)
    return None
