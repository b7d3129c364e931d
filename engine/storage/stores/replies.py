"""What an object store's refusal means to the floors above: obstore's exceptions → one line and a hint. Pure.

The services answer with an HTTP status and an XML document with a code (Amazon S3 API reference, "Error responses");
obstore sorts a few of them and carries the rest as text.
"""

from __future__ import annotations

import re

from obstore import exceptions

from engine.base.errors import Conflict, IntegrityError, LimitReached, NotFound, NotPermitted, Unavailable, WedSyncError

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_CAUSE = re.compile(r"(?:HTTP error|IO error|source): ([^\n]{1,120})")
_FULL = frozenset({"QuotaExceeded", "ServiceQuotaExceededException", "XMinioStorageFull", "InsufficientStorage"})
_ROLE = re.compile(r"http://169\.254\.(?:169\.254|170\.2)/")  # where a machine asks for the keys of its role
_KEYS = "check the access key, its secret and what they may do in the bucket"


class Archived(Unavailable):
    """An object that has to be recalled before it can be read; nothing is wrong with its store."""


def explain_reply(error: Exception, *, name: str, url: str) -> WedSyncError:
    """The error that a caller of the store at `url` sees for `error`, which a call about `name` met."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    if code == "NoSuchBucket":
        return NotFound(f"the bucket of {url} is not there", "check the URL, or make the bucket first")
    if isinstance(error, (FileNotFoundError, exceptions.NotFoundError)):
        return NotFound(f"{name} is not in the store")
    if isinstance(error, (exceptions.AlreadyExistsError, exceptions.PreconditionError)):
        return Conflict(f"{name} is in the store already")
    if code == "InvalidObjectState":
        return Archived(f"{name} lies in an archive class of {url}", "recall its wedding first")
    if _ROLE.search(text):
        return NotPermitted(
            f"there are no credentials for the store {url}, and this machine has no role that gives any",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in the URL",
        )
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)) or status in (401, 403):
        return NotPermitted(f"the store {url} refuses ({code or status or 'no credentials'})", _KEYS)
    if code in _FULL or status == 507:
        return LimitReached(f"the store {url} is full ({code or status})", "free some space there, or raise its quota")
    if code == "InvalidRange" or status == 416:
        return IntegrityError(f"{name} ends before what was to be read of it", "run verify")
    return Unavailable(
        f"the store {url} does not answer ({_reason(text, code, status)})", "check it and the line to it"
    )


def _reason(text: str, code: str, status: int) -> str:
    if code or status:
        return " ".join(str(part) for part in (status or "", code) if part)
    cause = _CAUSE.search(text)
    return cause[1].strip() if cause else text.partition("\n")[0][:120]
