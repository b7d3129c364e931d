"""The URL of a bucket → what talks to it: `s3://bucket/prefix?endpoint=https://…&region=…&profile=…&congestion=…`.

`endpoint` may be given several times, or with commas: ways to the same bucket, which take over from each other.
Credentials are never part of the URL, since URLs are shown and logged: they come from the environment
(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, …) or, with `profile`, from the file that
`AWS_SHARED_CREDENTIALS_FILE` names, else `~/.aws/credentials`.
"""

from __future__ import annotations

import configparser
import os
import re
import urllib.parse
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from obstore.store import S3Store

from engine.base.clock import Clock
from engine.base.errors import NotFound, UsageError
from engine.storage.stores import congestion
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.cloud import CloudStore
from engine.storage.stores.endpoints import Endpoint, Endpoints
from engine.storage.stores.names import is_part
from engine.storage.stores.objects import Bucket
from engine.storage.stores.parts import Keys, Sender

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OPTIONS = ("endpoint", "region", "profile", "congestion", "checksum")
_HINT = "write it as s3://bucket/prefix?endpoint=https://host&region=name&profile=name&congestion=bbr&checksum=sha256"

# A call that has brought nothing for so long is over; retries wait 0.2 s, 0.4 s, … with jitter, for a minute in all.
_CLIENT: ClientConfig = {"connect_timeout": timedelta(seconds=5), "read_timeout": timedelta(seconds=30)}
_RETRIES: RetryConfig = {
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
}
_RETRIES_OF_SEVERAL: RetryConfig = {  # of endpoints: the next one is a better try than the same one later
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(milliseconds=500), "base": 2},
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=10),
}


class Address(msgspec.Struct, frozen=True):
    """A URL taken apart."""

    bucket: str
    prefix: str  # without slashes around it
    options: dict[str, str]
    ways: tuple[str, ...]  # its endpoints, at least one; empty: Amazon's own
    shown: str


def open_bucket(url: str, clock: Clock) -> CloudStore:
    """The store at `url`. Asks the service for one listing, so that what is wrong is told at once.

    Raises UsageError, NotFound (no such bucket), NotPermitted, Unavailable.
    """
    address = address_of(url)
    if not all(map(is_part, filter(None, address.prefix.split("/")))):
        raise UsageError(f"{address.shown} does not name a place for a store", "use a-z, 0-9, dot, dash, underscore")
    wanted = address.options.get("congestion", congestion.WANTED)
    endpoints = []
    for way in address.ways:
        shown = way or _endpoint_of_aws(address.options)
        client = _client(address, address.prefix, way)
        keys = _keys(address.options)
        above = "/".join(filter(None, (address.bucket, address.prefix)))
        control = congestion.Congestion(shown, wanted, clock)
        sender = None
        if keys is not None and way:
            sender = Sender(shown.rstrip("/"), above, keys=keys, congestion=control, clock=clock)
        endpoints.append(Endpoint(shown, client, Breaker(clock), control, sender=sender))
    store = CloudStore(Endpoints(endpoints, store_url=address.shown, clock=clock), url=address.shown)
    store.probe()
    return store


def open_objects(url: str, clock: Clock) -> tuple[Bucket, str]:
    """The bucket at `url`, for objects that are not ours, and the prefix (percent-decoded) of those that are meant.

    Of several endpoints the first is used. Raises UsageError; nothing is asked yet.
    """
    address = address_of(url)
    prefix = urllib.parse.unquote(address.prefix, errors="surrogateescape")
    parts = prefix.split("/") if prefix else []
    if any(part in ("", ".", "..") for part in parts) or not prefix.isprintable():
        raise UsageError(f"{address.shown} does not name a prefix of keys", "write it without empty parts, . and ..")
    client = _client(address, "", address.ways[0])
    return Bucket(client, name=address.bucket, url=address.shown, breaker=Breaker(clock)), prefix


def address_of(url: str) -> Address:
    """A URL taken apart; nothing is asked. Raises UsageError."""
    parts = urllib.parse.urlsplit(url)
    given = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    if "@" in parts.netloc:
        raise UsageError("the URL of a store carries no credentials", "give them by the environment, or name a profile")
    if not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise UsageError(f"s3://{parts.netloc}{parts.path} does not name a bucket", _HINT)
    if strange := [name for name in options if name not in _OPTIONS]:
        raise UsageError(f"the URL of a store has no {strange[0]!r}", _HINT)
    wanted = options.get("congestion", congestion.WANTED)
    if wanted not in congestion.CHOICES:
        raise UsageError(f"congestion is one of {', '.join(congestion.CHOICES)}, not {wanted!r}", _HINT)
    ways = tuple(each for name, text in given if name == "endpoint" for each in text.split(","))
    return Address(parts.netloc, parts.path.strip("/"), options, ways or ("",), _shown(parts))


def _client(address: Address, prefix: str, way: str) -> S3Store:
    return S3Store(
        address.bucket,
        prefix=prefix or None,
        config=_config(way, address.options),
        client_options={**_CLIENT, "allow_http": way.startswith("http://")},
        retry_config=_RETRIES_OF_SEVERAL if len(address.ways) > 1 else _RETRIES,
    )


def _endpoint_of_aws(options: dict[str, str]) -> str:
    """Where obstore goes when no endpoint is named."""
    return os.environ.get("AWS_ENDPOINT_URL") or f"https://s3.{_region(options)}.amazonaws.com"


def _region(options: dict[str, str]) -> str:
    named = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or "us-east-1"


def _keys(options: dict[str, str]) -> Keys | None:
    """Keys of a profile or of the environment; None where obstore finds others (of the machine's role)."""
    if "profile" in options:
        return Keys(*_credentials(options["profile"]), _region(options))
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return None
    return Keys(key, secret, os.environ.get("AWS_SESSION_TOKEN", ""), _region(options))


def _shown(parts: urllib.parse.SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), parts.query, ""))


def _config(endpoint: str, options: dict[str, str]) -> S3Config:
    config: S3Config = {}
    if endpoint or "endpoint" in options:
        if not endpoint.startswith(("http://", "https://")) or "@" in endpoint:
            raise UsageError("the endpoint of a store is http:// or https:// and a host, without credentials", _HINT)
        config["endpoint"] = endpoint.rstrip("/")
        config["unsigned_payload"] = endpoint.startswith("https://")  # what is stored proves itself, and TLS its way
    if "region" in options:
        config["region"] = options["region"]
    if "checksum" in options:  # which a bucket with Object Lock insists on
        if options["checksum"] != "sha256":
            raise UsageError(f"the URL of a store has no checksum {options['checksum']!r}, but sha256", _HINT)
        config["checksum_algorithm"] = "SHA256"
    if "profile" in options:
        key, secret, token = _credentials(options["profile"])
        config["access_key_id"], config["secret_access_key"] = key, secret
        if token:
            config["session_token"] = token
    return config


def _credentials(profile: str) -> tuple[str, str, str]:
    """Access key, secret and session token of a profile. Raises NotFound, UsageError."""
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        section = parser[profile]
        return section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token", "")
    except OSError as error:
        raise NotFound(f"the credentials {path} cannot be read: {error.strerror}", "see profile in the URL") from None
    except KeyError:
        raise NotFound(f"{path} has no whole profile {profile!r}", "it needs a key id and a secret") from None
    except (configparser.Error, UnicodeDecodeError):
        raise UsageError(f"{path} is not a credentials file", "see the AWS documentation of it") from None
