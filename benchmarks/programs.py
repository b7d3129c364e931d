"""The programs that are compared, each as the commands for one round: prepare, backup, restore."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

_PASSPHRASE = "benchmark"


@dataclass(frozen=True)
class Program:
    """How one program does each step. `{tree}`, `{home}` and `{out}` are filled in."""

    name: str
    backup: list[str]
    restore: list[str]
    prepare: list[list[str]] = field(default_factory=list)
    incremental: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, step: list[str], *, tree: Path, home: Path, out: Path) -> list[str]:
        """`step` with its places filled in."""
        places = {"{tree}": str(tree), "{home}": str(home), "{out}": str(out)}
        return [_fill(word, places) for word in step]


def _fill(word: str, places: dict[str, str]) -> str:
    for place, path in places.items():
        word = word.replace(place, path)
    return word


def wedsync(streams: int) -> Program:
    """This program, through its own command line: start, key derivation and shutdown included."""
    base = [sys.executable, "-m", "wedsync_tui", "--home", "{home}", "--no-ui", "--streams", str(streams)]
    return Program(
        "wedsync",
        prepare=[[*base, "-c", "init", "-c", "wedding add bench --date 2026-06-20"]],
        backup=[*base, "-c", "backup bench --from '{tree}' --wait"],
        restore=[*base, "-c", "retrieve bench --to '{out}'"],
        environment={"WEDSYNC_PASSPHRASE": _PASSPHRASE},
    )


def copy() -> Program:
    """`cp -a`, then sync (which every step gets)."""
    return Program("cp", backup=["cp", "-a", "{tree}", "{home}/copy"], restore=["cp", "-a", "{home}/copy", "{out}"],
                   incremental=False)  # fmt: skip


def restic() -> Program | None:
    """restic, if it is installed."""
    if shutil.which("restic") is None:
        return None
    base = ["restic", "-q", "--no-cache", "-r", "{home}/repository"]
    return Program(
        "restic",
        prepare=[[*base, "init"]],
        backup=[*base, "backup", "{tree}"],
        restore=[*base, "restore", "latest", "--target", "{out}"],
        environment={"RESTIC_PASSWORD": _PASSPHRASE},
    )


def borg() -> Program | None:
    """borg 1.4, if it is installed, with its default encryption and compression."""
    path = os.environ.get("BORG") or shutil.which("borg")
    if path is None:
        return None
    newest = f"printf '%s::' '{{home}}/repository'; '{path}' list --short --last 1 '{{home}}/repository'"
    return Program(
        "borg",
        prepare=[[path, "init", "-e", "repokey-blake2", "{home}/repository"]],
        backup=[path, "create", "{home}/repository::{{now}}-{{pid}}".replace("{{", "{").replace("}}", "}"), "{tree}"],
        restore=["sh", "-c", f"cd '{{out}}' && '{path}' extract \"$({newest})\""],
        environment={"BORG_PASSPHRASE": _PASSPHRASE, "BORG_BASE_DIR": "{home}/borg"},
    )


def all_programs(streams: int) -> list[Program]:
    """Those that are here."""
    return [program for program in (wedsync(streams), copy(), restic(), borg()) if program is not None]
