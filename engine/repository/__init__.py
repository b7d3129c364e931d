"""Repository format 1 (docs/format.md): keys, packs, index, manifest, snapshot, check."""
