"""The folder target: what is restored is what was read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given

from engine.base.entropy import SystemEntropy
from engine.pipeline.targets.folder import FolderTarget
from tests import strategies
from tests.copying import read_all, write_all
from tests.trees import Tree, build, describe


@given(tree=strategies.trees())
def test_any_tree_comes_back_as_it_was(tree: Tree) -> None:
    """Kinds, modes, owners, times, targets, attributes, hard links, holes and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        source, back = Path(folder, "source"), Path(folder, "back")
        build(source, tree)
        target = FolderTarget(bytes(back), entropy=SystemEntropy(), strip_prefix=bytes(source))
        write_all(target, read_all(bytes(source)))
        assert target.warnings == []
        assert describe(back) == describe(source)
