"""Starts the command line, so that even an interrupt while it is being imported ends in a line."""

import gc
import signal
import sys


def main() -> None:
    """Runs the command line; never returns."""
    gc.set_threshold(100_000, 20, 20)  # a start makes much that stays: looking for garbage in it takes a fortieth of the time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that unfinished files are taken away
    try:
        from roofcalc.cli.app import app
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    app()


if __name__ == "__main__":
    main()
