"""Scripts of tests/scripts through the real front door and a real engine; what they say is kept beside them.

`X.txt` holds the exit code, people's words and the JSON lines of `X.wed`, with what changes from run to run masked.
After a wanted change, REWRITE_TRANSCRIPTS=1 writes the files anew; the diff is then read like any other.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import socket
from pathlib import Path

import pytest

from engine.pipeline import source
from fixtures.photos import make_wedding_tree
from wedsync_tui import cli

SCRIPTS = Path(__file__).parent.parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.wed"))
PASSPHRASE = "a transcript"

# Values that are measured, drawn or counted by clocks; all others are as they are.
_VARYING = re.compile(
    r"(Ns|_ns|PerS|etaS|initiationS|bytesStored|bytesReused|bytesChecked|bytesRead|bytesFetched|packs|blobs)$"
)
_MASKS = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\b[0-9a-f]{8,16}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|kB|MB|kB/s|MB/s|GB/s|B)(?!\w)"), "N"),
    (re.compile(r"\b\d+ (pack|blob)s?\b"), r"N \1s"),
)


@pytest.mark.parametrize("name", NAMES)
def test_script_says_what_it_said_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    _lay_out(tmp_path, monkeypatch)
    (tmp_path / f"{name}.wed").write_bytes((SCRIPTS / f"{name}.wed").read_bytes())
    environment = {"WEDSYNC_HOME": str(tmp_path / "home"), "WEDSYNC_PASSPHRASE": PASSPHRASE}
    code = cli.run(["--no-ui", "--streams", "3", "--script", f"{name}.wed"], environment)
    printed = capsysbinary.readouterr()
    transcript = _transcript(code, printed.out.decode(), printed.err.decode(), tmp_path)
    kept = SCRIPTS / f"{name}.txt"
    if os.environ.get("REWRITE_TRANSCRIPTS"):
        kept.write_text(transcript)
    changes = list(difflib.unified_diff(kept.read_text().splitlines(), transcript.splitlines(), lineterm="", n=0))
    assert not changes, "\n".join(changes)
    if name == "tour":
        photos = tmp_path / "photos"
        assert _contents(tmp_path / "back" / str(photos).lstrip("/")) == _contents(photos)
    assert PASSPHRASE not in printed.out.decode() + printed.err.decode()


def test_nothing_is_done_where_a_script_has_mistakes(tmp_path: Path) -> None:
    environment = {"WEDSYNC_HOME": str(tmp_path / "home"), "WEDSYNC_PASSPHRASE": PASSPHRASE}
    assert cli.run(["--no-ui", "--script", str(SCRIPTS / "mistakes.wed")], environment) == 2
    assert not (tmp_path / "home").exists()


def _lay_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the scripts find in their working folder. However slow the machine, it was made a moment ago."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(source, "FRESH_NS", 3600 * 1_000_000_000)
    make_wedding_tree(folder / "photos", couple="smith-jones", seed=7, photos=4, photo_bytes=9_000)
    (folder / "odd").mkdir()
    (folder / "odd" / "note.txt").write_text("SAMPLE\n")
    (folder / "new-passphrase").write_text("another\n")
    with socket.socket(socket.AF_UNIX) as listener:
        at = os.open(folder / "odd", os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{at}/socket")  # a socket's path may have 107 bytes only
        finally:
            os.close(at)


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _transcript(code: int, stdout: str, stderr: str, folder: Path) -> str:
    lines = [f"exit code {code}", "", *(_masked(line, folder) for line in stderr.splitlines()), ""]
    for line in stdout.splitlines():
        value = json.loads(line)
        lines.append(_masked(json.dumps(_steady(value), ensure_ascii=False, separators=(",", ":")), folder))
    return "\n".join(lines) + "\n"


def _steady(value: object, key: str = "") -> object:
    if _VARYING.search(key) and isinstance(value, int | float) and value:
        return "N"
    if isinstance(value, dict):
        return {name: _steady(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_steady(inner) for inner in value]
    return "HOST" if key == "host" or value == socket.gethostname() else value


def _masked(line: str, folder: Path) -> str:
    line = line.replace(str(folder), "HERE")
    line = re.sub(rf"(?<= ){re.escape(socket.gethostname())}(?= )", "HOST", line)
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return re.sub(r" {2,}", "  ", line)
