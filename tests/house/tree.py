"""The project's own files, as the guards of this folder read them."""

from __future__ import annotations

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "fixtures", "screens", "wedsync_tui")
TEXT_ENDINGS = {"", ".cfg", ".lock", ".md", ".py", ".sh", ".svg", ".tcss", ".toml", ".txt", ".wed", ".json", ".pyi"}


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: where it is, its dotted name, its lines, its syntax tree."""

    path: Path
    name: str
    lines: tuple[str, ...]
    tree: ast.Module

    @property
    def shown(self) -> str:
        """The path as people say it."""
        return str(self.path.relative_to(ROOT))


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, in version control."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    found = (ROOT / name.decode() for name in listing.split(b"\0") if name)
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """Path and contents of every text file."""
    return tuple(
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace"))
        for path in files()
        if path.suffix in TEXT_ENDINGS
    )


@functools.cache
def modules(*, tests: bool = False) -> tuple[Module, ...]:
    """Every Python file of the packages, or with `tests` every one of the tests."""
    roots = ("tests",) if tests else PACKAGES
    found = []
    for path in files():
        parts = path.relative_to(ROOT).with_suffix("").parts
        if path.suffix == ".py" and parts[0] in roots:
            text = path.read_text(encoding="utf-8")
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(path, name, tuple(text.splitlines()), ast.parse(text)))
    return tuple(found)
