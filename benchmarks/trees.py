"""Trees to measure with: a photo-like one that is generated, a small-file one that is found on the machine."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

_VIDEO_SHARE = 0.25
_DUPLICATE_SHARE = 0.1
_PIECE = 8 * 1024 * 1024


def write_random(path: Path, size: int, chance: random.Random) -> None:
    """A file of incompressible bytes."""
    with path.open("wb") as file:
        for start in range(0, size, _PIECE):
            file.write(chance.randbytes(min(_PIECE, size - start)))


def photo_tree(root: Path, total_bytes: int, *, seed: int = 7) -> Path:
    """JPEG-sized and RAW-sized files, a video, sidecars of text, a tenth of it duplicates. Made once."""
    if (root / "complete").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    chance = random.Random(seed)
    made = int(total_bytes * _VIDEO_SHARE)
    write_random(root / "ceremony.mp4", made, chance)
    pictures: list[Path] = []
    while made < total_bytes * (1 - _DUPLICATE_SHARE):
        number = len(pictures)
        card = root / f"card-{number // 200:02d}"
        card.mkdir(exist_ok=True)
        raw = number % 4 == 0
        size = chance.randint(20_000_000, 30_000_000) if raw else chance.randint(3_000_000, 9_000_000)
        picture = card / f"IMG_{number:05d}.{'CR3' if raw else 'jpg'}"
        write_random(picture, size, chance)
        lines = "".join(f"<rdf:li>{chance.random():.6f} rating {number}</rdf:li>\n" for _ in range(40))
        picture.with_suffix(".xmp").write_text(f"<x:xmpmeta>\n{lines}</x:xmpmeta>\n")
        pictures.append(picture)
        made += size
    selects = root / "selects"
    selects.mkdir()
    for picture in chance.sample(pictures, len(pictures)):
        if made >= total_bytes:
            break
        shutil.copy(picture, selects / picture.name)
        made += picture.stat().st_size
    (root / "complete").touch()
    return root


def small_file_tree() -> Path:
    """The Python installations of this machine: tens of thousands of small files."""
    base = Path(sys.base_prefix)
    return base.parent if base.parent.name == "versions" else base


def first_files(source: Path, root: Path, count: int) -> Path:
    """A copy of the first `count` files of `source`, in the order of their names, with their metadata. Made once."""
    complete = root.with_name(root.name + ".complete")
    if complete.exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    left = count
    for folder, below, names in os.walk(source):
        below.sort()
        target = root / Path(folder).relative_to(source)
        target.mkdir(parents=True)
        for name in sorted(names)[:left]:
            shutil.copy2(Path(folder, name), target / name, follow_symlinks=False)
        left -= min(left, len(names))
        if not left:
            break
    complete.touch()
    return root


def change_one_percent(root: Path, *, seed: int) -> int:
    """Write 4 KiB into the middle of one file in a hundred, in place; returns how many were changed."""
    chance = random.Random(seed)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size > 0)
    chosen = chance.sample(files, max(1, len(files) // 100))
    for path in chosen:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(chance.randbytes(4096))
    return len(chosen)


def tree_size(root: Path) -> tuple[int, int]:
    """Regular files and their bytes."""
    files = total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            stat = os.lstat(os.path.join(folder, name))
            if os.path.isfile(os.path.join(folder, name)):
                files += 1
                total += stat.st_size
    return files, total
