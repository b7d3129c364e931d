"""Damage done to every kind of object of a small real repository, and what may be lost by it: no more than it covers.

In: a repository with one of everything, and a damage (a bit flipped, cut short, made longer, overwritten, removed,
swapped). Out: nothing when it is noticed and everything that it does not cover reads back; else an AssertionError.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.errors import IntegrityError, NotFound, WedSyncError
from engine.pipeline.plan import Selection
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.folder import FolderTarget
from engine.repository.crypto import METADATA_PACK
from engine.repository.entry import FILE
from engine.repository.index import Location
from engine.repository.pack import ALIGNMENT_BYTES
from tests.crash import work
from tests.crash.trials import run_child
from tests.crash.work import EARLIER_JOB, JOB, NEW_PASSPHRASE, Place
from tests.trees import Thing, build, describe
from tests.vaults import OTHER_WEDDING, PASSPHRASE, WEDDING, Bench

Change = Callable[[bytes], bytes | None]  # None: the object is gone
Span = tuple[int, int]  # [begin, end) of an object


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to which object, and the bytes of it that are no longer as they were."""

    kind: str
    name: str
    what: str
    change: Change
    span: Span


@dataclass(slots=True)
class _Content:
    """What one snapshot holds, and which bytes of which objects each of its files stands on."""

    wedding: str
    job: str
    files: dict[bytes, Thing]  # by path below the source
    needs: dict[bytes, list[tuple[str, Span]]] = field(default_factory=dict)
    segments: list[tuple[str, Span]] = field(default_factory=list)  # some hold folders and links only


class Specimen:
    """A repository with one of everything, as it was before any damage."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._copies = 0
        self.place = Place(folder / "whole", folder / "source")
        self.place.folder.mkdir()
        assert run_child(work.fill_a_repository, self.place) == 0
        build(folder / "before", work.photos(0))
        before, now = _files(folder / "before"), _files(self.place.source)
        shutil.copytree(self.place.folder, folder / "read")
        self.contents: list[_Content] = []
        with work.opened(Place(folder / "read", self.place.source)) as bench:
            for wedding, job, files in (
                (WEDDING, EARLIER_JOB, before),
                (WEDDING, JOB, now),
                (OTHER_WEDDING, JOB, before),
            ):
                self.contents.append(_content(bench, self.place, _Content(wedding, job, files)))
        self.objects = sorted(self._objects())

    def _objects(self) -> Iterator[tuple[str, str, int]]:
        """Kind, name and size of every object; of packs their parts, as kinds of their own."""
        for path in sorted(self.place.store.rglob("*")):
            name = str(path.relative_to(self.place.store))
            if path.is_file() and not name.startswith("tmp/"):
                yield self._kind(name), name, path.stat().st_size

    def _kind(self, name: str) -> str:
        top, _, rest = name.partition("/")
        if top != "weddings":
            return top
        kind = rest.split("/")[1]
        if kind == "snapshots":
            return "checkpoint" if "-" in name else "snapshot"
        if kind != "packs":
            return {"key": "wedding key", "index": "fragment"}[kind]
        pack_type = (self.place.store / name).read_bytes()[5]
        return {10: "data pack", 11: "metadata pack"}[pack_type]

    def damaged(self, damage: Damage) -> Place:
        """A copy with the damage done; the rest are names of the same files, which nobody writes to."""
        self._copies += 1
        place = Place(self.folder / f"damaged{self._copies}", self.place.source)
        shutil.copytree(self.place.folder, place.folder, copy_function=_link)
        path = place.store / damage.name
        data = damage.change(path.read_bytes())
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        return place


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _files(root: Path) -> dict[bytes, Thing]:
    return {path: thing for path, thing in describe(root).items() if thing.kind == "file"}


def _content(bench: Bench, place: Place, content: _Content) -> _Content:
    """Note what each file of a snapshot needs: the snapshot itself, its manifest segment, its blobs."""
    store = f"weddings/{content.wedding}/"
    with bench.repository.vault(content.wedding) as vault:
        snapshot = vault.find_snapshot(content.job)
        segments = list(snapshot.body.segments)
        entries = list(vault.entries(snapshot))
        at = 0
        for ref in segments:
            content.segments.append(_span(store, vault.locate(ref.id, METADATA_PACK)))
            for entry in entries[at : at + ref.entries]:
                if entry.kind == FILE:
                    path = (b"/" + entry.path).removeprefix(bytes(place.source) + b"/")
                    ids = [entry.chunks[n : n + 32] for n in range(0, len(entry.chunks), 32)]
                    content.needs[path] = [
                        (f"{store}snapshots/{content.job}", (0, 1 << 40)),
                        content.segments[-1],
                        *(_span(store, vault.locate(chunk_id)) for chunk_id in ids),
                    ]
            at += ref.entries
    assert set(content.needs) == set(content.files)
    return content


def _span(store: str, place: Location) -> tuple[str, Span]:
    return f"{store}packs/{place.pack.name.hex()}", (place.offset, place.offset + place.stored_bytes)


# --- kinds of damage --------------------------------------------------------------------------------------


def _flip(at: int, bit: int) -> Change:
    return lambda data: data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


def _overwrite(at: int, data: bytes) -> Change:
    return lambda whole: whole[:at] + data[: len(whole) - at] + whole[at + len(data) :]


def damages(kind: str, name: str, size: int, chance: random.Random, *, flips: int) -> Iterator[Damage]:
    """Seeded damages of one object: `flips` single bits, and one of each other kind at seeded places."""
    edges = [0, 4, 5, 6, 8, 12, 43, 44, size - 1, size - 5, size - 41]  # magic, version, type, epoch, salt … trailer
    places = [at for at in edges if 0 <= at < size] + [chance.randrange(size) for _ in range(flips)]
    for at in chance.sample(places, min(flips, len(places))):
        bit = chance.randrange(8)
        yield Damage(kind, name, f"bit {bit} of byte {at} flipped", _flip(at, bit), (at, at + 1))
    for left in {0, 1, chance.randrange(size), size - 1}:
        yield Damage(kind, name, f"cut to {left} bytes", lambda data, left=left: data[:left], (left, size))  # type: ignore[misc]
    yield Damage(kind, name, "made longer", lambda data: data + b"more", (size, size + 4))
    at = chance.randrange(size) // ALIGNMENT_BYTES * ALIGNMENT_BYTES
    page = chance.randbytes(ALIGNMENT_BYTES)
    yield Damage(kind, name, f"a page of noise at {at}", _overwrite(at, page), (at, at + len(page)))
    yield Damage(kind, name, f"a page of zeros at {at}", _overwrite(at, bytes(len(page))), (at, at + len(page)))
    yield Damage(kind, name, "gone", lambda _: None, (0, size))


# --- what must hold ---------------------------------------------------------------------------------------


def examine(specimen: Specimen, damage: Damage) -> str:
    """`refused`, `told` or `harmless`: how the damage was noticed; everything that it does not cover reads back.

    Harmless are a lease, which no content stands on, and an object that is gone as prune would remove it.
    """
    place = specimen.damaged(damage)
    try:
        return _examine(specimen, damage, place)
    finally:
        shutil.rmtree(place.folder)


def _examine(specimen: Specimen, damage: Damage, place: Place) -> str:
    bench, told = _opened(place)
    if bench is None:
        is_set_back = (damage.kind, damage.what) == ("register", "gone")
        assert damage.kind == "config" or is_set_back, f"{damage}: nothing can be read any more"
        return "refused"
    with bench:
        told = [*told, *bench.repository.warnings]
        for wedding in (WEDDING, OTHER_WEDDING):
            told += _verified(bench, damage, wedding)
        for content in specimen.contents:
            _restore(bench, place, damage, content)
        for wedding in (WEDDING, OTHER_WEDDING):
            _go_on(bench, place, wedding, damage)
    may_go = damage.what == "gone" and damage.kind in ("snapshot", "checkpoint", "marks")
    assert told or damage.kind == "leases" or may_go, f"{damage}: nobody noticed"
    return "told" if told else "harmless"


def _opened(place: Place) -> tuple[Bench | None, list[str]]:
    """The repository, and what was said against it; whoever has one of the two passphrases tries theirs."""
    told: list[str] = []
    bench: Bench | None = None
    for passphrase in (PASSPHRASE, NEW_PASSPHRASE):
        try:
            opened = work.opened_if_there(place, passphrase)
        except WedSyncError as error:
            told.append(error.line())
            continue
        if bench is not None:
            bench.close()
        bench = opened
    return bench, told


def _verified(bench: Bench, damage: Damage, wedding: str) -> list[str]:
    try:
        return bench.verify(wedding=wedding).problems
    except IntegrityError as error:
        assert damage.kind == "wedding key"
        return [error.line()]


def _restore(bench: Bench, place: Place, damage: Damage, content: _Content) -> None:
    """Every file that does not stand on the damaged bytes comes back; of the others none, and it is said."""
    if damage.kind == "wedding key" and content.wedding in damage.name:
        return
    back = place.folder / f"back-{content.wedding[:4]}-{content.job[:4]}"
    lost = {path for path, needs in content.needs.items() if any(_hits(damage, *need) for need in needs)}
    error: WedSyncError | None = None
    try:
        with bench.repository.vault(content.wedding) as vault:
            target = FolderTarget(bytes(back), entropy=bench.entropy, strip_prefix=bytes(place.source))
            bench.run(RestoreRun(vault, vault.find_snapshot(content.job), Selection(), target))
    except (IntegrityError, NotFound) as caught:
        error = caught
    found = _files(back) if back.exists() else {}
    is_hit = bool(lost) or any(_hits(damage, *segment) for segment in content.segments)
    assert (error is not None) == is_hit, f"{damage}: {error}, though {sorted(lost)} are lost"
    assert found == {path: thing for path, thing in content.files.items() if path not in lost}, str(damage)


def _hits(damage: Damage, name: str, span: Span) -> bool:
    return name == damage.name and damage.span[0] < span[1] and span[0] < damage.span[1]


def _go_on(bench: Bench, place: Place, wedding: str, damage: Damage) -> None:
    """The wedding can be backed up all the same, or says why not in one line."""
    try:
        snapshot = bench.backup(place.source, wedding=wedding)
    except IntegrityError:
        assert damage.kind == "wedding key"
        return
    assert snapshot.body.counts.files == len(_files(place.source))
    assert snapshot.body.counts.warnings == 0
