"""The engine's version, as snapshots and the status document carry it."""

VERSION = "0.1.0"
