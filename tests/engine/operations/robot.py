"""A robot in front of a folder: archived packs leave it, recalled ones come back once `go` stands beside the robot.

`python robot.py COLD`: packs lie in COLD as a store has them, and in COLD.shelf while they are archived.
"""

from __future__ import annotations

import json
import os
import select
import sys


def main() -> None:
    """Serve until standard input ends."""
    cold = sys.argv[1]
    shelf, buffer, ended = f"{cold}.shelf", b"", False
    pending: list[str] = []
    while not ended or pending:
        if select.select([0], [], [], 0.02)[0] and not ended:
            chunk = os.read(0, 65536)
            ended = not chunk
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                asked = json.loads(line)
                if "archive" in asked:
                    _move(f"{cold}/{asked['archive']}", f"{shelf}/{asked['archive']}")
                else:
                    pending.append(asked["recall"])
                    _say({"progress": asked["recall"], "share": 0.1, "eta_s": 3600})
        if ended and not os.path.exists(f"{cold}.go"):
            return
        for name in pending if os.path.exists(f"{cold}.go") else []:
            _move(f"{shelf}/{name}", f"{cold}/{name}")
            _say({"done": name})
        if os.path.exists(f"{cold}.go"):
            pending.clear()


def _move(source: str, target: str) -> None:
    if os.path.exists(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
