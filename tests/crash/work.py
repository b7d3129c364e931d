"""What the killed processes were doing: each scenario's state before, its work, and what it has promised by then.

Runs in the child. A promise is logged after the call that makes it has returned: `committed JOB`, `opens PASSPHRASE`,
`refuses PASSPHRASE`, `wedding NAME`; what failed too: `failed CLASS LINE`. Limits are lowered, so that a small tree
makes packs, fragments, manifest segments and checkpoints.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

from msgspec.structs import replace

from engine.base.errors import NotFound, WedSyncError
from engine.contract.settings import SEGMENT_BYTES, UNIT_BYTES
from engine.contract.weddings import Hold, Wedding
from engine.pipeline import backup, commit, recorder, source
from engine.pipeline.pool import Cancelled, Run, Unit
from engine.pipeline.repair import RepairOutcome, RepairRun
from engine.repository import codec, crypto, keyring, layout, manifest, transaction
from engine.repository.pack import ALIGNMENT_BYTES, read_footer, split_records
from engine.repository.repository import Repository
from engine.repository.snapshot import Snapshot
from engine.storage.stores import committer
from engine.storage.stores.local import LocalStore
from tests.crash import pruned
from tests.crash.seals import record_seals
from tests.crash.seam import Cut, Log, Seam, read_log
from tests.trees import Tree, build, file, symlink
from tests.vaults import CHEAP, OTHER_WEDDING, PASSPHRASE, WEDDING, Bench, new_job
from wedsync_tui import cli

JOB = "7e" * 16
EARLIER_JOB = "11" * 16
CHECKPOINTED_JOB = "c0" * 16
NEW_PASSPHRASE = "battery staple"
COUPLE = "smith-jones"
HOLD = Hold(reason="claim 7", since_ns=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one trial lies: its store, its home and its logs, beside the source that all trials share."""

    folder: Path
    source: Path

    @property
    def store(self) -> Path:
        """The repository."""
        return self.folder / "store"

    @property
    def seen(self) -> Path:
        """What the home has seen of the repository."""
        return self.folder / "seen.json"

    @property
    def logs(self) -> Path:
        """What outlives the child."""
        return self.folder / "logs"


def photos(version: int) -> Tree:
    """A wedding in small: sidecars, a RAW file of 3 MiB, a link; `version` changes a third of it."""
    noise = random.Random(version).randbytes(3 << 20)
    sidecars = {b"raw/IMG_%02d.xmp" % n: file(b"%d %d " % (n, version * (n % 3 == 0)) * 200) for n in range(9)}
    return {**sidecars, b"raw/IMG_03.nef": file(noise), b"best": symlink(b"raw/IMG_03.nef"), b"empty": file(b"")}


def album(seed: int) -> Tree:
    """A larger wedding: 500 sidecars and 18 files of 1 MiB, some of them twice."""
    chance = random.Random(seed)
    photos = [chance.randbytes(1 << 20) for _ in range(14)]
    raw = {b"raw/IMG_%03d.nef" % number: file(photos[number % 14]) for number in range(18)}
    return {**raw, **{b"xmp/IMG_%03d.xmp" % number: file(chance.randbytes(300)) for number in range(500)}}


def tighten() -> None:
    """Lower the limits; the committer does one thing at a time, so that boundaries have the same names each time."""
    for module, name, value in (
        (recorder, "INLINE_ENTRIES_MAX", 2),
        (transaction, "INLINE_RECORDS_MAX", 2),
        (backup, "UNIT_FILES_MAX", 4),
        (manifest, "_SEGMENT_MODULUS", 4),
    ):
        setattr(module, name, value)
    defaults = committer.Committer.__init__.__kwdefaults__
    assert defaults is not None
    defaults["group_max"] = 1


def couple(name: str = COUPLE, wedding: str = WEDDING) -> Wedding:
    """The wedding as the register has it."""
    return Wedding(id=wedding, name=name, date=dt.date(2026, 6, 20), timezone="Europe/London", venue="Bath, UK")


def opened(place: Place, passphrase: str = PASSPHRASE, *, streams: int = 1) -> Bench:
    """The repository of a trial, or a new one."""
    return Bench(LocalStore(place.store, create=True), streams=streams, seen=place.seen, passphrase=passphrase)


def opened_if_there(place: Place, passphrase: str) -> Bench:
    """The repository of a trial. Raises NotFound when there is none."""
    store = LocalStore(place.store, create=False)
    if not Repository.exists(store):
        store.close()
        raise NotFound("there is no repository")
    return Bench(store, streams=2, seen=place.seen, passphrase=passphrase)


# --- what is done before, and then ------------------------------------------------------------------------


def nothing(place: Place) -> None:
    """Neither repository nor wedding."""
    build(place.source, photos(0))
    place.store.mkdir()


def empty_repository(place: Place) -> None:
    """A repository without weddings."""
    build(place.source, photos(0))
    with opened(place):
        pass


def one_wedding(place: Place) -> None:
    """A repository with a wedding that was never backed up."""
    build(place.source, photos(0))
    with opened(place) as bench:
        bench.repository.register.put(couple())


def one_snapshot(place: Place) -> None:
    """A wedding backed up once, and changed since."""
    build(place.source, photos(0))
    with opened(place) as bench:
        bench.repository.register.put(couple())
        bench.backup(place.source, job_id=EARLIER_JOB)
    rework(place.source)


def lost_index(place: Place) -> None:
    """A wedding backed up once, all fragments of whose index are gone."""
    one_snapshot(place)
    for fragment in (place.store / "weddings" / WEDDING / "index").iterdir():
        fragment.unlink()


def damaged_packs(place: Place) -> None:
    """A wedding backed up once, no pack of which has the bytes that its name tells, though every blob opens."""
    one_snapshot(place)
    with opened(place) as bench, bench.repository.vault(WEDDING) as vault:
        names = [pack.name for pack in vault.index.packs()]
        ends = [max(r.offset + r.stored_bytes for r in split_records(read_footer(vault.store, vault.keys, name)))
                for name in names]  # fmt: skip
    for name, end in zip(names, ends, strict=True):
        path = place.store / layout.pack(bytes.fromhex(WEDDING), name)
        data = bytearray(path.read_bytes())
        assert end % ALIGNMENT_BYTES, "there is no padding behind the last blob"
        data[end] ^= 1
        path.write_bytes(data)


def overgrown(place: Place) -> None:
    """A wedding backed up three times, of which the newest snapshot is to be kept."""
    build(place.source, photos(0))
    with opened(place) as bench:
        bench.repository.register.put(couple())
        pruned.overgrow(bench, place.source)
        bench.backup(place.source, job_id=EARLIER_JOB)
    rework(place.source)


def rework(folder: Path) -> None:
    """Make the source what `photos(1)` is."""
    for path, node in photos(1).items():
        if node.kind == "file":
            (folder / os.fsdecode(path)).write_bytes(b"".join(data for _, data in node.data))


def make_repository(place: Place, promised: Log) -> None:
    """What init does."""
    with opened(place):
        promised.add("opens", PASSPHRASE)


def back_up(place: Place, promised: Log) -> None:
    """One backup, its checkpoints only by time."""
    with opened(place) as bench:
        bench.backup(place.source, job_id=JOB)


def back_up_with_checkpoints(place: Place, promised: Log) -> None:
    """A checkpoint after every unit that stored something."""
    commit.CHECKPOINT_BYTES = 1  # type: ignore[attr-defined]
    back_up(place, promised)


def change_keys(place: Place, promised: Log) -> None:
    """A second passphrase comes, the first one goes."""
    with opened(place) as bench:
        (old,) = (slot.id for slot in bench.repository.slots() if slot.current)
        bench.repository.add_slot(NEW_PASSPHRASE, "new", CHEAP)
        promised.add("opens", NEW_PASSPHRASE)
        bench.repository.remove_slot(old)
        promised.add("refuses", PASSPHRASE)


def finish_key_change(bench: Bench) -> None:
    """The change that was cut off, done: only the new passphrase opens, under one slot."""
    slot = bench.repository.add_slot(NEW_PASSPHRASE, "new", CHEAP)
    for other in bench.repository.slots():
        if other.id != slot.id:
            bench.repository.remove_slot(other.id)


def add_epoch(bench: Bench) -> None:
    """What a rotation of a wedding's key leaves: number 2, with one more sealing secret; nothing if it is there."""
    folder, wedding = layout.wedding_keys(bytes.fromhex(WEDDING)), bytes.fromhex(WEDDING)
    number, payload, _ = bench.repository._sealed.newest(folder, crypto.WEDDING_KEY, wedding)
    if number == 1:
        secrets = codec.decode(payload, keyring.WeddingSecrets, "key")
        newer = (*secrets.epochs, keyring.SealingEpoch(2, bench.entropy.token(32)))
        after = codec.encode(keyring.WeddingSecrets(secrets.identity, newer))
        bench.repository._sealed.create(folder, 2, crypto.WEDDING_KEY, after, wedding)


def back_up_in_a_new_epoch(place: Place, promised: Log) -> None:
    """A further sealing secret, and a backup under it."""
    with opened(place) as bench:
        add_epoch(bench)
        bench.backup(place.source, job_id=JOB)


def change_register(place: Place, promised: Log) -> None:
    """A wedding is added, then renamed."""
    with opened(place) as bench:
        for name in (COUPLE, COUPLE + "-2"):
            bench.repository.register.put(couple(name))
            promised.add("wedding", name)


def fill_a_repository(place: Place) -> None:
    """Child: every kind of object: two passphrases, two weddings, two snapshots, a checkpoint, a mark, a live lease."""
    tighten()
    build(place.source, photos(0))
    bench = opened(place)
    bench.repository.add_slot(NEW_PASSPHRASE, "new", CHEAP)
    bench.repository.register.put(couple())
    bench.repository.register.put(couple("brown-lee", OTHER_WEDDING))
    bench.backup(place.source, job_id=EARLIER_JOB)
    bench.backup(place.source, wedding=OTHER_WEDDING, job_id=JOB)
    rework(place.source)
    with bench.backing_up(place.source, job_id=CHECKPOINTED_JOB) as run:
        next_unit = run.next_unit

        def stopped(*, idle: bool) -> Unit | None:
            unit = next_unit(idle=idle) if not run.progress.files_done else None
            if unit is None:
                run.interrupt()
            return unit

        run.next_unit = stopped  # type: ignore[method-assign]
        bench.pool.submit(run)
        assert isinstance(run.done.exception(), Cancelled)
    bench.backup(place.source, job_id=JOB)
    bench.repository.presence.mark(bytes.fromhex(WEDDING), [bytes(32)])
    bench.pool.close()
    bench.store.close()


def repair(place: Place, promised: Log) -> None:
    """The index made whole from the packs."""
    with opened(place) as bench:
        run_repair(bench)
        promised.add("repaired")


def run_repair(bench: Bench) -> RepairOutcome:
    """What `repair` does."""
    with bench.repository.vault(WEDDING) as vault:
        return bench.run(RepairRun(vault, bench.entropy, contents=True, dry_run=False))


def prune(place: Place, promised: Log) -> None:
    """All that the newest snapshot does not need goes."""
    with opened(place) as bench:
        pruned.run_prune(bench)


def hold(place: Place, promised: Log) -> None:
    """A wedding is registered, then held."""
    with opened(place) as bench:
        bench.repository.register.put(couple())
        promised.add("wedding", COUPLE)
        bench.repository.register.change(couple().id, lambda before: replace(before, holds=(HOLD,)))
        promised.add("held")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A state, and what is done to it until the kill."""

    prepare: Callable[[Place], None]
    work: Callable[[Place, Log], None]


SCENARIOS = {
    "init": Scenario(nothing, make_repository),
    "first backup": Scenario(one_wedding, back_up),
    "next backup": Scenario(one_snapshot, back_up),
    "checkpoints": Scenario(one_snapshot, back_up_with_checkpoints),
    "key change": Scenario(one_snapshot, change_keys),
    "key epoch": Scenario(one_snapshot, back_up_in_a_new_epoch),
    "register": Scenario(empty_repository, change_register),
    "lost index": Scenario(lost_index, repair),
    "damaged packs": Scenario(damaged_packs, repair),
    "prune": Scenario(overgrown, prune),
    "hold": Scenario(empty_repository, hold),
}


# --- the child --------------------------------------------------------------------------------------------


def prepare(name: str, place: Place) -> None:
    """Child: the state before the work."""
    tighten()
    SCENARIOS[name].prepare(place)


def carry_out(name: str, place: Place, cut: Cut) -> None:
    """Child: the work of a scenario behind the seam, dying at `cut`; tried once more if a call is refused there."""
    tighten()
    logging.getLogger().addHandler(logging.NullHandler())  # what a refused call is warned of in
    place.logs.mkdir(exist_ok=True)
    promised = Log(place.logs / "promised")
    record_seals(place.logs / "seals")
    promise_commits(promised)
    Seam(place.store, place.logs, cut)
    for _ in range(2 if cut.refuse else 1):
        try:
            SCENARIOS[name].work(place, promised)
        except WedSyncError as error:
            promised.add("failed", type(error).__name__, error.line())
        else:
            promised.add("done")
            break


def carry_on(place: Place) -> None:
    """Child: a backup with three streams at its own pace, until it is killed from outside or done."""
    commit.CHECKPOINT_BYTES = 4 << 20  # type: ignore[attr-defined]
    place.logs.mkdir(exist_ok=True)
    promised = Log(place.logs / "promised")
    record_seals(place.logs / "seals")
    promise_commits(promised)
    with opened(place, streams=3) as bench:
        bench.backup(place.source, job_id=JOB)
    promised.add("done")


def work_beside_others(place: Place, home: Path, wedding: str, rounds: int, together: Barrier) -> None:
    """Child: an engine with a home of its own on a repository that others use too; all begin at once."""
    together.wait(60)
    with Bench(LocalStore(place.store, create=False), streams=2, seen=home / "seen.json") as bench:
        for number in range(rounds):
            bench.repository.register.put(couple(f"{home.name}-{number}", new_job()))
            bench.backup(place.source, wedding=wedding)
            (place.source / "changes").write_bytes(b"%d" % number * 1000)


def enter(arguments: list[str], home: Path, logs: Path, number: int) -> None:
    """Child: the program itself, which gets signal `number` in the middle of the first large file; 0: none.

    Once at least one segment of the file is read and, for a kill, a checkpoint is committed.
    """
    logs.mkdir(exist_ok=True)
    setattr(source, "FRESH_NS", 0)  # noqa: B010 - what the test has just written is as good as old
    if number == signal.SIGKILL:
        setattr(commit, "CHECKPOINT_BYTES", 1)  # noqa: B010
    for fd, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(logs / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), fd)
    reads, promised = Log(logs / "reads"), Log(logs / "promised")
    promise_commits(promised)
    stopping = threading.Event()
    read_into, interrupt = source.SourceFile.read_into, Run.interrupt
    total_bytes = 0

    def signalled(self: source.SourceFile, buffer: memoryview, data_offset: int) -> int:
        nonlocal total_bytes
        count = read_into(self, buffer, data_offset)
        total_bytes += count
        reads.add(count)
        is_due = total_bytes > SEGMENT_BYTES + UNIT_BYTES
        if number == signal.SIGKILL:
            is_due = is_due and bool(read_log(logs / "promised"))
        if number and is_due and not stopping.is_set():
            os.kill(os.getpid(), number)
            assert stopping.wait(60)
        return count

    def interrupted(self: Run[object]) -> None:
        interrupt(self)
        stopping.set()

    setattr(source.SourceFile, "read_into", signalled)  # noqa: B010
    setattr(Run, "interrupt", interrupted)  # noqa: B010
    environment = {"WEDSYNC_HOME": str(home), "WEDSYNC_PASSPHRASE": "correct-horse"}
    sys.exit(cli.run(["--no-ui", "--streams", "1", *arguments], environment))


def promise_commits(promised: Log) -> None:
    """Log every snapshot and checkpoint once it is committed."""
    committed = transaction.Transaction.commit

    def logged(self: transaction.Transaction, snapshot: Snapshot) -> None:
        committed(self, snapshot)
        promised.add("committed", snapshot.id)

    transaction.Transaction.commit = logged  # type: ignore[method-assign,assignment]
