"""The backup engine: what is done. Floors, each importing only downwards (docs/architecture.md)."""
