"""`make bench`: this program beside cp, restic and borg, alternating, on the same trees, in the same run.

Each round runs every program once a step: first backup, unchanged backup, backup after 1 % changed, restore; the
sources are warm (a restore's is the repository), a sync stands before and inside each timed step. Medians, and ratios
pair by pair, since the machine is shared. Prints a table; `--json FILE` keeps every figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import limits, programs, trees

STEPS = ("first", "unchanged", "changed", "restore")


@dataclass(frozen=True)
class Figure:
    """One timed step of one program."""

    program: str
    step: str
    round: int
    wall_s: float
    cpu_s: float
    memory_mb: float
    stored_mb: float


def run_timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall seconds with a sync, CPU seconds, peak MB. Raises RuntimeError when the program fails."""
    os.sync()
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        os.sync()
        wall_s = time.perf_counter() - begin
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command[:4]} ended with {process.returncode}: {said.read()[-2000:]!r}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run_round(program: programs.Program, tree: Path, work: Path, number: int, *, change: bool) -> list[Figure]:
    """All steps of one program on a fresh repository."""
    home, out = work / "home", work / "out"
    for folder in (home, out):
        folder.mkdir(parents=True)
    environment = {name: value.replace("{home}", str(home)) for name, value in program.environment.items()}
    for words in program.prepare:
        run_timed(program.command(words, tree=tree, home=home, out=out), environment)
    figures = []
    for step in STEPS:
        if step in ("unchanged", "changed") and (not program.incremental or (step == "changed" and not change)):
            continue
        if step == "changed":
            trees.change_one_percent(tree, seed=number)
        if step == "restore":
            warm(home)
        words = program.restore if step == "restore" else program.backup
        timed = run_timed(program.command(words, tree=tree, home=home, out=out), environment)
        stored = sum(path.stat().st_size for path in home.rglob("*") if path.is_file() and not path.is_symlink())
        figures.append(Figure(program.name, step, number, *timed, stored / 1e6))
    return figures


def make_room(kept: Path, tree_bytes: int) -> None:
    """See that a round fits on the disk. What rounds leave behind stays until the end, as long as there is room.

    For minutes after many files were deleted ext4 passes their inodes over one by one whenever it makes a file, which
    then costs up to ten times as much: a round that cleans up would slow the next one down, whichever program it is.
    """
    needed = 8 * tree_bytes
    if shutil.disk_usage(kept).free < needed and any(kept.iterdir()):
        print(f"{kept} is emptied to make room; creating files is slower for some minutes on ext4", flush=True)
        for folder in kept.iterdir():
            shutil.rmtree(folder)
    if shutil.disk_usage(kept).free < needed:
        raise SystemExit(f"{needed / 1e9:.0f} GB are needed at {kept}; name another place with --work")


def warm(folder: Path) -> None:
    """Bring every file of a repository into the page cache: it is the source of a restore.

    Piece by piece, since the peak memory of a program includes what its parent has when it begins.
    """
    piece = bytearray(1 << 20)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb", buffering=0) as file:
                while file.readinto(piece):
                    pass


def table(figures: list[Figure], name: str) -> list[str]:
    """Medians and the ratio to this program, pair by pair."""
    head = ("wall s", "cpu s", "peak MB", "stored MB", "wall/ours", "cpu/ours")
    lines = [f"\n{name}", f"{'step':<10} {'program':<8} " + " ".join(f"{title:>9}" for title in head)]
    for step in STEPS:
        ours = {figure.round: figure for figure in figures if (figure.program, figure.step) == ("wedsync", step)}
        for program in dict.fromkeys(figure.program for figure in figures):
            rows = [figure for figure in figures if (figure.program, figure.step) == (program, step)]
            if not rows:
                continue
            cells = [
                f"{statistics.median(row.wall_s for row in rows):>9.2f}",
                f"{statistics.median(row.cpu_s for row in rows):>9.2f}",
                f"{statistics.median(row.memory_mb for row in rows):>9.0f}",
                f"{statistics.median(row.stored_mb for row in rows):>9.0f}",
                f"{statistics.median(row.wall_s / ours[row.round].wall_s for row in rows):>9.2f}",
                f"{statistics.median(row.cpu_s / ours[row.round].cpu_s for row in rows):>9.2f}",
            ]
            lines.append(f"{step:<10} {program:<8} " + " ".join(cells))
    return lines


def beside_limit(figures: list[Figure], size: int, bare: dict[str, float]) -> str:
    """What the first backup reached of the lower of disk and processor, in this run."""
    walls = [figure.wall_s for figure in figures if (figure.program, figure.step) == ("wedsync", "first")]
    disk, cores = limits.limit(bare, os.cpu_count() or 1)
    reached = size / 1e6 / statistics.median(walls)
    share = reached / min(disk, cores)
    return f"limit: disk {disk:.0f}, cores {cores:.0f} MB/s; reached {reached:.0f} MB/s, {share:.0%} of the lower"


def main() -> None:
    """Build the trees, run the rounds, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "wedsync-bench")
    parser.add_argument("--photo-gb", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=3)
    parser.add_argument("--small", type=Path, default=None, help="small-file tree (default: the Python installations)")
    parser.add_argument("--small-files", type=int, default=None, help="so many files of it, copied, instead of all")
    parser.add_argument("--only", choices=("photos", "small"), default=None)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    kept: dict[str, list[dict[str, object]]] = {}
    photos = trees.photo_tree(options.work / "photos", int(options.photo_gb * 1e9))
    bare = limits.measure(options.work, photos / "ceremony.mp4")
    print("bare parts, MB/s a thread: " + ", ".join(f"{part} {rate:.0f}" for part, rate in bare.items()))
    small = options.small or trees.small_file_tree()
    if options.small_files is not None and options.only != "photos":
        small = trees.first_files(small, options.work / f"small-{options.small_files}", options.small_files)
    rounds = Path(tempfile.mkdtemp(prefix="rounds-", dir=options.work))
    for name, tree, change in (("photos", photos, True), ("small", small, False)):
        if options.only not in (None, name):
            continue
        files, size = trees.tree_size(tree)  # warms the metadata; the first round warms the data
        figures: list[Figure] = []
        for number in range(options.rounds):
            make_room(rounds, size)
            for program in programs.all_programs(options.streams):
                place = rounds / f"{name}-{number}-{program.name}"
                figures += run_round(program, tree, place, number, change=change)
        kept[name] = [asdict(figure) for figure in figures]
        print("\n".join(table(figures, f"{name}: {files:,} files, {size / 1e9:.2f} GB, {options.rounds} rounds")))
        if name == "photos":
            print(beside_limit(figures, size, bare))
    shutil.rmtree(rounds)
    if options.json:
        found = {"machine": platform.platform(), "cores": os.cpu_count(), "limits": bare, "figures": kept}
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
