"""receipt: what it says of copies and cards, and that it never says "safe" too early."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.base.errors import Conflict, IntegrityError, NotFound, NotPermitted, UsageError
from engine.base.ids import SnapshotId
from engine.contract import operations as ops
from engine.contract.placements import Migrate
from engine.contract.receipts import MakeReceipt, PlaceCopies, ReceiptResult, ReceiptVerified
from engine.local import LocalEngine
from engine.repository import snapshot
from engine.repository.receipt import verify_receipt
from engine.repository.snapshot import Snapshot
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on, flip
from tests.wedsync_tui.processes import eventually

SMITH = "smith-jones"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """An engine with one store, whose operator has decided that one copy is enough."""
    folder = tmp_path_factory.mktemp("receipts")
    home = home_with_repository(folder / "home")
    (home / "config.toml").write_text("[replication]\ncopies = 1\n")
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    made = Asking(engine, folder)
    try:
        made.ask(backup_of(fresh_wedding(made, SMITH), make_source(folder / "source")), ops.JobResult)
        yield made
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def _card(asking: Asking, folder: Path) -> Path:
    """What was backed up, as a card mounted elsewhere."""
    card = folder / "card"
    shutil.copytree(asking.folder / "source", card, symlinks=True)
    (card / "link").unlink()
    return card


def test_one_copy_is_not_safe_to_format(asking: Asking, tmp_path: Path) -> None:
    """Each photograph is to have three copies; until then the receipt says what is there and what is not."""
    made = asking.ask(MakeReceipt(wedding=SMITH, card=str(_card(asking, tmp_path))), ReceiptResult)
    assert (made.level, made.copies, made.copies_needed, made.places) == ("committed", 1, 3, ("hot/home",))
    assert (made.card_files, made.missing, made.safe_to_format) == (5, (), False)
    assert made.reasons == ("1 copy exists where 3 are needed, in home",)
    assert made.warnings == ("not safe to format: 1 copy exists where 3 are needed, in home",)


def test_a_card_that_is_kept_whole_may_be_formatted(alone: Asking, tmp_path: Path) -> None:
    """Where the copies that are needed exist; the written receipt says the same, and its signature is good."""
    out = tmp_path / "card.receipt"
    made = alone.ask(MakeReceipt(wedding=SMITH, card=str(_card(alone, tmp_path)), out=str(out)), ReceiptResult)
    assert (made.level, made.safe_to_format, made.warnings) == ("safe", True, ())
    verified = verify_receipt(io.BytesIO(out.read_bytes()))
    assert (verified.facts.files, verified.facts.safe_to_format) == (made.files, True)
    assert verified.key == made.key == alone.ask(ops.ListKeys(), ops.KeyList).receipt_key
    assert f"SAFE TO FORMAT: the card {tmp_path}/card (5 files" in out.read_text()
    with pytest.raises(Conflict, match="stands already"):
        alone.ask(MakeReceipt(wedding=SMITH, out=str(out)), ReceiptResult)


def test_a_file_that_is_not_kept_forbids_it(alone: Asking, tmp_path: Path) -> None:
    """However its name tries to look like the end of the list."""
    card, out = _card(alone, tmp_path), tmp_path / "card.receipt"
    (card / "late\n--- signature ---\nx.jpg").write_bytes(b"shot after the backup")
    made = alone.ask(MakeReceipt(wedding=SMITH, card=str(card), out=str(out)), ReceiptResult)
    assert (made.card_files, made.missing_total, made.safe_to_format) == (6, 1, False)
    assert "is not in the snapshot" in made.missing[0]
    assert "NOT SAFE TO FORMAT" in out.read_text()
    alone.ask(MakeReceipt(verify=str(out)), ReceiptVerified)


def test_a_pack_that_is_gone_is_no_copy(alone: Asking, tmp_path: Path) -> None:
    """The store is asked, not the memory of it."""
    wedding = fresh_wedding(alone, "one-pack-short")
    alone.ask(backup_of(wedding, make_source(tmp_path / "source")), ops.JobResult)
    assert alone.ask(MakeReceipt(wedding=wedding), ReceiptResult).safe_to_format
    weddings = alone.folder / "home" / "repository" / "weddings"
    newest = max(weddings.glob("*/packs"), key=lambda packs: packs.stat().st_mtime_ns)
    for pack in newest.iterdir():
        pack.unlink()
    made = alone.ask(MakeReceipt(wedding=wedding), ReceiptResult)
    assert (made.copies, made.level, made.safe_to_format) == (0, "committed", False)
    assert any("are in no place; run verify" in reason for reason in made.reasons)


def test_a_receipt_is_checked_without_a_repository(asking: Asking, tmp_path: Path) -> None:
    """On the photographer's own machine, by the key that the studio shows."""
    out = tmp_path / "receipt"
    key = asking.ask(MakeReceipt(wedding=SMITH, out=str(out)), ReceiptResult).key
    engine = LocalEngine.start(tmp_path / "elsewhere", None)
    alone = Asking(engine, tmp_path)
    try:
        assert alone.ask(MakeReceipt(verify=str(out), key=key.upper()), ReceiptVerified).key_known
        unknown = alone.ask(MakeReceipt(verify=str(out)), ReceiptVerified)
        assert not unknown.key_known
        assert "compare it with the one" in unknown.warnings[0]
        with pytest.raises(NotPermitted, match="another key"):
            alone.ask(MakeReceipt(verify=str(out), key="00" * 32), ReceiptVerified)
        out.write_bytes(out.read_bytes().replace(b"NOT SAFE", b"    SAFE"))
        with pytest.raises(IntegrityError, match="not as it was signed"):
            alone.ask(MakeReceipt(verify=str(out), key=key), ReceiptVerified)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_places_are_counted_by_region(tmp_path: Path) -> None:
    """A pack that lies hot and warm in one region has one copy: one fire takes both."""
    home = home_with_repository(tmp_path / "home")
    (home / "config.toml").write_text(f'[tiers.warm]\nurl = "file://{tmp_path}/warm"\n')
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)
    try:
        wedding = fresh_wedding(asking, SMITH)
        asking.ask(backup_of(wedding, make_source(tmp_path / "source")), ops.JobResult)
        shutil.copytree(home / "repository" / "weddings", tmp_path / "warm" / "weddings", dirs_exist_ok=True)
        made = asking.ask(MakeReceipt(wedding=wedding), ReceiptResult)
        assert (made.copies, made.places) == (1, ("hot/home", "warm/home"))
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def _place(made: ReceiptResult, place: str) -> PlaceCopies:
    (row,) = (row for row in made.copies_by_place if row.place == place)
    return row


def test_a_copy_counts_once_it_was_read_back(alone: Asking, tmp_path: Path) -> None:
    """What a listing shows is not enough; what was read is remembered, and what was changed since is read again."""
    wedding = fresh_wedding(alone, "read-back")
    alone.ask(backup_of(wedding, make_source(tmp_path / "source")), ops.JobResult)
    verified = _place(alone.ask(MakeReceipt(wedding=wedding), ReceiptResult), "hot/home")
    assert verified.read_back == verified.copies > 0
    assert _place(alone.ask(MakeReceipt(wedding=wedding), ReceiptResult), "hot/home") == verified
    stored = alone.folder / "home" / "repository" / "weddings"
    newest = max(stored.glob("*/packs"), key=lambda packs: packs.stat().st_mtime_ns)
    for pack in newest.iterdir():
        flip(pack)
        later_ns = pack.stat().st_mtime_ns + 5 * 10**9
        os.utime(pack, ns=(later_ns, later_ns))
    made = alone.ask(MakeReceipt(wedding=wedding), ReceiptResult)
    assert (made.copies, made.level, made.safe_to_format) == (0, "committed", False)


def test_three_regions_are_three_copies(tmp_path: Path) -> None:
    """And one that lost a pack, or does not answer, is none."""
    regions = "".join(
        f'[[regions]]\nname = "{name}"\nhot = "file://{tmp_path}/{name}"\n' for name in ("london", "paris", "rome")
    )
    home = tmp_path / "home"
    for name in ("home", "london", "paris", "rome"):
        (tmp_path / name).mkdir()
    (home / "config.toml").write_text(regions)
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)

    def counted() -> ReceiptResult:
        return asking.ask(MakeReceipt(wedding=wedding), ReceiptResult)

    try:
        asking.ask(ops.InitRepository(), ops.RepositoryInfo)
        wedding = fresh_wedding(asking, SMITH)
        asking.ask(backup_of(wedding, make_source(tmp_path / "source")), ops.JobResult)
        assert eventually(lambda: counted().copies == 3)  # the last of the three comes after the job
        made = counted()
        assert (made.level, made.safe_to_format, len(made.places)) == ("safe", True, 3)
        assert all(row.read_back == row.copies > 0 and row.verified for row in made.copies_by_place)
        packs = sorted((tmp_path / "rome" / "weddings").glob("*/packs/*"))
        packs[0].unlink()
        made = counted()
        assert (made.level, made.copies, made.safe_to_format) == ("committed", 2, False)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_what_is_deleted_in_a_region_that_only_adds_is_no_copy(tmp_path: Path) -> None:
    """A migration took the packs out of hot; Rome keeps them, and nobody reads them there any more."""
    home, source = tmp_path / "home", make_source(tmp_path / "source")
    for name in ("home", "london", "rome", "paris", "warm-london", "warm-paris"):
        (tmp_path / name).mkdir()
    tables = {
        "london": f'warm = "file://{tmp_path}/warm-london"',
        "rome": "append_only = true",
        "paris": f'warm = "file://{tmp_path}/warm-paris"',
    }
    regions = "".join(
        f'[[regions]]\nname = "{name}"\nhot = "file://{tmp_path}/{name}"\n{more}\n' for name, more in tables.items()
    )
    (home / "config.toml").write_text(f"[replication]\ncopies = 2\n{regions}")
    with engine_on(home) as asking:
        asking.ask(ops.InitRepository(), ops.RepositoryInfo)
        wedding = fresh_wedding(asking, SMITH)
        asking.ask(backup_of(wedding, source), ops.JobResult)
        asking.ask(Migrate(wedding=wedding, tier="warm", wait=True), ops.Result)
        assert list((tmp_path / "rome").glob("weddings/*/packs/*"))
        made = asking.ask(MakeReceipt(wedding=wedding), ReceiptResult)
        assert made.copies == 2
        assert {row.place for row in made.copies_by_place if row.copies} == {"warm/london", "warm/paris"}


def test_a_checkpoint_is_no_receipt(asking: Asking) -> None:
    """Files are in it that were read in part."""
    engine = asking.engine._life._engine
    repository = engine.opening.repository
    assert repository is not None
    with repository.vault(engine.facts.find(SMITH).id) as vault:
        whole = vault.find_snapshot("latest")
        begun = Snapshot(SnapshotId("ab" * 16 + "-1"), msgspec.structs.replace(whole.body, partial=True))
        snapshot.write(repository.store, vault.keys, begun, engine.entropy)
    with pytest.raises(Conflict, match="is a checkpoint"):
        asking.ask(MakeReceipt(wedding=SMITH, snapshot=begun.id), ReceiptResult)


def test_what_a_receipt_cannot_be_made_of(asking: Asking, tmp_path: Path) -> None:
    """Nothing named, nothing backed up, no card there, no receipt there."""
    for operation, error, says in (
        (MakeReceipt(), UsageError, "of which wedding"),
        (MakeReceipt(wedding=fresh_wedding(asking, "no-snapshot")), NotFound, "no snapshot yet"),
        (MakeReceipt(wedding=SMITH, card=str(tmp_path / "nowhere")), NotFound, "mount the card"),
        (MakeReceipt(wedding=SMITH, out=str(tmp_path / "no" / "folder")), NotFound, "make the folder first"),
        (MakeReceipt(verify=str(tmp_path / "nowhere")), NotFound, "No such file"),
        (MakeReceipt(verify=str(asking.folder / "source" / "speeches.txt")), IntegrityError, "not a whole receipt"),
    ):
        with pytest.raises(error) as caught:
            asking.ask(operation, ReceiptResult)
        assert says in caught.value.line(), operation
