"""Logs: one line per event, without anything that a person typed.

Slack's libraries log whole request bodies, including the new secret: on a bad signature at INFO, for every frame at
DEBUG (facts/slack.md 2.1). The HTTP server quotes what it can't parse, which may be a body. So their log records keep
only the place, never the text, and their level is fixed whatever `LOG_LEVEL` says. Tracebacks never show local
variables.
"""

import logging
import sys
from typing import Any

import structlog

PINNED = (
    "slack_bolt", "slack_sdk", "aiohttp", "httpx", "httpcore", "saq", "asyncio", "stamina", "redis", "opentelemetry",
)  # fmt: skip
TALKATIVE = ("slack_bolt", "slack_sdk", "aiohttp.server")


class WhereOnly(logging.Filter):
    """Replaces the text of log records of libraries that handle requests with their place in the code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; remove the text, the arguments and the traceback from those of `TALKATIVE` libraries."""
        if record.name.startswith(TALKATIVE):
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "message"
            record.msg = f"{kind} at {record.module}:{record.lineno} (text left out: it can hold a request's body)"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def configure(level: str, style: str) -> None:
    """Set up structlog and the standard library's logging for this process."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_rendering(style)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    _configure_libraries([*shared, structlog.stdlib.add_logger_name], style)


def _rendering(style: str) -> list[Any]:
    if style == "console":
        plain = structlog.dev.plain_traceback  # with rich installed it would show local variables
        return [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _configure_libraries(shared: list[Any], style: str) -> None:
    """Render the libraries' logs the same way, from WARNING up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(WhereOnly())
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, *_rendering(style)])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)


def library_logger(name: str) -> logging.Logger:
    """Return a logger for Bolt or the Slack SDK with its own level: Bolt copies the root's level only once."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger
