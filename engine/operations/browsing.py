"""snapshots, browse, find, diff: what is kept, down to a file.

The handlers run on the loop; reading manifests runs on the executor, in walk order, a segment in memory.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, NoReturn, TypeVar

import msgspec

from engine.base.errors import IntegrityError, NotFound, UsageError
from engine.contract import operations as ops
from engine.operations.context import Engine, Handler
from engine.operations.rows import entry_row, is_below, is_folder, path_bytes, snapshot_summary
from engine.repository.entry import FILE, SYMLINK, Entry, path_text
from engine.repository.manifest import Damaged, telling
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

T = TypeVar("T")
Change = Literal["added", "removed", "contents", "metadata", "type"]

_SKIPPED_MAX = 4096  # entries below a folder that is not listed, before the reader jumps over the rest


async def with_vault(
    engine: Engine, name: str, read: Callable[[WeddingVault], T], *, nothing: Callable[[], T] | None = None
) -> T:
    """What `read` gives of the vault of the wedding called `name`; it runs on the executor. Raises NotFound.

    `nothing` is asked instead where nothing was ever stored of it: a vault would begin with making its key, which
    cannot be written where the repository can only be read.
    """
    wedding = engine.facts.find(name)
    repository = await engine.opening.needed()

    def opened() -> T:
        if nothing is not None and repository.is_untouched(wedding.id):
            return nothing()
        with repository.vault(wedding.id) as vault:
            return read(vault)

    return await engine.offload.run(wedding.id, opened)


def no_snapshot() -> NoReturn:
    """Raise NotFound for a wedding of which nothing was ever stored."""
    raise NotFound("this wedding has no snapshot yet", "make one with backup")


async def snapshots(engine: Engine, operation: ops.ListSnapshots) -> ops.SnapshotList:
    """See `ops.ListSnapshots`."""

    def read(vault: WeddingVault) -> tuple[list[Snapshot], tuple[str, ...]]:
        return vault.snapshots(partial=operation.partial), vault.damaged_snapshots("")

    found, warnings = await with_vault(engine, operation.wedding, read, nothing=lambda: ([], ()))
    wanted = set(operation.tags)
    wedding = engine.facts.find(operation.wedding)
    told = engine.regional.safe_snapshots(wedding.id)
    rows = tuple(
        msgspec.structs.replace(snapshot_summary(item, wedding.held(item.id)), safe=told(item.body.time_ns))
        for item in found
        if wanted <= set(item.body.tags)
    )
    return ops.SnapshotList(wedding=operation.wedding, snapshots=rows, warnings=warnings)


async def browse(engine: Engine, operation: ops.Browse) -> ops.EntryList:
    """See `ops.Browse`. A path that is a file is listed as itself."""
    folder = path_bytes(operation.path)

    def read(vault: WeddingVault) -> ops.EntryList:
        snapshot = vault.find_snapshot(operation.snapshot)
        warnings: list[str] = []
        rows: list[ops.EntryRow] = []
        found, is_cut = not folder, False
        for entry in below(vault, snapshot, folder, recursive=operation.recursive, damaged=telling(warnings)):
            if entry.path == folder:
                found = True
                if is_folder(entry):
                    continue
            found = True
            if len(rows) == operation.limit:
                is_cut = True
                break
            rows.append(entry_row(entry))
        if not found and warnings:
            raise IntegrityError(warnings[0], "an older snapshot may still have it: find shows which")
        if not found:
            raise NotFound(f"{path_text(folder)} is not in snapshot {snapshot.id[:8]}", "browse its folder, or find it")
        told = (*vault.damaged_snapshots(operation.snapshot), *warnings)
        return ops.EntryList(entries=tuple(rows), truncated=is_cut, warnings=told)

    return await with_vault(engine, operation.wedding, read, nothing=no_snapshot)


async def find(engine: Engine, operation: ops.Find) -> ops.EntryList:
    """See `ops.Find`. The newest snapshot comes first."""
    fits = name_matcher(operation.pattern)

    def read(vault: WeddingVault) -> ops.EntryList:
        if operation.snapshot:
            searched = [vault.find_snapshot(operation.snapshot)]
        else:
            searched = vault.snapshots()[::-1]
        warnings = list(vault.damaged_snapshots(operation.snapshot))
        rows: list[ops.EntryRow] = []
        for snapshot in searched:
            for entry in vault.entries(snapshot, damaged=telling(warnings)):
                if not fits(entry.path):
                    continue
                if len(rows) == operation.limit:
                    return ops.EntryList(entries=tuple(rows), truncated=True, warnings=tuple(warnings))
                rows.append(entry_row(entry, snapshot=snapshot.id))
        return ops.EntryList(entries=tuple(rows), warnings=tuple(warnings))

    return await with_vault(engine, operation.wedding, read, nothing=lambda: ops.EntryList(entries=()))


async def diff(engine: Engine, operation: ops.Diff) -> ops.DiffResult:
    """See `ops.Diff`."""

    def read(vault: WeddingVault) -> ops.DiffResult:
        older, newer = vault.find_snapshot(operation.older), vault.find_snapshot(operation.newer)
        rows: list[ops.DiffRow] = []
        totals: Counter[str] = Counter()
        for row in differences(vault.entries(older), vault.entries(newer)):
            totals[row.change if row.change in ("added", "removed") else "changed"] += 1
            if len(rows) < operation.limit:
                rows.append(row)
        return ops.DiffResult(
            rows=tuple(rows),
            added=totals["added"],
            removed=totals["removed"],
            changed=totals["changed"],
            truncated=totals.total() > len(rows),
            warnings=vault.damaged_snapshots() if "latest" in (operation.older, operation.newer) else (),
        )

    return await with_vault(engine, operation.wedding, read, nothing=no_snapshot)


HANDLERS: dict[str, Handler] = {"snapshots": snapshots, "browse": browse, "find": find, "diff": diff}


# --- pure, or reading only ----------------------------------------------------------------------------


def below(
    vault: WeddingVault, snapshot: Snapshot, folder: bytes, *, recursive: bool, damaged: Damaged | None = None
) -> Iterator[Entry]:
    """`folder` itself and what lies in it, with `recursive` everything below it, in walk order.

    A folder between the root and a source has no entry of its own; where one is needed to show the way (browsing
    `/` of a snapshot of `/srv/photos`), it is made up. Raises IntegrityError, NotFound for a part of the manifest that
    cannot be read, unless there is `damaged` to tell of it.
    """
    depth = len(folder.split(b"/")) if folder else 0
    start, done = folder, False
    last_child = b""
    while not done:
        done = True
        skipped = 0
        for entry in vault.entries(snapshot, start=start, damaged=damaged):
            parts = entry.components
            if not is_below(entry.path, folder):
                if parts > tuple(folder.split(b"/")):
                    return
                continue
            if recursive or len(parts) <= depth:
                yield entry
                continue
            child = b"/".join(parts[: depth + 1])
            if child != last_child:
                last_child, skipped = child, 0
                yield entry if len(parts) == depth + 1 else made_up_folder(child)
                continue
            skipped += 1
            if skipped > _SKIPPED_MAX:
                # No name holds a NUL, so this lies behind all that is below the child, and before its next sibling.
                start, done = child + b"\0", False
                break


def made_up_folder(path: bytes) -> Entry:
    """A folder that leads to a source and was not recorded itself."""
    return Entry(path=path, kind=0, mode=0o755, uid=0, gid=0, mtime_ns=0)


def name_matcher(pattern: str) -> Callable[[bytes], bool]:
    """Does a path, or its last name, fit a glob? `*` also crosses slashes, as in the shell's `find -path`."""
    try:
        fits = re.compile(fnmatch.translate(pattern)).match
    except re.error:
        raise UsageError(f"{pattern!r} is not a glob", "write it like *.jpg") from None

    def matches(path: bytes) -> bool:
        text = os.fsdecode(path)
        return fits(text.rpartition("/")[2]) is not None or fits("/" + text) is not None or fits(text) is not None

    return matches


def differences(older: Iterator[Entry], newer: Iterator[Entry]) -> Iterator[ops.DiffRow]:
    """What changed, merging two manifests in walk order."""
    before, after = next(older, None), next(newer, None)
    while before is not None or after is not None:
        if after is None or (before is not None and before.components < after.components):
            assert before is not None
            yield _row(before.path, "removed", before.size, 0)
            before = next(older, None)
        elif before is None or after.components < before.components:
            yield _row(after.path, "added", 0, after.size)
            after = next(newer, None)
        else:
            change = change_between(before, after)
            if change is not None:
                yield _row(after.path, change, before.size, after.size)
            before, after = next(older, None), next(newer, None)


def change_between(before: Entry, after: Entry) -> Change | None:
    """How two entries of one path differ, as a person would see it; None when they do not."""
    if before.kind != after.kind:
        return "type"
    if before.kind == FILE and (before.size, before.hash) != (after.size, after.hash):
        return "contents"
    if before.kind == SYMLINK and before.target != after.target:
        return "contents"
    return "metadata" if _metadata(before) != _metadata(after) else None


def _metadata(entry: Entry) -> tuple[object, ...]:
    return (entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.device, entry.xattrs)


def _row(path: bytes, change: Change, bytes_before: int, bytes_after: int) -> ops.DiffRow:
    return ops.DiffRow(path=path_text(path), change=change, bytes_before=bytes_before, bytes_after=bytes_after)
