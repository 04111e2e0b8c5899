"""Starts the command line; an interrupt while it is still importing also ends in one line."""

import gc
import signal
import sys


def main() -> None:
    """Runs the command line; never returns."""
    gc.disable()  # start-up allocates long-lived objects: about 70 useless collections; the command switches it on again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # run finally-blocks, which remove temporary files
    try:
        from roofcalc.cli.app import app
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    app()


if __name__ == "__main__":
    main()
