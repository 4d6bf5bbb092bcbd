"""The log: one JSON object per line. Readings, pictures and file names never appear in it."""

import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter


class EventFormatter(JsonFormatter):
    """`time`, `level` and `event` first, then the record's `extra`; an exception is named by its class only."""

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:  # noqa: ARG002
        """Fill one line."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["event"] = record.getMessage()
        super().add_fields(log_data, record, {})  # without message_dict: a traceback may quote a reading
        if record.exc_info and record.exc_info[0]:
            log_data["error"] = record.exc_info[0].__name__


def configure_logging(stream: IO[str] | None = None) -> None:
    """Write every logger's records to standard error: our own from INFO, those of libraries from WARNING."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter(reserved_attrs=_RESERVED, json_ensure_ascii=False, json_default=str))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("handigit", "uvicorn", "alembic", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("handigit").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


_RESERVED = [*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"]
