"""What a backup leaves out: patterns as in .gitignore, from the request and from `.wedsyncignore` files.

Patterns of the request count below each source and win over those of files; the ignore file of a folder counts
below it and wins over those above; in one list the last pattern that matches decides. Names are bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

IGNORE_FILE = b".wedsyncignore"
IGNORE_FILE_BYTES_MAX = 1 << 20


class Excludes:
    """The patterns in force inside one folder; made for a source, then handed down. Immutable."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """The patterns of a request, inside a source folder. An invalid pattern matches nothing, as in git."""
        raise NotImplementedError

    def excludes(self, name: bytes, *, is_folder: bool) -> bool:
        """Is `name` in this folder left out?"""
        raise NotImplementedError

    def below(self, name: bytes) -> Excludes:
        """What is in force inside the folder `name`, before its own ignore file."""
        raise NotImplementedError

    def with_ignore_file(self, text: bytes) -> Excludes:
        """The same folder, with the contents of its ignore file."""
        raise NotImplementedError
