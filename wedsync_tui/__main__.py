"""The very beginning: `python -m wedsync_tui`, and the console script `wedsync-tui`.

Imports what Python has loaded already, so that a signal finds a handler here while all the rest is imported: nothing is
begun yet, so one line and the exit code of what was interrupted are all that is owed. The handlers stay until somebody
who has more to end takes over. Main thread.
"""

import os


def main() -> None:
    """The whole program. Does not come back."""
    try:
        import signal

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, _interrupted)
    except KeyboardInterrupt:
        _interrupted()
    from wedsync_tui import cli

    cli.main()


def _interrupted(*_: object) -> None:
    try:
        os.write(2, b"wedsync-tui: interrupted\n")
    finally:  # also when nobody is there to read it
        os._exit(1)


if __name__ == "__main__":
    main()
