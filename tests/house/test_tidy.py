"""The style card as a test: lengths, words about every module and public thing, nothing left over, nothing dead."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

import grimp

from tests.house.tree import PACKAGES, Module, files, modules, texts

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 450
FILE_BYTES_MAX = 512 * 1024
ENTRY_POINTS = ("wedsync_tui.cli", "wedsync_tui.__main__", "engine.pipeline.companion_main")

# Names that a base class of Textual, logging or msgspec gives: their meaning is documented there.
_HOOKS = re.compile(r"__\w+__|(on|action|watch|validate|compute|key)_\w+|compose|render|render_line|get_content_\w+")
_CHANGELOG_VERSION = re.compile(r"## (Unreleased|\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2})")
_CHANGELOG_SECTION = re.compile(r"### (Added|Changed|Fixed|Removed|Security)")
# Written in two parts, so that this file does not hold what it looks for.
_LEFT_OVER = re.compile(r"\b(?:FIX" + r"ME|TO" + r"DO|XX" + r"X|HA" + r"CK)\b")
_REGISTRY = re.compile(
    "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)", "deb" + r"ian\.org"))
)
_THIS_MACHINE = re.compile(
    r"(?<![\w.~*-])/(?:ro" + "ot|wo" + "rk|Us" + r"ers|tmp/la" + r"b|opt/py" + r"pi\w*|opt/whe" + r"els)\b/?"
)


def test_no_function_is_longer_than_a_screen() -> None:
    """A function is read at one sight."""
    long = [
        f"{module.shown}:{node.lineno} {node.name}: {length} lines"
        for module in modules() + modules(tests=True)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_module_outgrows_one_job() -> None:
    """400 lines are a module's measure; past 450 it has a second job and is split."""
    everything = modules() + modules(tests=True)
    assert [f"{m.shown}: {len(m.lines)} lines" for m in everything if len(m.lines) > MODULE_LINES_MAX] == []


def test_every_module_says_its_job() -> None:
    """A module docstring: its one job, what flows in and out, which thread runs it."""
    everything = modules() + modules(tests=True)
    assert [m.shown for m in everything if m.lines and not ast.get_docstring(m.tree)] == []


def _public_things(module: Module) -> Iterator[tuple[int, str, bool]]:
    """Line, name and whether it is documented, of each public function, class and method."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in module.tree.body:
        if not isinstance(node, kinds) or node.name.startswith("_"):
            continue
        yield node.lineno, node.name, ast.get_docstring(node) is not None
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, kinds) and not inner.name.startswith("_") and not _HOOKS.fullmatch(inner.name):
                    yield inner.lineno, f"{node.name}.{inner.name}", ast.get_docstring(inner) is not None


def test_every_public_thing_says_what_it_means() -> None:
    """Meaning, units, errors: of each public function, class and method."""
    silent = [
        f"{module.shown}:{line} {name}"
        for module in modules()
        for line, name, documented in _public_things(module)
        if not documented
    ]
    assert silent == []


def _matches(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown}:{number}: {line.strip()[:100]}"
        for shown, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later() -> None:
    """What is not done is an issue, not a comment."""
    assert _matches(_LEFT_OVER) == []


def test_no_file_names_a_package_registry() -> None:
    """Whoever installs uses the index of their own settings; the lock's hashes hold for all."""
    assert [match for match in _matches(_REGISTRY) if not match.startswith("LICENSE")] == []


def test_no_file_names_a_path_of_a_developers_machine() -> None:
    """The tree works wherever it is cloned."""
    assert _matches(_THIS_MACHINE) == []


def test_no_file_is_heavy() -> None:
    """What is large is generated, not stored."""
    assert [f"{path}: {path.stat().st_size}" for path in files() if path.stat().st_size > FILE_BYTES_MAX] == []


def test_every_module_is_reached_from_the_program() -> None:
    """A module that no door leads to is dead, even when other dead ones import it."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    alive = set(ENTRY_POINTS)
    for entry in ENTRY_POINTS:
        assert entry in graph.modules, f"{entry} is missing"
        alive |= graph.find_upstream_modules(entry)
    packages = {m.name for m in modules() if m.path.name == "__init__.py"}
    assert sorted({m.name for m in modules()} - alive - packages) == []


def test_the_changelog_has_its_shape() -> None:
    """Versions with dates, newest first, each with known sections that say something."""
    lines = dict(texts())["CHANGELOG.md"].splitlines()
    assert lines[0] == "# Changes"
    assert [line for line in lines if line.startswith("## ") and not _CHANGELOG_VERSION.fullmatch(line)] == []
    assert [line for line in lines if line.startswith("### ") and not _CHANGELOG_SECTION.fullmatch(line)] == []
    dates = [line.rpartition(" - ")[2] for line in lines if re.match(r"## \d", line)]
    assert dates == sorted(dates, reverse=True)
    filled = [line for line in lines if line]
    empty = [line for line, after in itertools.pairwise(filled) if line.startswith("### ") and after[0] == "#"]
    assert empty == []
