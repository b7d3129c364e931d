"""Any tree, backed up and retrieved, is equal: kinds, modes, owners, times, names, holes, links, attributes, bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings

from tests import strategies
from tests.trees import Tree, build, describe
from tests.vaults import Bench


@settings(max_examples=60)
@given(tree=strategies.trees())
def test_any_tree_comes_back_as_it_was(tree: Tree) -> None:
    """Through chunks, seals, packs, manifest and snapshot, and back."""
    with tempfile.TemporaryDirectory() as made, Bench() as bench:
        source, back = Path(made, "source"), Path(made, "back")
        build(source, tree)
        before = describe(source)
        bench.backup(source)
        bench.retrieve(back, strip=source)
        assert describe(back) == before
        assert bench.verify().problems == []
