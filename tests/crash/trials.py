"""Trials: a child dies at a boundary, and whatever it leaves must open, verify, restore and go on.

Used by the tests with a sample of boundaries and by `everything` with all of them. A child is forked from a server
that has no threads, so it starts in milliseconds and dies alone.
"""

from __future__ import annotations

import errno
import multiprocessing
import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.base.errors import WrongPassphrase
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.local import LocalStore
from tests.crash import pruned, work
from tests.crash.disk import PowerCut
from tests.crash.seals import SEAL_BYTES
from tests.crash.seam import REPLACED, Cut, read_log
from tests.crash.work import COUPLE, EARLIER_JOB, JOB, NEW_PASSPHRASE, SCENARIOS, Place
from tests.trees import Thing, build, describe
from tests.vaults import PASSPHRASE, Bench, counted_reads

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.crash.work"])
_ENDED_S = 60.0


def run_child(function: Callable[..., None], *arguments: object) -> int:
    """The exit code of `function`, run in a process of its own; -9 if it was killed."""
    child = _FORKS.Process(target=function, args=arguments)
    child.start()
    child.join(_ENDED_S)
    assert child.exitcode is not None, f"{function.__name__}{arguments} did not end"
    return child.exitcode


def run_children(*jobs: tuple[Callable[..., None], *tuple[object, ...]]) -> list[int]:
    """Exit codes of several processes that run side by side; each gets a barrier to begin at, as its last argument."""
    together = _FORKS.Barrier(len(jobs))
    children = [_FORKS.Process(target=function, args=(*arguments, together)) for function, *arguments in jobs]
    for child in children:
        child.start()
    for child in children:
        child.join(_ENDED_S)
    assert all(child.exitcode is not None for child in children)
    return [child.exitcode or 0 for child in children]


def run_child_for(seconds: float, function: Callable[..., None], *arguments: object) -> int:
    """As `run_child`, but killed when it is still at work after `seconds`."""
    child = _FORKS.Process(target=function, args=arguments)
    child.start()
    child.join(seconds)
    child.kill()
    child.join(_ENDED_S)
    assert child.exitcode is not None
    return child.exitcode


@dataclass(slots=True)
class Base:
    """A scenario made ready: what each of its trials begins with, and the boundaries that its work has."""

    name: str
    folder: Path
    place: Place
    before: dict[str, dict[bytes, Thing]] = field(default_factory=dict)  # the source as each earlier snapshot has it
    now: dict[bytes, Thing] = field(default_factory=dict)
    boundaries: list[str] = field(default_factory=list)
    trials: int = 0

    @classmethod
    def made(cls, name: str, folder: Path) -> Base:
        """Prepare a scenario in `folder` and run its work once, undisturbed, to learn its boundaries."""
        folder.mkdir()
        base = cls(name, folder, Place(folder / "base", folder / "source"))
        base.place.folder.mkdir()
        assert run_child(work.prepare, name, base.place) == 0
        base.now = describe(base.place.source)
        if SCENARIOS[name].prepare in (work.one_snapshot, work.lost_index, work.damaged_packs, work.overgrown):
            with work.opened(base.copied()) as bench:
                for snapshot in bench.snapshots():
                    back = folder / f"earlier-{snapshot.id}"
                    bench.retrieve(back, strip=base.place.source, snapshot=snapshot.id)
                    base.before[snapshot.id] = describe(back)
        place = base.copied()
        assert run_child(work.carry_out, name, place, Cut()) == 0
        base.boundaries = [boundary for (boundary,) in read_log(place.logs / "boundaries")]
        assert ["done"] in read_log(place.logs / "promised")
        return base

    def copied(self) -> Place:
        """A fresh trial; objects are never written again, so names of the same files will do."""
        self.trials += 1
        place = Place(self.folder / f"trial{self.trials}", self.place.source)
        shutil.copytree(self.place.folder, place.folder, copy_function=_link)
        return place


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def killed_at(base: Base, cut: Cut) -> Place:
    """A trial whose child died at `cut`; fails when it never came there."""
    place = base.copied()
    exit_code = run_child(work.carry_out, base.name, place, cut)
    assert exit_code == -signal.SIGKILL, f"{base.name}: {cut} was skipped"
    assert [cut.boundary] in read_log(place.logs / "boundaries")
    return place


REFUSALS = {errno.ENOSPC: "LimitReached", errno.EIO: "Unavailable"}


def refused_at(base: Base, cut: Cut) -> Place:
    """A trial one call of which was refused: told once in one line, and done all the same when tried again."""
    place = base.copied()
    assert run_child(work.carry_out, base.name, place, cut) == 0, f"{base.name}: {cut}"
    assert [cut.boundary] in read_log(place.logs / "boundaries"), f"{base.name}: {cut} was skipped"
    log = read_log(place.logs / "promised")
    failed = [what for promise, *what in log if promise == "failed"]
    if failed:
        # Whoever could not show a lease may do anything but delete: a prune begins anew.
        assert failed[0][0] == REFUSALS[cut.refuse] or (base.name, failed[0][0]) == ("prune", "Unavailable")
    # The first passphrase may be gone already when its removal is tried again.
    again = [what for what in failed[1:] if (base.name, what[0]) != ("key change", "WrongPassphrase")]
    assert again == []
    assert list((place.store / "tmp").iterdir()) == [] or cut.boundary.startswith(("unlink", "remove_folder"))
    return place


def states_after(base: Base, place: Place, seed: int, *, by_chance: int) -> dict[str, Place]:
    """What may be found of a killed trial: all of it, only what was fsynced, and that with some of the rest."""
    states = {"killed": place}
    cut = PowerCut(base.place.store, place.store, place.logs)
    for number in range(by_chance + 1):
        found = Place(place.folder.with_name(f"{place.folder.name}-{number}"), place.source)
        found.folder.mkdir()
        _leave_home(place, found, replaced_is_back=number in (0, 2))
        shutil.copytree(place.logs, found.logs, ignore=shutil.ignore_patterns("attic"))
        cut.leave(found.store, random.Random(seed + number) if number else None)
        states["power cut" if number == 0 else f"power cut, seed {seed + number}"] = found
    return states


def _leave_home(place: Place, found: Place, *, replaced_is_back: bool) -> None:
    """The home's files after a power cut; one that was being replaced when its folder was not fsynced may be back."""
    for path in place.folder.glob("*.json"):
        shutil.copyfile(path, found.folder / path.name)
    replaced = place.logs / REPLACED
    if replaced_is_back and replaced.exists():
        name, _, data = replaced.read_bytes().partition(b"\n")
        back = found.folder / name.decode()
        back.write_bytes(data)
        if not data:
            back.unlink()


def sealed_twice(place: Place) -> tuple[int, int]:
    """How many sealings there were in all processes of a trial, and how many (key, nonce) pairs came up again."""
    data = (place.logs / "seals").read_bytes()
    pairs = [data[at : at + SEAL_BYTES] for at in range(0, len(data), SEAL_BYTES)]
    return len(pairs), len(pairs) - len(set(pairs))


def killed_again_and_again(folder: Path, seed: int, kills: int) -> Place:
    """A larger wedding backed up with three streams and killed at random moments, the same job each time, then done."""
    place = Place(folder / "trial", folder / "source")
    place.folder.mkdir(parents=True)
    build(place.source, work.album(seed))
    with work.opened(place):
        pass
    undisturbed = Place(folder / "undisturbed", place.source)
    shutil.copytree(place.folder, undisturbed.folder)
    begin_s = SystemClock().monotonic_s()
    assert run_child(work.carry_on, undisturbed) == 0
    whole_s = SystemClock().monotonic_s() - begin_s
    chance = random.Random(seed)
    for _ in range(kills):
        run_child_for(whole_s * chance.uniform(0.1, 0.9), work.carry_on, place)
        with work.opened(place, streams=2) as bench:
            assert bench.verify().problems == []
            assert _committed(read_log(place.logs / "promised")) <= {item.id for item in bench.snapshots(partial=True)}
    assert run_child(work.carry_on, place) == 0
    with work.opened(place) as bench:
        assert [item.id for item in bench.snapshots()] == [JOB]
        bench.retrieve(folder / "back", strip=place.source)
        assert bench.verify().problems == []
    assert describe(folder / "back") == describe(place.source)
    return place


def _committed(promised: list[list[str]]) -> set[str]:
    return {job for promise, *jobs in promised if promise == "committed" for job in jobs}


# --- what must hold ---------------------------------------------------------------------------------------


def examine(base: Base, place: Place) -> None:
    """Everything promised is there, everything there is whole, and the job is finished as if nothing had been.

    The trial is removed afterwards.
    """
    promised = read_log(place.logs / "promised")
    passphrase = _passphrase(place, promised)
    with work.opened(place, passphrase, streams=2) as bench:
        assert bench.repository.warnings == []
        _check_register(base, bench, promised)
        ids = {item.id for item in bench.snapshots(partial=True)}
        assert _committed(promised) <= ids
        _check_snapshots(base, place, bench)  # before a repair that is not done, too
        if SCENARIOS[base.name].work is work.repair and ["repaired"] not in promised:
            work.run_repair(bench)
            _check_snapshots(base, place, bench)
        if base.name == "prune":
            pruned.run_prune(bench)
            pruned.check_nothing_is_left(bench)
            assert [item.id for item in bench.snapshots()] == [EARLIER_JOB]
            _check_snapshots(base, place, bench)
        assert bench.verify().problems == []
        _finish(base, place, bench)
        _check_only_own_staging(place)
    assert list((place.store / "tmp").iterdir()) == []
    shutil.rmtree(place.folder)


def _passphrase(place: Place, promised: list[list[str]]) -> str:
    """One that opens the repository; those that are promised to open do, those that are promised not to do not."""
    if ["opens", PASSPHRASE] not in promised and not _exists(place):
        return PASSPHRASE  # init was killed: it is done again
    works = {passphrase for passphrase in (PASSPHRASE, NEW_PASSPHRASE) if _opens(place, passphrase)}
    assert works
    assert ["opens", NEW_PASSPHRASE] in promised or PASSPHRASE in works
    for promise, *what in promised:
        assert promise != "opens" or what[0] == PASSPHRASE or what[0] in works
        assert promise != "refuses" or what[0] not in works
    return works.pop()


def _exists(place: Place) -> bool:
    store = LocalStore(place.store, create=True)
    try:
        return Repository.exists(store)
    finally:
        store.close()


def _opens(place: Place, passphrase: str) -> bool:
    store = LocalStore(place.store, create=False)
    home = Home(SystemClock(), SystemEntropy(), SeenNumbers(None))
    try:
        Repository.open(store, passphrase, home=home).close()
    except WrongPassphrase:
        return False
    finally:
        store.close()
    return True


def _check_register(base: Base, bench: Bench, promised: list[list[str]]) -> None:
    """The wedding has the last name that was promised, or already the next; what was held is held."""
    if ["held"] in promised:
        assert bench.repository.register.get(COUPLE).holds == (work.HOLD,)
    if base.name != "register":
        return
    names = [name for promise, *rest in promised if promise == "wedding" for name in rest]
    found = [wedding.name for wedding in bench.repository.register.all()]
    steps = [[], [COUPLE], [COUPLE + "-2"]]
    at = steps.index(names[-1:])
    assert found in steps[at : at + 2]


def _check_snapshots(base: Base, place: Place, bench: Bench) -> None:
    """Each comes back as the source was."""
    wanted = {**base.before, JOB: base.now}
    for snapshot in bench.snapshots():
        back = Path(tempfile.mkdtemp(dir=place.folder)) / "back"
        bench.retrieve(back, strip=place.source, snapshot=snapshot.id)
        assert describe(back) == wanted[snapshot.id]


def _finish(base: Base, place: Place, bench: Bench) -> None:
    """The job once more, under its own id: what its checkpoint holds is not read again."""
    checkpoints = [item for item in bench.snapshots(partial=True) if item.partial]
    files = {path: thing for path, thing in base.now.items() if thing.kind == "file"}
    covered = sum(entry.size for entry in bench.entries(checkpoints[-1])) if checkpoints else 0
    is_committed = any(item.id == JOB for item in bench.snapshots())
    with counted_reads() as reads:
        snapshot = bench.backup(place.source, job_id=JOB)
    total = sum(thing.size for thing in files.values())
    if is_committed:
        assert sum(reads) == 0
    elif checkpoints:
        assert sum(reads) == total - covered
    assert snapshot.id == JOB
    back = place.folder / "finished"
    bench.retrieve(back, strip=place.source, snapshot=JOB)
    assert describe(back) == base.now
    assert bench.verify().problems == []
    if base.name == "key change":
        work.finish_key_change(bench)
        assert (_opens(place, PASSPHRASE), _opens(place, NEW_PASSPHRASE)) == (False, True)
    if base.name == "register":
        bench.repository.register.put(work.couple(COUPLE + "-2"))
        assert [wedding.name for wedding in bench.repository.register.all()] == [COUPLE + "-2"]


def _check_only_own_staging(place: Place) -> None:
    """What the dead process had staged is gone."""
    assert len(list((place.store / "tmp").iterdir())) <= 1
