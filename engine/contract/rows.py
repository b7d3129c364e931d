"""Rows of results: a wedding, a snapshot, a file, a difference, a key slot, a setting, as doors show them."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.contract.weddings import PriorityClass, Wedding


class WeddingSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A wedding with what the engine knows about its safety."""

    wedding: Wedding
    priority: PriorityClass
    protected_since: str | None = None  # ISO 8601
    snapshots: int | None = None
    sources: tuple[str, ...] = ()  # where its files lie on this machine, as far as the engine was told
    watched: bool = False
    held: str = ""  # why it, or the first of its snapshots, may not be deleted


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One recovery point."""

    id: str
    time: str  # ISO 8601, start of the scan
    host: str
    sources: tuple[str, ...]
    tags: tuple[str, ...]
    priority: PriorityClass
    partial: bool
    parent: str
    files: int
    bytes_source: int
    bytes_stored: int
    files_unchanged: int
    warnings: int
    engine_version: str
    held: str = ""  # why it may not be deleted
    committed: str = ""  # ISO 8601: when it was in the hot store, durably
    safe: str = ""  # when every copy of it was there, or by when; empty: not yet, nobody saw it, or no regions


class EntryRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One file, folder or other thing of a snapshot. `path_base64` is there when the name is not UTF-8."""

    path: str
    type: Literal["file", "folder", "symlink", "fifo", "socket", "character-device", "block-device"]
    mode: str  # as 0644
    uid: int
    gid: int
    modified: str
    size: int = 0
    target: str = ""
    hash: str = ""  # BLAKE3 of the contents, hex
    path_base64: str = ""
    snapshot: str = ""  # where a list spans several


class DiffRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One difference."""

    path: str
    change: Literal["added", "removed", "contents", "metadata", "type"]
    bytes_before: int
    bytes_after: int


class KeySlotRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One key slot: a passphrase that opens the repository."""

    id: str
    label: str  # empty when this engine did not open with it: labels are sealed
    kdf: str
    current: bool


class SettingRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One setting."""

    key: str
    value: str
    default: str
    help: str
