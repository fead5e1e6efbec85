"""Logs: structlog events with stable names and fields, JSON for the journal of systemd, readable on a terminal.

Nothing personal is in them: no event lines, no credentials, no database values.
"""

import logging
import os
import sys

import structlog
from structlog.typing import FilteringBoundLogger, Processor


def configure() -> FilteringBoundLogger:
    """The program's logger; `GATED_LOG=debug` shows more."""
    level = logging.DEBUG if os.environ.get("GATED_LOG", "").lower() == "debug" else logging.INFO
    processors: list[Processor] = [structlog.processors.add_log_level]
    if sys.stderr.isatty():
        processors += [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), structlog.dev.ConsoleRenderer()]
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
    )
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger
