"""Once a pack is known to be damaged, backups store again what the source still has, and readers take other copies."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError
from engine.base.units import MIB
from engine.pipeline import recorder
from engine.pipeline.plan import Selection
from engine.pipeline.repair import RepairOutcome, RepairRun
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.archive import TarTarget
from engine.repository import manifest
from engine.repository.crypto import DATA_PACK, METADATA_PACK
from engine.storage.stores.local import LocalStore
from tests.trees import Thing, build, describe, file
from tests.vaults import WEDDING, Bench

PHOTOS = tuple(b"IMG_%02d.nef" % number for number in range(6))
SIDECARS = {b"xmp/%02d" % number: file(b"%d" % number * 300) for number in range(40)}


class Home:
    """One home, its repository on a disk, and a source of six photos and their sidecars."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.packs = folder / "store" / "weddings" / WEDDING / "packs"
        self._back = 0
        build(self.source, {**{name: file(random.Random(name).randbytes(MIB)) for name in PHOTOS}, **SIDECARS})

    def engine(self, home: str = "home", *, streams: int = 1) -> Bench:
        """A life of the engine; what a home has found it keeps from one to the next."""
        (self.folder / home).mkdir(exist_ok=True)
        store = LocalStore(self.folder / "store", create=True)
        return Bench(store, streams=streams, seen=self.folder / home / "seen.json")

    def named(self, pack_type: int) -> set[str]:
        """The names of the stored packs of this type."""
        return {path.name for path in self.packs.iterdir() if path.read_bytes()[5] == pack_type}

    def flip(self, name: str, *, at: int = 5000) -> None:
        """Damage a pack."""
        data = bytearray((self.packs / name).read_bytes())
        data[at] ^= 1
        (self.packs / name).write_bytes(data)

    def back(self, bench: Bench, snapshot: str = "latest") -> dict[bytes, Thing]:
        """What comes back. Raises IntegrityError unless it is everything."""
        self._back += 1
        bench.retrieve(self.folder / f"back{self._back}", strip=self.source, snapshot=snapshot)
        return describe(self.folder / f"back{self._back}")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Nothing is backed up yet."""
    return Home(tmp_path)


def repaired(bench: Bench, *, contents: bool = False) -> RepairOutcome:
    with bench.repository.vault(WEDDING) as vault:
        return bench.run(RepairRun(vault, bench.entropy, contents=contents, dry_run=False))


@pytest.fixture
def damaged(home: Home) -> str:
    """The one data pack, damaged after a backup and found by a verification."""
    with home.engine() as bench:
        bench.backup(home.source)
        (name,) = home.named(DATA_PACK)
        home.flip(name)
        assert bench.verify(all_files=False).problems != []
    return name


def test_what_verify_finds_is_stored_again_by_the_next_backup(home: Home, damaged: str) -> None:
    """In a later life of the engine, from a source in which nothing has changed; both snapshots are whole then."""
    with home.engine() as bench:
        first = bench.snapshots()[0].id
        with pytest.raises(IntegrityError):
            home.back(bench)
        healing = bench.backup(home.source)
        assert healing.body.counts.bytes_stored > len(PHOTOS) * MIB
        assert home.back(bench, first) == home.back(bench) == describe(home.source)
    with home.engine() as bench:
        outcome = bench.verify()
        assert outcome.problems == []
        assert outcome.healed == [
            f"pack {damaged} is damaged, but all of it is stored elsewhere too; repair takes it out"
        ]
        assert bench.backup(home.source).body.counts.bytes_stored == 0


def test_damage_that_nobody_has_met_is_relied_on(home: Home) -> None:
    """Nothing is read to find out: that is what verify is for."""
    with home.engine() as bench:
        bench.backup(home.source)
        home.flip(*home.named(DATA_PACK))
        assert bench.backup(home.source).body.counts.bytes_stored == 0


@pytest.mark.parametrize("what", ["cut", "gone", "zeros"])
def test_what_a_retrieval_meets_is_stored_again_too(home: Home, what: str) -> None:
    """Whatever is wrong with the pack; the retrieval tells of the files that it could not give back."""
    with home.engine() as bench:
        bench.backup(home.source)
        pack = home.packs / home.named(DATA_PACK).pop()
        if what == "gone":
            pack.unlink()
        else:
            data = pack.read_bytes()
            pack.write_bytes(
                data[: len(data) // 2] if what == "cut" else data[: 1 << 16] + bytes(len(data) - (1 << 16))
            )
        with pytest.raises(IntegrityError, match="not restored"):
            home.back(bench)
    with home.engine() as bench:
        bench.backup(home.source)
        assert home.back(bench) == describe(home.source)
        assert bench.verify().problems == []


def test_a_damaged_part_of_the_manifest_is_written_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal segments of the snapshots before are whole again with it."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 4)
    monkeypatch.setattr(recorder, "INLINE_ENTRIES_MAX", 0)
    with home.engine() as bench:
        first = bench.backup(home.source)
        home.flip(*home.named(METADATA_PACK), at=100)
        assert bench.verify(all_files=False).problems != []
    with home.engine() as bench:
        bench.backup(home.source)
        assert home.back(bench, first.id) == home.back(bench) == describe(home.source)
        assert bench.verify().problems == []


def test_a_backup_of_touched_paths_takes_over_no_damaged_part(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a watch vouches for stands in the source; whether it stands in the repository is known better here."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 2)  # by the hash of its path a segment may be long
    monkeypatch.setattr(recorder, "INLINE_ENTRIES_MAX", 0)
    with home.engine() as bench:
        first = bench.backup(home.source, tags=("watch",))
        with bench.repository.vault(WEDDING) as vault:
            untouched = vault.locate(first.body.segments[5].id, METADATA_PACK)
        home.flip(*home.named(METADATA_PACK), at=untouched.offset)
        assert bench.verify(all_files=False).problems != []
        changed = home.source / "xmp" / "39"
        changed.write_bytes(b"new")
        bench.backup(home.source, tags=("watch",), changed=(os.fsencode(changed),))
        assert home.back(bench) == describe(home.source)


def test_what_the_source_no_longer_has_is_named(home: Home, damaged: str) -> None:
    """The old snapshot lost one photo; the new one and everything else are whole."""
    changed = home.source / os.fsdecode(PHOTOS[0])
    changed.write_bytes(b"another photo")
    with home.engine() as bench:
        old = bench.snapshots()[0].id
        bench.backup(home.source)
        assert home.back(bench) == describe(home.source)
        named = [problem for problem in bench.verify().problems if problem.startswith("snapshot")]
        (loss,) = [problem for problem in named if "IMG" in problem]
        assert loss.startswith(f"snapshot {old}: {changed}: ")
        assert [problem for problem in named if "IMG_00" not in problem] == []
        with pytest.raises(IntegrityError, match="IMG_00"):
            home.back(bench, old)


def test_a_repair_after_the_healing_takes_the_damaged_pack_out(home: Home, damaged: str) -> None:
    """It looks into packs that are known to be damaged without being told to look into all."""
    with home.engine() as bench:
        bench.backup(home.source)
        outcome = repaired(bench)
        assert (outcome.packs_dropped, outcome.chunks_saved, outcome.losses) == (1, 0, [])
    assert (home.folder / "home" / "damaged.json").read_text() == "[]"
    with home.engine("other home") as bench:
        outcome_of_verify = bench.verify()
        assert (outcome_of_verify.problems, outcome_of_verify.healed) == ([], [])
        assert home.back(bench) == describe(home.source)


def test_a_pack_that_is_whole_again_counts_again(home: Home, damaged: str) -> None:
    """As when it was brought back from a copy: verified once, and nothing is stored twice."""
    home.flip(damaged)
    with home.engine() as bench:
        assert bench.verify(all_files=False).problems == []
        assert bench.backup(home.source).body.counts.bytes_stored == 0


@pytest.mark.parametrize("whole_files", [True, False])
def test_a_reader_takes_the_other_copy_whichever_is_damaged(home: Home, damaged: str, whole_files: bool) -> None:
    """Also in a home that knows of no damage: the first copy, the second, and then none."""
    with home.engine() as bench:
        bench.backup(home.source)
    (second,) = home.named(DATA_PACK) - {damaged}
    for number, flips in enumerate(((), (damaged, second))):
        for name in flips:
            home.flip(name)  # the first is whole again, the second no longer
        with home.engine(f"fresh{number}", streams=2) as bench:
            if whole_files:
                assert home.back(bench) == describe(home.source)
            else:
                assert _archived(home, bench) == {path for path, thing in describe(home.source).items() if path}
        with home.engine(f"verifying{number}") as bench:
            outcome = bench.verify()
            assert (outcome.problems, len(outcome.healed)) == ([], 1)
    home.flip(damaged)
    with home.engine("last") as bench, pytest.raises(IntegrityError, match="not restored"):
        home.back(bench)


def _archived(home: Home, bench: Bench) -> set[bytes]:
    """The paths in a tar of the newest snapshot, each of which holds what the source has."""
    made = io.BytesIO()
    with bench.repository.vault(WEDDING) as vault:
        target = TarTarget(made, strip_prefix=bytes(home.source))
        bench.run(RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target))
    made.seek(0)
    found: set[bytes] = set()
    with tarfile.open(fileobj=made) as archive:
        for member in archive:
            found.add(os.fsencode(member.name).rstrip(b"/"))
            if member.isfile():
                extracted = archive.extractfile(member)
                assert extracted is not None
                assert extracted.read() == (home.source / member.name).read_bytes()
    return found


def test_repair_takes_good_chunks_out_of_one_damaged_pack_for_another(home: Home, damaged: str) -> None:
    """Both copies are damaged, at different places: together they are whole."""
    with home.engine() as bench:
        bench.backup(home.source)
        (second,) = home.named(DATA_PACK) - {damaged}
        home.flip(second, at=5 * MIB)
        outcome = repaired(bench, contents=True)
        assert (outcome.packs_dropped, outcome.losses) == (2, [])
        assert outcome.chunks_saved >= len(PHOTOS)
    with home.engine("other home") as bench:
        assert bench.verify().problems == []
        assert home.back(bench) == describe(home.source)
