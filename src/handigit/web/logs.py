"""The log: JSON, one event a line. What was read, pictures and file names never come into it.

It knows how a line looks; what is worth one is said where it happens.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any, Final

_OURS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """A record as one line of JSON; what is given as `extra` stands beside the event's name."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OURS}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__  # its words may quote what was read
        return _ENCODER.encode(line)


def log_lines(stream: IO[str] | None = None) -> None:
    """Send our events and the web server's warnings to standard error, one line each."""
    _leave_out_what_no_line_says()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    for name, level in (("handigit", logging.INFO), ("uvicorn", logging.WARNING), ("alembic", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").handlers[:] = [handler]


def _leave_out_what_no_line_says() -> None:
    """https://docs.python.org/3/howto/logging.html#optimization: together they take longer than the line itself."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    vars(logging)["logAsyncioTasks"] = False  # since Python 3.12
