"""Logs: structlog events with stable names and fields, JSON for the journal of systemd, readable on a terminal.

Nothing personal is in them: credentials appear masked (`protocol.credential.masked`), and at debug level only. So a
traceback is a plain one, without the values of variables.
"""

import logging
import os
import sys

import structlog
from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["FilteringBoundLogger", "configure"]


def configure() -> FilteringBoundLogger:
    """The daemon's logger; `GATED_LOG=debug` shows more."""
    level = logging.DEBUG if os.environ.get("GATED_LOG", "").lower() == "debug" else logging.INFO
    terminal = sys.stderr.isatty()
    processors: list[Processor] = [structlog.processors.add_log_level]
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
