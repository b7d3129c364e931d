"""Multipart uploads whose parts may go by several endpoints: one that breaks sends its parts on by another.

obstore keeps the upload of one object to one endpoint and begins it again elsewhere. Here the four calls are made by
hand (Amazon S3 API reference: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload),
signed as "Signature Version 4" says. Over HTTPS bodies go unsigned. Any thread.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import re
import urllib.parse
from collections.abc import Callable
from concurrent.futures import Executor
from xml.sax.saxutils import escape

import msgspec

from engine.base.clock import Clock
from engine.storage.stores.congestion import Congestion

_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_TIMEOUT_S = 30.0
_REPLY_BYTES_MAX = 1 << 20
Body = bytes | memoryview


class Refused(OSError):
    """The service answered, and not with success; the text has its status and its document."""


class Keys(msgspec.Struct, frozen=True):
    """Who asks, and where the service says it is."""

    access_key: str
    secret: str
    token: str
    region: str

    def __repr__(self) -> str:
        return "Keys(…)"


class Sender:
    """Signed calls about objects of one bucket by one endpoint."""

    def __init__(
        self, endpoint: str, bucket_and_prefix: str, *, keys: Keys, congestion: Congestion, clock: Clock
    ) -> None:
        """`endpoint`: `https://host:port`; `bucket_and_prefix`: what stands before each name."""
        parts = urllib.parse.urlsplit(endpoint)
        self._https = parts.scheme == "https"
        self._host = parts.netloc
        self._above = f"{parts.path.rstrip('/')}/{bucket_and_prefix}"
        self._keys = keys
        self._congestion = congestion
        self._clock = clock

    def begin(self, name: str) -> str:
        """The id of a new upload. Raises OSError."""
        found = _ID.search(self._ask("POST", name, {"uploads": ""}, b"")[1])
        if found is None:
            raise Refused("the answer to CreateMultipartUpload names no upload")
        return found[1].decode("ascii")

    def send(self, name: str, upload: str, number: int, body: Body) -> str:
        """Send one part; its tag. Raises OSError."""
        return self._ask("PUT", name, {"partNumber": str(number), "uploadId": upload}, body)[0]

    def complete(self, name: str, upload: str, tags: list[str]) -> None:
        """Make an object of the parts. Raises OSError."""
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, start=1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        reply = self._ask("POST", name, {"uploadId": upload}, body)[1]
        if b"<Error>" in reply:  # it may fail after it has answered 200
            raise Refused(f"status code: 500: {reply[:500]!r}")

    def abort(self, name: str, upload: str) -> None:
        """Forget the parts. Raises OSError."""
        self._ask("DELETE", name, {"uploadId": upload}, b"")

    def _ask(self, method: str, name: str, query: dict[str, str], body: Body) -> tuple[str, bytes]:
        """The tag and the document of the answer. Raises OSError, Refused for any answer but success."""
        path = urllib.parse.quote(f"{self._above}/{name}")
        text = "&".join(f"{key}={urllib.parse.quote(value, safe='')}" for key, value in sorted(query.items()))
        kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = kind(self._host, timeout=_TIMEOUT_S)
        try:
            connection.connect()
            self._congestion.settle(connection.sock)
            connection.request(method, f"{path}?{text}", body, self._signed(method, path, text, body))
            reply = connection.getresponse()
            document = reply.read(_REPLY_BYTES_MAX)
        except http.client.HTTPException as error:
            raise OSError(f"HTTP error: {error!r}") from error
        finally:
            connection.close()
        if reply.status not in (200, 204):
            raise Refused(f"status code: {reply.status}: {document[:500].decode('utf-8', 'replace')}")
        return reply.getheader("ETag", ""), document

    def _signed(self, method: str, path: str, query: str, body: Body) -> dict[str, str]:
        """The headers, signed ("Signature Version 4", header-based)."""
        moment = dt.datetime.fromtimestamp(self._clock.now_ns() / 1e9, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "host": self._host,
            "x-amz-content-sha256": _UNSIGNED if self._https else hashlib.sha256(body).hexdigest(),
            "x-amz-date": moment,
            **({"x-amz-security-token": self._keys.token} if self._keys.token else {}),
        }
        names = ";".join(sorted(headers))
        lines = "".join(f"{key}:{headers[key]}\n" for key in sorted(headers))
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{headers['x-amz-content-sha256']}"
        scope = f"{moment[:8]}/{self._keys.region}/s3/aws4_request"
        wanted = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self._keys.secret}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.digest(key, wanted.encode(), "sha256").hex()
        who = f"{self._keys.access_key}/{scope}"
        return headers | {
            "authorization": f"AWS4-HMAC-SHA256 Credential={who}, SignedHeaders={names}, Signature={signature}"
        }


By = Callable[[Callable[[Sender], str], int], str]  # do it by one endpoint after the other; the bytes that it moves


def upload(name: str, data: memoryview, part_bytes: int, by: By, executor: Executor) -> None:
    """Send an object in parts, several at once, each by whichever endpoint takes it. Raises what `by` raises."""
    begun = by(lambda sender: sender.begin(name), 0)

    def send(number: int) -> str:
        part = data[(number - 1) * part_bytes : number * part_bytes]
        return by(lambda sender: sender.send(name, begun, number, part), len(part))

    def end(sender: Sender) -> str:
        sender.complete(name, begun, tags)
        return ""

    def forget(sender: Sender) -> str:
        sender.abort(name, begun)
        return ""

    try:
        tags = list(executor.map(send, range(1, -(-len(data) // part_bytes) + 1)))
        by(end, 0)
    except BaseException:
        by(forget, 0)
        raise
