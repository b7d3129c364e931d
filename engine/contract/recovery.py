"""Getting an ops box back: a key on paper made in good times, and `recover` on an empty machine."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Paths, Result, _words


class MakePaperKey(Operation, frozen=True, kw_only=True):
    """Make a key to be printed and locked away: it opens the repository as a passphrase does."""

    out: Annotated[str, _words("the page to print; - is standard output", title="FILE", path=True)]
    label: Annotated[str, _words("where it will lie", title="TEXT")] = "paper"


class PaperKeyMade(Result, frozen=True, kw_only=True):
    """A key slot that a page opens. The key itself is on the page alone."""

    key: str
    label: str
    kdf: str
    out: str


class Recover(Operation, frozen=True, kw_only=True):
    """Rebuild a lost home from its repository, and bring many weddings back, those of the nearest days first."""

    sources: Annotated[
        Paths,
        _words("the hot store; of several regions each, as london=URL; warm=URL", title="URL", flag="--from"),
    ] = ()
    to: Annotated[str, _words("also restore weddings, each to a folder of its name in DIR", title="DIR", path=True)] = (
        ""
    )
    weddings: Annotated[Paths, _words("only these", title="WEDDING", flag="--wedding")] = ()
    overwrite: Annotated[Literal["never", "changed", "always"], _words("what to do where a file stands already")] = (
        "never"
    )
    dry_run: Annotated[bool, _words("only tell what would be restored, and in which order")] = False
    wait: Annotated[bool, _words("come back when all has ended (--no-wait: at once)")] = True


class RecoveredWedding(msgspec.Struct, frozen=True, rename="camel"):
    """A wedding in the order of recovery. Nothing fetched and no job where there is no snapshot."""

    name: str
    date: dt.date
    snapshot: str
    files: int
    bytes_restored: int
    packs: int = 0
    bytes_fetched: int = 0
    packs_recalled: int = 0  # of them, those that have to be recalled first
    job: str = ""
    state: str = ""
    code: str = ""  # of its error, where it failed
    message: str = ""


class Incomplete(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A wedding of which the stores that were named do not hold all copies."""

    name: str
    packs: int
    packs_missing: int  # no copy in any of them: what lies in these cannot be restored
    packs_short: int  # fewer copies than are kept


class Recovery(Result, frozen=True, kw_only=True):
    """What came back, and what has to be set again because a repository does not hold it."""

    repository: str
    url: str
    weddings: int
    restored: tuple[RecoveredWedding, ...] = ()
    set_again: tuple[str, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    bytes_restored: int = 0
    bytes_fetched: int = 0
    eta_s: float | None = None  # PROJECTED from the last drill; recalls are beside it
    recall_eta_s: float | None = None  # of the slowest: all are asked for at once
    cost: float = 0.0  # of the recalls
