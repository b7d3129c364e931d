"""The error tree: seven classes, told apart by what the person or program that meets one should do.

Each class maps to an exit code and an HTTP status (docs/errors.md lists them; a test compares). What
goes wrong with a single file of a backup is a value in the result, never an exception.
"""

from __future__ import annotations

from typing import ClassVar


class WedSyncError(Exception):
    """A failure with one line for people (`message`), a `hint` of what to do, and a stable `code` for programs."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def line(self) -> str:
        """The one line a person reads: what is wrong, then what to do."""
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return " ".join(text.split())


class UsageError(WedSyncError):
    """The request itself is wrong: unknown verb, bad date, missing argument. Ask again, corrected."""

    code = "usage"
    exit_code = 2
    http_status = 400


class NotFound(WedSyncError):
    """What was named is not there: wedding, snapshot, job, path, object."""

    code = "not-found"
    exit_code = 1
    http_status = 404


class NotPermitted(WedSyncError):
    """The caller may not do this: role, file permission, read-only store."""

    code = "not-permitted"
    exit_code = 4
    http_status = 403


class WrongPassphrase(NotPermitted):
    """No key slot opens with this passphrase."""

    code = "wrong-passphrase"
    http_status = 401


class Conflict(WedSyncError):
    """It is there already, or somebody else changed it first."""

    code = "conflict"
    exit_code = 1
    http_status = 409


class Unavailable(WedSyncError):
    """It may work later: a store that does not answer, an engine that is starting. The only class that is retried."""

    code = "unavailable"
    exit_code = 1
    http_status = 503


class LimitReached(WedSyncError):
    """A bound is reached: disk full, queue full, quota."""

    code = "limit-reached"
    exit_code = 1
    http_status = 507


class IntegrityError(WedSyncError):
    """Bytes are not what was written: damage, forgery, or an object put where it does not belong."""

    code = "integrity"
    exit_code = 5
    http_status = 500


EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WARNINGS = 3
EXIT_NOT_PERMITTED = 4
EXIT_INTEGRITY = 5

# What a chain of commands ends with when several ended badly: the gravest, in this order.
EXIT_GRAVITY: tuple[int, ...] = (
    EXIT_DONE,
    EXIT_WARNINGS,
    EXIT_FAILED,
    EXIT_USAGE,
    EXIT_NOT_PERMITTED,
    EXIT_INTEGRITY,
)
