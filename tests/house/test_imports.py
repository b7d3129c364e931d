"""The floors: held by import-linter, the linter proven by planted violations, and a headless start looked at."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, modules

# Each violation: the file it is planted in (made, or added to), the line, and words of the report that must name it.
PLANTS: dict[str, tuple[str, str, str]] = {
    "storage reaches up to the repository": (
        "engine/storage/planted_up.py", "import engine.repository", "engine.storage.planted_up -> engine.repository",
    ),
    "storage names a cipher": (
        "engine/storage/planted_cipher.py", "import cryptography", "engine.storage.planted_cipher -> cryptography",
    ),
    "the pipeline hashes past its door": (
        "engine/jobs/planted_hash.py", "import blake3", "engine.jobs.planted_hash -> blake3",
    ),
    "a screen reaches into the jobs": (
        "screens/planted_jobs.py", "import engine.jobs", "screens.planted_jobs -> engine.jobs",
    ),
    "a screen takes more of base than units": (
        "screens/planted_base.py", "import engine.base.clock", "screens.planted_base -> engine.base.clock",
    ),
    "the program reaches into operations": (
        "wedsync_tui/planted_operations.py", "import engine.operations",
        "wedsync_tui.planted_operations -> engine.operations",
    ),
    "a door takes the remote engine past the wiring": (
        "wedsync_tui/planted_remote.py", "import engine.remote", "wedsync_tui.planted_remote -> engine.remote",
    ),
    "the remote handle reaches into operations": (
        "engine/remote.py", "import engine.operations", "engine.remote -> engine.operations",
    ),
    "the contract reaches up, for a type only": (
        "engine/contract/planted_type.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import engine.jobs",
        "engine.contract.planted_type -> engine.jobs",
    ),
    "the contract starts a loop": (
        "engine/contract/planted_loop.py", "import asyncio", "engine.contract.planted_loop -> asyncio",
    ),
    "the engine draws": ("engine/jobs/planted_rich.py", "import rich", "engine.jobs.planted_rich -> rich"),
    "the engine uses sample data": (
        "engine/operations/planted_fixtures.py", "import fixtures", "engine.operations.planted_fixtures -> fixtures",
    ),
    "base modules know each other": (
        "engine/base/planted_base.py", "import engine.base.units", "engine.base.planted_base -> engine.base.units",
    ),
    "a ring of imports": (
        "engine/pipeline/planted_ring_a.py", "import engine.pipeline.planted_ring_b",
        r"planted_ring_(a|b) -> \.planted_ring_(b|a)",
    ),
    "a folder that is no floor": ("engine/helpers/__init__.py", "", "engine.helpers"),
}  # fmt: skip


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the tree that breaks every floor at once."""
    tree = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "engine/pipeline/planted_ring_b.py").write_text("import engine.pipeline.planted_ring_a\n")
    for file, line, _ in PLANTS.values():
        path = tree / file
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as handle:
            handle.write(f"\n{line}\n")
    finished = _lint(tree)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return re.sub(r"\s+", " ", finished.stdout)


def test_the_floors_hold() -> None:
    """The tree as it is breaks no contract."""
    finished = _lint(ROOT)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("violation", PLANTS)
def test_planted_violation_is_caught(violation: str, report: str) -> None:
    """A guard that never rings is no guard."""
    pattern = PLANTS[violation][2]
    assert re.search(pattern if "(" in pattern else re.escape(pattern), report), report


def test_every_module_that_says_pure_is_held_to_it() -> None:
    """The word in a docstring is a promise; the contract `pure` in pyproject.toml keeps it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    held = next(contract["source_modules"] for contract in contracts if contract["id"] == "pure")
    promised = [m.name for m in modules() if re.search(r"\bPure\b(?! but)", ast.get_docstring(m.tree) or "")]
    assert [name for name in promised if name not in held] == []


def test_headless_start_loads_no_screen_library() -> None:
    """No static contract sees what a library imports by itself: ask the interpreter."""
    program = (
        "import sys, wedsync_tui.cli, engine.local\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'numpy', 'pygments', 'rich', 'textual'}))"
    )
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []
