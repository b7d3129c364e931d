"""A program that brings packs back: a tape robot, a courier, whatever the site has. JSON lines on both sides.

It is started with the first request and gets on its standard input a line for each
`{"recall": NAME, "speed": WORD, "days": N}` and `{"archive": NAME}`. It answers, in any order and at any time,
`{"progress": NAME, "share": 0…1, "eta_s": SECONDS}`, `{"done": NAME}`, or `{"error": NAME, "message": TEXT}`. What was
done is readable by the tier's store for the days that were asked for. It ends when its standard input ends; one that
ends before is started again, and asked again for what had not come.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from engine.base.clock import Clock
from engine.base.errors import NotPermitted, Unavailable
from engine.storage.recall.driver import Offer, Standing

LINE_BYTES_MAX = 64 * 1024
END_WITHIN_S = 5.0
_DAY_S = 86_400.0


class CommandRecall:
    """Recalls through one program."""

    offers: tuple[Offer, ...] = (Offer("", None),)

    def __init__(self, command: Sequence[str], clock: Clock) -> None:
        self._command = tuple(command)
        self._clock = clock
        self._lock = threading.Lock()  # of all below
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""  # of a line that has not ended
        self._standing: dict[str, Standing] = {}
        self._asked: dict[str, dict[str, object]] = {}  # what has not come, as it was asked for
        self._until_s: dict[str, float] = {}  # how long what came stays readable

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """See `RecallDriver.request`. Raises NotPermitted, Unavailable when the program cannot be run."""
        with self._lock:
            self._listen()
            for name in names:
                if self._standing_of(name).state == "archived":
                    self._asked[name] = {"recall": name, "speed": speed, "days": days}
                    self._standing[name] = Standing("coming")
                    self._tell(self._asked[name])

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """See `RecallDriver.standing`. What was never asked for counts as archived: only the program knows."""
        with self._lock:
            self._listen()
            return {name: self._standing_of(name) for name in names}

    def archive(self, name: str) -> None:
        """See `RecallDriver.archive`."""
        with self._lock:
            self._tell({"archive": name})

    def close(self) -> None:
        """See `RecallDriver.close`: the program's input ends, and it has a moment to end, too."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)

    # --- under the lock ---------------------------------------------------------------------------------

    def _standing_of(self, name: str) -> Standing:
        if self._until_s.get(name, float("inf")) <= self._clock.monotonic_s():
            self._standing.pop(name, None)
            self._until_s.pop(name, None)
        return self._standing.get(name, Standing("archived"))

    def _tell(self, what: Mapping[str, object]) -> None:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise Unavailable(f"the recall program {self._command[0]} takes nothing ({error.strerror})") from None

    def _running(self) -> subprocess.Popen[bytes]:
        """The program, started anew if it has ended; what had not come is asked for again then."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._process is not None:
            _close(self._process)
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
            )
        except OSError as error:
            what = f"the recall program {self._command[0]} cannot be run: {error.strerror}"
            raise NotPermitted(what, "see config get tiers.cold.recall_command") from None
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._said = b""
        for asked in self._asked.values():
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return self._process

    def _listen(self) -> None:
        """Take in what the program has said since."""
        if self._process is None or self._process.stdout is None:
            return
        while chunk := self._read(self._process.stdout.fileno()):
            *lines, self._said = (self._said + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(self._said) > LINE_BYTES_MAX:
                self._said = b""
        if self._asked and self._process.poll() is not None:
            self._running()

    @staticmethod
    def _read(fd: int) -> bytes:
        try:
            return os.read(fd, LINE_BYTES_MAX)
        except BlockingIOError:
            return b""

    def _take(self, line: bytes) -> None:
        """One line of the program's; what is no answer is passed over."""
        try:
            said: Any = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        name = next((said[key] for key in ("done", "progress", "error") if isinstance(said.get(key), str)), "")
        asked = self._asked.get(name)
        if asked is None:
            return
        if "done" in said:
            self._standing[name] = Standing("readable", 0.0)
            self._until_s[name] = self._clock.monotonic_s() + _DAY_S * float(str(asked["days"]))
            del self._asked[name]
        elif "error" in said:
            self._standing[name] = Standing("archived", problem=str(said.get("message", "it cannot be recalled"))[:300])
            del self._asked[name]
        else:
            eta = said.get("eta_s")
            self._standing[name] = Standing("coming", float(eta) if isinstance(eta, int | float) else None)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Let go of what leads to a program that has ended."""
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
