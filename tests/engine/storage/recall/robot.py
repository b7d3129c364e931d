"""A tape robot's program, for tests: takes a while, tells how far it is, and has lost what ends with `ff`."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Answer each line; with `quit` as an argument, end after the first."""
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked.get("recall")
        if name is None:
            continue
        if name.endswith("ff"):
            _say(json.dumps({"error": name, "message": "the cartridge is not in the library"}))
            continue
        _say("mounting TAPE01")  # what is no answer is passed over
        _say(json.dumps({"progress": name, "share": 0.5, "eta_s": 90}))
        if "slow" in sys.argv:
            continue
        _say(json.dumps({"done": name}))
        if "quit" in sys.argv:
            return


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
