"""Logging as JSON lines, from the standard library (structlog would load rich into a headless engine)."""

from __future__ import annotations

import json
import logging
import logging.handlers
from pathlib import Path

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message, and whatever was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields: dict[str, object] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def log_nowhere() -> logging.Handler:
    """Drop all records, where nothing can be written. Returns the handler so that it can be removed."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    return handler


def log_to_file(path: Path, *, level: int = logging.INFO) -> logging.Handler:
    """Send all records to `path`, rotated at 10 MB, five kept. Returns the handler so that it can be removed."""
    import time

    handler = logging.handlers.RotatingFileHandler(path, maxBytes=10_000_000, backupCount=5, encoding="utf-8")
    formatter = JsonFormatter()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    return handler
