"""Logs: structlog events with stable names and fields, JSON for the journal of systemd, readable on a terminal.

Nothing personal is in them: credentials appear masked (`protocol.credential.masked`), and at debug level only. So a
traceback is a plain one, without the values of variables.

The last lines are kept in memory for a support bundle (`recent`): nobody at the center can read the box's own log.
"""

import logging
import os
import sys
import time
from collections import deque
from typing import Final

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

__all__ = ["FilteringBoundLogger", "configure", "recent"]

RECENT: Final = 200
_recent: deque[dict[str, object]] = deque(maxlen=RECENT)


def configure() -> FilteringBoundLogger:
    """The daemon's logger; `GATED_LOG=debug` shows more."""
    level = logging.DEBUG if os.environ.get("GATED_LOG", "").lower() == "debug" else logging.INFO
    terminal = sys.stderr.isatty()
    processors: list[Processor] = [structlog.processors.add_log_level, _keep]
    if terminal:
        processors += [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    else:
        processors += [
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def recent() -> list[dict[str, object]]:
    """The last lines, oldest first, without those of level debug: the fields, and `at`, POSIX seconds."""
    return list(_recent)


def _keep(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    if level != "debug":
        kept = {key: value for key, value in event.items() if key not in {"exc_info", "stack_info"}}
        _recent.append({"at": round(time.time(), 3), **kept})
    return event
