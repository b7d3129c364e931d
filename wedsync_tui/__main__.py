"""`python -m wedsync_tui`."""

from wedsync_tui.cli import main

if __name__ == "__main__":
    main()
