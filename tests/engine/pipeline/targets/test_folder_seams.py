"""Somebody moves things about between any two steps of a restore, one after the other: nothing outside is touched.

Each call that the target makes to the system is a seam. The restore is run once for each of them, and the attacker
strikes just before that one call: what is a race elsewhere is a table here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from engine.base.entropy import SystemEntropy
from engine.base.errors import WedSyncError
from engine.pipeline import folders
from engine.pipeline.targets import files, folder, metadata
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.repository.entry import FIFO, FILE, FOLDER, SYMLINK
from tests.suites.restore_target import entry
from tests.trees import Node, build, describe, file, scratch, symlink
from tests.trees import folder as a_folder

MODULES: tuple[ModuleType, ...] = (folder, files, folders, metadata)
CALLS_MAX = 500

Strike = Callable[[Path, Path], None]


class _Struck:
    """The module `os`, with an attacker before one of its calls."""

    def __init__(self, at: int, strike: Callable[[], None]) -> None:
        self.calls = 0
        self._at = at
        self._strike = strike

    def __getattr__(self, name: str) -> object:
        found = getattr(os, name)
        if not callable(found) or isinstance(found, type):
            return found

        def called(*positional: object, **named: object) -> object:
            self.calls += 1
            if self.calls == self._at:
                self._strike()
            return found(*positional, **named)

        return called


def _symlink_for_a_folder(root: Path, outside: Path) -> None:
    """The folder moves away, a symlink to the outside takes its place."""
    if (root / "d").is_dir():
        (root / "d").rename(root / "moved")
        (root / "d").symlink_to(outside)


def _symlink_for_the_root(root: Path, outside: Path) -> None:
    """The same to the root, once it is open: a symlink that stands in its place before is followed, as it was named."""
    if _is_open(root):
        root.rename(root.with_name("moved"))
        root.symlink_to(outside)


def _is_open(path: Path) -> bool:
    return any(os.path.realpath(f"/proc/self/fd/{fd}") == str(path) for fd in os.listdir("/proc/self/fd"))


def _other_names_for_things(root: Path, outside: Path) -> None:
    """What stands in the folder, temporary or not, becomes one more name of a thing of its kind outside."""
    for each in (root / "d").iterdir() if (root / "d").is_dir() else ():
        kind = "l" if each.is_symlink() else "p" if each.is_fifo() else "x"
        each.unlink()
        os.link(outside / kind, each, follow_symlinks=False)


def _restore(root: Path, overwrite: Overwrite) -> None:
    target = FolderTarget(bytes(root), entropy=SystemEntropy(), overwrite=overwrite, strip_prefix=b"s")
    target.begin(entry(b"s", FOLDER, mode=0o750))
    target.begin(entry(b"s/d", FOLDER, mode=0o777))
    for name, kind in ((b"l", SYMLINK), (b"p", FIFO), (b"x", FILE), (b"y", FILE)):
        group = 9 * (kind == FILE)
        writer = target.begin(entry(b"s/d/" + name, kind, mode=0o777, target=b"t", size=3, link_group=group))
        if writer is not None:
            writer.write_at(0, memoryview(b"new"))
            writer.commit()
    target.finish()


def _seams(strike: Strike, overwrite: Overwrite, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Run the restore with the attacker before its first call, its second, and so on to the last."""
    for at in range(1, CALLS_MAX):
        with scratch() as made:
            root, outside = made / "root", made / "outside"
            things = {b"x": file(b"old"), b"y": file(b"old"), b"l": symlink(b"o"), b"p": Node(kind="fifo", mode=0o600)}
            build(outside, {**things, b"d": a_folder(mode=0o700), **{b"d/" + name: it for name, it in things.items()}})
            if overwrite != "ask":
                build(root, {b"d/" + name: node for name, node in things.items() if name != b"y"})
            before = describe(outside)

            def struck(root: Path = root, outside: Path = outside) -> None:
                strike(root, outside)

            machine = _Struck(at, struck)
            with monkeypatch.context() as patch:
                for module in MODULES:
                    patch.setattr(module, "os", machine)
                with suppress(WedSyncError):  # a target that is gone may be said to be gone
                    _restore(root, overwrite)
            assert describe(outside) == before, f"before call {at}"
        yield at
        if machine.calls < at:
            return
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("overwrite", ["ask", "changed", "always"])
@pytest.mark.parametrize("strike", [_symlink_for_a_folder, _symlink_for_the_root, _other_names_for_things])
def test_whatever_is_moved_between_two_steps_nothing_outside_is_touched(
    monkeypatch: pytest.MonkeyPatch, strike: Strike, overwrite: Overwrite
) -> None:
    """Into an empty place, and over what stands there."""
    assert sum(1 for _ in _seams(strike, overwrite, monkeypatch)) > 30
