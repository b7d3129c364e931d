"""One golden vector as a file: a header for people, an empty line, then the bytes of one object.

    expect: ok | integrity | wrong-passphrase        the code of the error, as in docs/errors.md
    kind: config | pack | ...                        what it is to be read as
    comment: what it shows
    layer: seal | payload                            where a failure lies: any reader sees the first
    random: ok | integrity                           packs only: what reading every record by itself gives
    payload: BLAKE3 of what it opens to              when it opens
    name, passphrase, master, wedding, identity, sealing: what it takes to open it
    gap: OFFSET LENGTH                               zero bytes that are left out below

Pure; used by `make` and the tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("vectors")
_SUFFIX = ".vec"
_GAP_BYTES_MIN = 64
_FIELDS = (
    "expect", "kind", "comment", "layer", "random", "payload", "name", "passphrase", "master", "wedding", "identity",
    "sealing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector; secrets in hex, empty where they are not needed."""

    title: str
    data: bytes
    expect: str
    kind: str
    comment: str
    layer: str = ""
    random: str = ""
    payload: str = ""
    name: str = ""
    passphrase: str = ""
    master: str = ""
    wedding: str = ""
    identity: str = ""
    sealing: str = ""  # one secret an epoch, from 1 on, with spaces between

    def encode(self) -> bytes:
        """The file."""
        lines = [f"{field}: {getattr(self, field)}" for field in _FIELDS if getattr(self, field)]
        body = b""
        at = 0
        for zeros in re.finditer(rb"\0{%d,}" % _GAP_BYTES_MIN, self.data):
            lines.append(f"gap: {zeros.start()} {len(zeros[0])}")
            body += self.data[at : zeros.start()]
            at = zeros.end()
        return "\n".join([*lines, "", ""]).encode() + body + self.data[at:]


def decode(title: str, raw: bytes) -> Vector:
    """The vector in a file. Raises ValueError for a header it does not know."""
    head, _, data = raw.partition(b"\n\n")
    fields: dict[str, str] = {}
    for line in head.decode().split("\n"):
        key, _, value = line.partition(": ")
        if key == "gap":
            offset, length = map(int, value.split())
            data = data[:offset] + bytes(length) + data[offset:]
        elif key in _FIELDS and key not in fields:
            fields[key] = value
        else:
            raise ValueError(f"{title}: {line!r} is not a header of a vector")
    return Vector(title=title, data=data, **fields)


def path_of(title: str) -> Path:
    """Where a vector is kept."""
    return FOLDER / f"{title}{_SUFFIX}"


def titles() -> list[str]:
    """All vectors kept."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in FOLDER.iterdir())


def load(title: str) -> Vector:
    """A vector that is kept."""
    return decode(title, path_of(title).read_bytes())
