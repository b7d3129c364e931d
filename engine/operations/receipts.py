"""receipt: what of a wedding is kept where, signed, so that a photographer knows whether a card may be formatted.

A copy counts once it was read back whole where it lies, since it was written. What the snapshot needs and was not is
read first, by a job; then each place is listed again, and counted is the weakest of all: packs of both kinds, the
wedding's key, the snapshot itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import msgspec

from engine.base.errors import Conflict, NotFound, NotPermitted, Unavailable, UsageError
from engine.base.units import format_bytes, format_count, format_time
from engine.contract import operations as ops
from engine.contract.receipts import MakeReceipt, PlaceCopies, ProtectionLevel, ReceiptResult, ReceiptVerified
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import JobSpec, Prepared
from engine.operations import copysurvey
from engine.operations.browsing import no_snapshot, with_vault
from engine.operations.context import Engine, Handler, StreamHandler
from engine.operations.copies import CopyCount, Needed, count_copies, needed_of
from engine.operations.descriptors import CallerStreams
from engine.operations.newfiles import new_file
from engine.operations.outcomes import carried_out, judged
from engine.operations.rows import path_base64
from engine.operations.upkeep import refuse_problems
from engine.pipeline.card import CardOutcome, Kept, compare_card
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.keyring import ReceiptKey
from engine.repository.receipt import VERSION, Facts, FileLine, Verified, verify_receipt, write_receipt
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

_NAMED_MAX = 20  # missing files that the text names


async def receipt(engine: Engine, operation: MakeReceipt, streams: CallerStreams | None = None) -> ops.Result:
    """See `MakeReceipt`. Raises IntegrityError for a receipt that is not as it was signed."""
    if operation.verify:
        return await _verify(engine, operation)
    if not operation.wedding:
        raise UsageError("a receipt of which wedding?", "name it, or give --verify FILE")
    await engine.opening.needed()
    await engine.went_on.wait()
    wedding = engine.facts.find(operation.wedding)
    output = (streams or CallerStreams()).output() if operation.out == "-" else None
    stop = threading.Event()
    needed = await with_vault(engine, operation.wedding, lambda vault: _needed(vault, operation), nothing=no_snapshot)
    await _read_back(engine, wedding, needed)
    making = _Making(engine, operation, wedding, needed, lambda: stop.is_set() or engine.stopping)

    def made(vault: WeddingVault) -> ReceiptResult:
        facts, entries = making.facts(vault)
        if operation.out:
            with new_file(operation.out, output.take() if output else None) as out:
                write_receipt(out, words_of(facts), facts, map(_line_of, entries()), making.key)
        return making.result(facts)

    try:
        return await with_vault(engine, operation.wedding, made, nothing=no_snapshot)
    except asyncio.CancelledError:
        stop.set()
        raise


def _needed(vault: WeddingVault, operation: MakeReceipt) -> Needed:
    """What a restore of the snapshot that is asked for needs."""
    snapshot = vault.find_snapshot(operation.snapshot)
    if snapshot.partial:
        raise Conflict(f"snapshot {snapshot.id} is a checkpoint, the beginning of one", "name a whole snapshot")
    return needed_of(vault, snapshot)


async def _read_back(engine: Engine, wedding: Wedding, needed: Needed) -> None:
    """Read the copies that were not read since they were written; how that went is seen in what then counts."""
    if not await engine.offload.run(wedding.id, lambda: copysurvey.has_unread(engine, wedding, needed.packs)):
        return

    @contextlib.contextmanager
    def opened(_: Job) -> Iterator[Prepared]:
        with copysurvey.reading(engine, wedding, lambda *_: needed.packs, again=False) as run:
            yield judged(run, None, refuse_problems)

    await carried_out(engine, JobSpec("verify", wedding, "standard", True, opened), wait=True)


class _Making(msgspec.Struct):
    """One receipt on its way. On the executor."""

    engine: Engine
    operation: MakeReceipt
    wedding: Wedding
    needed: Needed
    is_stopped: Callable[[], bool]

    @property
    def key(self) -> ReceiptKey:
        """What signs it."""
        repository = self.engine.opening.repository
        if repository is None:
            raise Unavailable("the repository is not open")
        return repository.receipt_key

    def facts(self, vault: WeddingVault) -> tuple[Facts, Callable[[], Iterator[Entry]]]:
        """What is to be said, and the files to be listed."""
        snapshot = self.needed.snapshot

        def files() -> Iterator[Entry]:
            return (entry for entry in vault.entries(snapshot) if entry.kind == FILE)

        kept, count, size_bytes = Kept(), 0, 0
        for entry in files():
            count += 1
            size_bytes += entry.size
            if self.operation.card:
                kept.add(entry)
        card = CardOutcome()
        if self.operation.card:
            card = compare_card(os.fsencode(self.operation.card), kept, self.is_stopped)
        copies = count_copies(self.engine, vault, self.wedding, self.needed)
        return self._facts(snapshot, count, size_bytes, copies, card), files

    def _facts(self, snapshot: Snapshot, count: int, size_bytes: int, copies: CopyCount, card: CardOutcome) -> Facts:
        needed = self.engine.settings.replication.copies
        reasons = [*copies.problems, *_too_few(copies, needed)]
        if card.missing_total:
            more = card.missing_total - 1
            reasons.append(f"{card.missing[0]}" + (f", and {format_count(more)} more of the card" if more else ""))
        level: ProtectionLevel = "safe" if len(copies.read_back) >= needed and not copies.problems else "committed"
        assert self.engine.opening.repository is not None
        return Facts(
            receipt=VERSION,
            repository=self.engine.opening.repository.id,
            wedding=self.wedding.name,
            date=self.wedding.date.isoformat(),
            snapshot=snapshot.id,
            snapshot_time=format_time(snapshot.body.time_ns),
            made=format_time(self.engine.clock.now_ns()),
            host=os.uname().nodename,
            files=count,
            bytes_source=size_bytes,
            level=level,
            copies=len(copies.read_back),
            copies_needed=needed,
            places=tuple(row.place for row in copies.places),
            card=path_text(os.fsencode(self.operation.card.strip("/"))) if self.operation.card else "",
            card_files=card.files,
            card_bytes=card.size_bytes,
            missing=tuple(card.missing),
            missing_total=card.missing_total,
            safe_to_format=not reasons,
            reasons=tuple(reasons),
            copies_by_place=copies.places,
        )

    def result(self, facts: Facts) -> ReceiptResult:
        """The same for who asked."""
        return ReceiptResult(
            wedding=facts.wedding,
            snapshot=facts.snapshot,
            time=facts.snapshot_time,
            files=facts.files,
            bytes_source=facts.bytes_source,
            level="safe" if facts.level == "safe" else "committed",
            copies=facts.copies,
            copies_needed=facts.copies_needed,
            places=facts.places,
            copies_by_place=facts.copies_by_place,
            safe_to_format=facts.safe_to_format,
            reasons=facts.reasons,
            key=self.key.public,
            card=facts.card,
            card_files=facts.card_files,
            card_bytes=facts.card_bytes,
            missing=facts.missing,
            missing_total=facts.missing_total,
            out=self.operation.out,
            warnings=tuple(f"not safe to format: {what}" for what in facts.reasons),
        )


def _too_few(copies: CopyCount, needed: int) -> Iterator[str]:
    """Why the copies of the weakest object are not enough yet, if so."""
    listed, read_back = len(copies.listed), len(copies.read_back)
    if listed < needed:
        exist = "copy exists" if listed == 1 else "copies exist"
        yield f"{listed} {exist} where {needed} are needed, in {_listed(copies.listed)}"
    if read_back < min(listed, needed):
        yield f"not yet: of {listed} copies that exist {read_back} could be read back, in {_listed(copies.read_back)}"


def _listed(regions: tuple[str, ...]) -> str:
    return ", ".join(regions) or "no region"


def _line_of(entry: Entry) -> FileLine:
    return FileLine(path_text(entry.path), entry.size, entry.hash.hex(), path_base64(entry.path))


# --- words --------------------------------------------------------------------------------------------


def words_of(facts: Facts) -> str:
    """The receipt as people read it."""
    lines = [
        "WEDSYNC RECEIPT",
        "",
        f"Wedding     {facts.wedding}, {facts.date}",
        f"Snapshot    {facts.snapshot}, {facts.snapshot_time}",
        f"Files       {format_count(facts.files, 'file')}, {format_bytes(facts.bytes_source)}",
        f"Protection  {facts.level}: {facts.copies} of {facts.copies_needed} copies, in {_listed(facts.places)}",
        *(f"            {place_line(row)}" for row in facts.copies_by_place),
        f"Repository  {facts.repository}",
        f"Made        {facts.made} on {facts.host}",
        "",
        *verdict_lines(facts),
        "",
        "Every file is listed below with its size in bytes and its BLAKE3 (b3sum); of a file over 64 MiB it is the",
        "BLAKE3 of the BLAKE3s of its parts of 64 MiB. To check it: wedsync-tui receipt --verify FILE --key KEY",
        "where KEY is what the studio's `wedsync-tui keys` shows. A receipt that was changed is refused.",
        "",
    ]
    return "".join(f"{_printable(line)}\n" for line in lines)


def place_line(row: PlaceCopies) -> str:
    """What one place holds, and when it was last read."""
    packs = f"{row.place}: {format_count(row.copies, 'pack')}, {format_bytes(row.bytes)}"
    if row.read_back < row.copies:
        return f"{packs}; {row.copies - row.read_back:,} NOT read back since they were written"
    return f"{packs}, each read back, the first at {row.verified}" if row.copies else packs


def _printable(line: str) -> str:
    """A line that a name on the card cannot break or end."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def verdict_lines(facts: Facts) -> list[str]:
    """Whether a card may be formatted, and if not, why."""
    what = f"the card {facts.card} ({format_count(facts.card_files, 'file')}, {format_bytes(facts.card_bytes)})"
    if not facts.card:
        what = "a card that holds nothing but the files below"
    if facts.safe_to_format:
        return [f"SAFE TO FORMAT: {what}."]
    lines = [f"NOT SAFE TO FORMAT: {what}.", *(f"  - {reason}" for reason in facts.reasons)]
    lines += [f"  missing: {each}" for each in facts.missing[:_NAMED_MAX]]
    if facts.missing_total > _NAMED_MAX:
        lines.append(f"  and {format_count(facts.missing_total - _NAMED_MAX)} more")
    return lines


# --- files --------------------------------------------------------------------------------------------


async def _verify(engine: Engine, operation: MakeReceipt) -> ReceiptVerified:
    """Check a receipt; a repository is asked for its key only where one is open anyway."""

    def read() -> Verified:
        try:
            with open(operation.verify, "rb") as given:
                return verify_receipt(given)
        except PermissionError:
            raise NotPermitted(f"{operation.verify} may not be read") from None
        except OSError as error:
            raise NotFound(f"{operation.verify}: {error.strerror}") from None

    wanted = operation.key.strip().lower()
    verified = await engine.offload.run("receipts", read)
    repository = engine.opening.repository
    if not wanted and repository is not None:
        wanted = repository.receipt_key.public
    if wanted and wanted != verified.key:
        raise NotPermitted(
            f"this receipt was signed by another key, {verified.key}", "it is not of the studio whose key this is"
        )
    facts = verified.facts
    unknown = f"signed by key {verified.key}: compare it with the one that the studio's keys shows, or give --key"
    return ReceiptVerified(
        wedding=facts.wedding,
        snapshot=facts.snapshot,
        time=facts.snapshot_time,
        made=facts.made,
        files=facts.files,
        bytes_source=facts.bytes_source,
        copies=facts.copies,
        copies_needed=facts.copies_needed,
        safe_to_format=facts.safe_to_format,
        reasons=facts.reasons,
        key=verified.key,
        key_known=bool(wanted),
        warnings=(*(() if wanted else (unknown,)), *(f"not safe to format: {what}" for what in facts.reasons)),
    )


HANDLERS: dict[str, Handler] = {"receipt": receipt}
STREAM_HANDLERS: dict[str, StreamHandler] = {"receipt": receipt}
